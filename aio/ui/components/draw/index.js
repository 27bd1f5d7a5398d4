/**
 * Entry of the Streamlit component `aio.draw`, written by aio/ui/draw.py.
 *
 * Streamlit calls the default export on every update with the same parent element, and the returned function when the
 * component has left the page.
 */
import { Pad } from "./pad.js";
// Named here as well, so that the browser fetches them together with pad.js.
import "./drawing.js";
import "./field.js";
import "./geometry.js";
import "./hand.js";
import "./plane.js";
import "./reports.js";
import "./surface.js";
import "./theme.js";
import "./tools.js";

/** The pad that lives in each parent element. @type {WeakMap<HTMLElement, Pad>} */
const pads = new WeakMap();
const decoder = new TextDecoder();

/**
 * @param {{parentElement: HTMLElement, data: Uint8Array, setTriggerValue: (name: string, value: object) => void}} component
 * @returns {() => void} to call at unmount
 */
export default function draw({ parentElement, data, setTriggerValue }) {
  const end = data.indexOf(10); // the header's line break
  const header = JSON.parse(decoder.decode(data.subarray(0, end)));
  let pad = pads.get(parentElement);
  if (!pad) {
    pad = new Pad(parentElement);
    pads.set(parentElement, pad);
  }
  pad.update(header, () => decoder.decode(data.subarray(end + 1)), (report) => setTriggerValue("draw", report));
  return () => {
    // Streamlit also runs this when newer data overtake a call that is still under way, on a component that stays.
    if (parentElement.isConnected) return;
    pads.get(parentElement)?.destroy();
    pads.delete(parentElement);
  };
}
