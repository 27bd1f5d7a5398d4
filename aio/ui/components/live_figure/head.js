/**
 * @typedef {object} Head
 * @property {string} title
 * @property {string} about a line below the title
 * @property {{title: string, low: number, high: number, colours: [number, string][]} | null} scale what colours mean
 */

/** Significant digits at the ends of a scale of colours. */
const DIGITS = 2;

/** What each head shows now, so that nothing is touched while nothing changes. @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();

/**
 * Draws a heading, and below it a line of words or a strip of colours.
 *
 * @param {HTMLElement} node
 * @param {Head} [head] nothing is drawn without
 */
export function drawHead(node, head) {
  const wanted = JSON.stringify(head ?? null);
  if (shown.get(node) === wanted) return;
  shown.set(node, wanted);
  node.className = head ? "live-figure-head" : "";
  node.replaceChildren(...(head ? [element("div", "live-figure-title", head.title), line(head)] : []));
}

function line({ about, scale }) {
  if (!scale) return element("div", "live-figure-about", about);
  const strip = element("i", "", "");
  const stops = scale.colours.map(([share, colour]) => `${colour} ${100 * share}%`);
  strip.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const row = element("div", "live-figure-about live-figure-scale", "");
  row.append(element("span", "", number(scale.low)), strip, element("span", "", number(scale.high)));
  row.append(element("span", "", scale.title));
  return row;
}

function number(value) {
  return Number(value.toPrecision(DIGITS)).toString().replace("-", "−");
}

function element(name, className, text) {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
}
