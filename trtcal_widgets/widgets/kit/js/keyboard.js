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

/** Keys hold inside the root only; JupyterLab's own are kept off it (z, arrows and x mean something there). */
export function bindKeys(root, keys, send) {
  const actions = Object.assign({}, ...keys.map(([, , does]) => does));
  const onKey = (event) => {
    const { key, target } = event;
    if (event.defaultPrevented || event.altKey || typing(target) || (key === " " && takesSpace(target))) return;
    if (key === " ") event.preventDefault();
    const modifier = event.ctrlKey || event.metaKey;
    const action = actions[modifier ? `Mod+${event.shiftKey ? key.toUpperCase() : key.toLowerCase()}` : key];
    if (!action || (target.type === "range" && key.startsWith("Arrow"))) return;
    event.preventDefault();
    event.stopPropagation();
    if (typeof action === "string") send(action);
    else action(root);
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}
