/** A way through the film in time. */

const STEP_MS = 500;
const MOST_MS = 1200;
/** A film that plays is watched, one that is skipped through only followed. */
const PLAY_STEP_MS = 1000;
/** A step that moves nothing takes this share of the time. */
const IDLE_SHARE = 0.35;

export class Journey {
  #marks;
  #start = 0;

  /**
   * @param {number} from @param {number} to positions
   * @param {number[]} durations ms of each whole or part step on the way, in order
   */
  constructor(from, to, durations) {
    this.from = from;
    this.to = to;
    const direction = Math.sign(to - from);
    let [position, time] = [from, 0];
    /** Positions and the times at which they are reached. @type {[number, number][]} */
    this.#marks = [[position, time]];
    for (const duration of durations) {
      position = direction > 0 ? Math.min(Math.floor(position) + 1, to) : Math.max(Math.ceil(position) - 1, to);
      time += duration;
      this.#marks.push([position, time]);
    }
  }

  get duration() {
    return this.#marks.at(-1)[1];
  }

  /** @param {number} now ms @returns {number} the position; `to` when the journey is over. The first call starts it. */
  at(now) {
    this.#start ||= now;
    const elapsed = Math.max(0, now - this.#start);
    const next = this.#marks.findIndex(([, time]) => time > elapsed);
    if (next < 1) return this.to;
    const [[before, since], [after, until]] = [this.#marks[next - 1], this.#marks[next]];
    return before + (after - before) * eased((elapsed - since) / (until - since));
  }
}

/** @param {import("./film.js").Film} film @param {number} from @param {number} to @returns {Journey} to a chosen frame */
export function passage(film, from, to) {
  const durations = shares(film, from, to).map((share) => share * STEP_MS);
  const total = durations.reduce((sum, duration) => sum + duration, 0);
  return new Journey(from, to, durations.map((duration) => duration * Math.min(1, MOST_MS / total)));
}

/** @param {import("./film.js").Film} film @param {number} from @returns {Journey} to the last frame, to be watched */
export function screening(film, from) {
  return new Journey(from, film.last, shares(film, from, film.last).map((share) => share * PLAY_STEP_MS));
}

/** How much of a full step's time each step on the way takes. */
function shares(film, from, to) {
  const found = [];
  for (let k = Math.floor(Math.min(from, to)); k < Math.max(from, to); k++) {
    const part = Math.min(k + 1, Math.max(from, to)) - Math.max(k, Math.min(from, to));
    found.push(part * (film.frames[k + 1].motion.kind === "none" ? IDLE_SHARE : 1));
  }
  return from <= to ? found : found.reverse();
}

/** Slow at both ends, so that each frame on the way is seen. */
function eased(share) {
  return share * share * (3 - 2 * share);
}
