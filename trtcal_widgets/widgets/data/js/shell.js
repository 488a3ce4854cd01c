// The header: whose data, the bar, examine and cancel, the verdict in three lines; it also sets up the root.

import { button, helpButton, noticeBox, shortcutsHelp } from "../../kit/js/controls.js";
import { h, nameParts, setOptions, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { focusKey, moveKeys, undoKeys } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";
import { setUpRoot, whenAttached } from "../../kit/js/root.js";

/** Walk the samples: the strip that is in the root hears of it. */
const walk = (step) => (root) => root.dispatchEvent(new CustomEvent("tc-sample", { detail: step }));

const KEYS = [
  ...moveKeys("previous or next tensor"),
  ["← →", "previous or next sample or batch", { ArrowLeft: walk(-1), ArrowRight: walk(1) }],
  ["x", "leave the chosen sample or batch out, or count it again", { x: (root) => root.dispatchEvent(new CustomEvent("tc-leave-out")) }],
  ...focusKey("/", "search tensors", "tc-data-search"),
  ["e", "examine", { e: "examine" }], ["Esc", "cancel", { Escape: "cancel" }], ...undoKeys("undo", "redo"),
];
const MARKS = { ok: "done", bad: "warn", unsure: "search", none: "search" };

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const title = h("span", { class: "tc-title tc-name tc-own", testid: "tc-data-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-data-facts" });
  const bar = h("select", { class: "tc-select", "aria-label": "Bar", testid: "tc-data-bar",
    title: "By how much the SQNR of a tensor may be off before it counts as not settled; what is shown is examined anew",
    on: { change: () => send("bar", { db: Number(bar.value) }) } });
  const run = h("button", { type: "button", class: "tc-button tc-primary-text", testid: "tc-data-examine", title: "Examine the counted batches (e)", text: "examine",
    on: { click: () => send("examine") } });
  const undo = button("undo", "Undo (z)", "tc-data-undo", () => send("undo"));
  const redo = button("redo", "Redo (Z)", "tc-data-redo", () => send("redo"));
  for (const node of [undo, redo]) node.classList.add("tc-own");
  const cancel = button("cancel", "Stop examining; what was found before stays (Esc)", "tc-data-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const fill = h("div", { class: "tc-data-progress-fill" });
  const progress = h("div", { class: "tc-data-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100, testid: "tc-data-progress" }, fill);
  const status = h("span", { class: "tc-data-status-text", role: "status", testid: "tc-data-status" });
  const lines = h("ul", { class: "tc-data-lines", "aria-live": "polite", testid: "tc-data-verdict" });
  const notice = noticeBox("tc-data-notice", send);
  el.append(
    h("div", { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" }, h("label", { class: "tc-label" }, h("span", { text: "may be off by" }), bar), run, undo, redo, shortcutsHelp(KEYS, "data doctor", "tc-data-keys"))),
    h("div", { class: "tc-data-top" },
      h("div", { class: "tc-data-verdict" }, lines, helpButton(model.get("help"), "tc-help-data-verdict")),
      h("div", { class: "tc-data-status" }, progress, status, cancel)),
    notice.node,
  );
  const update = () => {
    const state = model.get("state");
    if (state.title === undefined) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setOptions(bar, state.bars);
    bar.value = String(state.bar);
    run.disabled = state.running || !state.can_examine;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    el.dataset.stale = String(state.stale);
    lines.replaceChildren(...state.lines.map(({ text, kind }) => {
      const line = h("li", { title: text }, icon(MARKS[kind]), h("span", { text }));
      line.dataset.kind = kind;
      return line;
    }));
    progress.hidden = cancel.hidden = !state.running;
    fill.style.width = `${state.percent ?? 0}%`;
    progress.setAttribute("aria-valuenow", state.percent ?? 0);
    setText(status, state.status);
    status.dataset.kind = state.status_kind;
    notice.show(state.notice);
  };
  const cleanups = [
    follow(model, ["state"], update),
    whenAttached(el, (root) => cleanups.push(setUpRoot(root, model, { label: "Data doctor", testid: "tc-data", keys: KEYS }))),
  ];
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
