// The chosen tensor: what it is, which threshold holds, the methods to pick from.

import { button, copyButton, helpButton } from "../../kit/js/controls.js";
import { h, LONG_TAIL, nameParts, setOptions, setText } from "../../kit/js/dom.js";
import { icon, marker } from "../../kit/js/icons.js";
import { modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const name = h("span", { class: "tc-title tc-name", testid: "tc-tensor-name" });
  const copy = copyButton("Copy the tensor's name", "tc-copy-name", () => model.get("state").name);
  const facts = h("div", { class: "tc-facts", testid: "tc-tensor-facts" });
  const notes = h("div", { class: "tc-notes", testid: "tc-notes" });
  const method = h("select", { class: "tc-select", "aria-label": "Method for this tensor", title: "The method that picks this tensor's threshold (and that of all that share its scale)", testid: "tc-method",
    on: { change: () => (method.value === "" ? send("reset") : send("choose", { method: method.value })) } });
  const amax = h("input", { class: "tc-input tc-amax", type: "text", inputmode: "decimal", spellcheck: "false", autocomplete: "off", "aria-label": "amax: the threshold, exactly", title: "The threshold, exactly. Type a value, or the scale in hex as TensorRT's cache writes it (0x3c008912), and press Enter.", testid: "tc-amax" });
  const commit = () => {
    if (amax.value.trim() === amax.dataset.sent) return;
    send("choose", { amax: amax.value.trim() });
  };
  amax.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    if (event.key === "Enter") { event.preventDefault(); commit(); amax.select(); }
    if (event.key === "Escape") { amax.value = amax.dataset.sent; amax.blur(); }
  });
  amax.addEventListener("blur", commit);
  const reset = button("reset", "Back to the method for all tensors", "tc-reset", () => send("reset"), "reset");
  const scaleButton = (value, text, label) => h("button", { type: "button", class: "tc-segment", text, title: label, testid: `tc-counts-${value}`, on: { click: () => send("counts", { scale: value }) } });
  const log = scaleButton("log", "log", "Counts on a log axis: rare large values can be seen");
  const linear = scaleButton("linear", "linear", "Counts on a linear axis: most values can be seen");
  const hold = h("button", { type: "button", class: "tc-chip", "aria-pressed": "false", text: "hold", testid: "tc-hold",
    title: "Hold this tensor's histogram: it is laid as an outline over the next tensor that you choose", on: { click: () => send("hold") } });
  const overName = h("span", { class: "tc-name" });
  const over = h("button", { type: "button", class: "tc-method tc-over", testid: "tc-over", on: { click: () => send("release") } },
    h("span", { class: "tc-over-line" }), overName, icon("cancel"));
  const chips = h("div", { class: "tc-methods", role: "group", "aria-label": "Thresholds of the methods; press to choose one", testid: "tc-methods" });
  el.append(
    h("div", { class: "tc-detail" },
      h("div", { class: "tc-detail-top" },
        h("div", { class: "tc-detail-what" }, h("div", { class: "tc-detail-name" }, name, copy), facts),
        h("div", { class: "tc-detail-axis" }, hold, h("span", { class: "tc-segments", role: "group", "aria-label": "Counts axis" }, log, linear), helpButton(model.get("help"), "tc-help-histogram")),
        h("div", { class: "tc-detail-do" },
          h("label", { class: "tc-label" }, h("span", { text: "method" }), method),
          h("label", { class: "tc-label" }, h("span", { text: "amax" }), amax), reset)),
      notes,
      h("div", { class: "tc-detail-legend" }, chips, over)));

  const chipOf = (mark, editable) => {
    const node = h("button", { type: "button", class: "tc-method", testid: `tc-mark-${mark.kind}`, title: mark.title,
      "aria-pressed": String(mark.chosen), on: { click: () => send("choose", { method: mark.key }) } });
    node.disabled = !editable || mark.kind === "mine" || !mark.known;
    node.dataset.kind = mark.kind;
    node.append(marker(mark.kind, 12), h("span", { text: mark.label }), h("span", { class: "tc-number", text: mark.text }));
    return node;
  };
  let drawn = "";
  const update = () => {
    const state = model.get("state");
    if (!state.shown) return;
    nameParts(name, state.shown, state.name, LONG_TAIL);
    setText(facts, state.facts);
    facts.title = state.facts_title;
    setOptions(method, state.methods);
    method.value = state.method;
    method.disabled = amax.disabled = !state.editable;
    // What the user is typing is not overwritten by a batch that comes in.
    if (document.activeElement !== amax || amax.value === amax.dataset.sent) amax.value = state.amax;
    amax.dataset.sent = state.amax;
    reset.disabled = !state.mine;
    hold.setAttribute("aria-pressed", String(Boolean(state.held)));
    over.hidden = !state.over;
    nameParts(overName, state.over ?? "");
    over.title = `${state.over_title}; press to let go`;
    over.setAttribute("aria-label", `Let go of ${state.over_title}`);
    log.setAttribute("aria-pressed", String(state.counts === "log"));
    linear.setAttribute("aria-pressed", String(state.counts === "linear"));
    notes.replaceChildren(...state.notes.map((note) => h("span", { class: "tc-note" }, icon("warn"), h("span", { text: note }))));
    notes.hidden = !state.notes.length;
    const key = JSON.stringify([state.marks, state.editable]);
    if (key !== drawn) {
      drawn = key;
      const focused = [...chips.children].indexOf(document.activeElement);
      chips.replaceChildren(...state.marks.map((mark) => chipOf(mark, state.editable)));
      if (focused >= 0) chips.children[focused]?.focus();
    }
  };
  // An amax that was refused comes back as it was before.
  const onMessage = (message) => {
    if (message?.type === "refused") amax.value = amax.dataset.sent;
  };
  model.on("msg:custom", onMessage);
  const stop = follow(model, ["state"], update);
  return () => {
    model.off("msg:custom", onMessage);
    stop();
  };
}

export default { render };
