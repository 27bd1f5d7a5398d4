/** A square canvas: crisp on every screen, drawn on at most once a browser frame, and only while it is seen. */

export class Surface {
  canvas = document.createElement("canvas");
  #context = this.canvas.getContext("2d");

  /**
   * @param {number} side CSS pixels
   * @returns {CanvasRenderingContext2D} of the empty canvas, scaled to CSS pixels
   */
  cleared(side) {
    const pixels = Math.round(side * devicePixelRatio);
    if (this.canvas.width !== pixels) {
      this.canvas.width = this.canvas.height = pixels;
      this.canvas.style.width = this.canvas.style.height = `${side}px`;
    }
    const scale = pixels / side;
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#context.clearRect(0, 0, side, side);
    return this.#context;
  }
}

/** Calls back in the next browser frame after `request`, while the element is on the screen and has a width. */
export class Painter {
  #element;
  #paint;
  #resizes = new ResizeObserver(([entry]) => this.#resized(entry.contentRect.width));
  #sightings = new IntersectionObserver((entries) => this.#sighted(entries.at(-1).isIntersecting));
  #visible = false;
  #asked = false;
  #due = 0;
  /** CSS pixels of the element. */
  width = 0;

  /** @param {HTMLElement} element @param {() => void} paint */
  constructor(element, paint) {
    this.#element = element;
    this.#paint = paint;
    this.#resizes.observe(element);
    this.#sightings.observe(element);
  }

  request() {
    this.#asked = true;
    if (this.#due || !this.#visible || !this.width) return;
    this.#due = requestAnimationFrame(() => {
      this.#due = 0;
      this.#asked = false;
      if (this.#element.isConnected) this.#paint();
    });
  }

  stop() {
    cancelAnimationFrame(this.#due);
    this.#resizes.disconnect();
    this.#sightings.disconnect();
  }

  #resized(width) {
    this.width = Math.floor(width);
    this.request();
  }

  #sighted(visible) {
    this.#visible = visible;
    if (visible && this.#asked) this.request();
  }
}

/** @param {string} name of the tag @param {string} className @param {Node | string} children */
export function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}
