// The samples that set the chosen tensor's maximum: who they are, what is theirs, what changes without them.

import { helpButton } from "../../kit/js/controls.js";
import { h, nameParts, setText } from "../../kit/js/dom.js";
import { follow } from "../../kit/js/model.js";
import { pictureStore, showPicture } from "./pictures.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const title = h("span", { class: "tc-panel-title", text: "who sets the range" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: "tc-data-blame-note" });
  const rows = h("div", { class: "tc-data-blame-rows", role: "list", testid: "tc-data-blame" });
  const empty = h("div", { class: "tc-empty", testid: "tc-data-blame-empty" });
  el.append(h("div", { class: "tc-data-blame" },
    h("div", { class: "tc-panel-head" }, title, note, helpButton(model.get("help"), "tc-help-data-blame")), rows, empty));
  const canvases = new Map();
  const pictures = pictureStore(model, (sample) => { if (canvases.has(sample)) showPicture(canvases.get(sample), pictures.get(sample)); });

  const makeRow = (entry, state) => {
    const node = h("div", { class: "tc-data-culprit", role: "listitem", testid: "tc-data-culprit" });
    node.dataset.sample = entry.sample;
    node.dataset.out = String(entry.out);
    if (entry.sample === state.selected) node.dataset.current = "";
    if (state.pictures) {
      const canvas = h("canvas", { width: 48, height: 48, class: "tc-data-picture" });
      canvases.set(entry.sample, canvas);
      node.append(canvas);
      showPicture(canvas, pictures.get(entry.sample));
    }
    const name = h("button", { type: "button", class: "tc-data-link", testid: "tc-data-culprit-name", on: { click: () => send("sample", { sample: entry.sample }) } });
    const shown = h("span", { class: "tc-name" });
    nameParts(shown, entry.name);
    name.append(shown);
    const words = h("div", { class: "tc-data-culprit-words" }, name, h("div", { class: "tc-faint", text: entry.facts, title: entry.facts }),
      h("div", { class: "tc-data-without", text: entry.without, title: entry.without, testid: "tc-data-without" }));
    words.lastChild.dataset.kind = entry.without_kind;
    const actions = h("div", { class: "tc-data-culprit-do" });
    if (entry.can_ask) {
      actions.append(h("button", { type: "button", class: "tc-button", text: "without it?", testid: "tc-data-ask", title: "Run this one again and take its values away: exact, for all tensors at once",
        on: { click: () => send("without", { sample: entry.sample }) } }));
    }
    const tick = h("input", { type: "checkbox", disabled: !state.can_leave_out, testid: "tc-data-culprit-count", on: { change: () => send(tick.checked ? "count_sample" : "leave_out", { sample: entry.sample }) } });
    tick.checked = !entry.out;
    actions.append(h("label", { class: "tc-label tc-data-tick", title: "Untick to leave it out of every threshold; undo brings it back" }, tick, h("span", { text: "counted" })));
    node.append(words, actions);
    return node;
  };
  const update = () => {
    const state = model.get("state");
    if (!state.entries) return;
    const focused = el.contains(document.activeElement) && [document.activeElement.closest("[data-sample]")?.dataset.sample, document.activeElement.dataset.testid];
    canvases.clear();
    setText(note, state.note);
    note.title = state.note;
    rows.hidden = !state.entries.length;
    rows.replaceChildren(...state.entries.map((entry) => makeRow(entry, state)));
    empty.hidden = state.entries.length > 0;
    setText(empty, state.empty);
    if (focused?.[0]) rows.querySelector(`[data-sample="${focused[0]}"] [data-testid="${focused[1]}"]`)?.focus({ preventScroll: true });
  };
  const stop = follow(model, ["state"], update);
  return () => {
    stop();
    pictures.clean();
  };
}

export default { render };
