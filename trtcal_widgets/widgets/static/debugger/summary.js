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

// trtcal_widgets/widgets/debugger/js/summary.js
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const head = h("thead");
  const body = h("tbody");
  const table = h("table", { class: "tc-dbg-scores", testid: "tc-dbg-scores" }, head, body);
  const note = h("div", { class: "tc-faint tc-dbg-note", testid: "tc-dbg-scores-note" });
  const plan = h("div", { class: "tc-dbg-plan-text", testid: "tc-dbg-plan" });
  const adopt = h("button", {
    type: "button",
    class: "tc-button",
    testid: "tc-dbg-adopt",
    text: "take thresholds into the session",
    title: "The plan's thresholds become the session's own: the explorer shows them, and caches are written with them",
    on: { click: () => send("adopt") }
  });
  const clear = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-clear", text: "clear", title: "Quantise every layer again, with the session's thresholds (undo brings the plan back)", on: { click: () => send("clear") } });
  const target = h("input", { class: "tc-input tc-dbg-target", testid: "tc-dbg-target", inputmode: "decimal", "aria-label": "Share of FP32's accuracy to reach, in percent", title: "Share of FP32's accuracy to reach, in percent" });
  const precision = h(
    "select",
    { class: "tc-select", testid: "tc-dbg-precision", "aria-label": "What kept layers run in", title: "What kept layers run in. It is written into the plan; the simulation keeps them in FP32." },
    option("fp16", "FP16"),
    option("fp32", "FP32")
  );
  const scales = h("input", { type: "checkbox", testid: "tc-dbg-scales" });
  const find = h("button", {
    type: "button",
    class: "tc-button",
    testid: "tc-dbg-find",
    text: "find a plan",
    title: "Try better thresholds for the worst layers, then keep as few layers as possible in higher precision. It replaces your ticks; undo brings them back.",
    on: { click: () => send("find", { target: target.value, precision: precision.value, scales: scales.checked }) }
  });
  const tune = h("button", {
    type: "button",
    class: "tc-button",
    testid: "tc-dbg-tune",
    text: "tune",
    title: "Measure with TensorRT on this GPU what each layer gains in INT8, and draw time against accuracy of the variants in between. Without a GPU: accuracy alone.",
    on: { click: () => send("tune") }
  });
  precision.addEventListener("change", () => send("precision", { precision: precision.value }));
  target.addEventListener("change", () => send("target", { target: target.value }));
  target.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !modified(event)) find.click();
  });
  const steps = h("details", { class: "tc-preview-box tc-dbg-steps", testid: "tc-dbg-steps", hidden: true });
  const stepsHead = h("summary");
  const stepsList = h("ol", { class: "tc-preview tc-dbg-step-list", tabindex: "0", "aria-label": "What the search tried, in order" });
  steps.append(stepsHead, stepsList);
  const makeStep = (step) => h(
    "li",
    { class: "tc-dbg-step", "data-accepted": step.accepted, title: step.accepted ? "The search went on with it" : "The search went on without it" },
    h("span", { class: "tc-dbg-step-mark" }, step.accepted ? icon("done") : null),
    h("span", { class: "tc-dbg-step-what", text: step.what }),
    h("span", { class: "tc-dbg-step-value", text: step.value }),
    h("span", { class: "tc-offscreen", text: step.accepted ? "accepted" : "not accepted" })
  );
  let drawn = "";
  el.append(h(
    "div",
    { class: "tc-dbg-summary" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "before and after" }), note, helpButton(model.get("help"), "tc-help-dbg-summary")),
    h("div", { class: "tc-dbg-scores-box" }, table),
    plan,
    h(
      "div",
      { class: "tc-dbg-row" },
      h("label", { class: "tc-label" }, h("span", { text: "reach" }), target, h("span", { text: "% of FP32, keep in" }), precision),
      h("label", { class: "tc-label", title: "Try other thresholds first; a plan of thresholds alone costs no speed" }, scales, h("span", { text: "thresholds first" }))
    ),
    h("div", { class: "tc-dbg-row tc-dbg-do" }, find, tune, adopt, clear),
    steps
  ));
  let first = true;
  const update = () => {
    const state = model.get("state");
    if (!state.columns) return;
    head.replaceChildren(h("tr", {}, h("th", { scope: "col" }), ...state.columns.map((c) => h("th", { scope: "col", text: c.label, title: c.title }))));
    body.replaceChildren(...state.rows.map((row) => h(
      "tr",
      { testid: `tc-dbg-score-${row.key}`, "data-empty": row.empty },
      h("th", { scope: "row", text: row.label, title: row.title }),
      ...row.cells.map((cell) => h("td", { text: cell.text, title: cell.title, "data-kind": cell.kind || null, testid: `tc-dbg-${row.key}-${cell.key}` }))
    )));
    setText(note, state.note);
    setText(plan, state.plan);
    plan.title = state.plan_title;
    plan.dataset.kind = state.plan_kind;
    if (first || document.activeElement !== target) target.value = state.target;
    first = false;
    precision.value = state.precision;
    scales.checked = scales.dataset.touched ? scales.checked : state.scales;
    find.disabled = tune.disabled = state.running || !state.ready;
    adopt.hidden = !state.moved;
    clear.hidden = !state.planned;
    steps.hidden = !state.steps.length;
    const accepted = state.steps.filter((step) => step.accepted).length;
    setText(stepsHead, `${state.steps.length} ${state.steps.length === 1 ? "thing was" : "things were"} tried, ${accepted} accepted`);
    const key = JSON.stringify(state.steps);
    if (key !== drawn) stepsList.replaceChildren(...state.steps.map(makeStep));
    drawn = key;
  };
  scales.addEventListener("change", () => {
    scales.dataset.touched = "yes";
  });
  return follow(model, ["state"], update);
}
var summary_default = { render };
export {
  summary_default as default
};
