/** Above a stage: what its colours mean, once. */
import { element } from "./surface.js";

/**
 * @param {HTMLElement} node
 * @param {import("./film.js").Film} film
 */
export function drawLegend(node, film) {
  const coloured = film.frames.some(({ cells }) => cells);
  const mirrored = film.frames.some((frame) => frame.mirrored.includes(1));
  node.replaceChildren(
    ...(coloured ? scale(film) : []),
    ...(mirrored ? [element("span", "film-stage-key", element("i", "film-stage-hatch"), "mirrored")] : []),
  );
}

/** To so many significant digits. */
const DIGITS = 2;

function rounded(value) {
  return String(Number(value.toPrecision(DIGITS)));
}

function scale({ span, scaleTitle }) {
  return [
    element("span", "", scaleTitle),
    element("span", "film-stage-key", `−${rounded(span)}`, element("i", "film-stage-scale"), rounded(span)),
  ];
}
