import assert from "node:assert/strict";
import test from "node:test";

import { source } from "./source.mjs";

const { bindKeys, holdsKey, moveKeys, undoKeys } = await source("kit/js/keyboard.js");

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

test("a screen holds its own combinations and those that edit a text, and lets all others through", () => {
  const keys = [...undoKeys("undo", "redo"), ["/", "search", { "/": "search" }]];
  const held = (combination, on = null) => {
    const parts = combination.split("+");
    const key = parts.pop();
    const has = (name) => parts.includes(name);
    const target = { closest: (selector) => on && selector.includes(on) };
    return holdsKey({ key, target, ctrlKey: has("Ctrl"), metaKey: has("Cmd"), altKey: has("Alt"), shiftKey: has("Shift") }, keys);
  };
  for (const key of ["x", "/", "Escape", " ", "Shift+M", "ArrowDown", "Ctrl+z", "Cmd+z", "Ctrl+Shift+Z", "Ctrl+y"]) assert.ok(held(key), key);
  for (const key of ["Ctrl+s", "Cmd+s", "Ctrl+Shift+S", "Ctrl+b", "Alt+w", "Alt+z", "Ctrl+f", "Ctrl+/", "Ctrl+Shift+C", "Ctrl+a"]) assert.ok(!held(key), key);
  for (const key of ["Ctrl+a", "Ctrl+c", "Cmd+x", "Ctrl+v", "Ctrl+z", "Alt+Backspace", "Ctrl+Shift+ArrowLeft", "Ctrl+Alt+@", "y"]) assert.ok(held(key, "textarea"), key);
  for (const key of ["Ctrl+s", "Ctrl+Shift+C", "Alt+w", "Ctrl+Enter", "Ctrl+Shift+X"]) assert.ok(!held(key, "textarea"), key);
});
