/** Below a stage: play or pause, a scrubber through the film, and a line that says what happens. */
import { element } from "./surface.js";

const PLAY = "M4 2.5v11l9.5-5.5z";
const PAUSE = "M3.5 2.5h3.2v11H3.5zM9.3 2.5h3.2v11H9.3z";
/** Half of the thumb: marks begin and end where its middle can be. Also in stage.css. */
const THUMB = 8;

/** A scrubber finer than the eye sees on its length. */
const FINENESS = 0.005;

export class Controls {
  node = element("div", "film-stage-controls");
  /** Whether the visitor holds the scrubber. */
  scrubbing = false;
  #button = element("button", "film-stage-play");
  #path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  #range = element("input", "film-stage-range");
  #marks = element("div", "film-stage-marks");
  #caption = element("div", "film-stage-caption");

  /** @param {{toggle: () => void, scrub: (position: number) => void, release: () => void}} actions */
  constructor({ toggle, scrub, release }) {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 16 16");
    icon.ariaHidden = "true";
    icon.append(this.#path);
    this.#button.type = "button";
    this.#button.append(icon);
    this.#button.addEventListener("click", toggle);
    Object.assign(this.#range, { type: "range", min: "0", max: "0", step: String(FINENESS), value: "0" });
    this.#range.ariaLabel = "Position in the film";
    this.#range.addEventListener("input", () => {
      this.scrubbing = true;
      scrub(Number(this.#range.value));
    });
    for (const event of ["change", "pointerup", "pointercancel", "blur"]) {
      this.#range.addEventListener(event, () => {
        if (!this.scrubbing) return;
        this.scrubbing = false;
        release();
      });
    }
    const scrubber = element("div", "film-stage-scrubber", this.#marks, this.#range);
    this.node.append(element("div", "film-stage-line", this.#button, scrubber), this.#caption);
    this.show({ playing: false, position: 0, title: "", happening: "" });
  }

  /** @param {import("./film.js").Film} film gives a mark to each frame */
  fit(film) {
    this.#range.max = String(film.last);
    this.#marks.replaceChildren(
      ...film.frames.map(({ active }, k) => {
        const mark = element("i", active ? "" : "film-stage-off");
        mark.style.left = film.last ? `calc(${THUMB}px + (100% - ${2 * THUMB}px) * ${k / film.last})` : `${THUMB}px`;
        return mark;
      }),
    );
  }

  /** @param {{playing: boolean, position: number, title: string, happening: string}} now */
  show({ playing, position, title, happening }) {
    const shape = playing ? PAUSE : PLAY;
    if (this.#path.getAttribute("d") !== shape) this.#path.setAttribute("d", shape);
    this.#button.ariaLabel = this.#button.title = playing ? "Pause" : "Play";
    if (!this.scrubbing) this.#range.value = String(position);
    const sentence = happening ? `${title}: ${happening}` : title;
    this.#range.ariaValueText = sentence;
    if (this.#caption.title === sentence) return;
    this.#caption.title = sentence;
    this.#caption.replaceChildren(element("b", "", title), happening ? ` ${happening}` : "");
  }
}
