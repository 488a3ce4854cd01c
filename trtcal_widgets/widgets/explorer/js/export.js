// What do I take away: the header, which rows, the text, the file.

import { button, helpButton } from "../../kit/js/controls.js";
import { h, setOptions, setText } from "../../kit/js/dom.js";
import { modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const change = () => send("export_set", { algorithm: algorithm.value, version: version.value, rows: rows.value, path: path.value });
  const select = (label, title, testid) => h("select", { class: "tc-select", "aria-label": label, title, testid, on: { change } });
  const input = (label, title, testid, kind) => h("input", { class: `tc-input ${kind}`, type: "text", spellcheck: "false", autocomplete: "off", "aria-label": label, title, testid, on: { change } });
  const algorithm = select("Calibrator", "The calibrator class that TensorRT will be given the cache with", "tc-export-algorithm");
  const version = input("TensorRT version", "The TensorRT version that will read the cache, such as 8.6.1 or 10.16.1", "tc-export-version", "tc-version");
  const rows = select("Rows", "Which tensors get a row", "tc-export-rows");
  const path = input("File", "Where to write; relative to the folder of the notebook's kernel", "tc-export-path", "tc-path");
  const write = button(null, "Write the cache", "tc-export-write", () => send("export_write", { algorithm: algorithm.value, version: version.value, rows: rows.value, path: path.value, replace: Boolean(model.get("state").exists) }), "write");
  write.classList.add("tc-primary-text");
  const label = (text, node) => h("label", { class: "tc-label" }, h("span", { text }), node);
  const summary = h("span", { class: "tc-mono", testid: "tc-export-summary" });
  const result = h("div", { class: "tc-result", role: "status", testid: "tc-export-result" });
  const preview = h("pre", { class: "tc-preview", testid: "tc-export-preview", tabindex: "0", "aria-label": "Preview of the file" });
  const details = h("details", { class: "tc-preview-box", testid: "tc-export-preview-box", on: { toggle: () => send("export_preview", { open: details.open }) } },
    h("summary", { text: "preview" }), preview);
  path.addEventListener("keydown", (event) => { if (event.key === "Enter" && !modified(event)) { event.preventDefault(); change(); } });
  el.append(h("div", { class: "tc-export" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "export" }), summary, helpButton(model.get("help"), "tc-help-export")),
    h("div", { class: "tc-export-row" }, label("calibrator", algorithm), label("TensorRT", version), label("rows", rows), label("file", path), write),
    result, details));
  const set = (node, value) => { if (document.activeElement !== node || node.tagName === "SELECT") node.value = value; };
  return follow(model, ["state"], () => {
    const state = model.get("state");
    if (!state.algorithms) return;
    setOptions(algorithm, state.algorithms);
    setOptions(rows, state.row_choices);
    set(algorithm, state.algorithm);
    set(rows, state.rows);
    set(version, state.version);
    set(path, state.path);
    setText(summary, state.summary);
    summary.title = state.summary;
    setText(result, state.result);
    result.dataset.kind = state.result_kind;
    setText(write.querySelector("span"), state.exists ? "replace" : "write");
    write.title = state.exists ? "The file exists already: replace it" : "Write the cache";
    write.setAttribute("aria-label", write.title);
    write.disabled = !state.ready;
    setText(preview, state.preview);
    if (details.open !== state.open) details.open = state.open;
  });
}

export default { render };
