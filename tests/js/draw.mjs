/** The parts of the drawing canvas that need no browser: strokes, their density, limits, reports. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

const folder = new URL("../../aio/ui/components/draw/", import.meta.url);

/** A module of the component, which has the ending of a script and no package beside it that calls it a module. */
async function load(name) {
  const source = await readFile(new URL(name, folder), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}

const { Thinner, distance, erased, swept } = await load("geometry.js");
const { Drawing, exhausted, parsed, refusal, within } = await load("drawing.js");
const { CELLS, Field } = await load("field.js");
const { Reports } = await load("reports.js");

const EXTENT = [-4, 4, -4, 4];
const line = (points, width = 0.2, colour = 0) => ({ points, width, colour });

function thinned(path, width = 0.2, most = 400) {
  const thinner = new Thinner(width, most);
  for (const [x, y] of path) thinner.add(x, y);
  return thinner;
}

const circle = Array.from({ length: 500 }, (_, i) => [2 * Math.cos(i / 80), 2 * Math.sin(i / 80)]);
const gaps = (points) => points.slice(1).map((place, i) => distance(points[i], place));

function fromLine(place, points) {
  return Math.min(...points.slice(1).map((to, i) => {
    const from = points[i];
    const length = distance(from, to);
    const along = ((place[0] - from[0]) * (to[0] - from[0]) + (place[1] - from[1]) * (to[1] - from[1])) / length;
    const near = Math.max(0, Math.min(1, along / length));
    return distance(place, [from[0] + near * (to[0] - from[0]), from[1] + near * (to[1] - from[1])]);
  }));
}

test("a press is one point, and so is a tremble", () => {
  assert.deepEqual(thinned([[1, 2]]).points, [[1, 2]]);
  assert.deepEqual(thinned([[1, 2], [1.01, 2], [1.02, 2.01], [1, 2.01]]).points, [[1, 2]]);
});

test("a straight stretch needs few points", () => {
  const path = Array.from({ length: 101 }, (_, i) => [-3 + 0.06 * i, 1]);
  const { points } = thinned(path);
  assert.ok(points.length <= 3, `${points.length}`);
  assert.deepEqual([points[0], points.at(-1)], [[-3, 1], [3, 1]]);
});

test("a way back on the same line is kept", () => {
  const path = [0, 1, 2, 1, 0].map((x) => [x, 0]);
  assert.deepEqual(thinned(path).points, [[0, 0], [2, 0], [0, 0]]);
});

for (const width of [0.05, 0.2, 0.6]) {
  test(`a thinned curve of width ${width} stays on the path, its points apart`, () => {
    const { points } = thinned(circle, width);
    assert.ok(points.length < circle.length / 2);
    assert.ok(Math.min(...gaps(points)) >= width / 4);
    for (const place of circle.slice(0, -20)) assert.ok(fromLine(place, points) < 0.15 * width + 0.001);
  });
}

test("coordinates have three decimals, and zero has no sign", () => {
  const { points } = thinned([[-0.0001, 1 / 3], [1, 2 / 3]]);
  assert.equal(JSON.stringify(points), "[[0,0.333],[1,0.667]]");
});

test("a stroke takes no more points than it may, and says so", () => {
  const zigzag = Array.from({ length: 1000 }, (_, i) => [0.007 * i - 3.5, i % 2]);
  const thinner = thinned(zigzag, 0.2, 400);
  assert.ok(thinner.full);
  assert.equal(thinner.points.length, 400);
  assert.equal(thinned(zigzag, 0.2, 1).points.length, 1);
  assert.ok(!thinned(zigzag.slice(0, 300)).full);
});

test("points that stand stay the same objects while a stroke grows", () => {
  const thinner = thinned(circle.slice(0, 200));
  const before = thinner.points;
  for (const [x, y] of circle.slice(200, 260)) thinner.add(x, y);
  before.slice(0, -1).forEach((place, i) => assert.equal(thinner.points[i], place));
});

test("an eraser cuts a stroke at its rim", () => {
  const stroke = line([[-3, 0], [3, 0]], 0.2, 2);
  assert.deepEqual(erased(stroke, [0, 0], 0.5), [
    line([[-3, 0], [-0.5, 0]], 0.2, 2),
    line([[0.5, 0], [3, 0]], 0.2, 2),
  ]);
  assert.deepEqual(erased(stroke, [3, 0], 0.5), [line([[-3, 0], [2.5, 0]], 0.2, 2)]);
});

test("an eraser that passes by leaves the stroke itself", () => {
  const stroke = line([[-3, 0], [3, 0]]);
  assert.equal(erased(stroke, [0, 0.6], 0.5)[0], stroke);
  const strokes = [stroke];
  assert.equal(swept(strokes, [0, 1], [2, 1], 0.5), strokes);
});

test("an eraser takes dots and short strokes whole, and leaves no crumbs", () => {
  assert.deepEqual(erased(line([[0, 0]]), [0.1, 0], 0.2), []);
  assert.deepEqual(erased(line([[0, 0], [0.3, 0]]), [0.1, 0], 0.5), []);
  const parts = erased(line([[-1, 0], [0, 0], [1, 0]]), [0, 0], 0.97);
  assert.deepEqual(parts, []); // two ends of 0.03: less than a quarter of the width
});

test("an eraser may cut a stroke in many places", () => {
  const comb = line([[-3, 1], [-2, -1], [-1, 1], [0, -1], [1, 1], [2, -1]]);
  const parts = swept([comb], [-4, 0], [4, 0], 0.2);
  assert.equal(parts.length, 6);
  for (const { points } of parts) {
    for (const [, y] of points) assert.ok(Math.abs(y) >= 0.19);
    assert.ok(Math.min(...gaps(points)) >= 0.05);
  }
});

test("a fast eraser misses nothing on its way", () => {
  const fence = Array.from({ length: 20 }, (_, i) => line([[-3 + 0.3 * i, -1], [-3 + 0.3 * i, 1]]));
  assert.equal(swept(fence, [-4, 0], [4, 0], 0.15).length, 40);
});

test("undo and redo go through actions", () => {
  const drawing = new Drawing();
  const [a, b] = [line([[0, 0]]), line([[1, 1]])];
  for (const stroke of [a, b]) {
    drawing.begin();
    drawing.strokes = [...drawing.strokes, line([[9, 9]])];
    drawing.strokes = [...drawing.strokes.slice(0, -1), stroke];
    drawing.end();
  }
  drawing.undo();
  assert.deepEqual(drawing.strokes, [a]);
  drawing.redo();
  assert.deepEqual(drawing.strokes, [a, b]);
  assert.ok(!drawing.redoable);
  drawing.become([]);
  drawing.undo();
  assert.deepEqual(drawing.strokes, [a, b]);
  drawing.undo();
  drawing.become([b]);
  assert.ok(!drawing.redoable);
  drawing.begin();
  drawing.end(); // nothing was done
  drawing.undo();
  drawing.undo();
  assert.ok(!drawing.undoable);
  assert.equal(drawing.text, '{"strokes":[]}');
});

test("limits are told in a sentence", () => {
  const dots = (n) => Array.from({ length: n }, () => line([[0, 0]]));
  assert.equal(refusal(dots(199)), "");
  assert.match(refusal(dots(200)), /200 strokes, as many as it may/);
  const long = Array.from({ length: 10 }, () => line(circle.slice(0, 400)));
  assert.match(refusal(long), /4,000 points/);
  assert.match(exhausted(long.slice(0, 1)), /The stroke has 400 points/);
  assert.match(exhausted(long), /The drawing has 4,000 points/);
});

test("cutting stays within the limits: the shortest new parts go", () => {
  const before = Array.from({ length: 200 }, (_, i) => line([[0, i], [1, i]]));
  const [short, ...parts] = [line([[0, 0], [0.2, 0]]), line([[0.4, 0], [0.7, 0], [1, 0]])];
  const after = within(before, [short, ...parts, ...before.slice(1)]);
  assert.equal(after.length, 200);
  assert.ok(after.includes(parts[0]) && !after.includes(short));
});

test("what is not a drawing is left out", () => {
  for (const text of ["", "{", "[]", "null", "3", '{"strokes": 3}', '{"strokes": [null, 3, {}]}']) {
    assert.deepEqual(parsed(text, EXTENT), []);
  }
  const strokes = [
    line([[0, 0], [9, -9]], 5, 3), line([], 0.2), line([[0, "a"]]), line([[0, 0]], null), line([[0, 0]], 0.2, 4),
    line([[0, 0, 0]]), line(circle), { points: [[1, 1]], width: 0.3 },
  ];
  assert.deepEqual(parsed(JSON.stringify({ strokes }), EXTENT), [
    line([[0, 0], [4, -4]], 0.6, 3), line([[1, 1]], 0.3, 0),
  ]);
});

/** A field's value in the middle of the cell at a place. */
function at(field, [x, y], colour = 0) {
  const cell = (value) => Math.min(CELLS - 1, Math.floor((value * CELLS) / 8));
  return field.classes[colour]?.[cell(4 - y) * CELLS + cell(x + 4)] ?? 0;
}

function shown(strokes) {
  const field = new Field(EXTENT, 4);
  field.show(strokes);
  return field;
}

/** The density as aio/ui/draw.py writes it, by adding up many small steps. */
function density([px, py], { points, width }) {
  const bell = ([x, y]) => Math.exp(-((px - x) ** 2 + (py - y) ** 2) / (2 * width ** 2));
  let sum = bell(points[0]) / 2 + bell(points.at(-1)) / 2;
  for (let i = 1; i < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
    const [length, steps] = [distance(points[i - 1], points[i]), 2000];
    for (let k = 0; k < steps; k++) {
      const share = (k + 0.5) / steps;
      const step = length / steps / (Math.sqrt(2 * Math.PI) * width);
      sum += bell([ax + share * (bx - ax), ay + share * (by - ay)]) * step;
    }
  }
  return sum;
}

test("the field is the density of a Gaussian carried along each stroke", () => {
  const strokes = [line([[-2, -1], [1, 0.5], [2, -2]], 0.3), line([[0, 0]], 0.15), line([[3, 3], [3.1, 3]], 0.4)];
  const field = shown(strokes);
  const middle = 4 / CELLS;
  for (const [x, y] of [[0, 0], [-2, -1], [-2.25, -1], [1, 0.5], [1.25, 0], [3, 3.5], [2, -2.5], [0.125, 0.125]]) {
    const expected = strokes.reduce((sum, stroke) => sum + density([x + middle, y - middle], stroke), 0);
    assert.ok(Math.abs(at(field, [x + middle, y - middle]) - expected) < 0.005, `${[x, y]}`);
  }
});

test("a dot and the middle of a line of any width are equally dense, and crossing lines twice", () => {
  for (const width of [0.05, 0.2, 0.6]) {
    const long = line([[-3, 0], [3, 0]], width);
    assert.ok(Math.abs(at(shown([long]), [0, 0]) - 1) < 0.05);
    assert.ok(Math.abs(at(shown([line([[0, 0]], width)]), [0, 0]) - 1) < 0.1);
    assert.ok(Math.abs(at(shown([long, line([[0, -3], [0, 3]], width)]), [0, 0]) - 2) < 0.1);
  }
});

test("a field that changed stroke by stroke is the field of the result", () => {
  const thinner = new Thinner(0.2, 400);
  const field = new Field(EXTENT, 4);
  let strokes = [];
  for (const [x, y] of circle) {
    thinner.add(x, y);
    field.show((strokes = [line(thinner.points)]));
  }
  field.show((strokes = swept(strokes, [2, -1], [2, 1], 0.3)));
  field.show((strokes = [...strokes, line([[0, 0], [1, 1]], 0.4, 2)]));
  const fresh = shown(structuredClone(strokes));
  for (const colour of [0, 2]) {
    const worst = Math.max(...field.classes[colour].map((value, i) => Math.abs(value - fresh.classes[colour][i])));
    assert.ok(worst < 1e-4, `${worst}`);
  }
  assert.equal(field.classes[1], null);
  field.show([]);
  assert.deepEqual(field.classes, [null, null, null, null]);
});

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("while a stroke is under way a report waits for the answer and for its time", async () => {
  const sent = [];
  let text = "0";
  const reports = new Reports(() => text);
  const heard = (answer) => reports.heard(answer, 0, (report) => sent.push(report));
  heard(0);
  text = "1";
  reports.changed(false);
  assert.deepEqual(sent, [{ n: 1, version: 0, drawing: "1" }]);
  text = "2";
  reports.changed(false);
  await wait(300);
  assert.equal(sent.length, 1, "not before the answer");
  heard(1);
  assert.equal(sent.at(-1).drawing, "2");
  heard(2);
  text = "3";
  reports.changed(false);
  assert.equal(sent.length, 2, "not at once");
  await wait(280);
  assert.deepEqual(sent.at(-1), { n: 3, version: 0, drawing: "3" });
  text = "4";
  reports.changed(true);
  assert.equal(sent.length, 3, "one is under way");
  heard(3);
  assert.equal(sent.at(-1).drawing, "4", "the end of a stroke waits no longer");
  heard(4);
  reports.changed(true);
  assert.equal(sent.length, 4, "nothing new");
  reports.stop();
});

test("what Python imposed is not told back", async () => {
  const sent = [];
  let text = "0";
  const reports = new Reports(() => text);
  reports.heard(7, 2, (report) => sent.push(report)); // mounted again
  text = "1";
  reports.changed(true);
  text = "2";
  reports.changed(true);
  text = "imposed";
  reports.forget();
  reports.heard(8, 3, (report) => sent.push(report));
  reports.changed(true);
  assert.deepEqual(sent, [{ n: 8, version: 2, drawing: "1" }]);
  text = "3";
  reports.changed(true);
  assert.deepEqual(sent.at(-1), { n: 9, version: 3, drawing: "3" });
  reports.stop();
});
