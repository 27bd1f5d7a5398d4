/**
 * Streamlit's theme as Plotly needs it. Streamlit sets CSS custom properties around every component, `--st-text-color`
 * and others; Plotly computes with colours, so they are resolved to rgba here.
 */

/** The properties by which a change of theme is noticed. */
const WATCHED = ["text-color", "background-color", "secondary-background-color", "border-color", "primary-color", "font"];

const CLEAR = "rgba(0,0,0,0)";

/**
 * A figure's strings of the form "theme:name" or "theme:name/alpha", in its JSON; also as "var(--theme:name)", the one
 * form of an unknown colour that plotly.py lets pass.
 */
const THEMED = /"(?:var\(--)?theme:([a-z0-9-]+)(?:\/([0-9.]+))?\)?"/g;

const canvas = document.createElement("canvas").getContext("2d");

export class Theme {
  #style;

  /** @param {HTMLElement} element inside the component */
  constructor(element) {
    this.#style = getComputedStyle(element);
    /** Equal for equal themes. */
    this.id = WATCHED.map((name) => this.#read(name)).join("|");
  }

  #read(name) {
    return this.#style.getPropertyValue(`--st-${name}`).trim();
  }

  /**
   * @param {string} name as in `--st-<name>-color`
   * @param {number} [alpha] fades the colour: 1 leaves it as it is
   * @returns {string} rgba(…)
   */
  colour(name, alpha = 1) {
    const value = this.#read(`${name}-color`);
    if (!value) throw new Error(`the theme has no colour "${name}"`);
    const [r, g, b, a] = channels(value);
    return `rgba(${r},${g},${b},${a * alpha})`;
  }

  /** @param {string} json a figure's JSON @returns {string} the same with the theme's colours filled in */
  fill(json) {
    return json.replace(THEMED, (_, name, alpha) => JSON.stringify(this.colour(name, alpha && Number(alpha))));
  }

  /** @returns {object} a Plotly template: what a figure looks like where it says nothing itself */
  template() {
    const text = this.colour("text");
    const border = this.colour("border");
    const family = this.#read("font");
    const axis = { gridcolor: this.colour("border", 0.6), zerolinecolor: border, linecolor: border, tickcolor: border };
    const colorbar = { outlinewidth: 0, tickcolor: border };
    return {
      layout: {
        paper_bgcolor: CLEAR,
        plot_bgcolor: CLEAR,
        font: { family, color: text },
        xaxis: axis,
        yaxis: axis,
        coloraxis: { colorbar },
        legend: { bgcolor: CLEAR, bordercolor: border },
        hoverlabel: { bgcolor: this.colour("secondary-background"), bordercolor: border, font: { family, color: text } },
        modebar: { bgcolor: CLEAR, color: this.colour("text", 0.5), activecolor: text },
        annotationdefaults: { arrowcolor: text },
        shapedefaults: { line: { color: text } },
      },
      data: { heatmap: [{ colorbar }], contour: [{ colorbar }] },
    };
  }
}

/** @param {string} colour in any CSS notation @returns {number[]} r, g, b in 0…255 and alpha in 0…1 */
function channels(colour) {
  canvas.fillStyle = colour;
  const plain = canvas.fillStyle; // the browser writes it as #rrggbb, or as rgba(r, g, b, a) when translucent
  if (!plain.startsWith("#")) return plain.match(/[\d.]+/g).map(Number);
  const rgb = parseInt(plain.slice(1), 16);
  return [rgb >> 16, (rgb >> 8) & 255, rgb & 255, 1];
}
