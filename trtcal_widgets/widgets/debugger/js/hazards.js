// What often costs accuracy, found in the graph and in what was measured: the reason and the mend of each.

import { helpButton } from "../../kit/js/controls.js";
import { h, nameParts, setText } from "../../kit/js/dom.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const note = h("span", { class: "tc-faint", testid: "tc-dbg-hazards-note" });
  const list = h("div", { class: "tc-dbg-hazards", testid: "tc-dbg-hazards", tabindex: "0", role: "list", "aria-label": "Hazards" });
  el.append(h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "hazards" }), note, helpButton(model.get("help"), "tc-help-dbg-hazards")), list);
  const makeItem = (item) => {
    const chips = item.tensors.map((tensor) => {
      const node = h("button", { type: "button", class: "tc-member", title: `Look at ${tensor.shown}`, on: { click: () => model.send({ type: "tensor", name: tensor.name }) } });
      const label = h("span", { class: "tc-name" });
      nameParts(label, tensor.shown);
      node.append(label);
      return node;
    });
    return h("div", { class: "tc-dbg-hazard", role: "listitem", "data-severity": item.severity, testid: "tc-dbg-hazard" },
      h("div", { class: "tc-dbg-hazard-head" }, h("span", { class: "tc-dbg-severity", text: item.severity }), h("span", { class: "tc-faint", text: `${item.kind} · ${item.basis}` }), ...chips),
      h("div", { text: item.message }), h("div", { class: "tc-dbg-mend", text: item.mend }), item.cost ? h("div", { class: "tc-faint", text: item.cost }) : null);
  };
  return follow(model, ["state"], () => {
    const state = model.get("state");
    if (!state.items) return;
    setText(note, state.note);
    list.replaceChildren(...state.items.map(makeItem), ...(state.items.length ? [] : [h("div", { class: "tc-faint tc-dbg-none", text: state.empty })]));
  });
}

export default { render };
