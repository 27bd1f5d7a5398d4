import { drawHead } from "./head.js";
import { plotly } from "./plotly.js";
import { Theme } from "./theme.js";

/**
 * @typedef {object} Payload what aio/ui/live.py sends
 * @property {number} step the training step that the figure shows
 * @property {number} height in CSS pixels
 * @property {string} label the picture in words
 * @property {boolean} static whether the picture ignores the pointer
 * @property {import("./head.js").Head} [head] what stands above the picture
 * @property {Uint8Array} body the figure as JSON
 */

const decoder = new TextDecoder();

/** On a touch screen a finger on the chart scrolls the page, as everywhere else. */
const coarsePointer = matchMedia("(pointer: coarse)");

/**
 * One figure on the page. It draws the newest payload, once a browser frame at most, with Plotly.react on one node, and
 * only while it can be seen. (In a hidden tab browsers call no animation frames, so nothing is drawn there either.)
 */
export class LiveFigure {
  #root = document.createElement("div");
  #head = document.createElement("div");
  #frame = document.createElement("div");
  #plot = document.createElement("div");
  #image = document.createElement("div");
  #message = document.createElement("p");
  #resizes = new ResizeObserver(([entry]) => this.#resized(entry));
  #sightings = new IntersectionObserver((entries) => this.#sighted(entries.at(-1)));
  #width = 0;
  #visible = false;
  #drawing = false;
  #frames = 0;
  /** @type {Payload | undefined} the newest */
  #wanted;
  /** @type {{body: Uint8Array, look: string} | undefined} what stands on the screen */
  #shown;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#root.className = "live-figure";
    this.#root.dataset.frame = "0";
    this.#image.className = "live-figure-image";
    this.#message.className = "live-figure-message";
    // An image may hold no buttons, and Plotly's mode bar has some: so the image that screen readers meet lies, empty,
    // over the plot, which they do not.
    this.#plot.ariaHidden = "true";
    this.#image.role = "img";
    this.#frame.className = "live-figure-frame";
    this.#frame.append(this.#plot, this.#image, this.#message);
    this.#root.append(this.#head, this.#frame);
    parent.append(this.#root);
    this.#resizes.observe(this.#root);
    this.#sightings.observe(this.#root);
  }

  /** @param {Payload} payload takes the place of any that is not drawn yet */
  update(payload) {
    drawHead(this.#head, payload.head);
    this.#frame.style.height = `${payload.height}px`;
    this.#image.ariaLabel = payload.label;
    this.#wanted = payload;
    this.#schedule();
  }

  destroy() {
    this.#resizes.disconnect();
    this.#sightings.disconnect();
    this.#purge();
  }

  #resized({ contentRect }) {
    this.#width = Math.floor(contentRect.width);
    this.#schedule();
  }

  #sighted({ isIntersecting }) {
    this.#visible = isIntersecting;
    this.#schedule();
  }

  #schedule() {
    if (this.#drawing || !this.#visible || !this.#wanted || !this.#width) return;
    this.#drawing = true;
    requestAnimationFrame(async () => {
      const [payload, width] = [this.#wanted, this.#width];
      await this.#show(payload, width);
      this.#drawing = false;
      if (payload !== this.#wanted || width !== this.#width) this.#schedule();
    });
  }

  /** Brings the payload to the screen, or says there why not. Never throws. */
  async #show(payload, width) {
    if (!this.#root.isConnected) return; // unmounted since
    try {
      const theme = new Theme(this.#root);
      const look = [theme.id, width, payload.height, payload.static].join();
      if (look !== this.#shown?.look || !equal(payload.body, this.#shown.body)) {
        await this.#draw(payload, width, theme);
        this.#shown = { body: payload.body, look };
        this.#root.dataset.frame = String(++this.#frames);
      }
      this.#root.dataset.step = String(payload.step);
      this.#say("");
    } catch (error) {
      this.#fail(error);
    }
  }

  async #draw(payload, width, theme) {
    const { data, layout } = JSON.parse(theme.fill(decoder.decode(payload.body)));
    if (!Array.isArray(data)) throw new Error("its data are not a list of traces");
    const Plotly = await plotly;
    await Plotly.react(
      this.#plot,
      data,
      {
        uirevision: true, // the visitor's zoom outlives the update, unless the figure decides otherwise
        ...layout,
        template: theme.template(),
        width,
        height: payload.height,
        ...(coarsePointer.matches && { dragmode: false }),
      },
      {
        displaylogo: false,
        ...(coarsePointer.matches && { displayModeBar: false }),
        doubleClick: "reset",
        modeBarButtonsToRemove: ["select2d", "lasso2d"],
        staticPlot: payload.static,
      },
    );
    // The mode bar is for the pointer: keys would meet a dozen invisible buttons in every figure.
    for (const button of this.#plot.querySelectorAll(".modebar-btn")) button.tabIndex = -1;
  }

  #fail(error) {
    const sentence = `The chart could not be drawn: ${error.message}. Reload the page.`;
    if (this.#message.textContent !== sentence) console.warn(sentence, error); // once, not at every update
    this.#say(sentence);
    this.#shown = undefined;
    this.#purge();
  }

  /** @param {string} sentence in place of the picture; empty for the picture */
  #say(sentence) {
    this.#message.textContent = sentence;
    this.#image.hidden = sentence !== "";
  }

  #purge() {
    plotly.then((Plotly) => Plotly.purge(this.#plot), () => {});
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
