import { show } from "./mathml.js";

/**
 * @typedef {object} Content one line as aio/ui/formula.py sends it
 * @property {string} stage
 * @property {string} title
 * @property {string} left MathML before the relation; may be empty
 * @property {string} right MathML from the relation on
 * @property {string} numbers MathML of the right side with numbers put in; may be empty
 * @property {boolean} active false where the step is passed over
 * @property {string} why a sentence; may be empty
 * @property {boolean} below whether the numbers stand below the formula
 */

/** Screen readers need names that are the page's only ones. */
let count = 0;

/** One line of the computation. Only what has changed is touched. */
export class Line {
  node = element("li", "formula-line");
  button = element("button", "formula-tag");
  #left = element("div", "formula-left");
  #right = element("div", "formula-right");
  #numbers = element("div", "formula-numbers");
  #why = element("p", "formula-why");
  /** @type {Content | undefined} what stands on the screen */
  #shown;

  /**
   * @param {string} id known by this among the lines
   * @param {string} stage
   */
  constructor(id, stage) {
    this.id = id;
    this.stage = stage;
    this.node.dataset.stage = stage;
    this.button.type = "button";
    this.#why.id = `formula-why-${++count}`;
    this.node.append(this.button, this.#left, this.#right, this.#numbers, this.#why);
  }

  /** @param {Content} content */
  update(content) {
    const { title, left, right, numbers, active, why, below } = content;
    const shown = this.#shown;
    if (title !== shown?.title) this.button.textContent = title;
    if (left !== shown?.left) show(this.#left, left);
    if (right !== shown?.right) show(this.#right, right);
    if (numbers !== shown?.numbers) show(this.#numbers, numbers);
    if (below !== shown?.below) this.node.classList.toggle("formula-below", below);
    if (active !== shown?.active) this.node.classList.toggle("formula-passed", !active);
    if (why !== shown?.why) {
      this.#why.textContent = why;
      if (why) this.button.setAttribute("aria-describedby", this.#why.id);
      else this.button.removeAttribute("aria-describedby");
    }
    this.#shown = content;
  }

  /** @param {boolean} current whether it is a line of the current stage */
  mark(current) {
    if (current === (this.button.ariaCurrent === "true")) return;
    this.button.ariaCurrent = current ? "true" : null;
    this.node.classList.toggle("formula-chosen", current);
  }
}

function element(name, className) {
  const node = document.createElement(name);
  node.className = className;
  return node;
}
