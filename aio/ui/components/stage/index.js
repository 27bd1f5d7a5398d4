/**
 * Entry of the Streamlit component `aio.stage`, written by aio/ui/stage.py: a filmstrip, or a stage that shows its film.
 *
 * Streamlit calls the default export on every update with the same parent element, and the returned function when the
 * component has left the page.
 */
import { headed } from "./film.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
// Named here as well, so that the browser fetches them together with the ones above.
import "./colours.js";
import "./controls.js";
import "./draw.js";
import "./handle.js";
import "./journey.js";
import "./legend.js";
import "./messages.js";
import "./motion.js";
import "./scene.js";
import "./surface.js";

/** The view that lives in each parent element. @type {WeakMap<HTMLElement, Strip | Stage>} */
const views = new WeakMap();

/**
 * @param {{parentElement: HTMLElement, data: Uint8Array, setTriggerValue: (name: string, value: object) => void}} component
 * @returns {() => void} to call at unmount
 */
export default function stage({ parentElement, data, setTriggerValue }) {
  const [header, body, line] = headed(data);
  let view = views.get(parentElement);
  if (!view) {
    view = header.view === "strip" ? new Strip(parentElement) : new Stage(parentElement);
    views.set(parentElement, view);
  }
  view.update(header, view instanceof Strip ? body : line, setTriggerValue);
  return () => {
    // Streamlit also runs this when newer data overtake a call that is still under way, on a component that stays.
    if (parentElement.isConnected) return;
    views.get(parentElement)?.destroy();
    views.delete(parentElement);
  };
}
