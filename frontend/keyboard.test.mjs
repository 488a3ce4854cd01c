import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

const { bindKeys, moveKeys, undoKeys } = await source("kit/js/keyboard.js");

/** A root with keys on it; `press` says what was sent, and whether the page was kept from seeing the key. */
function screen(keys) {
  const root = new EventTarget();
  const sent = [];
  const unbind = bindKeys(root, keys, (type) => sent.push(type));
  const press = (key, { on = null, ...modifiers } = {}) => {
    const event = Object.assign(new Event("keydown", { cancelable: true }), { key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false }, modifiers);
    Object.defineProperty(event, "target", { value: { type: on, closest: (selector) => on && selector.includes(on) } });
    sent.length = 0;
    root.dispatchEvent(event);
    return { sent: [...sent], kept: event.defaultPrevented };
  };
  return { root, press, unbind };
}

test("undo and redo, with and without Ctrl or Cmd", () => {
  const { press, unbind } = screen(undoKeys("undo", "redo"));
  for (const how of [["z"], ["z", { ctrlKey: true }], ["z", { metaKey: true }]]) assert.deepEqual(press(...how), { sent: ["undo"], kept: true });
  for (const how of [["Z", { shiftKey: true }], ["y"], ["y", { ctrlKey: true }], ["Z", { ctrlKey: true, shiftKey: true }], ["z", { metaKey: true, shiftKey: true }]]) {
    assert.deepEqual(press(...how), { sent: ["redo"], kept: true });
  }
  assert.deepEqual(press("z", { altKey: true }), { sent: [], kept: false });
  assert.deepEqual(press("r", { ctrlKey: true }), { sent: [], kept: false });
  assert.deepEqual(press("z", { on: "textarea", ctrlKey: true }), { sent: [], kept: false });
  unbind();
  assert.deepEqual(press("z"), { sent: [], kept: false });
});

test("Space scrolls no page, and presses the button that has the focus", () => {
  const { press } = screen([["Space", "nothing", {}]]);
  assert.deepEqual(press(" "), { sent: [], kept: true });
  assert.deepEqual(press(" ", { on: "button" }), { sent: [], kept: false });
});

test("arrows walk the list that listens", () => {
  const { root, press } = screen(moveKeys("previous or next row"));
  const steps = [];
  root.addEventListener("tc-move", (event) => steps.push(event.detail));
  press("ArrowDown");
  press("ArrowUp");
  press("ArrowUp", { on: "range" });
  assert.deepEqual(steps, [1, -1]);
});
