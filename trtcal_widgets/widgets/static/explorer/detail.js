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

// trtcal_widgets/widgets/kit/js/keyboard.js
function modified(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
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

// trtcal_widgets/widgets/explorer/js/detail.js
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const name = h("span", { class: "tc-title tc-name", testid: "tc-tensor-name" });
  const copy = copyButton("Copy the tensor's name", "tc-copy-name", () => model.get("state").name);
  const facts = h("div", { class: "tc-facts", testid: "tc-tensor-facts" });
  const notes = h("div", { class: "tc-notes", testid: "tc-notes" });
  const method = h("select", {
    class: "tc-select",
    "aria-label": "Method for this tensor",
    title: "The method that picks this tensor's threshold (and that of all that share its scale)",
    testid: "tc-method",
    on: { change: () => method.value === "" ? send("reset") : send("choose", { method: method.value }) }
  });
  const amax = h("input", { class: "tc-input tc-amax", type: "text", inputmode: "decimal", spellcheck: "false", autocomplete: "off", "aria-label": "amax: the threshold, exactly", title: "The threshold, exactly. Type a value, or the scale in hex as TensorRT's cache writes it (0x3c008912), and press Enter.", testid: "tc-amax" });
  const commit = () => {
    if (amax.value.trim() === amax.dataset.sent) return;
    send("choose", { amax: amax.value.trim() });
  };
  amax.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    if (event.key === "Enter") {
      event.preventDefault();
      commit();
      amax.select();
    }
    if (event.key === "Escape") {
      amax.value = amax.dataset.sent;
      amax.blur();
    }
  });
  amax.addEventListener("blur", commit);
  const reset = button("reset", "Back to the method for all tensors", "tc-reset", () => send("reset"), "reset");
  const scaleButton = (value, text, label) => h("button", { type: "button", class: "tc-segment", text, title: label, testid: `tc-counts-${value}`, on: { click: () => send("counts", { scale: value }) } });
  const log = scaleButton("log", "log", "Counts on a log axis: rare large values can be seen");
  const linear = scaleButton("linear", "linear", "Counts on a linear axis: most values can be seen");
  const hold = h("button", {
    type: "button",
    class: "tc-chip",
    "aria-pressed": "false",
    text: "hold",
    testid: "tc-hold",
    title: "Hold this tensor's histogram: it is laid as an outline over the next tensor that you choose",
    on: { click: () => send("hold") }
  });
  const overName = h("span", { class: "tc-name" });
  const over = h(
    "button",
    { type: "button", class: "tc-method tc-over", testid: "tc-over", on: { click: () => send("release") } },
    h("span", { class: "tc-over-line" }),
    overName,
    icon("cancel")
  );
  const chips = h("div", { class: "tc-methods", role: "group", "aria-label": "Thresholds of the methods; press to choose one", testid: "tc-methods" });
  el.append(
    h(
      "div",
      { class: "tc-detail" },
      h(
        "div",
        { class: "tc-detail-top" },
        h("div", { class: "tc-detail-what" }, h("div", { class: "tc-detail-name" }, name, copy), facts),
        h("div", { class: "tc-detail-axis" }, hold, h("span", { class: "tc-segments", role: "group", "aria-label": "Counts axis" }, log, linear), helpButton(model.get("help"), "tc-help-histogram")),
        h(
          "div",
          { class: "tc-detail-do" },
          h("label", { class: "tc-label" }, h("span", { text: "method" }), method),
          h("label", { class: "tc-label" }, h("span", { text: "amax" }), amax),
          reset
        )
      ),
      notes,
      h("div", { class: "tc-detail-legend" }, chips, over)
    )
  );
  const chipOf = (mark, editable) => {
    const node = h("button", {
      type: "button",
      class: "tc-method",
      testid: `tc-mark-${mark.kind}`,
      title: mark.title,
      "aria-pressed": String(mark.chosen),
      on: { click: () => send("choose", { method: mark.key }) }
    });
    node.disabled = !editable || mark.kind === "mine" || !mark.known;
    node.dataset.kind = mark.kind;
    node.append(marker(mark.kind, 12), h("span", { text: mark.label }), h("span", { class: "tc-number", text: mark.text }));
    return node;
  };
  let drawn = "";
  const update = () => {
    const state = model.get("state");
    if (!state.shown) return;
    nameParts(name, state.shown, state.name, LONG_TAIL);
    setText(facts, state.facts);
    facts.title = state.facts_title;
    setOptions(method, state.methods);
    method.value = state.method;
    method.disabled = amax.disabled = !state.editable;
    if (document.activeElement !== amax || amax.value === amax.dataset.sent) amax.value = state.amax;
    amax.dataset.sent = state.amax;
    reset.disabled = !state.mine;
    hold.setAttribute("aria-pressed", String(Boolean(state.held)));
    over.hidden = !state.over;
    nameParts(overName, state.over ?? "");
    over.title = `${state.over_title}; press to let go`;
    over.setAttribute("aria-label", `Let go of ${state.over_title}`);
    log.setAttribute("aria-pressed", String(state.counts === "log"));
    linear.setAttribute("aria-pressed", String(state.counts === "linear"));
    notes.replaceChildren(...state.notes.map((note) => h("span", { class: "tc-note" }, icon("warn"), h("span", { text: note }))));
    notes.hidden = !state.notes.length;
    const key = JSON.stringify([state.marks, state.editable]);
    if (key !== drawn) {
      drawn = key;
      const focused = [...chips.children].indexOf(document.activeElement);
      chips.replaceChildren(...state.marks.map((mark) => chipOf(mark, state.editable)));
      if (focused >= 0) chips.children[focused]?.focus();
    }
  };
  const onMessage = (message) => {
    if (message?.type === "refused") amax.value = amax.dataset.sent;
  };
  model.on("msg:custom", onMessage);
  const stop = follow(model, ["state"], update);
  return () => {
    model.off("msg:custom", onMessage);
    stop();
  };
}
var detail_default = { render };
export {
  detail_default as default
};
