/** Strokes as lines of few points: thinned while they are drawn, cut where they are erased. */

/** Decimals of every coordinate: what is seen is what Python is told. */
const DECIMALS = 3;
/** Points of a stroke are no closer than this share of its width. */
const GAP = 0.25;
/** How far from the pointer's path a thinned stroke may lie, as a share of its width: less than the eye sees. */
const TOLERANCE = 0.1;
/** Places of the pointer that one straight stretch may span: each is compared with every new one. */
const STRETCH = 64;
/** Parts of a stroke that an eraser only touches stay: shorter than this they are an effect of rounding. */
const TOUCH = 0.002;

/** @typedef {[number, number]} Place in the units of the plane */
/** @typedef {{points: Place[], width: number, colour: number}} Stroke never changed: a stroke that grows is a new one */

/** @returns {number} to DECIMALS, and no −0 */
export function rounded(value) {
  return Math.round(value * 10 ** DECIMALS) / 10 ** DECIMALS + 0;
}

/** @param {Place} a @param {Place} b */
export function distance([ax, ay], [bx, by]) {
  return Math.hypot(bx - ax, by - ay);
}

/** The points of a stroke under way. Those that stand stay the same objects as it grows. */
export class Thinner {
  /** Whether it had to leave a place out, having as many points as it may. */
  full = false;
  #gap;
  #tolerance;
  #most;
  /** @type {Place[]} */
  #fixed = [];
  /** The places since the last fixed point: all close to the straight line from it to the last of them. @type {Place[]} */
  #run = [];

  /** @param {number} width of the brush @param {number} most points */
  constructor(width, most) {
    this.#gap = GAP * width;
    this.#tolerance = TOLERANCE * width;
    this.#most = most;
  }

  /** @param {number} x @param {number} y */
  add(x, y) {
    if (this.full) return;
    /** @type {Place} */
    const place = [rounded(x), rounded(y)];
    if (!this.#fixed.length) {
      this.#fixed.push(place);
      return;
    }
    const anchor = this.#fixed.at(-1);
    const straight = this.#run.every((passed) => fromSegment(passed, anchor, place) <= this.#tolerance);
    if (straight && this.#run.length < STRETCH) {
      this.#run.push(place);
      return;
    }
    const head = this.#run.at(-1);
    if (distance(anchor, head) >= this.#gap) {
      if (this.#fixed.length + 2 > this.#most) {
        this.full = true;
        return;
      }
      this.#fixed.push(head);
    }
    this.#run = [place];
  }

  /** @returns {Place[]} */
  get points() {
    const head = this.#run.at(-1);
    const counts = head && this.#fixed.length < this.#most && distance(this.#fixed.at(-1), head) >= this.#gap;
    return counts ? [...this.#fixed, head] : [...this.#fixed];
  }
}

/**
 * What an eraser leaves of a stroke.
 *
 * @param {Stroke} stroke @param {Place} centre @param {number} radius
 * @returns {Stroke[]} the parts outside the disc; the stroke itself where it is not touched
 */
export function erased(stroke, centre, radius) {
  const { points, width } = stroke;
  if (points.length === 1) return distance(points[0], centre) < radius ? [] : [stroke];
  /** @type {Place[][]} */
  const parts = [];
  /** @type {Place[]} */
  let part = [points[0]];
  let touched = false;
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]];
    const inside = chord(from, to, centre, radius);
    if (!inside) {
      part.push(to);
      continue;
    }
    touched = true;
    const [enter, leave] = inside;
    if (enter > 0) parts.push([...part, between(from, to, enter)]);
    part = leave < 1 ? [between(from, to, leave), to] : [];
  }
  if (!touched) return [stroke];
  parts.push(part);
  return parts.map((part) => tidied(part, points, GAP * width)).filter(Boolean).map((points) => ({ ...stroke, points }));
}

/**
 * What an eraser leaves of strokes that it passes over.
 *
 * @param {Stroke[]} strokes @param {Place} from @param {Place} to @param {number} radius
 * @returns {Stroke[]} the same array where nothing is touched
 */
export function swept(strokes, from, to, radius) {
  const steps = Math.max(1, Math.ceil((2 * distance(from, to)) / radius));
  let left = strokes;
  for (let i = 1; i <= steps; i++) {
    const centre = between(from, to, i / steps);
    const next = left.flatMap((stroke) => erased(stroke, centre, radius));
    if (next.length !== left.length || next.some((stroke, k) => stroke !== left[k])) left = next;
  }
  return left;
}

/**
 * @returns {[number, number] | null} where a segment enters and leaves a disc, as shares of its length: below 0 or
 * above 1 where its end lies inside; null where it passes by
 */
function chord(from, to, [cx, cy], radius) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const [fx, fy] = [from[0] - cx, from[1] - cy];
  const a = dx * dx + dy * dy;
  const b = fx * dx + fy * dy;
  const c = fx * fx + fy * fy - radius * radius;
  const root = b * b - a * c;
  if (!a || root <= 0) return null;
  const half = Math.sqrt(root);
  const [enter, leave] = [(-b - half) / a, (-b + half) / a];
  const length = (Math.min(1, leave) - Math.max(0, enter)) * Math.sqrt(a);
  return length > TOUCH ? [enter, leave] : null;
}

/** @returns {Place} */
function between([ax, ay], [bx, by], share) {
  return [rounded(ax + share * (bx - ax)), rounded(ay + share * (by - ay))];
}

/** A part without cut ends that are too close to their neighbours; null where it is too short to be seen. */
function tidied(part, points, gap) {
  const kept = [...part];
  const cut = (place) => !points.includes(place);
  if (kept.length > 1 && cut(kept[0]) && distance(kept[0], kept[1]) < gap) kept.shift();
  if (kept.length > 1 && cut(kept.at(-1)) && distance(kept.at(-1), kept.at(-2)) < gap) kept.pop();
  return kept.length > 1 ? kept : null;
}

function fromSegment(place, from, to) {
  const length = distance(from, to);
  if (!length) return distance(place, from);
  const share = ((place[0] - from[0]) * (to[0] - from[0]) + (place[1] - from[1]) * (to[1] - from[1])) / length ** 2;
  const near = Math.max(0, Math.min(1, share));
  return Math.hypot(place[0] - from[0] - near * (to[0] - from[0]), place[1] - from[1] - near * (to[1] - from[1]));
}
