// A panel's title and its "what am I seeing".

import { helpButton } from "./controls.js";
import { h, setText } from "./dom.js";
import { follow } from "./model.js";

function render({ model, el }) {
  const title = h("span", { class: "tc-panel-title" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: `tc-note-${model.get("name")}` });
  el.append(h("div", { class: "tc-panel-head" }, title, note, helpButton(model.get("help"), `tc-help-${model.get("name")}`)));
  return follow(model, ["state"], () => {
    setText(title, model.get("state").title ?? "");
    setText(note, model.get("state").note ?? "");
    note.title = model.get("state").note ?? "";
  });
}

export default { render };
