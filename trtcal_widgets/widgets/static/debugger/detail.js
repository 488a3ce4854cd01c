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
var LONG_TAIL = 22;
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
var MARKERS = {
  circle: "M8 3.2a4.8 4.8 0 1 0 .001 0z",
  square: "M3.6 3.6h8.8v8.8H3.6z",
  "triangle-up": "M8 2.4 13.6 12.4H2.4z",
  "triangle-down": "M8 13.6 2.4 3.6h11.2z",
  hexagon: "M8 2.2 13 5.1v5.8L8 13.8 3 10.9V5.1z",
  diamond: "M8 1.4 14.6 8 8 14.6 1.4 8z"
};
var MARKER_OF = {
  entropy: "circle",
  minmax: "square",
  percentile: "triangle-up",
  mse: "triangle-down",
  legacy: "hexagon",
  mine: "diamond"
};
function marker(kind, size = 11) {
  const known = kind in MARKER_OF ? kind : "mine";
  const path = svg("path", { d: MARKERS[MARKER_OF[known]], fill: `var(--tc-m-${known})` });
  return svg("svg", { viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true", class: "tc-marker" }, path);
}
function kindOf(label) {
  if (/^p\d/.test(label)) return "percentile";
  return label.split(":")[0];
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

// trtcal_widgets/widgets/debugger/js/detail.js
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const name = h("span", { class: "tc-title tc-name", testid: "tc-dbg-tensor" });
  const copy = copyButton("Copy the tensor's name", "tc-dbg-copy-name", () => name.dataset.whole);
  const facts = h("span", { class: "tc-facts", testid: "tc-dbg-tensor-facts" });
  const inputs = h("div", { class: "tc-dbg-inputs", testid: "tc-dbg-inputs" });
  const trials = h("div", { class: "tc-dbg-trials", testid: "tc-dbg-trials" });
  const tryAll = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-try", text: "try other methods", on: { click: () => send("try") } });
  const why = h("span", { class: "tc-faint", testid: "tc-dbg-try-why" });
  el.append(
    h(
      "div",
      { class: "tc-panel-head" },
      h("span", { class: "tc-panel-title", text: "chosen tensor" }),
      h("div", { class: "tc-detail-name tc-dbg-tensor-name" }, name, copy),
      facts,
      helpButton(model.get("help"), "tc-help-dbg-detail")
    ),
    h("div", { class: "tc-dbg-row tc-dbg-try-row" }, inputs, h("span", { class: "tc-dbg-grow" }), why, tryAll),
    trials
  );
  const makeInput = (input) => {
    const node = h("button", { type: "button", class: "tc-member", title: input.title, on: { click: () => send("tensor", { name: input.name }) } });
    const label = h("span", { class: "tc-name" });
    nameParts(label, input.shown, input.title);
    node.append(label);
    toggle(node, "data-current", input.current);
    return node;
  };
  const makeTrial = (trial) => h(
    "button",
    {
      type: "button",
      class: "tc-method tc-dbg-trial",
      "aria-pressed": String(trial.chosen),
      testid: `tc-dbg-trial-${trial.method}`,
      title: trial.title,
      on: { click: () => send("use", { method: trial.method }) }
    },
    marker(kindOf(trial.label)),
    h("span", { text: trial.label }),
    h("span", { class: "tc-number", text: trial.amax }),
    h("strong", { text: trial.value }),
    h("span", { class: "tc-number", text: trial.sqnr }),
    trial.best ? h("span", { class: "tc-dbg-best", text: "best" }) : null
  );
  const update = () => {
    const state = model.get("state");
    if (!state.name && state.name !== "") return;
    nameParts(name, state.shown, state.shown, LONG_TAIL);
    name.dataset.whole = state.name;
    setText(facts, state.facts);
    facts.title = state.facts;
    inputs.replaceChildren(h("span", { class: "tc-faint", text: state.inputs_label }), ...state.inputs.map(makeInput));
    tryAll.disabled = !state.can_try;
    tryAll.title = state.try_title;
    setText(why, state.why);
    trials.hidden = !state.trials.length;
    trials.replaceChildren(
      h("span", { class: "tc-faint", text: "with its threshold by" }),
      ...state.trials.map(makeTrial),
      h("span", { class: "tc-faint", testid: "tc-dbg-advice", text: state.advice })
    );
  };
  return follow(model, ["state"], update);
}
var detail_default = { render };
export {
  detail_default as default
};
