import { Line } from "./line.js";
import { Reports } from "./reports.js";

/**
 * @typedef {object} Payload what aio/ui/formula.py sends
 * @property {string} label the computation in words
 * @property {string} chosen the current stage
 * @property {number | "content"} height in CSS pixels
 * @property {number} heard the number of the newest report that Python has seen, 0 before the first
 * @property {import("./line.js").Content[]} lines from top to bottom
 */

const KEYS = "Up and down go from line to line, Enter chooses.";

/** How far a key goes: to the line of this index. @type {Record<string, (now: number, last: number) => number>} */
const MOVES = {
  ArrowDown: (now, last) => Math.min(now + 1, last),
  ArrowUp: (now) => Math.max(now - 1, 0),
  Home: () => 0,
  End: (_, last) => last,
};

/**
 * A list of formulas on the page. Each line holds its formulas, which screen readers read as mathematics, and one
 * button, its tag, by which keys and screen readers choose it; for the pointer the whole line is the button. (As an
 * option of a listbox, or within the button, a formula would be read as a row of letters.) Every button is a stop of
 * the Tab key, so that a long formula, which scrolls with its button, can be scrolled by the keyboard.
 */
export class Formula {
  #root = document.createElement("div");
  #list = document.createElement("ol");
  #reports = new Reports();
  /** @type {Line[]} */
  #lines = [];
  #frames = 0;
  /** Where the pointer was: a line that scrolls below a resting pointer is not pointed at. */
  #pointer = "";

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.#root.className = "formula";
    this.#list.className = "formula-lines";
    this.#list.setAttribute("role", "list"); // Safari forgets it where a list has no markers
    this.#list.setAttribute("aria-description", KEYS);
    this.#root.append(this.#list);
    parent.append(this.#root);
    this.#list.addEventListener("pointermove", (event) => this.#pointed(event));
    this.#list.addEventListener("pointerleave", () => this.#reports.left());
    this.#list.addEventListener("focusin", (event) => this.#focused(event));
    this.#list.addEventListener("focusout", (event) => {
      if (!this.#list.contains(event.relatedTarget)) this.#reports.left();
    });
    this.#list.addEventListener("click", (event) => this.#clicked(event));
    this.#list.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /**
   * @param {Payload} payload
   * @param {(name: string, value: unknown) => void} setStateValue
   */
  update(payload, setStateValue) {
    this.#reports.heard(payload.heard, (report) => setStateValue("report", report));
    this.#list.ariaLabel = payload.label;
    this.#root.style.maxHeight = payload.height === "content" ? "" : `${payload.height}px`;
    this.#arrange(payload.lines);
    for (const line of this.#lines) line.mark(line.stage === payload.chosen);
    this.#root.dataset.chosen = payload.chosen;
    this.#root.dataset.frame = String(++this.#frames);
  }

  destroy() {
    this.#reports.close();
  }

  /** Brings the lines to the page: the n-th line of a stage keeps its nodes, wherever it stands. */
  #arrange(contents) {
    const kept = new Map(this.#lines.map((line) => [line.id, line]));
    const counts = new Map();
    this.#lines = contents.map((content) => {
      const nth = counts.get(content.stage) ?? 0;
      counts.set(content.stage, nth + 1);
      const id = `${nth} ${content.stage}`;
      const line = kept.get(id) ?? new Line(id, content.stage);
      kept.delete(id);
      line.update(content);
      return line;
    });
    for (const line of kept.values()) line.node.remove();
    this.#lines.forEach(({ node }, i) => {
      // A node that is where it belongs is not touched: moving it would take its focus.
      if (this.#list.children[i] !== node) this.#list.insertBefore(node, this.#list.children[i] ?? null);
    });
  }

  /** @param {Event} event @returns {Line | undefined} the line in which it happened */
  #at(event) {
    const node = /** @type {Element} */ (event.target).closest(".formula-line");
    return this.#lines.find((line) => line.node === node);
  }

  #pointed(event) {
    const where = `${event.clientX} ${event.clientY}`;
    // A finger that scrolls the page points at nothing; its tap is a click.
    if (event.pointerType === "touch" || where === this.#pointer) return;
    this.#pointer = where;
    const line = this.#at(event);
    if (line) this.#reports.rests(line.id, line.stage);
  }

  #focused(event) {
    const line = this.#at(event);
    // The browser knows whether focus came by the keyboard. By the pointer the line is pointed at already.
    if (line && event.target.matches(":focus-visible")) this.#reports.rests(line.id, line.stage);
  }

  #clicked(event) {
    const line = this.#at(event);
    if (!line) return;
    line.button.focus({ preventScroll: true, focusVisible: event.detail === 0 }); // keys go on from here
    this.#reports.chosen(line.stage);
  }

  #pressed(event) {
    const move = MOVES[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault(); // not the page's scroll
    const now = this.#lines.indexOf(this.#at(event));
    this.#lines[move(now, this.#lines.length - 1)]?.button.focus({ focusVisible: true });
  }
}
