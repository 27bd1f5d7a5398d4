/** What is told to Python about a drawing: the newest state, never more at a time than Python takes. */

/** Between two reports while a stroke is under way, ms. */
const PACE = 250;
/** After this long without an answer a report counts as lost, ms: a rerun that failed must not silence the canvas. */
const PATIENCE = 3000;

export class Reports {
  /** Writes what is to be told; only asked when it can be sent. */
  #write;
  /** @type {(report: {n: number, version: number, drawing: string}) => void} */
  #send = () => {};
  #version = 0;
  /** What waits for its turn. @type {"" | "passing" | "final"} */
  #next = "";
  #number = 0;
  #answered = 0;
  #sentAt = -Infinity;
  #timer = 0;
  #told = "";

  /** @param {() => string} write */
  constructor(write) {
    this.#write = write;
  }

  /**
   * @param {number} answer the newest report that Python's data know; 0 where they do not say
   * @param {number} version of the drawing that Python imposed last
   * @param {Reports["#send"]} send how to reach it from now on
   */
  heard(answer, version, send) {
    this.#send = send;
    this.#version = version;
    this.#answered = Math.max(this.#answered, answer);
    this.#number = Math.max(this.#number, answer); // a canvas that was mounted again goes on from there
    this.#offer();
  }

  /** @param {boolean} final waits for the answer to the report before, but for nothing else */
  changed(final) {
    if (final || !this.#next) this.#next = final ? "final" : "passing";
    this.#offer();
  }

  /** What waits is of no interest any more: Python knows the drawing, having imposed it. */
  forget() {
    clearTimeout(this.#timer);
    this.#next = "";
    this.#told = this.#write();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#next = "";
  }

  #offer() {
    clearTimeout(this.#timer);
    if (!this.#next) return;
    const since = performance.now() - this.#sentAt;
    const pause = this.#answered < this.#number ? PATIENCE : this.#next === "final" ? 0 : PACE;
    if (since >= pause) this.#flush();
    else this.#timer = setTimeout(() => this.#flush(), pause - since);
  }

  #flush() {
    this.#next = "";
    const drawing = this.#write();
    if (drawing === this.#told) return;
    this.#told = drawing;
    this.#sentAt = performance.now();
    this.#send({ n: ++this.#number, version: this.#version, drawing });
  }
}
