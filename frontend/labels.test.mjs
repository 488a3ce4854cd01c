import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

const { spread, withLabelsAsSeen } = await source("kit/js/labels.js");

const box = (left, width, bottom = 50) => ({ left, right: left + width, top: bottom - 16, bottom });
const plot = { left: 0, right: 300, top: 0 };

test("labels that have room stay where they are", () => {
  assert.deepEqual(spread([box(10, 50), box(70, 50), box(75, 50, 37)], plot), [{ x: 0, y: 0 }, { x: 0, y: 0 }, { x: 0, y: 0 }]);
});

test("a label over another one goes up, past those that are there", () => {
  assert.deepEqual(spread([box(10, 50), box(40, 50), box(45, 50, 37)], plot), [{ x: 0, y: 0 }, { x: 0, y: 13 }, { x: 0, y: 13 }]);
});

test("what would be cut at an edge moves in, and none goes beyond the top", () => {
  assert.deepEqual(spread([box(-8, 50), box(280, 50)], plot), [{ x: 8, y: 0 }, { x: -30, y: 0 }]);
  const steps = spread(Array.from({ length: 9 }, () => box(10, 50)), plot);
  assert.ok(steps.every(({ y }) => 34 - y >= 0));
});

test("a picture has its labels where they are seen", () => {
  const nodes = [{ dataset: { index: "1", step: "-3 13" } }, { dataset: { index: "7", step: "0 0" } }];
  const layout = withLabelsAsSeen({ querySelectorAll: () => nodes }, { annotations: [{ yshift: 1 }, { yshift: 14 }] });
  assert.deepEqual(layout.annotations, [{ yshift: 1 }, { yshift: 27, xshift: -3 }]);
});
