// The keys of a screen: one table says what they do, to the browser and to the list of keys.
//
// A line of the table: the keys as people read them, what they do, and per key an event to send or a function of the
// root. "Mod+" is Ctrl, or Cmd on a Mac. A capital letter is one with Shift.

/** Walk the list of a screen: the list that is in the root hears of it. */
export function moveKeys(what) {
  const move = (step) => (root) => root.dispatchEvent(new CustomEvent("tc-move", { detail: step }));
  return [["↑ ↓", what, { ArrowUp: move(-1), ArrowDown: move(1) }]];
}

export function undoKeys(undo, redo) {
  return [["z or Ctrl+Z", undo, { z: "undo", "Mod+z": "undo" }],
    ["Z, y or Ctrl+Y", redo, { Z: "redo", y: "redo", "Mod+Z": "redo", "Mod+y": "redo" }]];
}

/** Put the focus on an element of the root. */
export function focusKey(key, what, testid) {
  return [[key, what, { [key]: (root) => root.querySelector(`[data-testid=${testid}]`)?.focus() }]];
}

/** Whether a key is text for the element that has the focus. */
function typing(target) {
  return target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
}

/** Whether Space does something on an element, other than to scroll the page. */
function takesSpace(target) {
  return target.closest?.("button, summary, input, a[href]");
}

/** Whether a key is pressed with Ctrl, Cmd or Alt: such combinations are JupyterLab's and the browser's, but for a few. */
export function modified(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
}

/** What a field does with Ctrl, Cmd or Alt: mark, copy, undo, walk and delete by words; some with Shift as well. */
const EDITING = /^(a|c|x|y|z|v|backspace|delete|home|end|arrow\w+)$/;
const EDITING_WITH_SHIFT = /^(z|v|backspace|delete|home|end|arrow\w+)$/;

/** Whether a combination changes a text: AltGr, which is Ctrl and Alt on some systems, writes characters. */
function edits({ key, shiftKey, ctrlKey, altKey }) {
  return (ctrlKey && altKey && key.length === 1) || (shiftKey ? EDITING_WITH_SHIFT : EDITING).test(key.toLowerCase());
}

/** What the keys of a screen say to a key that is pressed in it; nothing where it is text for a field. */
function actionOf(actions, { key, target, ctrlKey, metaKey, altKey, shiftKey }) {
  if (altKey || typing(target)) return undefined;
  return actions[ctrlKey || metaKey ? `Mod+${shiftKey ? key.toUpperCase() : key.toLowerCase()}` : key];
}

const actionsOf = (keys) => Object.assign({}, ...keys.map(([, , does]) => does));

/**
 * Whether a key is for the screen alone: every key without Ctrl, Cmd or Alt (x would cut the notebook's cell), and those
 * with it that its table names, or that edit a text. All others are let through: Ctrl+S saves the notebook.
 */
export function holdsKey(event, keys) {
  if (!modified(event)) return true;
  return typing(event.target) ? Boolean(edits(event)) : actionOf(actionsOf(keys), event) !== undefined;
}

/** Keys hold inside the root only; JupyterLab's own are kept off it (z, arrows and x mean something there). */
export function bindKeys(root, keys, send) {
  const actions = actionsOf(keys);
  const onKey = (event) => {
    const { key, target } = event;
    if (event.defaultPrevented || event.altKey || typing(target) || (key === " " && takesSpace(target))) return;
    if (key === " ") event.preventDefault();
    const action = actionOf(actions, event);
    if (!action || (target.type === "range" && key.startsWith("Arrow"))) return;
    event.preventDefault();
    event.stopPropagation();
    if (typeof action === "string") send(action);
    else action(root);
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}
