// A panel's title and its "what am I seeing".

import { helpButton } from "./controls.js";
import { h, setText } from "./dom.js";
import { follow } from "./model.js";

function render({ model, el }) {
  const title = h("span", { class: "tc-panel-title" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: `tc-note-${model.get("name")}` });
  // What the panel can do, where it can do something: a button that sends an event of its own.
  const act = h("button", { type: "button", class: "tc-chip", testid: `tc-act-${model.get("name")}`, on: { click: () => model.send({ type: model.get("state").action.type }) } });
  el.append(h("div", { class: "tc-panel-head" }, title, note, act, helpButton(model.get("help"), `tc-help-${model.get("name")}`)));
  return follow(model, ["state"], () => {
    setText(title, model.get("state").title ?? "");
    setText(note, model.get("state").note ?? "");
    note.title = model.get("state").note ?? "";
    const { action } = model.get("state");
    act.hidden = !action;
    setText(act, action?.text ?? "");
    act.title = action?.title ?? "";
  });
}

export default { render };
