/** The film: the frames of one block as arrays, and the place where a strip leaves it for its stage. */
import { words } from "./motion.js";

/**
 * @typedef {object} Frame one sub-stage; arrays of points hold (x, y) pairs
 * @property {string} name @property {string} title @property {string} note @property {boolean} active
 * @property {boolean} circles whether the base's circles belong to it
 * @property {import("./motion.js").Motion} motion of the step that leads to it
 * @property {Float32Array} vertices the grid's, row by row @property {Float32Array} points
 * @property {Float32Array | null} cells a signed value for each cell, row by row; NaN: no colour
 * @property {Float32Array | null} vertexStretch @property {Float32Array | null} pointStretch
 * @property {Uint8Array} mirrored 1 for each cell that is the wrong way round
 */

const NEWLINE = 10;
const decoder = new TextDecoder();

/** Splits off the first line, which is JSON. @param {Uint8Array} bytes @returns {[object, Uint8Array, string]} */
export function headed(bytes) {
  const end = bytes.indexOf(NEWLINE);
  const line = decoder.decode(bytes.subarray(0, end));
  return [JSON.parse(line), bytes.subarray(end + 1), line];
}

export class Film {
  /** @type {Frame[]} */
  frames;

  /** @param {Uint8Array} body what `packed` in aio/ui/stage.py wrote */
  constructor(body) {
    const [header, rest] = headed(body);
    /** Equal for equal films. @type {string} */
    this.id = header.id;
    [this.rows, this.columns] = header.shape;
    /** The value at the end of the scale of colours. @type {number} */
    this.span = header.span;
    this.scaleTitle = header.scale_title;
    this.pointColour = header.point_colour;
    this.extent = squared(header.extent);
    const cells = (this.rows - 1) * (this.columns - 1);
    const vertices = this.rows * this.columns;
    const data = rest.slice().buffer; // its own buffer, so that the floats are aligned
    let at = 0;
    const floats = (count) => {
      const array = new Float32Array(data, at, count);
      at += array.byteLength;
      return array;
    };
    this.frames = header.frames.map((frame) => ({
      ...frame,
      vertices: floats(2 * vertices),
      points: floats(2 * header.points),
      cells: frame.cells ? floats(cells) : null,
      vertexStretch: frame.vertex_stretch ? floats(vertices) : null,
      pointStretch: frame.point_stretch ? floats(header.points) : null,
    }));
    for (const frame of this.frames) {
      frame.mirrored = new Uint8Array(data, at, cells);
      at += cells;
    }
  }

  get last() {
    return this.frames.length - 1;
  }

  /** @param {string} name @returns {number} -1 where there is none */
  index(name) {
    return this.frames.findIndex((frame) => frame.name === name);
  }

  /** @param {number} k @returns {string} what the step to frame k does */
  happening(k) {
    const { active, motion, note, vertexStretch } = this.frames[k];
    if (!active) return `passed over. ${note}`;
    return words(motion, !vertexStretch || vertexStretch.some((sigma) => sigma !== 0)) || note;
  }
}


/** The smallest square around a rectangle, so that a unit is as long on both axes. */
function squared([left, right, bottom, top]) {
  const reach = Math.max(right - left, top - bottom) / 2;
  const [x, y] = [(left + right) / 2, (bottom + top) / 2];
  return [x - reach, x + reach, y - reach, y + reach];
}

/** Films by the key of their strip, and who waits for them. */
class Films {
  /** @type {Map<string, Film>} */
  #films = new Map();
  /** @type {Map<string, Set<() => void>>} */
  #listeners = new Map();

  get(key) {
    return this.#films.get(key);
  }

  /** @param {string} key @param {Film} film */
  put(key, film) {
    this.#films.set(key, film);
    for (const listener of this.#listeners.get(key) ?? []) listener();
  }

  /** Forgets a film, unless another strip has put its own in the place. */
  drop(key, film) {
    if (this.#films.get(key) === film) this.#films.delete(key);
  }

  /** @returns {() => void} to stop listening */
  listen(key, listener) {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  }
}

export const films = new Films();
