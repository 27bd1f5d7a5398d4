/** How long the pointer rests on a line before it counts, ms: passing over lines reports nothing. */
const REST = 120;

/** After this long without an answer a report counts as lost, ms: a rerun that failed must not silence the list. */
const PATIENCE = 5_000;

/**
 * What is told to Python: at most one report is under way. Of the lines pointed at meanwhile the last one is told, and
 * a choice always is.
 */
export class Reports {
  #number = 0;
  /** @type {(report: {number: number, kind: "point" | "choose", stage: string}) => void} */
  #send = () => {};
  #underWay = false;
  #lost = 0;
  /** @type {string} the line that the pointer is on, or the keyboard */
  #line = "";
  #rest = 0;
  /** What waits for its turn: stages. @type {string | undefined} */
  #point;
  /** @type {string | undefined} */
  #choice;

  /**
   * @param {number} number the newest report that Python has seen
   * @param {Reports["#send"]} send how to reach it from now on
   */
  heard(number, send) {
    this.#send = send;
    if (this.#underWay && number !== this.#number) return;
    this.#number = Math.max(this.#number, number); // a list that was mounted again goes on from there
    this.#free();
  }

  /** The pointer or the keyboard is on a line. */
  rests(line, stage) {
    if (line === this.#line) return;
    this.left();
    this.#line = line;
    this.#rest = setTimeout(() => {
      this.#point = stage;
      this.#next();
    }, REST);
  }

  /** The pointer or the keyboard has left the line: one that it only passed is forgotten. */
  left() {
    clearTimeout(this.#rest);
    this.#line = "";
  }

  /** A line is chosen: whatever was pointed at before is of no interest any more. */
  chosen(stage) {
    clearTimeout(this.#rest);
    this.#point = undefined;
    this.#choice = stage;
    this.#next();
  }

  close() {
    clearTimeout(this.#rest);
    clearTimeout(this.#lost);
  }

  #next() {
    if (this.#underWay) return;
    const kind = this.#choice === undefined ? "point" : "choose";
    const stage = this.#choice ?? this.#point;
    if (stage === undefined) return;
    if (kind === "choose") this.#choice = undefined;
    else this.#point = undefined;
    this.#underWay = true;
    this.#lost = setTimeout(() => this.#free(), PATIENCE);
    this.#send({ number: ++this.#number, kind, stage });
  }

  #free() {
    clearTimeout(this.#lost);
    this.#underWay = false;
    this.#next();
  }
}
