/** The hand that draws: mouse, pen or finger on the canvas, or a cross-hair that the keyboard moves. */

const STEP = 0.1;
const LONG_STEP = 0.5;

/** The direction of each key. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

/** @typedef {import("./geometry.js").Place} Place */

export class Hand {
  /** Where the cross-hair is. @type {Place} */
  cross = [0, 0];
  #canvas;
  /** @type {() => import("./plane.js").View | undefined} */
  #view;
  #on;
  /** What holds the brush down. @type {"" | "pointer" | "keys"} */
  #holds = "";
  #pointer = -1;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => import("./plane.js").View | undefined} view
   * @param {object} on
   * @param {(place: Place) => void} on.down @param {(places: Place[]) => void} on.move @param {() => void} on.up
   * @param {(place: Place | null, byKeys: boolean) => void} on.point where the brush would draw; null: nowhere
   */
  constructor(canvas, view, on) {
    this.#canvas = canvas;
    this.#view = view;
    this.#on = on;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const event of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(event, (event) => this.#up(event));
    }
    canvas.addEventListener("pointerleave", () => this.#holds || this.#rest());
    canvas.addEventListener("contextmenu", (event) => this.#holds && event.preventDefault()); // of a long press
    canvas.addEventListener("keydown", (event) => this.#pressed(event));
    canvas.addEventListener("keyup", (event) => event.key === " " && this.#release());
    canvas.addEventListener("focus", () => this.#holds || this.#rest());
    canvas.addEventListener("blur", () => {
      this.#release();
      on.point(null, false);
    });
  }

  /** Lets go of the brush, whatever holds it, and waits for it to be put down again. */
  drop() {
    this.#holds = "";
  }

  /** What the keyboard is doing, in words. */
  get words() {
    const [x, y] = this.cross.map((value) => value.toFixed(1).replace("-", "−"));
    return `${x}, ${y}${this.#holds === "keys" ? ", brush down" : ""}`;
  }

  #down(event) {
    // A second finger, or another button, does nothing.
    if (this.#holds || event.button || !event.isPrimary || !this.#view()) return;
    this.#holds = "pointer";
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.#on.point(place, false);
    this.#on.down(place);
  }

  #move(event) {
    if (!this.#view()) return;
    const place = this.#place(event);
    if (this.#holds === "pointer" && event.pointerId === this.#pointer) {
      const passed = event.getCoalescedEvents?.() ?? [];
      this.#on.move((passed.length ? passed : [event]).map((event) => this.#place(event)));
    } else if (this.#holds || event.pointerType === "touch") return;
    this.#on.point(place, false);
  }

  #up(event) {
    if (this.#holds !== "pointer" || event.pointerId !== this.#pointer) return;
    this.#holds = "";
    // A cancelled pointer has no place.
    if (event.type === "pointerup") this.#on.move([this.#place(event)]);
    this.#on.up();
    if (event.pointerType === "touch") this.#on.point(null, false);
  }

  #release() {
    if (this.#holds !== "keys") return;
    this.#holds = "";
    this.#on.up();
    this.#rest();
  }

  /** The pointer has gone: the cross-hair shows where the keyboard would draw, or nothing does. */
  #rest() {
    if (this.#canvas.matches(":focus-visible")) this.#on.point(this.cross, true);
    else this.#on.point(null, false);
  }

  #pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || this.#holds === "pointer" || !this.#view()) return;
    const arrow = ARROWS[event.key];
    if (!arrow && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (arrow) {
      const step = event.shiftKey ? LONG_STEP : STEP;
      const [x, y] = this.cross.map((value, axis) => Number((value + step * arrow[axis]).toFixed(3)));
      this.cross = this.#view().clamped([x, y]);
      if (this.#holds) this.#on.move([this.cross]);
    } else if (event.repeat) {
      return;
    } else if (!this.#holds) {
      this.#holds = "keys";
      this.#on.down(this.cross);
    } else if (event.key === "Enter") {
      this.#release();
    }
    this.#on.point(this.cross, true);
  }

  /** @returns {Place} */
  #place({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    return this.#view().place(clientX - left, clientY - top);
  }
}
