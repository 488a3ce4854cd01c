// Made by frontend/build.mjs: change the sources beside the screens, in their js folders.

// trtcal_widgets/widgets/kit/js/dom.js
var SVG_NS = "http://www.w3.org/2000/svg";
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
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG_NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function option(value, text) {
  return h("option", { value, text });
}
function setOptions(select, pairs) {
  const key = JSON.stringify(pairs);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...pairs.map(([value, text]) => option(value, text)));
}
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// trtcal_widgets/widgets/kit/js/icons.js
var ICONS = {
  first: "M4 3v10M13 3 6.5 8l6.5 5z",
  back: "M11 3 4.5 8l6.5 5z",
  play: "M4.5 2.5 13 8l-8.5 5.5z",
  pause: "M5 3v10M11 3v10",
  forward: "M5 3l6.5 5L5 13z",
  last: "M12 3v10M3 3l6.5 5L3 13z",
  cancel: "M4 4l8 8M12 4l-8 8",
  undo: "M6 3.5 2.5 7 6 10.5M3 7h6.5a3.5 3.5 0 0 1 0 7H7",
  redo: "M10 3.5 13.5 7 10 10.5M13 7H6.5a3.5 3.5 0 0 0 0 7H9",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  done: "M3 8.5l3.5 3.5L13 4.5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.3 10.3l3.7 3.7",
  reset: "M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  warn: "M8 2 14.5 13.5h-13zM8 6.5v3.5M8 11.8v.4",
  link: "M6.5 9.5 9.5 6.5M7 4.5l1.2-1.2a3 3 0 0 1 4.4 4.4L11.4 9M9 11.5l-1.2 1.2a3 3 0 0 1-4.4-4.4L4.6 7"
};
var FILLED = /* @__PURE__ */ new Set(["first", "back", "play", "forward", "last"]);
function icon(name) {
  const path = svg("path", {
    d: ICONS[name],
    fill: FILLED.has(name) ? "currentColor" : "none",
    stroke: "currentColor",
    "stroke-width": 1.5,
    "stroke-linecap": "round",
    "stroke-linejoin": "round"
  });
  return svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true", class: "tc-icon" }, path);
}

// trtcal_widgets/widgets/kit/js/controls.js
async function copyText(text, node) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "tc-offscreen", "aria-hidden": "true" });
    area.value = text;
    node.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  node.dataset.copied = copied ? "yes" : "no";
  setTimeout(() => delete node.dataset.copied, 1200);
}
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

// trtcal_widgets/widgets/debugger/js/export.js
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
  el.append(
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "export" }), kind, helpButton(model.get("help"), "tc-help-dbg-export")),
    what,
    h("div", { class: "tc-dbg-row" }, path, write),
    box,
    notes,
    result
  );
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
var export_default = { render };
export {
  export_default as default
};
