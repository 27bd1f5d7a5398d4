/** The plane on the canvas: its axes, and the density of a drawing in the colours of its classes. */
import { CELLS } from "./field.js";
import { shade } from "./theme.js";

const TICKS = 8;
/** Room for the axes' numbers at the left and below, in CSS pixels. */
const MARGIN = { left: 30, bottom: 20, top: 6, right: 6 };

/** Where the plane lies on the canvas. */
export class View {
  /** @param {[number, number, number, number]} extent a square @param {number} side CSS pixels */
  constructor(extent, side) {
    [this.xMin, this.xMax, this.yMin, this.yMax] = extent;
    this.left = MARGIN.left;
    this.top = MARGIN.top;
    this.size = side - Math.max(MARGIN.left + MARGIN.right, MARGIN.top + MARGIN.bottom);
    this.unit = this.size / (this.xMax - this.xMin);
  }

  x(value) {
    return this.left + (value - this.xMin) * this.unit;
  }

  y(value) {
    return this.top + (this.yMax - value) * this.unit;
  }

  /** @returns {[number, number]} the place in the plane under a pixel, or beyond it */
  place(left, top) {
    return [this.xMin + (left - this.left) / this.unit, this.yMax - (top - this.top) / this.unit];
  }

  holds([x, y]) {
    return x >= this.xMin && x <= this.xMax && y >= this.yMin && y <= this.yMax;
  }

  /** @returns {[number, number]} the nearest place of the picture */
  clamped([x, y]) {
    return [Math.max(this.xMin, Math.min(this.xMax, x)), Math.max(this.yMin, Math.min(this.yMax, y))];
  }
}

/** A field as a picture of as many pixels as it has cells. */
export class Cloud {
  canvas = document.createElement("canvas");
  #context;
  #image = new ImageData(CELLS, CELLS);
  #pixels = new Uint32Array(this.#image.data.buffer);

  constructor() {
    this.canvas.width = this.canvas.height = CELLS;
    this.#context = this.canvas.getContext("2d");
  }

  /** @param {(Float32Array | null)[]} classes @param {Uint8ClampedArray[]} scales of their colours */
  show(classes, scales) {
    const drawn = classes.flatMap((grid, k) => (grid ? [{ grid, scale: scales[k] }] : []));
    if (drawn.length > 1) this.#mix(drawn);
    else if (drawn.length) this.#look(drawn[0].grid, new Uint32Array(drawn[0].scale.buffer));
    else this.#pixels.fill(0);
    this.#context.putImageData(this.#image, 0, 0);
  }

  #look(grid, shades) {
    for (let i = 0; i < grid.length; i++) this.#pixels[i] = shades[shade(grid[i])];
  }

  /** Each class covers its share of what the others leave, whichever was drawn first. */
  #mix(drawn) {
    const { data } = this.#image;
    for (let i = 0; i < CELLS * CELLS; i++) {
      let [red, green, blue, covers, left] = [0, 0, 0, 0, 1];
      for (let k = 0; k < drawn.length; k++) {
        const { grid, scale } = drawn[k];
        const at = 4 * shade(grid[i]);
        const cover = scale[at + 3] / 255;
        red += cover * scale[at];
        green += cover * scale[at + 1];
        blue += cover * scale[at + 2];
        covers += cover;
        left *= 1 - cover;
      }
      if (!covers) {
        this.#pixels[i] = 0;
        continue;
      }
      data[4 * i] = red / covers;
      data[4 * i + 1] = green / covers;
      data[4 * i + 2] = blue / covers;
      data[4 * i + 3] = 255 * (1 - left);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context empty, scaled to CSS pixels
 * @param {View} view @param {Cloud} cloud @param {import("./theme.js").Theme} theme
 */
export function drawPlane(context, view, cloud, theme) {
  const { left, top, size } = view;
  const [across, up] = [ticks(view.xMin, view.xMax), ticks(view.yMin, view.yMax)];
  const column = (value) => Math.min(left + size - 1, Math.round(view.x(value))) + 0.5;
  const row = (value) => Math.min(top + size - 1, Math.round(view.y(value))) + 0.5;
  context.strokeStyle = context.fillStyle = theme.text;
  context.lineWidth = 1;
  const lines = (opacity, xs, ys, from, to) => {
    context.globalAlpha = opacity;
    context.beginPath();
    for (const x of xs) context.moveTo(column(x), top + size + from), context.lineTo(column(x), top + size + to);
    for (const y of ys) context.moveTo(left - from, row(y)), context.lineTo(left - to, row(y));
    context.stroke();
  };
  const zero = (values) => values.filter((value) => value === 0);
  lines(0.07, across, up, 0, -size);
  lines(0.16, zero(across), zero(up), 0, -size);
  context.globalAlpha = 1;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(cloud.canvas, left, top, size, size);
  lines(0.35, across, up, 0, 4);
  context.strokeRect(left + 0.5, top + 0.5, size - 1, size - 1);
  context.globalAlpha = 0.75;
  context.font = `11px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of across) context.fillText(label(value), view.x(value), top + size + 6);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of up) context.fillText(label(value), left - 6, view.y(value));
  context.globalAlpha = 1;
}

/** Round values inside a range, about TICKS of them. */
function ticks(low, high) {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(6)) + 0);
  return found;
}

function label(value) {
  return String(value).replace("-", "−");
}
