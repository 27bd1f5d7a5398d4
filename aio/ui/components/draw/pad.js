/** The canvas with its tools: what the hand does becomes strokes, and strokes become a picture and a report. */
import { COLOURS, Drawing, MOST_PER_STROKE, MOST_POINTS, counted, exhausted, parsed, refusal, within } from "./drawing.js";
import { Field } from "./field.js";
import { Thinner, swept } from "./geometry.js";
import { Hand } from "./hand.js";
import { Cloud, View, drawPlane } from "./plane.js";
import { Reports } from "./reports.js";
import { Painter, Surface, element } from "./surface.js";
import { Theme } from "./theme.js";
import { Tools } from "./tools.js";

/** An eraser is so many times as wide as the brush: it takes what a stroke of the same width is seen to cover. */
const ERASER = 2;
/** The cross-hair's place is said when it rests, ms. */
const REST = 400;

const HELP =
  "Draw with mouse, pen or finger. With the keyboard: arrows move the cross-hair by 0.1, with Shift by 0.5; Space lays " +
  "a dot, and draws while it is held; Enter puts the brush down and lifts it; Control Z undoes, Control Shift Z redoes.";

/** @typedef {{version: number, height: number, label: string, extent: [number, number, number, number], answer: number}} Header */
/** @typedef {import("./geometry.js").Place} Place */

let pads = 0;

export class Pad {
  #root = element("div", "draw");
  #area = element("div", "draw-area");
  #ring = element("i", "draw-ring");
  #cross = element("i", "draw-cross");
  #hint = element("div", "draw-hint", "Draw a density here");
  #count = element("span", "draw-count");
  #place = element("span", "draw-place");
  #spoken = element("span", "draw-spoken");
  #surface = new Surface();
  #cloud = new Cloud();
  #drawing = new Drawing();
  #reports = new Reports(() => this.#drawing.text);
  #painter = new Painter(this.#area, () => this.#paint());
  #tools = new Tools(COLOURS, {
    undo: () => this.#step(() => this.#drawing.undo()),
    redo: () => this.#step(() => this.#drawing.redo()),
    clear: () => this.#step(() => this.#drawing.become([])),
    chosen: () => this.#point(null, false),
    sizing: (on) => this.#point(on ? this.#middle() : null, false),
  });
  #hand = new Hand(this.#surface.canvas, () => this.#view, {
    down: (place) => this.#down(place),
    move: (places) => this.#move(places),
    up: () => this.#up(),
    point: (place, byKeys) => this.#point(place, byKeys),
  });
  /** @type {Header | undefined} */
  #header;
  /** @type {Field | undefined} */
  #field;
  /** @type {View | undefined} */
  #view;
  /** @type {Uint8ClampedArray[]} */
  #scales = [];
  #look = "";
  /** What the picture shows. @type {readonly import("./geometry.js").Stroke[] | undefined} */
  #painted;
  #frames = 0;
  /** Whether the brush or the eraser is down. */
  #active = false;
  /** The stroke under way, and the strokes before it. @type {{thinner: Thinner, before: readonly object[]} | null} */
  #stroke = null;
  /** Where the eraser was last. @type {Place | null} */
  #erasedAt = null;
  /** Why nothing more is taken. */
  #refused = "";
  #resting = 0;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    const { canvas } = this.#surface;
    const help = element("div", "draw-spoken", HELP);
    help.id = `draw-help-${++pads}`;
    // Neither a picture nor a field: without this role a screen reader keeps the arrow keys to itself.
    Object.assign(canvas, { role: "application", tabIndex: 0, ariaRoleDescription: "canvas" });
    canvas.setAttribute("aria-describedby", help.id);
    this.#count.role = "status";
    this.#spoken.ariaLive = "polite";
    for (const node of [this.#ring, this.#cross, this.#hint, this.#place]) node.ariaHidden = "true";
    this.#ring.hidden = this.#cross.hidden = true;
    this.#root.dataset.frame = "0";
    this.#root.drawing = () => this.#drawing.text;
    this.#root.addEventListener("keydown", (event) => this.#pressed(event));
    this.#area.append(canvas, this.#hint, this.#ring, this.#cross);
    this.#root.append(
      this.#tools.node, this.#area, element("div", "draw-words", this.#count, this.#place), help, this.#spoken,
    );
    parent.append(this.#root);
  }

  /** @param {Header} header @param {() => string} drawing @param {(report: object) => void} send */
  update(header, drawing, send) {
    const before = this.#header;
    this.#header = header;
    this.#root.style.setProperty("--draw-height", `${header.height}px`);
    if (String(before?.extent) !== String(header.extent)) {
      this.#field = new Field(header.extent, COLOURS);
      this.#painted = undefined;
      this.#look = "";
    }
    if (!before || header.version > before.version) {
      this.#impose(parsed(drawing(), header.extent), !before);
      this.#reports.forget();
    }
    this.#reports.heard(header.answer, header.version, send);
    if (before?.label !== header.label) this.#say();
    this.#painter.request();
  }

  destroy() {
    clearTimeout(this.#resting);
    this.#painter.stop();
    this.#reports.stop();
  }

  /** Takes a drawing from Python; a stroke under way ends. */
  #impose(strokes, first) {
    this.#hand.drop();
    this.#active = false;
    this.#stroke = null;
    this.#erasedAt = null;
    if (first) this.#drawing.strokes = strokes; // nothing was there that could be wanted back
    else this.#drawing.become(strokes);
    this.#refused = "";
    this.#show();
    this.#say();
  }

  #down(place) {
    this.#refused = "";
    this.#active = true;
    this.#drawing.begin();
    if (this.#tools.tool === "eraser") this.#erase([place]);
    else this.#draw([place]);
    this.#changed(false);
  }

  #move(places) {
    if (!this.#active) return;
    if (this.#tools.tool === "eraser") this.#erase(places);
    else this.#draw(places);
    this.#changed(false);
  }

  #up() {
    if (!this.#active) return;
    this.#active = false;
    this.#stroke = null;
    this.#erasedAt = null;
    this.#drawing.end();
    this.#changed(true);
  }

  /** @param {Place[]} places */
  #draw(places) {
    for (const place of places) {
      const inside = this.#view.holds(place);
      if (!this.#stroke && inside && !this.#refused) this.#begin();
      this.#stroke?.thinner.add(...this.#view.clamped(place));
      if (this.#stroke && !inside) {
        this.#grow();
        this.#stroke = null; // where it comes back another stroke begins
      }
    }
    this.#grow();
  }

  #begin() {
    const before = this.#drawing.strokes;
    this.#refused = refusal(before);
    if (this.#refused) return;
    const most = Math.min(MOST_PER_STROKE, MOST_POINTS - counted(before));
    this.#stroke = { thinner: new Thinner(this.#tools.width, most), before };
  }

  #grow() {
    if (!this.#stroke) return;
    const { thinner, before } = this.#stroke;
    const { width, colour } = this.#tools;
    this.#drawing.strokes = [...before, { points: thinner.points, width, colour }];
    if (thinner.full) this.#refused = exhausted(this.#drawing.strokes);
  }

  /** @param {Place[]} places */
  #erase(places) {
    for (const place of places) {
      const { strokes } = this.#drawing;
      this.#drawing.strokes = within(strokes, swept(strokes, this.#erasedAt ?? place, place, this.#reach));
      this.#erasedAt = place;
    }
  }

  /** The radius of what the tool does. */
  get #reach() {
    return this.#tools.width * (this.#tools.tool === "eraser" ? ERASER : 1);
  }

  #step(action) {
    if (this.#active) return;
    this.#refused = "";
    action();
    this.#changed(true);
  }

  /** @param {boolean} final an action is over */
  #changed(final) {
    this.#show();
    if (final || this.#refused) this.#say();
    if (final || this.#drawing.strokes !== this.#painted) this.#reports.changed(final);
  }

  #show() {
    const { dataset } = this.#root;
    dataset.strokes = String(this.#drawing.strokes.length);
    dataset.points = String(this.#drawing.points);
    this.#hint.hidden = this.#drawing.strokes.length > 0;
    this.#tools.allow(this.#drawing);
    this.#painter.request();
  }

  /** Says how much there is, and why there is no more. */
  #say() {
    const { strokes, points } = this.#drawing;
    const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
    const sum = strokes.length ? `${many(strokes.length, "stroke")}, ${many(points, "point")}` : "No strokes yet";
    this.#write(this.#count, this.#refused || sum);
    this.#count.classList.toggle("draw-refused", this.#refused !== "");
    this.#surface.canvas.ariaLabel = `${this.#header.label} ${sum}.`;
  }

  /** @param {Place | null} place where the tool would work @param {boolean} byKeys */
  #point(place, byKeys) {
    const view = this.#view;
    const seen = Boolean(place && view);
    this.#ring.hidden = !seen;
    this.#cross.hidden = !(seen && byKeys);
    this.#write(this.#place, "");
    clearTimeout(this.#resting);
    if (!seen) return;
    const [x, y] = view.clamped(place);
    const radius = this.#reach * view.unit;
    this.#ring.style.width = this.#ring.style.height = `${2 * radius}px`;
    this.#ring.classList.toggle("draw-erasing", this.#tools.tool === "eraser");
    for (const node of [this.#ring, this.#cross]) {
      node.style.transform = `translate(${view.x(x)}px, ${view.y(y)}px) translate(-50%, -50%)`;
    }
    const number = (value) => value.toFixed(2).replace("-", "−");
    this.#write(this.#place, `${number(x)}, ${number(y)}`);
    if (byKeys) this.#resting = setTimeout(() => this.#write(this.#spoken, this.#hand.words), REST);
  }

  /** Where the ring shows its size while it is changed. */
  #middle() {
    const [xMin, xMax, yMin, yMax] = this.#header.extent;
    return [(xMin + xMax) / 2, (yMin + yMax) / 2];
  }

  #write(node, words) {
    if (node.textContent !== words) node.textContent = words;
  }

  #pressed(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    this.#step(() => (event.shiftKey ? this.#drawing.redo() : this.#drawing.undo()));
  }

  #paint() {
    if (!this.#header) return;
    const theme = new Theme(this.#root);
    const side = this.#painter.width;
    const look = [theme.id, side, devicePixelRatio].join("|");
    const { strokes } = this.#drawing;
    if (look === this.#look && strokes === this.#painted) return; // an update that changes nothing
    if (!this.#look.startsWith(theme.id) || !this.#scales.length) {
      this.#scales = theme.scales();
      this.#tools.paint(theme.colours);
    }
    this.#look = look;
    this.#painted = strokes;
    this.#view = new View(this.#header.extent, side);
    this.#field.show(strokes);
    this.#cloud.show(this.#field.classes, this.#scales);
    drawPlane(this.#surface.cleared(side), this.#view, this.#cloud, theme);
    this.#root.dataset.frame = String(++this.#frames);
  }
}
