/**
 * The way from one frame to the next, by the step's own motion. The same formulas stand in aio/inspection/film.py:
 * with b before, a after, τ the fraction done and σ the log stretch,
 *
 *   couple  x₁ = b₁, x₂ = b₂ e^{τσ} + τ (a₂ − b₂ e^σ)
 *   affine  x = scale^τ ⊙ b + τ·offset
 *   turn    x = R(τ·angle) b
 *   mirror  x = b − 2τ (v·b) v
 *   none    x = b
 *
 * @typedef {object} Motion
 * @property {"none" | "couple" | "affine" | "turn" | "mirror"} kind
 * @property {number} [angle] radians
 * @property {[number, number]} [normal] v, of length 1
 * @property {[number, number]} [scale]
 * @property {[number, number]} [offset]
 * @property {string} [words] what happens, for the caption
 */

/**
 * Where points are between two frames. At fractions 0 and 1 they are exactly at the two frames.
 *
 * @param {ArrayLike<number>} before (x, y) pairs @param {ArrayLike<number>} after as long
 * @param {Motion} motion of the step that leads to `after`
 * @param {ArrayLike<number> | null} stretch σ of each point; needed by a coupling, which stands still without
 * @param {number} fraction 0…1
 * @param {Float32Array | number[]} out as long as `before`; filled and returned
 */
export function between(before, after, motion, stretch, fraction, out) {
  if (fraction <= 0 || fraction >= 1) return copy(fraction <= 0 ? before : after, out);
  const step = STEPS[motion.kind];
  return step ? step(before, after, motion, stretch, fraction, out) : copy(before, out);
}

const STEPS = { couple, affine, turn, mirror };

function couple(before, after, _, stretch, fraction, out) {
  if (!stretch) return copy(before, out);
  for (let i = 0; i < before.length; i += 2) {
    const sigma = stretch[i / 2];
    const active = before[i + 1];
    out[i] = before[i];
    out[i + 1] = active * Math.exp(fraction * sigma) + fraction * (after[i + 1] - active * Math.exp(sigma));
  }
  return out;
}

function affine(before, _after, { scale = [1, 1], offset = [0, 0] }, _stretch, fraction, out) {
  for (let axis = 0; axis < 2; axis++) {
    const [factor, shift] = [scale[axis] ** fraction, fraction * offset[axis]];
    for (let i = axis; i < before.length; i += 2) out[i] = factor * before[i] + shift;
  }
  return out;
}

function turn(before, _after, { angle = 0 }, _stretch, fraction, out) {
  const [cos, sin] = [Math.cos(fraction * angle), Math.sin(fraction * angle)];
  for (let i = 0; i < before.length; i += 2) {
    const [x, y] = [before[i], before[i + 1]];
    out[i] = cos * x - sin * y;
    out[i + 1] = sin * x + cos * y;
  }
  return out;
}

function mirror(before, _after, { normal: [a, b] = [0, 0] }, _stretch, fraction, out) {
  for (let i = 0; i < before.length; i += 2) {
    const across = 2 * fraction * (a * before[i] + b * before[i + 1]);
    out[i] = before[i] - across * a;
    out[i + 1] = before[i + 1] - across * b;
  }
  return out;
}

function copy(from, to) {
  for (let i = 0; i < from.length; i++) to[i] = from[i];
  return to;
}

/** What a motion does, in a few words. @param {Motion} motion @param {boolean} [stretches] whether any σ is not 0 */
export function words(motion, stretches = true) {
  if (motion.words) return motion.words;
  const { scale = [1, 1], offset = [0, 0], normal = [0, 0], angle = 0 } = motion;
  switch (motion.kind) {
    case "couple":
      return stretches ? "x₂ eˢ + t" : "x₂ + t";
    case "affine":
      return offset.some((shift) => shift !== 0) ? `Ψ ⊙ x + o: × ${pair(scale)}, + ${pair(offset)}` : `Ψ ⊙ x: × ${pair(scale)}`;
    case "turn":
      return `turned by ${number((angle * 180) / Math.PI, 0)}°`;
    case "mirror":
      return `mirrored across the line perpendicular to v = ${pair(normal)}`;
    default:
      return "";
  }
}

/** A number with a true minus sign. @param {number} value @param {number} [digits] after the point */
export function number(value, digits = 2) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** @param {ArrayLike<number>} xy */
export function pair([x, y]) {
  return `(${number(x)}, ${number(y)})`;
}
