/** The density of a drawing on a grid: a Gaussian of each stroke's width carried along the stroke. */

/** Cells on each side: one is half of the narrowest brush's standard deviation on the usual plane. */
export const CELLS = 256;
/** Standard deviations after which a Gaussian is less than a canvas can show. */
const REACH = 3.5;

const TABLE = 4096;
/** The normal distribution function at −REACH … REACH. */
const CUMULATIVE = Float32Array.from({ length: TABLE + 1 }, (_, i) => cumulative((2 * i / TABLE - 1) * REACH));
/** exp(−v/2) at v = 0 … REACH². */
const BELL = Float32Array.from({ length: TABLE + 1 }, (_, i) => Math.exp((-i / TABLE) * REACH ** 2 / 2));

/** @typedef {import("./geometry.js").Stroke} Stroke @typedef {import("./geometry.js").Place} Place */

export class Field {
  /** One grid a class, row by row from the top; null while nothing of that class was drawn. @type {(Float32Array | null)[]} */
  classes;
  #extent;
  #unit;
  /** @type {readonly Stroke[]} */
  #shown = [];

  /** @param {[number, number, number, number]} extent a square @param {number} classes */
  constructor(extent, classes) {
    this.#extent = extent;
    this.#unit = CELLS / (extent[1] - extent[0]);
    this.classes = Array.from({ length: classes }, () => null);
  }

  /**
   * Makes this the density of other strokes. Only what differs is computed: segments between the same two points,
   * which are compared as objects, stay.
   *
   * @param {readonly Stroke[]} strokes
   */
  show(strokes) {
    if (!strokes.length) this.classes.fill(null); // and with it what rounding has left
    else {
      const [before, after] = [new Set(this.#shown), new Set(strokes)];
      const [gone, come] = [this.#shown.filter((s) => !after.has(s)), strokes.filter((s) => !before.has(s))];
      const kept = segments(come);
      for (const stroke of gone) this.#add(stroke, -1, kept);
      const had = segments(gone);
      for (const stroke of come) this.#add(stroke, 1, had);
    }
    this.#shown = strokes;
  }

  /** @param {Stroke} stroke @param {1 | -1} sign @param {Map<Place, Place>} others segments not to be added, by their starts */
  #add({ points, width, colour }, sign, others) {
    const grid = (this.classes[colour] ??= new Float32Array(CELLS * CELLS));
    // A half at each end: so a stroke begins and ends as it goes on, and a dot, both ends in one, is as dense.
    for (const end of [points[0], points.at(-1)]) this.#cap(grid, end, width, sign / 2);
    for (let i = 1; i < points.length; i++) {
      if (others.get(points[i - 1]) !== points[i]) this.#segment(grid, points[i - 1], points[i], width, sign);
    }
  }

  #cap(grid, [x, y], width, weight) {
    this.#cells([x, x], [y, y], width, (i, px, py) => {
      grid[i] += weight * bell(((px - x) ** 2 + (py - y) ** 2) / width ** 2);
    });
  }

  #segment(grid, [ax, ay], [bx, by], width, weight) {
    const length = Math.hypot(bx - ax, by - ay);
    if (!length) return;
    const [ux, uy] = [(bx - ax) / length / width, (by - ay) / length / width];
    const end = length / width;
    this.#cells([ax, bx], [ay, by], width, (i, px, py) => {
      const along = (px - ax) * ux + (py - ay) * uy;
      const across = (px - ax) * uy - (py - ay) * ux;
      grid[i] += weight * bell(across * across) * (share(along) - share(along - end));
    });
  }

  /** Calls back with every cell within reach: its index and its middle. */
  #cells([ax, bx], [ay, by], width, each) {
    const [xMin, , , yMax] = this.#extent;
    const unit = this.#unit;
    const reach = REACH * width;
    const first = Math.max(0, Math.floor((Math.min(ax, bx) - reach - xMin) * unit));
    const last = Math.min(CELLS - 1, Math.floor((Math.max(ax, bx) + reach - xMin) * unit));
    const top = Math.max(0, Math.floor((yMax - Math.max(ay, by) - reach) * unit));
    const bottom = Math.min(CELLS - 1, Math.floor((yMax - Math.min(ay, by) + reach) * unit));
    for (let row = top; row <= bottom; row++) {
      const y = yMax - (row + 0.5) / unit;
      for (let column = first; column <= last; column++) each(row * CELLS + column, xMin + (column + 0.5) / unit, y);
    }
  }
}

/** @param {readonly Stroke[]} strokes @returns {Map<Place, Place>} the end of each segment by its start */
function segments(strokes) {
  const ends = new Map();
  for (const { points } of strokes) for (let i = 1; i < points.length; i++) ends.set(points[i - 1], points[i]);
  return ends;
}

/** @param {number} square of a distance in standard deviations */
function bell(square) {
  return square >= REACH ** 2 ? 0 : BELL[Math.round((square / REACH ** 2) * TABLE)];
}

/** @param {number} z @returns {number} the normal distribution function */
function share(z) {
  if (z <= -REACH) return 0;
  return z >= REACH ? 1 : CUMULATIVE[Math.round((z / REACH + 1) * (TABLE / 2))];
}

/** By Abramowitz and Stegun's 7.1.26, to 1e-7. */
function cumulative(z) {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const series = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const tail = 0.5 * t * series.reduce((sum, term) => sum * t + term, 0) * Math.exp((-z * z) / 2);
  return z > 0 ? 1 - tail : tail;
}
