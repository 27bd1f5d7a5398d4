/** Above the canvas: brush or eraser, the width of the brush, the class, undo, redo, clear. */
import { WIDTHS } from "./drawing.js";
import { element } from "./surface.js";

const WIDTH = 0.15;
const FINENESS = 0.01;

/** Drawn in a square of 20 with a line of 1.6. */
const ICONS = {
  brush: "M3 17c2.2.3 4.6-.2 4.9-2.6A2.3 2.3 0 0 0 5.6 12C3.6 12 4 15 3 17zM8 12.4l8-8.9 1 .9-8.1 9M7 11.7l1.9 1.8",
  eraser: "M8.2 16.5 3.4 11.7a1.2 1.2 0 0 1 0-1.7L10 3.4a1.2 1.2 0 0 1 1.7 0l4.9 4.9a1.2 1.2 0 0 1 0 1.7l-6.5 6.5zM6.6 6.8l6.6 6.6M6 16.5h11",
  undo: "M7.5 4 3.5 8l4 4M3.5 8h8a4.2 4.2 0 0 1 0 8.5H8",
  redo: "M12.5 4l4 4-4 4M16.5 8h-8a4.2 4.2 0 0 0 0 8.5H12",
  clear: "M3.5 5.5h13M8 5.5V3.2h4v2.3M5.2 5.5l.8 11.3h8l.8-11.3M8.4 8.5l.2 5.4M11.6 8.5l-.2 5.4",
};

/** Of groups of radio buttons: each canvas on a page has its own. */
let instances = 0;

export class Tools {
  node = element("div", "draw-tools");
  /** @type {"brush" | "eraser"} */
  tool = "brush";
  /** Of the brush, in the units of the plane. */
  width = WIDTH;
  /** The class that is drawn, from 0. */
  colour = 0;
  #range = element("input", "draw-range");
  #number = element("span", "draw-number");
  /** @type {HTMLInputElement[]} */
  #tools;
  /** @type {HTMLInputElement[]} */
  #classes;
  #undo;
  #redo;
  #clear;

  /**
   * @param {number} classes how many
   * @param {{undo: () => void, redo: () => void, clear: () => void, chosen: () => void, sizing: (on: boolean) => void}} actions
   */
  constructor(classes, { undo, redo, clear, chosen, sizing }) {
    instances += 1;
    this.#tools = ["brush", "eraser"].map((tool) => this.#radio("tool", tool, () => this.#choose(tool, chosen)));
    this.#classes = Array.from({ length: classes }, (_, k) =>
      this.#radio("class", `class ${k + 1}`, () => {
        this.colour = k;
        this.#choose("brush", chosen); // a colour is chosen in order to draw with it
      }),
    );
    this.#undo = button("undo", "Undo (Ctrl+Z)", undo);
    this.#redo = button("redo", "Redo (Ctrl+Shift+Z)", redo);
    this.#clear = button("clear", "Clear", clear);
    const { least, most } = WIDTHS;
    Object.assign(this.#range, { type: "range", min: least, max: most, step: FINENESS, value: String(this.width) });
    this.#range.ariaLabel = "Width of the brush";
    this.#range.title = "Width of the brush: the standard deviation of its Gaussians";
    this.#range.addEventListener("input", () => {
      this.width = Number(this.#range.value);
      this.#show();
      sizing(true);
    });
    for (const event of ["pointerup", "pointercancel", "blur"]) this.#range.addEventListener(event, () => sizing(false));
    this.node.append(
      group("Tool", "draw-kinds", ...this.#tools.map((input) => choice(input, icon(input.value)))),
      element("label", "draw-width", element("span", "draw-sigma", "σ"), this.#range, this.#number),
      group("Class", "draw-classes", ...this.#classes.map((input, k) => choice(input, swatch(k)))),
      element("div", "draw-actions", this.#undo, this.#redo, this.#clear),
    );
    this.#show();
  }

  /** @param {{undoable: boolean, redoable: boolean, strokes: readonly unknown[]}} drawing */
  allow({ undoable, redoable, strokes }) {
    // Not disabled: the last undo would throw the keyboard out of the row.
    this.#undo.ariaDisabled = String(!undoable);
    this.#redo.ariaDisabled = String(!redoable);
    this.#clear.ariaDisabled = String(!strokes.length);
  }

  /** @param {string[]} colours of the classes */
  paint(colours) {
    colours.forEach((colour, k) => this.node.style.setProperty(`--draw-class-${k}`, colour));
  }

  #choose(tool, chosen) {
    this.tool = tool;
    this.#show();
    chosen();
  }

  #show() {
    for (const input of this.#tools) input.checked = input.value === this.tool;
    this.#classes.forEach((input, k) => (input.checked = k === this.colour));
    this.#number.textContent = this.width.toFixed(2);
  }

  #radio(name, value, chosen) {
    const input = element("input");
    Object.assign(input, { type: "radio", name: `draw-${name}-${instances}`, value });
    input.ariaLabel = value[0].toUpperCase() + value.slice(1);
    input.addEventListener("change", chosen);
    return input;
  }
}

function group(label, className, ...children) {
  const node = element("div", className, ...children);
  node.role = "radiogroup";
  node.ariaLabel = label;
  return node;
}

function choice(input, face) {
  const node = element("label", "draw-choice", input, face);
  node.title = input.ariaLabel;
  return node;
}

/** The class's number stands in its colour: for those who cannot tell the colours apart. */
function swatch(k) {
  const node = element("span", "draw-swatch", String(k + 1));
  node.style.setProperty("--draw-colour", `var(--draw-class-${k})`);
  node.ariaHidden = "true";
  return node;
}

function button(name, label, action) {
  const node = element("button", "draw-button", icon(name));
  node.type = "button";
  node.title = label;
  node.ariaLabel = label.replace(/ \(.*/, "");
  node.addEventListener("click", () => node.ariaDisabled !== "true" && action());
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.ariaHidden = "true";
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
