// The chosen tensor: what it is, which layer quantises it, and what other thresholds would give.

import { copyButton, helpButton } from "../../kit/js/controls.js";
import { h, LONG_TAIL, nameParts, setText, toggle } from "../../kit/js/dom.js";
import { kindOf, marker } from "../../kit/js/icons.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const name = h("span", { class: "tc-title tc-name", testid: "tc-dbg-tensor" });
  const copy = copyButton("Copy the tensor's name", "tc-dbg-copy-name", () => name.dataset.whole);
  const facts = h("span", { class: "tc-facts", testid: "tc-dbg-tensor-facts" });
  const inputs = h("div", { class: "tc-dbg-inputs", testid: "tc-dbg-inputs" });
  const trials = h("div", { class: "tc-dbg-trials", testid: "tc-dbg-trials" });
  const tryAll = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-try", text: "try other methods", on: { click: () => send("try") } });
  const why = h("span", { class: "tc-faint", testid: "tc-dbg-try-why" });
  el.append(
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "chosen tensor" }),
      h("div", { class: "tc-detail-name tc-dbg-tensor-name" }, name, copy), facts, helpButton(model.get("help"), "tc-help-dbg-detail")),
    h("div", { class: "tc-dbg-row tc-dbg-try-row" }, inputs, h("span", { class: "tc-dbg-grow" }), why, tryAll), trials);
  const makeInput = (input) => {
    const node = h("button", { type: "button", class: "tc-member", title: input.title, on: { click: () => send("tensor", { name: input.name }) } });
    const label = h("span", { class: "tc-name" });
    nameParts(label, input.shown, input.title);
    node.append(label);
    toggle(node, "data-current", input.current);
    return node;
  };
  const makeTrial = (trial) => h("button", { type: "button", class: "tc-method tc-dbg-trial", "aria-pressed": String(trial.chosen), testid: `tc-dbg-trial-${trial.method}`,
    title: trial.title, on: { click: () => send("use", { method: trial.method }) } },
    marker(kindOf(trial.label)), h("span", { text: trial.label }), h("span", { class: "tc-number", text: trial.amax }),
    h("strong", { text: trial.value }), h("span", { class: "tc-number", text: trial.sqnr }), trial.best ? h("span", { class: "tc-dbg-best", text: "best" }) : null);
  const update = () => {
    const state = model.get("state");
    if (!state.name && state.name !== "") return;
    nameParts(name, state.shown, state.shown, LONG_TAIL);
    name.dataset.whole = state.name;
    setText(facts, state.facts);
    facts.title = state.facts;
    inputs.replaceChildren(h("span", { class: "tc-faint", text: state.inputs_label }), ...state.inputs.map(makeInput));
    tryAll.disabled = !state.can_try;
    tryAll.title = state.try_title;
    setText(why, state.why);
    trials.hidden = !state.trials.length;
    trials.replaceChildren(h("span", { class: "tc-faint", text: "with its threshold by" }), ...state.trials.map(makeTrial),
      h("span", { class: "tc-faint", testid: "tc-dbg-advice", text: state.advice }));
  };
  return follow(model, ["state"], update);
}

export default { render };
