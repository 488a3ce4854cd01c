// What often spoils a calibration and was found here: the cause, the numbers behind it, what to do.

import { helpButton } from "../../kit/js/controls.js";
import { h, setText } from "../../kit/js/dom.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const count = h("span", { class: "tc-faint" });
  const rows = h("div", { class: "tc-data-warning-rows", tabindex: "0", role: "list", "aria-label": "Warnings", testid: "tc-data-warnings" });
  el.append(h("div", { class: "tc-data-warnings" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "what stands out" }), count, helpButton(model.get("help"), "tc-help-data-warnings")), rows));
  const links = (label, entries, type, key) => {
    if (!entries.length) return null;
    return h("div", { class: "tc-data-links" }, h("span", { class: "tc-faint", text: label }), ...entries.map(([value, text]) =>
      h("button", { type: "button", class: "tc-member", text, title: text, on: { click: () => send(type, { [key]: value }) } })));
  };
  const update = () => {
    const state = model.get("state");
    if (!state.warnings) return;
    setText(count, state.warnings.length ? String(state.warnings.length) : "");
    rows.replaceChildren(...state.warnings.map((warning) => {
      const node = h("div", { class: "tc-data-warning", role: "listitem", testid: "tc-data-warning" },
        h("div", {}, h("span", { class: "tc-data-severity", text: warning.severity }), h("span", { class: "tc-faint", text: ` · ${warning.sure}` })),
        h("div", { text: warning.what }), h("div", { class: "tc-faint", text: warning.evidence }),
        links(warning.unit, warning.marks, "sample", "sample"), links("tensors", warning.tensors, "select_name", "name"),
        h("div", { class: "tc-data-mend", text: warning.mend }));
      node.dataset.severity = warning.severity;
      return node;
    }));
    if (!state.warnings.length) rows.append(h("div", { class: "tc-empty", text: state.empty }));
  };
  return follow(model, ["state"], update);
}

export default { render };
