// Made by frontend/build.mjs: change the sources beside the screens, in their js folders.

// trtcal_widgets/widgets/kit/js/dom.js
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === void 0 || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key === "testid") node.dataset.testid = value;
    else if (key === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== void 0));
  return node;
}
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// trtcal_widgets/widgets/kit/js/controls.js
function popover(testid, summary, body) {
  const box = h("details", { class: "tc-help", testid }, summary, body);
  const close = () => {
    box.open = false;
  };
  const onPointer = (event) => {
    if (!box.isConnected || !event.composedPath().includes(box)) close();
  };
  const onKey = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    const inside = event.composedPath().includes(box);
    close();
    if (inside) summary.focus();
  };
  box.addEventListener("toggle", () => {
    const listen2 = box.open ? "addEventListener" : "removeEventListener";
    document[listen2]("pointerdown", onPointer, true);
    document[listen2]("keydown", onKey, true);
  });
  box.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) close();
  });
  return box;
}
function helpButton(help, testid) {
  const summary = h("summary", { "aria-label": `What am I seeing? ${help.title}`, title: "What am I seeing?", text: "?" });
  return popover(testid, summary, h(
    "div",
    { class: "tc-help-body", role: "note" },
    h("strong", { text: help.title }),
    h("p", { text: help.text }),
    h("p", { class: "tc-faint", text: `More: ${help.more}` })
  ));
}

// trtcal_widgets/widgets/kit/js/press.js
var ENDS = ["pointerup", "pointercancel", "pointermove", "contextmenu", "blur"];
var listen = (change, callback) => ENDS.forEach((name) => window[change](name, callback, name !== "blur"));
function watchPress(node, changed, fits = () => true) {
  let timer = 0;
  const release = () => {
    clearTimeout(timer);
    listen("removeEventListener", later);
    changed(false);
  };
  const later = ({ type, buttons }) => {
    if (type === "pointermove" && buttons) return;
    clearTimeout(timer);
    timer = setTimeout(release);
  };
  const onDown = (event) => {
    if (event.button !== 0 || !fits(event)) return;
    clearTimeout(timer);
    listen("addEventListener", later);
    changed(true);
  };
  node.addEventListener("pointerdown", onDown, true);
  return () => {
    node.removeEventListener("pointerdown", onDown, true);
    release();
  };
}
var CLICKED = "button, label, summary, input[type=checkbox], input[type=radio], [role=option], [role=row]";
var waiting = /* @__PURE__ */ new Set();
var held = false;
watchPress(window, (pressed) => {
  held = pressed;
  if (held) return;
  const draws = [...waiting];
  waiting.clear();
  for (const draw of draws) {
    try {
      draw();
    } catch (error) {
      reportError(error);
    }
  }
}, ({ target }) => target.closest?.(CLICKED)?.closest(".trtcal-root"));
function afterPress(draw) {
  if (held) waiting.add(draw);
  else draw();
}

// trtcal_widgets/widgets/kit/js/model.js
function followEach(model, traits, read, update) {
  const names = traits.map((name) => `change:${name}`);
  let gone = false;
  const draw = () => {
    if (!gone) update();
  };
  const heard = () => {
    read();
    afterPress(draw);
  };
  for (const name of names) model.on(name, heard);
  return () => {
    gone = true;
    for (const name of names) model.off(name, heard);
  };
}
function follow(model, traits, update) {
  const stop = followEach(model, traits, () => {
  }, update);
  update();
  return stop;
}

// trtcal_widgets/widgets/data/js/warnings.js
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const count = h("span", { class: "tc-faint" });
  const rows = h("div", { class: "tc-data-warning-rows", tabindex: "0", role: "list", "aria-label": "Warnings", testid: "tc-data-warnings" });
  el.append(h(
    "div",
    { class: "tc-data-warnings" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "what stands out" }), count, helpButton(model.get("help"), "tc-help-data-warnings")),
    rows
  ));
  const links = (label, entries, type, key) => {
    if (!entries.length) return null;
    return h("div", { class: "tc-data-links" }, h("span", { class: "tc-faint", text: label }), ...entries.map(([value, text]) => h("button", { type: "button", class: "tc-member", text, title: text, on: { click: () => send(type, { [key]: value }) } })));
  };
  const update = () => {
    const state = model.get("state");
    if (!state.warnings) return;
    setText(count, state.warnings.length ? String(state.warnings.length) : "");
    rows.replaceChildren(...state.warnings.map((warning) => {
      const node = h(
        "div",
        { class: "tc-data-warning", role: "listitem", testid: "tc-data-warning" },
        h("div", {}, h("span", { class: "tc-data-severity", text: warning.severity }), h("span", { class: "tc-faint", text: ` · ${warning.sure}` })),
        h("div", { text: warning.what }),
        h("div", { class: "tc-faint", text: warning.evidence }),
        links(warning.unit, warning.marks, "sample", "sample"),
        links("tensors", warning.tensors, "select_name", "name"),
        h("div", { class: "tc-data-mend", text: warning.mend })
      );
      node.dataset.severity = warning.severity;
      return node;
    }));
    if (!state.warnings.length) rows.append(h("div", { class: "tc-empty", text: state.empty }));
  };
  return follow(model, ["state"], update);
}
var warnings_default = { render };
export {
  warnings_default as default
};
