// The header: what is calibrated, undo and redo, the method for all, messages; it also sets up the root.

import { button, noticeBox, shortcutsHelp } from "../../kit/js/controls.js";
import { h, nameParts, setOptions, setText } from "../../kit/js/dom.js";
import { focusKey, moveKeys, undoKeys } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";
import { setUpRoot, whenAttached } from "../../kit/js/root.js";

const KEYS = [
  ["← →", "one batch back or forward", { ArrowLeft: "back", ArrowRight: "forward" }],
  ...moveKeys("previous or next tensor"), ...focusKey("/", "search tensors", "tc-search"), ...undoKeys("undo", "redo"),
];

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const cleanups = [];
  const title = h("span", { class: "tc-title tc-name", testid: "tc-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-facts" });
  const all = h("select", { class: "tc-select", "aria-label": "Method for all tensors",
    title: "The method for every tensor; choices for single tensors go (undo brings them back)", testid: "tc-method-all",
    on: { change: () => send("choose_all", { method: all.value }) } });
  const mine = h("span", { class: "tc-faint tc-mine-count", testid: "tc-mine-count" });
  const reset = button("reset", "Forget your choices for single tensors (undo brings them back)", "tc-reset-all", () => send("reset_all"), "reset all");
  const undo = button("undo", "Undo your last choice (z)", "tc-undo", () => send("undo"));
  const redo = button("redo", "Make the choice again (Z)", "tc-redo", () => send("redo"));
  const notice = noticeBox("tc-notice", send);
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" }, h("label", { class: "tc-label" }, h("span", { text: "all tensors" }), all), mine, reset, undo, redo, shortcutsHelp(KEYS, "explorer", "tc-keys"))),
    notice.node,
  );
  const update = () => {
    const state = model.get("state");
    if (!state.title) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setOptions(all, state.methods);
    all.value = state.method;
    setText(mine, state.mine ? `${state.mine} of your own` : "");
    reset.disabled = !state.mine;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    notice.show(state.notice);
  };
  cleanups.push(follow(model, ["state"], update));
  cleanups.push(whenAttached(el, (root) => cleanups.push(
    setUpRoot(root, model, { label: "Calibration explorer", testid: "tc-explorer", keys: KEYS }))));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
