import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

globalThis.window = new EventTarget();
const { afterPress, watchPress } = await source("kit/js/press.js");

const chip = { closest: (selector) => (selector.startsWith("button") || selector === ".trtcal-root" ? chip : null) };
const elsewhere = { closest: () => null };
const tell = (type, facts = {}, node = window) => node.dispatchEvent(Object.assign(new Event(type), { button: 0, buttons: 0, ...facts }));
const press = (facts = {}) => tell("pointerdown", { target: chip, ...facts });
const timers = () => new Promise((resolve) => setTimeout(resolve, 5));

/** An event whose target is set by hand, which Event does not allow. */
class Event extends globalThis.Event {
  #target = null;
  get target() { return this.#target; }
  set target(node) { this.#target = node; }
}

test("what would be drawn while the mouse is down is drawn once, after the click", async () => {
  const drawn = [];
  const draw = () => drawn.push("drawn");
  press();
  afterPress(draw);
  afterPress(draw);
  assert.deepEqual(drawn, []);
  tell("pointerup");
  drawn.push("clicked"); // in the same turn
  await timers();
  assert.deepEqual(drawn, ["clicked", "drawn"]);
  afterPress(draw);
  assert.equal(drawn.length, 3);
});

test("nothing waits for another button, or where there is nothing to click", () => {
  let drawn = 0;
  press({ button: 2 });
  afterPress(() => { drawn += 1; });
  tell("pointerdown", { target: elsewhere });
  afterPress(() => { drawn += 1; });
  assert.equal(drawn, 2);
});

test("a second press before the timer of the first one is held as well", async () => {
  let drawn = false;
  press();
  tell("pointerup");
  press();
  afterPress(() => { drawn = true; });
  await timers();
  assert.equal(drawn, false);
  tell("pointerup");
  await timers();
  assert.equal(drawn, true);
});

test("a draw that fails takes no other one with it", async () => {
  const said = [];
  globalThis.reportError = (error) => said.push(error.message);
  let drawn = false;
  press();
  afterPress(() => { throw new Error("no"); });
  afterPress(() => { drawn = true; });
  tell("pointerup");
  await timers();
  assert.deepEqual([drawn, said], [true, ["no"]]);
});

test("of changes that build on each other none is lost", async () => {
  const { followEach } = await source("kit/js/model.js");
  const model = new EventTarget();
  Object.assign(model, { on: model.addEventListener, off: model.removeEventListener, get: () => model.patch });
  const read = [];
  let drawn = 0;
  const stop = followEach(model, ["patch"], () => read.push(model.get("patch")), () => { drawn += 1; });
  const change = (patch) => { model.patch = patch; model.dispatchEvent(new Event("change:patch")); };
  press();
  change(1);
  change(2);
  assert.deepEqual([read, drawn], [[1, 2], 0]);
  tell("pointerup");
  await timers();
  assert.deepEqual([read, drawn], [[1, 2], 1]);
  stop();
  change(3);
  assert.deepEqual(read, [1, 2]);
});

for (const [type, facts, ends] of [["pointercancel", {}, true], ["contextmenu", {}, true], ["blur", {}, true],
  ["pointermove", { buttons: 0 }, true], ["pointermove", { buttons: 1 }, false]]) {
  test(`${type} ${JSON.stringify(facts)} ${ends ? "ends the wait: the release may have gone to another window" : "does not"}`, async () => {
    let drawn = false;
    press();
    afterPress(() => { drawn = true; });
    tell(type, facts);
    await timers();
    assert.equal(drawn, ends);
    tell("pointerup");
    await timers();
    assert.equal(drawn, true);
  });
}

test("who listens to a list is told once more when it goes", () => {
  const list = new EventTarget();
  const heard = [];
  const stop = watchPress(list, (pressed) => heard.push(pressed));
  tell("pointerdown", {}, list);
  stop();
  assert.deepEqual(heard, [true, false]);
});
