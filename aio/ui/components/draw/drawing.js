/** The strokes of a drawing, their limits, and the way back and forth through what was done. */

export const MOST_PER_STROKE = 400;
export const MOST_STROKES = 200;
export const MOST_POINTS = 4000;
export const WIDTHS = { least: 0.05, most: 0.6 };
export const COLOURS = 4;

/** Actions that can be taken back. */
const DEPTH = 100;

/** @typedef {import("./geometry.js").Stroke} Stroke */

export class Drawing {
  /** As it is seen. Neither the array nor a stroke is ever changed: another takes its place. @type {readonly Stroke[]} */
  strokes = [];
  /** @type {(readonly Stroke[])[]} */
  #past = [];
  /** @type {(readonly Stroke[])[]} */
  #future = [];
  /** As it was before the action under way. @type {readonly Stroke[] | null} */
  #before = null;

  get points() {
    return counted(this.strokes);
  }

  get undoable() {
    return this.#past.length > 0;
  }

  get redoable() {
    return this.#future.length > 0;
  }

  /** An action begins: all until `end` is undone together. */
  begin() {
    this.#before ??= this.strokes;
  }

  end() {
    const before = this.#before;
    this.#before = null;
    if (!before || before === this.strokes) return;
    this.#past = [...this.#past, before].slice(-DEPTH);
    this.#future = [];
  }

  /** Replaces everything, as an action of its own. @param {readonly Stroke[]} strokes */
  become(strokes) {
    this.end();
    this.begin();
    this.strokes = strokes;
    this.end();
  }

  undo() {
    if (!this.undoable) return;
    this.#future.push(this.strokes);
    this.strokes = this.#past.pop();
  }

  redo() {
    if (!this.redoable) return;
    this.#past.push(this.strokes);
    this.strokes = this.#future.pop();
  }

  /** @returns {string} JSON, as Python is told */
  get text() {
    return JSON.stringify({ strokes: this.strokes });
  }
}

/** @param {readonly Stroke[]} strokes */
export function counted(strokes) {
  return strokes.reduce((sum, { points }) => sum + points.length, 0);
}

/** Why a new stroke cannot begin: a sentence, or "". @param {readonly Stroke[]} strokes */
export function refusal(strokes) {
  if (strokes.length >= MOST_STROKES) {
    return `The drawing has ${MOST_STROKES} strokes, as many as it may. Erase some to draw on.`;
  }
  if (counted(strokes) >= MOST_POINTS) {
    return `The drawing has ${MOST_POINTS.toLocaleString("en")} points, as many as it may. Erase some to draw on.`;
  }
  return "";
}

/** Why a stroke takes no more: a sentence. @param {readonly Stroke[]} strokes with this one */
export function exhausted(strokes) {
  const end = `The stroke has ${MOST_PER_STROKE} points, as many as it may. Lift the brush and go on with another.`;
  return refusal(strokes) || end;
}

/**
 * Strokes that an eraser has cut, within the limits: cutting makes strokes and points, so where there are too many the
 * shortest of the new ones fall away.
 *
 * @param {readonly Stroke[]} before @param {readonly Stroke[]} after @returns {readonly Stroke[]}
 */
export function within(before, after) {
  if (after.length <= MOST_STROKES && counted(after) <= MOST_POINTS) return after;
  const old = new Set(before);
  const crumbs = after.filter((stroke) => !old.has(stroke)).sort((a, b) => a.points.length - b.points.length);
  const gone = new Set();
  let [strokes, points] = [after.length, counted(after)];
  for (const crumb of crumbs) {
    if (strokes <= MOST_STROKES && points <= MOST_POINTS) break;
    gone.add(crumb);
    strokes -= 1;
    points -= crumb.points.length;
  }
  return after.filter((stroke) => !gone.has(stroke));
}

/**
 * Strokes out of a text that was not written here: what is malformed or beyond the limits is left out.
 *
 * @param {string} text @param {[number, number, number, number]} extent @returns {Stroke[]}
 */
export function parsed(text, [xMin, xMax, yMin, yMax]) {
  let found;
  try {
    found = JSON.parse(text || "{}")?.strokes;
  } catch {
    return [];
  }
  if (!Array.isArray(found)) return [];
  /** @type {Stroke[]} */
  const strokes = [];
  let room = MOST_POINTS;
  for (const stroke of found.slice(0, MOST_STROKES)) {
    const { points, width, colour = 0 } = stroke ?? {};
    const sound =
      Array.isArray(points) && points.length > 0 && points.length <= Math.min(MOST_PER_STROKE, room) &&
      points.every((place) => Array.isArray(place) && place.length === 2 && place.every(Number.isFinite)) &&
      Number.isFinite(width) && Number.isInteger(colour) && colour >= 0 && colour < COLOURS;
    if (!sound) continue;
    room -= points.length;
    strokes.push({
      points: points.map(([x, y]) => [clamped(x, xMin, xMax), clamped(y, yMin, yMax)]),
      width: clamped(width, WIDTHS.least, WIDTHS.most),
      colour,
    });
  }
  return strokes;
}

function clamped(value, low, high) {
  return Math.max(low, Math.min(high, value));
}
