// The debugger's header: what is judged, run and cancel, how far it is, what is out of date; it also sets up the root.

import { button, noticeBox, shortcutsHelp } from "../../kit/js/controls.js";
import { h, nameParts, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { moveKeys, undoKeys } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";
import { setUpRoot, whenAttached } from "../../kit/js/root.js";

const KEYS = [
  ...moveKeys("previous or next layer"),
  ["k", "keep the layer in higher precision, or quantise it again", { k: (root) => root.dispatchEvent(new CustomEvent("tc-keep")) }],
  ["r", "run, or refresh", { r: "run" }], ["Esc", "cancel", { Escape: "cancel" }],
  ...undoKeys("undo the last change of the plan", "make it again"),
];

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const cleanups = [];
  const title = h("span", { class: "tc-title tc-name", testid: "tc-dbg-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-dbg-facts" });
  const runText = h("span");
  const run = h("button", { type: "button", class: "tc-button tc-primary-text tc-dbg-run", testid: "tc-dbg-run", on: { click: () => send("run") } }, runText);
  const cancel = button("cancel", "Stop at the next step; what is complete is kept (Esc)", "tc-dbg-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const auto = h("input", { type: "checkbox", testid: "tc-dbg-auto", on: { change: () => send("auto", { on: auto.checked }) } });
  const undo = button("undo", "Undo the last change of the plan (z)", "tc-dbg-undo", () => send("undo"));
  const redo = button("redo", "Make the change of the plan again (Z)", "tc-dbg-redo", () => send("redo"));
  const bar = h("div", { class: "tc-dbg-progress-fill" });
  const progress = h("div", { class: "tc-dbg-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100, testid: "tc-dbg-progress" }, bar);
  const text = h("div", { class: "tc-dbg-status-text", testid: "tc-dbg-status", "aria-live": "polite" });
  const stale = h("div", { class: "tc-dbg-stale", role: "status", testid: "tc-dbg-stale", hidden: true });
  const staleText = h("div", { class: "tc-dbg-stale-text" });
  stale.append(icon("warn"), staleText, h("button", { type: "button", class: "tc-button", testid: "tc-dbg-refresh", text: "refresh", title: "Run again with the session's thresholds of now (r)", on: { click: () => send("run") } }));
  const failure = h("pre", { class: "tc-dbg-failure", role: "alert", testid: "tc-dbg-failure", hidden: true });
  const notice = noticeBox("tc-dbg-notice", send);
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" },
        h("label", { class: "tc-label", title: "Run again by itself whenever a threshold changes in the session" }, auto, h("span", { text: "auto" })),
        run, undo, redo, shortcutsHelp(KEYS, "debugger", "tc-dbg-keys"))),
    h("div", { class: "tc-dbg-status" }, progress, text, cancel), stale, failure, notice.node,
  );
  const update = () => {
    const state = model.get("state");
    if (!state.title) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setText(runText, state.run_label);
    run.disabled = state.running;
    run.title = state.run_title;
    auto.checked = state.auto;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    cancel.hidden = progress.hidden = !state.running;
    progress.dataset.known = String(state.percent !== null);
    bar.style.width = state.percent === null ? "30%" : `${state.percent}%`;
    if (state.percent !== null) progress.setAttribute("aria-valuenow", state.percent);
    else progress.removeAttribute("aria-valuenow");
    setText(text, state.text);
    text.title = state.text;
    text.dataset.kind = state.text_kind;
    stale.hidden = !state.stale || state.running;
    if (state.stale) setText(staleText, state.stale);
    el.closest(".trtcal-root")?.classList.toggle("tc-dbg-old", Boolean(state.stale));
    failure.hidden = !state.failure;
    setText(failure, state.failure);
    notice.show(state.notice);
  };
  cleanups.push(follow(model, ["state"], update));
  cleanups.push(whenAttached(el, (root) => cleanups.push(
    setUpRoot(root, model, { label: "Accuracy debugger", testid: "tc-debugger", keys: KEYS }))));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
