/** Streamlit's theme as a canvas needs it, and the diverging scale of signed quantities. */

/** The properties by which a change of theme is noticed. */
const WATCHED = ["text-color", "background-color", "border-color", "primary-color", "font"];

/** Steps of the scale on each side of 0: enough to look continuous, few enough to fill cells in batches. */
export const LEVELS = 24;

/**
 * From no change to the end of the scale, first for negative values. On white the ends are the darkest, on black the
 * brightest: so the middle is always the background, and a cell that does not change is not seen. The hues are those
 * of SIGNED in aio/figures/palette.py.
 */
const LIGHT = [["#92c5de", "#2166ac"], ["#f4a582", "#c2410c"]];
const DARK = [["#2f74b5", "#86c3f2"], ["#b8531f", "#f7a678"]];

/** The share of white in colours of data on black. */
const LIGHTENED = 0.35;

const brush = document.createElement("canvas").getContext("2d");

export class Theme {
  #style;

  /** @param {HTMLElement} element inside the component */
  constructor(element) {
    this.#style = getComputedStyle(element);
    /** Equal for equal themes. */
    this.id = WATCHED.map((name) => this.#read(name)).join("|");
    this.text = this.#read("text-color") || "#000";
    this.background = this.#read("background-color") || "#fff";
    this.primary = this.#read("primary-color") || "#1a66b3";
    this.font = this.#read("font") || "sans-serif";
    const [r, g, b] = channels(this.background);
    this.dark = 0.299 * r + 0.587 * g + 0.114 * b < 128;
    /** @type {string[]} 2 LEVELS + 1 colours, from the most negative to the most positive */
    this.scale = scale([r, g, b], this.dark ? DARK : LIGHT);
  }

  #read(name) {
    return this.#style.getPropertyValue(`--st-${name}`).trim();
  }

  /** A colour as it is seen well among the cells: in the dark it is lightened. @param {string} colour */
  clear(colour) {
    return this.dark ? mixed(channels(colour), [255, 255, 255], LIGHTENED) : colour;
  }

  /** @returns {string} a CSS gradient of the scale, as strong as cells are drawn */
  gradient(opacity) {
    const faded = this.scale.filter((_, i) => i % 4 === 0).map((colour) => colour.replace(")", ` / ${opacity})`));
    return `linear-gradient(to right, ${faded.join(", ")})`;
  }
}

/** @param {number} value @param {number} span @returns {number} index of its colour in a theme's scale */
export function level(value, span) {
  return LEVELS + Math.round(LEVELS * Math.max(-1, Math.min(1, value / span)));
}

function scale(middle, [negative, positive]) {
  const side = ([half, end]) =>
    Array.from({ length: LEVELS }, (_, i) => {
      const share = (2 * (i + 1)) / LEVELS;
      return share <= 1 ? mixed(middle, channels(half), share) : mixed(channels(half), channels(end), share - 1);
    });
  return [...side(negative).reverse(), mixed(middle, middle, 0), ...side(positive)];
}

function mixed(from, to, share) {
  return `rgb(${from.map((channel, i) => Math.round(channel + share * (to[i] - channel))).join(" ")})`;
}

/** @param {string} colour in any CSS notation @returns {number[]} r, g, b in 0…255 */
function channels(colour) {
  brush.fillStyle = colour;
  const plain = brush.fillStyle; // the browser writes it as #rrggbb, or as rgba(…) when translucent
  if (!plain.startsWith("#")) return plain.match(/[\d.]+/g).slice(0, 3).map(Number);
  const rgb = parseInt(plain.slice(1), 16);
  return [rgb >> 16, (rgb >> 8) & 255, rgb & 255];
}
