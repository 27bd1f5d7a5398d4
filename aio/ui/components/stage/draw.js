/** Draws a scene on a canvas: cells, grid, points, beads and the probe, in a square with the same range on both axes. */
import { LEVELS, level } from "./colours.js";

const CELL_OPACITY = 0.55;
/** Where cells only fade in or out, their opacity in so many steps: a batch of fills for each. */
const FADES = 4;
const HATCH_SPACING = 7;
/** Pictures below this width show less: lines and outlines would run together. CSS pixels. */
const SMALL = 240;
/** Lines of a grid that are told apart on a picture of this width, in CSS pixels. */
const LINE_SPACING = 10;
const TICKS = 8;
const LATENT = "#d9730d";
const RADII = [1, 2, 3];
export const PROBE_RADIUS = 9;
/** Room for the axes' numbers at the left and below, in CSS pixels. */
export const MARGIN = { left: 30, bottom: 20, top: 6, right: 6 };
const NO_MARGIN = { left: 0, bottom: 0, top: 0, right: 0 };

/** Where the plane lies on the canvas. */
export class View {
  /** @param {[number, number, number, number]} extent a square @param {number} side CSS pixels @param {boolean} axes */
  constructor(extent, side, axes) {
    const margin = axes ? MARGIN : NO_MARGIN;
    [this.xMin, this.xMax, this.yMin, this.yMax] = extent;
    this.axes = axes;
    this.left = margin.left;
    this.top = margin.top;
    this.size = side - Math.max(margin.left + margin.right, margin.top + margin.bottom);
    this.unit = this.size / (this.xMax - this.xMin);
  }

  x(value) {
    return this.left + (value - this.xMin) * this.unit;
  }

  y(value) {
    return this.top + (this.yMax - value) * this.unit;
  }

  /** @returns {[number, number]} the place in the plane under a pixel, kept inside the picture */
  place(left, top) {
    const inside = (value, low, high) => Math.max(low, Math.min(high, value));
    return [
      inside(this.xMin + (left - this.left) / this.unit, this.xMin, this.xMax),
      inside(this.yMax - (top - this.top) / this.unit, this.yMin, this.yMax),
    ];
  }
}

/**
 * @param {CanvasRenderingContext2D} context scaled to CSS pixels
 * @param {View} view @param {import("./scene.js").Scene} scene @param {import("./colours.js").Theme} theme
 * @param {{displacement?: boolean, probe?: boolean}} [options]
 */
export function draw(context, view, scene, theme, { displacement = false, probe = false } = {}) {
  const { left, top, size } = view;
  context.save();
  context.beginPath();
  context.rect(left, top, size, size);
  context.clip();
  context.lineJoin = "round";
  drawZero(context, view, theme);
  const screen = projected(scene.vertices, view);
  drawCells(context, screen, scene, theme);
  drawMirrored(context, screen, scene, size, theme);
  drawGrid(context, screen, scene.film, size, theme);
  if (scene.circles) drawCircles(context, view, scene.circles);
  if (displacement && scene.origins) drawDisplacement(context, view, scene, theme);
  drawPoints(context, view, scene, theme);
  if (probe && scene.beads) drawBeads(context, view, scene.beads, theme);
  if (probe && scene.probe) drawProbe(context, view, scene.probe, theme);
  context.restore();
  if (view.axes) drawAxes(context, view, theme);
}

/** The axes through 0, faint, behind everything. */
function drawZero(context, view, theme) {
  context.strokeStyle = theme.text;
  context.globalAlpha = 0.22;
  context.lineWidth = 1;
  context.beginPath();
  const [x, y] = [Math.round(view.x(0)) + 0.5, Math.round(view.y(0)) + 0.5];
  context.moveTo(x, view.top);
  context.lineTo(x, view.top + view.size);
  context.moveTo(view.left, y);
  context.lineTo(view.left + view.size, y);
  context.stroke();
  context.globalAlpha = 1;
}

/** @returns {Float32Array} (left, top) of each point */
function projected(points, view) {
  const screen = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    screen[i] = view.x(points[i]);
    screen[i + 1] = view.y(points[i + 1]);
  }
  return screen;
}

/** Adds the outline of cell i to the path. */
function outline(context, screen, { columns }, i) {
  const corner = 2 * (i + Math.floor(i / (columns - 1))); // a row has one vertex more than cells
  const below = corner + 2 * columns;
  context.moveTo(screen[corner], screen[corner + 1]);
  context.lineTo(screen[corner + 2], screen[corner + 3]);
  context.lineTo(screen[below + 2], screen[below + 3]);
  context.lineTo(screen[below], screen[below + 1]);
  context.closePath();
}

function drawCells(context, screen, { film, cells, opacity }, theme) {
  if (!cells) return;
  /** Cells of one colour and opacity are filled together. @type {Map<number, number[]>} */
  const batches = new Map();
  for (let i = 0; i < cells.length; i++) {
    const fade = opacity ? Math.round(FADES * opacity[i]) : FADES;
    const colour = level(cells[i], film.span);
    if (!fade || colour === LEVELS || colour !== colour) continue; // the middle is the background
    const batch = batches.get(colour * (FADES + 1) + fade);
    if (batch) batch.push(i);
    else batches.set(colour * (FADES + 1) + fade, [i]);
  }
  for (const [batch, members] of batches) {
    context.fillStyle = theme.scale[Math.floor(batch / (FADES + 1))];
    context.globalAlpha = CELL_OPACITY * ((batch % (FADES + 1)) / FADES);
    context.beginPath();
    for (const i of members) outline(context, screen, film, i);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** Cells that are the wrong way round: hatched and outlined, so that they are told apart without colours. */
function drawMirrored(context, screen, { film, mirrored }, size, theme) {
  if (!mirrored.includes(1)) return;
  context.beginPath();
  for (let i = 0; i < mirrored.length; i++) if (mirrored[i]) outline(context, screen, film, i);
  context.fillStyle = hatching(context, theme.text);
  context.globalAlpha = 0.28;
  context.fill();
  if (size >= SMALL) {
    context.strokeStyle = theme.text;
    context.globalAlpha = 0.15;
    context.lineWidth = 1;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** @type {Map<string, HTMLCanvasElement>} */
const tiles = new Map();

function hatching(context, colour) {
  const ratio = context.getTransform().a;
  const key = `${colour} ${ratio}`;
  const size = Math.round(HATCH_SPACING * ratio);
  let tile = tiles.get(key);
  if (!tile) {
    tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const brush = tile.getContext("2d");
    brush.strokeStyle = colour;
    brush.lineWidth = ratio;
    brush.beginPath();
    // One diagonal, and its ends in the two corners it does not reach.
    for (const shift of [-size, 0, size]) {
      brush.moveTo(shift - 1, size + 1);
      brush.lineTo(shift + size + 1, -1);
    }
    brush.stroke();
    tiles.set(key, tile);
  }
  const pattern = context.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(HATCH_SPACING / size));
  return pattern;
}

function drawGrid(context, screen, { rows, columns }, size, theme) {
  context.strokeStyle = theme.text;
  context.lineWidth = size < SMALL ? 0.75 : 1;
  context.globalAlpha = theme.dark ? 0.3 : 0.26;
  context.beginPath();
  const [rowStep, columnStep] = [stride(rows, size), stride(columns, size)];
  for (let row = 0; row < rows; row += rowStep) {
    for (let column = 0; column < columns; column++) lineTo(context, screen, row * columns + column, column === 0);
  }
  for (let column = 0; column < columns; column += columnStep) {
    for (let row = 0; row < rows; row++) lineTo(context, screen, row * columns + column, row === 0);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** Every how many lines one is drawn: a divisor, so that the last line is drawn as well. */
function stride(lines, size) {
  for (let step = 1; step < lines - 1; step++) {
    if ((lines - 1) % step === 0 && (size * step) / (lines - 1) >= LINE_SPACING) return step;
  }
  return lines - 1;
}

function lineTo(context, screen, i, starts) {
  if (starts) context.moveTo(screen[2 * i], screen[2 * i + 1]);
  else context.lineTo(screen[2 * i], screen[2 * i + 1]);
}

function drawCircles(context, view, opacity) {
  context.strokeStyle = LATENT;
  context.globalAlpha = 0.9 * opacity;
  context.lineWidth = view.size < SMALL ? 0.9 : 1.25;
  context.beginPath();
  for (const radius of RADII) {
    context.moveTo(view.x(radius), view.y(0));
    context.arc(view.x(0), view.y(0), radius * view.unit, 0, 2 * Math.PI);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function drawDisplacement(context, view, { film, points, origins }, theme) {
  context.strokeStyle = theme.clear(film.pointColour);
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  context.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    context.moveTo(view.x(origins[i]), view.y(origins[i + 1]));
    context.lineTo(view.x(points[i]), view.y(points[i + 1]));
  }
  context.stroke();
  context.globalAlpha = 1;
}

function drawPoints(context, view, { film, points }, theme) {
  const radius = Math.max(0.6, Math.min(2.3, view.size / 200));
  context.fillStyle = theme.clear(film.pointColour);
  context.globalAlpha = 0.9;
  context.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [view.x(points[i]), view.y(points[i + 1])];
    if (radius < 1) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else dot(context, x, y, radius);
  }
  if (radius >= 1) {
    // A rim keeps blue points apart from blue cells.
    context.strokeStyle = theme.background;
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.fill();
  context.globalAlpha = 1;
}

function dot(context, x, y, radius) {
  context.moveTo(x + radius, y);
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** A string of beads: evenly spaced in the input, so the gaps show what the block stretches. */
function drawBeads(context, view, beads, theme) {
  const screen = projected(beads, view);
  context.beginPath();
  for (let i = 0; i < screen.length / 2; i++) lineTo(context, screen, i, i === 0);
  context.strokeStyle = theme.background;
  context.globalAlpha = 0.8;
  context.lineWidth = 4;
  context.stroke();
  context.globalAlpha = 1;
  context.strokeStyle = theme.text;
  context.lineWidth = 1.25;
  context.stroke();
  context.beginPath();
  for (let i = 0; i < screen.length; i += 2) dot(context, screen[i], screen[i + 1], 3);
  context.fillStyle = theme.background;
  context.fill();
  context.stroke();
}

function drawProbe(context, view, probe, theme) {
  const [x, y] = [view.x(probe[0]), view.y(probe[1])];
  context.beginPath();
  dot(context, x, y, PROBE_RADIUS);
  context.fillStyle = context.strokeStyle = theme.background;
  context.lineWidth = 6;
  context.globalAlpha = 0.85;
  context.fill();
  context.stroke();
  context.globalAlpha = 1;
  context.strokeStyle = theme.primary;
  context.lineWidth = 3;
  context.stroke();
  context.beginPath();
  dot(context, x, y, 2);
  context.fillStyle = theme.text;
  context.fill();
}

function drawAxes(context, view, theme) {
  const { left, top, size } = view;
  context.strokeStyle = theme.text;
  context.fillStyle = theme.text;
  context.font = `11px ${theme.font}`;
  context.lineWidth = 1;
  context.globalAlpha = 0.35;
  context.strokeRect(left + 0.5, top + 0.5, size - 1, size - 1);
  context.globalAlpha = 0.75;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of ticks(view.xMin, view.xMax)) context.fillText(label(value), view.x(value), top + size + 6);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(view.yMin, view.yMax)) context.fillText(label(value), left - 6, view.y(value));
  context.globalAlpha = 0.35;
  context.beginPath();
  for (const value of ticks(view.xMin, view.xMax)) {
    context.moveTo(Math.round(view.x(value)) + 0.5, top + size);
    context.lineTo(Math.round(view.x(value)) + 0.5, top + size + 4);
  }
  for (const value of ticks(view.yMin, view.yMax)) {
    context.moveTo(left, Math.round(view.y(value)) + 0.5);
    context.lineTo(left - 4, Math.round(view.y(value)) + 0.5);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** Round values inside a range, about TICKS of them. */
function ticks(low, high) {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(6)));
  return found;
}

function label(value) {
  return String(value).replace("-", "−");
}
