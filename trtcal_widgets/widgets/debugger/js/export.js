// What one leaves with: the plan, the Q/DQ model, the cache, and the plan in the words of other tools.

import { copyText, helpButton } from "../../kit/js/controls.js";
import { h, setOptions, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const kind = h("select", { class: "tc-select", testid: "tc-dbg-export-kind", "aria-label": "What to export", on: { change: () => send("export_kind", { kind: kind.value }) } });
  const what = h("div", { class: "tc-faint tc-dbg-export-what", testid: "tc-dbg-export-what" });
  const path = h("input", { class: "tc-input tc-path", testid: "tc-dbg-export-path", "aria-label": "File", spellcheck: "false" });
  const write = h("button", { type: "button", class: "tc-button tc-primary-text", testid: "tc-dbg-export-write", on: { click: () => send("export_write", { path: path.value, replace: write.dataset.replace === "yes" }) } });
  path.addEventListener("change", () => send("export_path", { path: path.value }));
  const text = h("pre", { class: "tc-preview tc-dbg-export-text", testid: "tc-dbg-export-text", tabindex: "0" });
  const copy = h("button", { type: "button", class: "tc-button tc-dbg-export-copy", testid: "tc-dbg-export-copy", title: "Copy the text", on: { click: () => copyText(text.textContent, copy) } }, icon("copy"), h("span", { text: "copy" }));
  const box = h("div", { class: "tc-dbg-export-box" }, text, copy);
  const notes = h("div", { class: "tc-dbg-export-notes", testid: "tc-dbg-export-notes" });
  const result = h("div", { class: "tc-result", role: "status", testid: "tc-dbg-export-result" });
  el.append(h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "export" }), kind, helpButton(model.get("help"), "tc-help-dbg-export")),
    what, h("div", { class: "tc-dbg-row" }, path, write), box, notes, result);
  const update = () => {
    const state = model.get("state");
    if (!state.kinds) return;
    setOptions(kind, state.kinds);
    kind.value = state.kind;
    setText(what, state.what);
    if (document.activeElement !== path) path.value = state.path;
    setText(write, state.exists ? "replace" : "write");
    write.dataset.replace = state.exists ? "yes" : "no";
    write.disabled = !state.ready;
    box.hidden = !state.text;
    setText(text, state.text);
    notes.hidden = !state.notes.length;
    notes.replaceChildren(...state.notes.map((note) => h("div", { text: note })));
    setText(result, state.result);
    result.dataset.kind = state.result_kind;
  };
  return follow(model, ["state"], update);
}

export default { render };
