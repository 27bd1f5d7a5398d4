/** The parts of the stage that need no browser: motions, journeys, the outbox. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

const folder = new URL("../../aio/ui/components/stage/", import.meta.url);

/** A module of the component, which has the ending of a script and no package beside it that calls it a module. */
async function load(name) {
  const source = await readFile(new URL(name, folder), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}

const { between, words } = await load("motion.js");
const { passage, screening } = await load("journey.js");
const { Outbox } = await load("messages.js");

const near = (actual, expected) => actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-12));

test("at both ends a motion is exactly at its frames", () => {
  const motions = [
    { kind: "couple" }, { kind: "none" }, { kind: "turn", angle: 1 }, { kind: "mirror", normal: [1, 0] },
    { kind: "affine", scale: [2, 3], offset: [1, 1] },
  ];
  for (const motion of motions) {
    assert.deepEqual(between([1, 2], [3, 4], motion, [0.5], 0, [0, 0]), [1, 2]);
    assert.deepEqual(between([1, 2], [3, 4], motion, [0.5], 1, [0, 0]), [3, 4]);
  }
});

test("half way each motion is where its formula says", () => {
  const at = (motion, stretch = null) => between([1, 2], [1, 7], motion, stretch, 0.5, [0, 0]);
  near(at({ kind: "none" }), [1, 2]);
  near(at({ kind: "couple" }, [Math.log(4)]), [1, 2 * 2 + 0.5 * (7 - 2 * 4)]);
  near(at({ kind: "affine", scale: [4, 9], offset: [1, -1] }), [2.5, 5.5]);
  near(at({ kind: "turn", angle: Math.PI }), [-2, 1]);
  near(at({ kind: "mirror", normal: [0, 1] }), [1, 0]);
});

test("words name what a motion does", () => {
  assert.equal(words({ kind: "couple" }), "x₂ eˢ + t");
  assert.equal(words({ kind: "couple" }, false), "x₂ + t");
  assert.equal(words({ kind: "turn", angle: -Math.PI / 4 }), "turned by −45°");
  assert.equal(words({ kind: "turn", words: "a swap" }), "a swap");
});

const kinds = ["none", "none", "couple", "turn", "mirror", "none"];
const film = { last: 5, frames: kinds.map((kind) => ({ motion: { kind } })) };

test("a passage passes every frame on the way, in either direction", () => {
  for (const [from, to] of [[0, 5], [5, 0], [1.4, 3], [3.6, 1], [2, 2.5]]) {
    const journey = passage(film, from, to);
    journey.at(1);
    let before = from;
    const passed = new Set();
    for (let now = 1; now < journey.duration; now += 1) {
      const position = journey.at(now);
      assert.ok(Math.sign(to - from) * (position - before) >= 0);
      passed.add(Math.round(position));
      before = position;
    }
    for (let k = Math.ceil(Math.min(from, to)); k <= Math.max(from, to); k++) assert.ok(passed.has(k), `${k}`);
    assert.equal(journey.at(journey.duration + 2), to);
  }
});

test("a step takes about half a second, the whole film not much more than one", () => {
  assert.equal(passage(film, 1, 2).duration, 500);
  assert.ok(passage(film, 0, 1).duration < 250);
  assert.ok(Math.abs(passage(film, 0, 5).duration - 1200) < 1e-6);
  assert.ok(screening(film, 0).duration > 3000);
  assert.equal(screening(film, 0).to, 5);
});

test("one message at a time is on its way, and the newest is sent next", async () => {
  const sent = [];
  const outbox = new Outbox((value) => sent.push(value));
  for (const x of [1, 2, 3]) outbox.put({ x });
  assert.deepEqual(sent, [{ x: 1, n: 1 }]);
  outbox.answered(0);
  assert.equal(sent.length, 1);
  outbox.answered(1);
  assert.deepEqual(sent.at(-1), { x: 3, n: 2 });
  assert.ok(outbox.waiting);
  outbox.put({ x: 4 });
  outbox.put({ x: 5 }, true);
  assert.deepEqual(sent.at(-1), { x: 5, n: 3 });
  outbox.put({ x: 6 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(sent.at(-1), { x: 6, n: 4 }, "after a while it does not wait for the answer");
  outbox.answered(4);
  assert.ok(!outbox.waiting);
  assert.equal(sent.length, 4);
});
