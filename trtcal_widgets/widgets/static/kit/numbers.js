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
var TAIL = 11;
function nameParts(node, shown, whole, longest = TAIL) {
  const characters = Array.from(shown);
  const { length } = characters;
  const cut = length - (length > 2 * longest ? longest : length > TAIL + 4 ? TAIL : 0);
  node.replaceChildren(h("span", { class: "tc-name-head", text: characters.slice(0, cut).join("") }));
  if (cut < characters.length) node.append(h("span", { class: "tc-name-tail", text: characters.slice(cut).join("") }));
  node.title = whole ?? shown;
}
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
function toggle(node, attribute, on) {
  if (on) node.setAttribute(attribute, "");
  else node.removeAttribute(attribute);
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
function button(name, label, testid, handler, text) {
  const node = h("button", {
    type: "button",
    class: text ? "tc-button" : "tc-button tc-button-icon",
    title: label,
    "aria-label": label,
    testid,
    on: { click: handler }
  });
  if (name) node.append(icon(name));
  if (text) node.append(h("span", { text }));
  return node;
}
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
function copyButton(label, testid, text) {
  const node = button("copy", label, testid, () => copyText(text(), node));
  node.classList.add("tc-copy");
  return node;
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

// trtcal_widgets/widgets/kit/js/numbers.js
function render({ model, el }) {
  const grid = h("div", { class: "tc-numbers", role: "list", "aria-label": "Numbers of the chosen tensor", testid: "tc-numbers" });
  const members = h("div", { class: "tc-members", testid: "tc-members" });
  el.append(h("div", { class: "tc-numbers-panel" }, grid, helpButton(model.get("help"), "tc-help-numbers")), members);
  const cells = /* @__PURE__ */ new Map();
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
      cell.title = `${number.help}
exactly ${number.exact}`;
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
var numbers_default = { render };
export {
  numbers_default as default
};
