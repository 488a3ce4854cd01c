// What the threshold costs: every number with its unit, exact on hover, copied with one click.

import { copyButton, helpButton } from "./controls.js";
import { h, nameParts, setText, toggle } from "./dom.js";
import { follow } from "./model.js";

function render({ model, el }) {
  const grid = h("div", { class: "tc-numbers", role: "list", "aria-label": "Numbers of the chosen tensor", testid: "tc-numbers" });
  const members = h("div", { class: "tc-members", testid: "tc-members" });
  el.append(h("div", { class: "tc-numbers-panel" }, grid, helpButton(model.get("help"), "tc-help-numbers")), members);
  const cells = new Map();
  const makeCell = (key) => {
    const label = h("span", { class: "tc-number-label" });
    const value = h("span", { class: "tc-number-value", testid: `tc-number-${key}` });
    const copy = copyButton("Copy", `tc-copy-${key}`, () => value.dataset.exact);
    const cell = h("div", { class: "tc-cell", role: "listitem" }, label, h("div", { class: "tc-cell-value" }, value, copy));
    return { cell, label, value, copy };
  };
  const update = () => {
    const state = model.get("state");
    if (!state.numbers) return;
    for (const number of state.numbers) {
      if (!cells.has(number.key)) {
        cells.set(number.key, makeCell(number.key));
        grid.append(cells.get(number.key).cell);
      }
      const { cell, label, value, copy } = cells.get(number.key);
      setText(label, number.label);
      setText(value, number.text);
      value.dataset.exact = number.exact;
      cell.title = `${number.help}\nexactly ${number.exact}`;
      copy.title = `Copy ${number.exact}`;
      copy.setAttribute("aria-label", `Copy ${number.label}: ${number.exact}`);
    }
    const shown = state.members;
    members.hidden = shown.length < 2;
    members.replaceChildren(h("span", { class: "tc-faint", text: `one scale for ${shown.length} tensors:` }), ...shown.map((member) => {
      const node = h("button", { type: "button", class: "tc-member", on: { click: () => model.send({ type: "select_name", name: member.name }) } });
      const name = h("span", { class: "tc-name" });
      nameParts(name, member.shown, member.name);
      node.append(name);
      if (member.leader) node.append(h("span", { class: "tc-faint", text: "decides" }));
      toggle(node, "data-current", member.current);
      node.title = member.leader ? `${member.shown}: its histogram decides for the group` : member.shown;
      return node;
    }));
  };
  return follow(model, ["state"], update);
}

export default { render };
