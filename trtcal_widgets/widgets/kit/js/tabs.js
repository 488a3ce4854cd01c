// The tabs of a screen that has several pages.

import { h } from "./dom.js";
import { modified } from "./keyboard.js";
import { follow } from "./model.js";

function render({ model, el }) {
  const strip = h("div", { class: "tc-tabs", role: "tablist", "aria-label": "Pages", testid: "tc-tabs" });
  el.append(strip);
  let shown = null;
  const open = (name) => model.send({ type: "tab", name });
  const update = () => {
    const state = model.get("state");
    if (!state.names) return;
    const focused = strip.contains(document.activeElement);
    strip.replaceChildren(...state.names.map((name) => h("button", { type: "button", class: "tc-tab", role: "tab", "aria-selected": String(name === state.shown),
      tabindex: name === state.shown ? 0 : -1, testid: `tc-tab-${name}`, text: name, on: { click: () => open(name) } })));
    if (focused) strip.querySelector("[aria-selected=true]").focus({ preventScroll: true });
    // Plots that were away while the page was made wider.
    if (shown !== null && shown !== state.shown) requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
    shown = state.shown;
  };
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { names } = model.get("state");
    if (!by || modified(event)) return;
    event.preventDefault();
    event.stopPropagation();
    open(names[(names.indexOf(shown) + by + names.length) % names.length]);
  });
  return follow(model, ["state"], update);
}

export default { render };
