/** Streamlit's theme as the canvas needs it, and a scale of colours for the density of each class. */

/** The properties by which a change of theme is noticed. */
const WATCHED = ["text-color", "background-color", "border-color", "primary-color", "font"];

/**
 * Blue, gold, rose and green, which differ in lightness as well: any two are told apart with each kind of colour
 * blindness. The first is the hue of data in aio/figures/palette.py.
 */
const LIGHT = ["#2f7fd1", "#c79a00", "#b03060", "#3d5a1e"];
const DARK = ["#4a9bea", "#f3d35e", "#d6386e", "#6db35a"];

/** Shades of a scale, evenly spaced in the density from 0 to RANGE. */
const SHADES = 2048;
const RANGE = 6;
/** How fast a scale saturates: a single stroke, of density 1, covers 1 − e^−1.4 ≈ 3/4 of the background. */
const COVER = 1.4;
/** From this cover on a colour deepens: where strokes overlap it goes on to change. */
const DEEPENS = 0.7;
/** The share of black, or of white in the dark, at the end of a scale. */
const DEPTH = 0.55;

const brush = document.createElement("canvas").getContext("2d");

export class Theme {
  #style;

  /** @param {HTMLElement} element inside the component */
  constructor(element) {
    this.#style = getComputedStyle(element);
    /** Equal for equal themes. */
    this.id = WATCHED.map((name) => this.#read(name)).join("|");
    this.text = this.#read("text-color") || "#000";
    this.font = this.#read("font") || "sans-serif";
    const [r, g, b] = channels(this.#read("background-color") || "#fff");
    this.dark = 0.299 * r + 0.587 * g + 0.114 * b < 128;
    /** @type {string[]} of the classes */
    this.colours = this.dark ? DARK : LIGHT;
  }

  #read(name) {
    return this.#style.getPropertyValue(`--st-${name}`).trim();
  }

  /** @returns {Uint8ClampedArray[]} for each class its shades: red, green, blue, opacity */
  scales() {
    return this.colours.map((colour) => scale(channels(colour), this.dark ? 255 : 0));
  }
}

/** @param {number} density @returns {number} index of its shade */
export function shade(density) {
  return density >= RANGE ? SHADES - 1 : (density * (SHADES / RANGE)) | 0;
}

function scale(hue, end) {
  const shades = new Uint8ClampedArray(4 * SHADES);
  for (let i = 0; i < SHADES; i++) {
    const cover = 1 - Math.exp((-COVER * RANGE * i) / SHADES);
    const deep = Math.max(0, (cover - DEEPENS) / (1 - DEEPENS));
    const colour = hue.map((channel) => channel + DEPTH * deep * deep * (end - channel));
    shades.set([...colour, 255 * cover], 4 * i);
  }
  return shades;
}

/** @param {string} colour in any CSS notation @returns {number[]} r, g, b in 0…255 */
function channels(colour) {
  brush.fillStyle = colour;
  const plain = brush.fillStyle; // the browser writes it as #rrggbb, or as rgba(…) when translucent
  if (!plain.startsWith("#")) return plain.match(/[\d.]+/g).slice(0, 3).map(Number);
  const rgb = parseInt(plain.slice(1), 16);
  return [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
}
