/** What a stage tells Python, never more at a time than Python takes. */

/** A message that was not answered holds back the next for so long, and is forgotten after the second time. */
const NEXT_MS = 250;
const FORGET_MS = 2000;

/** Sends the newest of a stream of values: one at a time, the next when Python has answered. */
export class Outbox {
  #send;
  /** @type {object | null} */
  #next = null;
  #sentAt = -Infinity;
  #last = 0;
  #answered = 0;
  #timer = 0;

  /** @param {(value: object) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** Whether Python may not know the newest value yet. */
  get waiting() {
    return this.#next !== null || (this.#answered < this.#last && performance.now() - this.#sentAt < FORGET_MS);
  }

  /** @param {object} value takes the place of one that was not sent yet @param {boolean} [final] does not wait */
  put(value, final = false) {
    this.#next = value;
    if (final) this.#flush();
    else this.#offer();
  }

  /** @param {number} n of the newest message that Python's data know; 0 where they do not say */
  answered(n) {
    this.#answered = Math.max(this.#answered, n);
    this.#offer();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#next = null;
  }

  #offer() {
    if (this.#next === null) return;
    const left = this.#answered >= this.#last ? 0 : this.#sentAt + NEXT_MS - performance.now();
    clearTimeout(this.#timer);
    if (left <= 0) this.#flush();
    else this.#timer = setTimeout(() => this.#flush(), left);
  }

  #flush() {
    clearTimeout(this.#timer);
    if (this.#next === null) return;
    const value = { ...this.#next, n: ++this.#last };
    this.#next = null;
    this.#sentAt = performance.now();
    this.#send(value);
  }
}
