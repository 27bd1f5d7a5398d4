/**
 * Entry of the Streamlit component `aio.live_figure`, written by aio/ui/live.py.
 *
 * Streamlit calls the default export on every update with the same parent element, and the returned function when the
 * component has left the page.
 */
import { LiveFigure } from "./figure.js";
// Named here as well, so that the browser fetches them together with figure.js.
import "./head.js";
import "./plotly.js";
import "./theme.js";

const NEWLINE = 10;

/** The figure that lives in each parent element. @type {WeakMap<HTMLElement, LiveFigure>} */
const figures = new WeakMap();

/**
 * @param {{parentElement: HTMLElement, data: Uint8Array}} component
 * @returns {() => void} to call at unmount
 */
export default function liveFigure({ parentElement, data }) {
  let figure = figures.get(parentElement);
  if (!figure) {
    figure = new LiveFigure(parentElement);
    figures.set(parentElement, figure);
  }
  const end = data.indexOf(NEWLINE);
  const header = JSON.parse(new TextDecoder().decode(data.subarray(0, end)));
  figure.update({ ...header, body: data.subarray(end + 1) });
  return () => {
    // Streamlit also runs this when newer data overtake a call that is still under way, on a component that stays.
    if (parentElement.isConnected) return;
    figures.get(parentElement)?.destroy();
    figures.delete(parentElement);
  };
}
