/** What is seen at a position in the film: frame k for a whole number, on the way from k to k + 1 for k + τ. */
import { between } from "./motion.js";

/**
 * @typedef {object} Probe a point that is followed through the film; one entry for each frame
 * @property {[number, number][]} path @property {(number | null)[]} stretch
 * @property {[number, number][][]} beads a line of points beside it, or empty
 * @property {number[][]} bead_stretch
 *
 * @typedef {object} Scene
 * @property {import("./film.js").Film} film
 * @property {Float32Array} vertices @property {Float32Array} points
 * @property {Float32Array | null} cells signed values
 * @property {Float32Array | null} opacity 0…1 for each cell; null: all 1
 * @property {Uint8Array} mirrored @property {number} circles opacity of the base's circles
 * @property {Float32Array | null} origins where the points were a frame before
 * @property {ArrayLike<number> | null} beads @property {ArrayLike<number> | null} probe
 */

export class Projector {
  /** @type {import("./film.js").Film} */
  #film;
  #vertices = new Float32Array();
  #points = new Float32Array();
  #cells = new Float32Array();
  #opacity = new Float32Array();

  /** @param {import("./film.js").Film} film */
  constructor(film) {
    this.#film = film;
    const [first] = film.frames;
    this.#vertices = new Float32Array(first.vertices.length);
    this.#points = new Float32Array(first.points.length);
    this.#cells = new Float32Array(first.mirrored.length);
    this.#opacity = new Float32Array(first.mirrored.length);
  }

  /** @param {number} position 0…film.last @param {Probe | null} [probe] @returns {Scene} valid until the next call */
  scene(position, probe = null) {
    const film = this.#film;
    const k = Math.min(Math.floor(position), film.last);
    const fraction = position - k;
    const from = film.frames[k];
    const still = {
      film,
      vertices: from.vertices,
      points: from.points,
      cells: from.cells,
      opacity: null,
      mirrored: from.mirrored,
      circles: Number(from.circles),
      origins: k > 0 ? film.frames[k - 1].points : null,
      probe: probe?.path[k] ?? null,
      beads: probe?.beads[k]?.length ? probe.beads[k].flat() : null,
    };
    if (fraction === 0) return still;
    const to = film.frames[k + 1];
    return {
      ...still,
      ...this.#blended(from.cells, to.cells, fraction),
      vertices: between(from.vertices, to.vertices, to.motion, to.vertexStretch, fraction, this.#vertices),
      points: between(from.points, to.points, to.motion, to.pointStretch, fraction, this.#points),
      mirrored: fraction < 0.5 ? from.mirrored : to.mirrored,
      circles: (1 - fraction) * Number(from.circles) + fraction * Number(to.circles),
      origins: from.points,
      probe: onTheWay(probe?.path, (i) => [probe.stretch[i] ?? 0], k, to.motion, fraction),
      beads: onTheWay(probe?.beads, (i) => probe.bead_stretch[i] ?? [], k, to.motion, fraction),
    };
  }

  /** Values that fade from one frame's to the next's; where only one has a value, that fades in or out. */
  #blended(before, after, fraction) {
    if (!before && !after) return { cells: null, opacity: null };
    for (let i = 0; i < this.#cells.length; i++) {
      const [a, b] = [before ? before[i] : NaN, after ? after[i] : NaN];
      const [weightA, weightB] = [a === a ? 1 - fraction : 0, b === b ? fraction : 0];
      this.#opacity[i] = weightA + weightB;
      this.#cells[i] = ((weightA && weightA * a) + (weightB && weightB * b)) / this.#opacity[i];
    }
    return { cells: this.#cells, opacity: this.#opacity };
  }
}

function onTheWay(path, stretch, k, motion, fraction) {
  if (!path?.[k]?.length || path[k + 1]?.length !== path[k].length) return null;
  const [before, after] = [path[k].flat(), path[k + 1].flat()];
  return between(before, after, motion, stretch(k + 1), fraction, new Array(before.length));
}
