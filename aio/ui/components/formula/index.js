/**
 * Entry of the Streamlit component `aio.formula`, written by aio/ui/formula.py.
 *
 * Streamlit calls the default export on every update with the same parent element, and the returned function when the
 * component has left the page.
 */
import { Formula } from "./formula.js";
// Named here as well, so that the browser fetches them together with formula.js.
import "./line.js";
import "./mathml.js";
import "./reports.js";

/** The list that lives in each parent element. @type {WeakMap<HTMLElement, Formula>} */
const formulas = new WeakMap();

/**
 * @param {object} component
 * @param {HTMLElement} component.parentElement
 * @param {import("./formula.js").Payload} component.data
 * @param {(name: string, value: unknown) => void} component.setStateValue
 * @returns {() => void} to call at unmount
 */
export default function formula({ parentElement, data, setStateValue }) {
  let list = formulas.get(parentElement);
  if (!list) {
    list = new Formula(parentElement);
    formulas.set(parentElement, list);
  }
  list.update(data, setStateValue);
  return () => {
    // Streamlit also runs this when newer data overtake a call that is still under way, on a component that stays.
    if (parentElement.isConnected) return;
    formulas.get(parentElement)?.destroy();
    formulas.delete(parentElement);
  };
}
