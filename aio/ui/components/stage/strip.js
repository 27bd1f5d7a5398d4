/** The filmstrip: all frames side by side; one of them is chosen. */
import { Theme } from "./colours.js";
import { View, draw } from "./draw.js";
import { Film, films } from "./film.js";
import { Outbox } from "./messages.js";
import { Projector } from "./scene.js";
import { Painter, Surface, element } from "./surface.js";

/** Below a picture: its title, and the room around both. As high as FRAME_ROOM in aio/ui/stage.py. */
const FRAME_ROOM = 46;
/** Between two pictures: the arrow. */
const GAP = 18;
/** Pictures shrink to fit all frames into the width, but not below this. */
const SMALLEST = 84;
const EDGE = 10;

/** The frame a key leads to, from frame k of n. @type {Record<string, (k: number, n: number) => number>} */
const MOVES = {
  ArrowRight: (k, n) => (k + 1) % n,
  ArrowDown: (k, n) => (k + 1) % n,
  ArrowLeft: (k, n) => (k + n - 1) % n,
  ArrowUp: (k, n) => (k + n - 1) % n,
  Home: () => 0,
  End: (_, n) => n - 1,
};

export class Strip {
  #root = element("div", "film-strip");
  #list = element("div", "film-strip-frames");
  #painter = new Painter(this.#root, () => this.#paint());
  /** @type {{radio: HTMLElement, surface: Surface, title: HTMLElement}[]} */
  #items = [];
  /** @type {Film | undefined} */
  #film;
  /** @type {{key: string, chosen: string, height: number, label: string, answers: {choose: number}} | undefined} */
  #header;
  /** @type {(event: string, value: object) => void} */
  #report = () => {};
  #look = "";
  #draws = 0;
  #choices = new Outbox((value) => this.#report("choose", value));
  /** The frame that Python names, or is being told. */
  #reported = "";

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#root.dataset.frame = "0";
    this.#list.role = "radiogroup";
    this.#list.addEventListener("keydown", (event) => this.#pressed(event));
    this.#root.append(this.#list);
    this.#root.positions = () => this.#film?.frames[this.#film.index(this.#header.chosen)]?.vertices.slice();
    parent.append(this.#root);
  }

  update(header, body, report) {
    const before = this.#header;
    this.#header = header;
    this.#report = report;
    this.#choices.answered(header.answers.choose);
    if (!this.#choices.waiting) this.#reported = header.chosen;
    this.#list.ariaLabel = header.label;
    this.#root.style.height = `${header.height}px`;
    // The film's header starts its body, and its id is a hash of the rest: no need to decode the same film again.
    const film = this.#film && sameStart(body, this.#film.id) ? this.#film : new Film(body);
    if (film !== this.#film) {
      this.#film = film;
      this.#build();
      films.put(header.key, film);
    }
    if (before?.chosen !== header.chosen || !this.#root.dataset.chosen) this.#mark();
    this.#point(header.pointed);
    this.#painter.request();
  }

  destroy() {
    this.#painter.stop();
    this.#choices.stop();
    films.drop(this.#header.key, this.#film);
  }

  /** Brings the frames' nodes in line with the film, keeping those that are there. */
  #build() {
    const { frames } = this.#film;
    this.#look = "";
    while (this.#items.length > frames.length) this.#items.pop().radio.parentElement.remove();
    while (this.#items.length < frames.length) this.#append(this.#items.length);
    frames.forEach(({ title, note, active }, k) => {
      const { radio, title: line } = this.#items[k];
      radio.ariaLabel = [title, ...(active ? [] : ["passed over"]), note].join(". ");
      radio.title = note;
      radio.classList.toggle("film-strip-off", !active);
      line.textContent = title;
    });
    this.#mark();
  }

  #append(k) {
    const surface = new Surface();
    const title = element("span", "film-strip-title");
    const off = element("span", "film-strip-word", "off");
    const radio = element("button", "film-strip-frame", element("span", "film-strip-picture", surface.canvas, off), title);
    radio.type = "button";
    radio.role = "radio";
    radio.addEventListener("click", () => this.#choose(k));
    const arrow = element("span", "film-strip-arrow", k ? "→" : "");
    arrow.ariaHidden = "true";
    this.#items.push({ radio, surface, title });
    this.#list.append(element("span", "film-strip-item", arrow, radio));
  }

  #mark() {
    const { chosen } = this.#header;
    const index = this.#film.index(chosen);
    const focused = this.#items.findIndex(({ radio }) => radio === document.activeElement);
    this.#items.forEach(({ radio }, k) => {
      radio.ariaChecked = String(k === index);
      radio.tabIndex = k === (focused >= 0 ? focused : Math.max(0, index)) ? 0 : -1;
    });
    this.#root.dataset.chosen = chosen;
    this.#reveal(this.#items[index]?.radio);
  }

  /** @param {string} name of the frame that is spoken of elsewhere on the page; any other for none */
  #point(name) {
    this.#film.frames.forEach((frame, k) => {
      this.#items[k].radio.classList.toggle("film-strip-pointed", frame.name === name);
    });
    this.#root.dataset.pointed = name;
  }

  /** Scrolls the strip, and nothing else, until a frame is seen. */
  #reveal(radio) {
    if (!radio) return;
    const { offsetLeft, offsetWidth } = radio.parentElement;
    const { scrollLeft, clientWidth } = this.#list;
    const room = offsetWidth / 2; // of the next frame, to show that there is one
    if (offsetLeft - room < scrollLeft) this.#list.scrollLeft = offsetLeft - room;
    const right = offsetLeft + offsetWidth + room;
    if (right > scrollLeft + clientWidth) this.#list.scrollLeft = right - clientWidth;
  }

  #pressed(event) {
    const from = this.#items.findIndex(({ radio }) => radio === event.target);
    const move = MOVES[event.key];
    if (!move || from < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const to = move(from, this.#items.length);
    this.#items[to].radio.focus({ preventScroll: true });
    this.#reveal(this.#items[to].radio);
    this.#choose(to);
  }

  /** Only reports: which frame is chosen is for Python to say. */
  #choose(k) {
    this.#items.forEach(({ radio }, i) => (radio.tabIndex = i === k ? 0 : -1));
    const { name } = this.#film.frames[k];
    if (name === this.#reported) return;
    this.#reported = name;
    this.#choices.put({ frame: name });
  }

  #paint() {
    const theme = new Theme(this.#root);
    const side = this.#side();
    const look = [this.#film.id, theme.id, side, devicePixelRatio].join("|");
    if (look === this.#look) return;
    const resized = !this.#look.includes(`|${side}|`);
    this.#look = look;
    const view = new View(this.#film.extent, side, false);
    const projector = new Projector(this.#film);
    this.#items.forEach(({ surface }, k) => draw(surface.cleared(side), view, projector.scene(k), theme));
    this.#root.style.setProperty("--film-side", `${side}px`);
    this.#root.dataset.frame = String(++this.#draws);
    if (resized) this.#reveal(this.#items[this.#film.index(this.#header.chosen)]?.radio);
  }

  #side() {
    const most = this.#header.height - FRAME_ROOM;
    const fitting = Math.floor((this.#painter.width - EDGE) / this.#items.length) - GAP;
    return fitting >= SMALLEST ? Math.min(most, fitting) : most;
  }
}

/** @param {Uint8Array} body @param {string} id */
function sameStart(body, id) {
  const start = new TextEncoder().encode(`{"id": "${id}"`);
  return start.every((byte, i) => byte === body[i]);
}
