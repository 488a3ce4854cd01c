import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

const { layered, neighbourOf, BOX_HEIGHT } = await source("kit/js/layered.js");

const RESIDUAL = { count: 8, edges: [[0, 1], [1, 2], [2, 3], [3, 4], [0, 4], [4, 5], [5, 6], [5, 7]] };
const CONCAT = { count: 10, edges: Array.from({ length: 8 }, (_, i) => [i, 8]).concat([[8, 9]]) };
const HEADS = { count: 9, edges: [[0, 1], [2, 3], [3, 4], [1, 4], [4, 5], [5, 6], [5, 7], [6, 7], [7, 8]] };
const DENSE = { count: 7, edges: [0, 1, 2, 3, 4, 5].flatMap((a) => [1, 2, 3, 4, 5, 6].filter((b) => b > a).map((b) => [a, b])) };
const LONELY = { count: 1, edges: [] };

/** Points of a path of M, C and H, close to each other. */
function points(path) {
  const found = [];
  let at = null;
  for (const [, command, rest] of path.matchAll(/([MCH])([^MCH]*)/g)) {
    const n = rest.trim().split(/[ ,]+/).map(Number);
    const from = at;
    if (command === "M") at = { x: n[0], y: n[1] };
    else if (command === "H") at = { x: n[0], y: from.y };
    else at = { x: n[4], y: n[5] };
    for (let t = 0; t <= 1 && from; t += 0.02) {
      const [u, v] = [1 - t, t];
      const along = (a, b, c, d) => u * u * u * a + 3 * u * u * v * b + 3 * u * v * v * c + v * v * v * d;
      found.push(command === "C" ? { x: along(from.x, n[0], n[2], at.x), y: along(from.y, n[1], n[3], at.y) } : { x: from.x + t * (at.x - from.x), y: from.y });
    }
  }
  return found;
}

for (const [name, { count, edges }] of Object.entries({ RESIDUAL, CONCAT, HEADS, DENSE, LONELY })) {
  for (const room of [320, 860, 1250, 2400]) {
    test(`${name} in ${room} pixels: boxes stand apart and no edge runs through one`, () => {
      const { boxes, paths, boxWidth, width, height } = layered(count, edges, room);
      boxes.forEach((a, i) => {
        assert.ok(a.x >= 0 && a.x + boxWidth <= width + 0.5 && a.y >= 0 && a.y + BOX_HEIGHT <= height + 0.5);
        for (const b of boxes.slice(i + 1)) {
          assert.ok(a.x + boxWidth < b.x || b.x + boxWidth < a.x || a.y + BOX_HEIGHT < b.y || b.y + BOX_HEIGHT < a.y, `${i} lies over another one`);
        }
      });
      edges.forEach(([from, to], k) => {
        assert.ok(boxes[from].x + boxWidth < boxes[to].x, "what is made stands right of what it is made from");
        const path = points(paths[k]);
        assert.ok(Math.abs(path[0].x - boxes[from].x - boxWidth) < 1 && Math.abs(path.at(-1).x - boxes[to].x) < 3);
        for (const { x, y } of path) {
          boxes.forEach((box, i) => {
            const inside = x > box.x + 1 && x < box.x + boxWidth - 1 && y > box.y + 1 && y < box.y + BOX_HEIGHT - 1;
            assert.ok(!inside || i === from || i === to, `edge ${from} to ${to} runs through ${i}`);
          });
        }
      });
    });
  }
}

test("what is read together stands in graph order, from top to bottom", () => {
  const { boxes } = layered(CONCAT.count, CONCAT.edges, 1000);
  const tops = boxes.slice(0, 8).map(({ y }) => y);
  assert.deepEqual(tops, [...tops].sort((a, b) => a - b));
});

test("the same graph has the same picture", () => {
  assert.deepEqual(layered(HEADS.count, HEADS.edges, 900), layered(HEADS.count, HEADS.edges, 900));
});

test("arrow keys walk along edges and within a column", () => {
  const { boxes } = layered(CONCAT.count, CONCAT.edges, 1000);
  const walk = (key, from) => neighbourOf(key, from, CONCAT.edges, boxes);
  assert.equal(walk("ArrowRight", 0), 8);
  assert.equal(walk("ArrowRight", 8), 9);
  assert.equal(walk("ArrowRight", 9), -1);
  assert.ok([3, 4].includes(walk("ArrowLeft", 8)), "the nearest of the eight");
  assert.equal(walk("ArrowLeft", 0), -1);
  assert.equal(walk("ArrowDown", 0), 1);
  assert.equal(walk("ArrowUp", 1), 0);
  assert.equal(walk("ArrowUp", 0), -1);
  assert.equal(walk("ArrowDown", 7), -1);
});
