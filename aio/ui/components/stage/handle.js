/** The handle of the probe: a point of the plane that is moved with mouse, pen, finger or keys. */
import { number } from "./motion.js";
import { element } from "./surface.js";

const STEP = 0.05;
const LONG_STEP = 0.5;
/** A browser sends the click that ends a drag within this time. */
const CLICK_MS = 50;

/** The direction of each key. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

export class Handle {
  /** A slider to assistive technology, which has no word for a point with two coordinates. */
  node = element("div", "film-stage-handle");
  /** Whether a pointer holds it. */
  held = false;
  #area;
  #moved;
  /** @type {() => import("./draw.js").View | undefined} */
  #view;
  /** @type {[number, number]} */
  #place = [0, 0];
  /** From the pointer to the middle of the handle, so that it does not jump when it is taken. */
  #grip = [0, 0];
  #releasedAt = 0;

  /**
   * @param {HTMLElement} area the picture; a press of the mouse anywhere in it brings the probe there
   * @param {() => import("./draw.js").View | undefined} view
   * @param {(place: [number, number], final: boolean) => void} moved
   */
  constructor(area, view, moved) {
    this.#area = area;
    this.#view = view;
    this.#moved = moved;
    Object.assign(this.node, { role: "slider", tabIndex: 0, ariaRoleDescription: "point in the plane" });
    this.node.title = "Drag, or move with the arrow keys: 0.05, with Shift 0.5";
    this.node.hidden = true; // until a probe is shown
    area.append(this.node);
    area.addEventListener("pointerdown", (event) => this.#down(event));
    area.addEventListener("pointermove", (event) => this.held && this.#drag(event, false));
    area.addEventListener("pointerup", (event) => this.#up(event));
    area.addEventListener("pointercancel", (event) => this.#up(event));
    area.addEventListener("click", (event) => this.#tapped(event));
    this.node.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** @param {ArrayLike<number> | null} place in the frame that is seen; null where there is no probe @param {string} label */
  show(place, label) {
    const view = this.#view();
    const seen = Boolean(place && view && Number.isFinite(place[0]) && Number.isFinite(place[1]));
    this.node.hidden = !seen;
    if (!seen) return;
    const [x, y] = (this.#place = [place[0], place[1]]);
    this.node.style.transform = `translate(${view.x(x)}px, ${view.y(y)}px)`;
    this.node.ariaLabel = label;
    this.node.ariaValueMin = String(view.xMin);
    this.node.ariaValueMax = String(view.xMax);
    this.node.ariaValueNow = x.toFixed(2);
    this.node.ariaValueText = `x₁ ${number(x)}, x₂ ${number(y)}`;
  }

  #down(event) {
    const onHandle = event.target === this.node;
    // A finger beside the handle scrolls the page; if it does not, the click that follows moves the probe.
    if (this.node.hidden || event.button || (!onHandle && event.pointerType === "touch")) return;
    const view = this.#view();
    const [left, top] = this.#pixel(event);
    const [x, y] = this.#place;
    this.#grip = onHandle ? [view.x(x) - left, view.y(y) - top] : [0, 0];
    this.held = true;
    this.#area.setPointerCapture(event.pointerId);
    this.#area.classList.add("film-stage-held");
    event.preventDefault(); // neither a selection nor a scroll
    this.node.focus({ preventScroll: true });
    this.#drag(event, false);
  }

  #up(event) {
    if (!this.held) return;
    this.held = false;
    this.#releasedAt = event.timeStamp;
    this.#area.classList.remove("film-stage-held");
    if (event.type === "pointercancel") this.#moved(this.#place, true);
    else this.#drag(event, true);
  }

  #tapped(event) {
    const endsDrag = event.timeStamp - this.#releasedAt < CLICK_MS;
    if (event.pointerType !== "touch" || this.node.hidden || endsDrag) return;
    this.#grip = [0, 0];
    this.#drag(event, true);
  }

  #drag(event, final) {
    const [left, top] = this.#pixel(event);
    this.#moved(this.#view().place(left + this.#grip[0], top + this.#grip[1]), final);
  }

  #pixel({ clientX, clientY }) {
    const { left, top } = this.#area.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  #pressed(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const view = this.#view();
    const step = event.shiftKey ? LONG_STEP : STEP;
    const [x, y] = this.#place.map((value, axis) => value + step * arrow[axis]);
    this.#moved(view.place(view.x(x), view.y(y)), false);
  }
}
