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

// trtcal_widgets/widgets/explorer/js/stepper.js
var MANY = 64;
var THUMB_HEIGHT = 34;
var THUMB_ROOM = 0.36;
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const first = button("first", "Back to before the first batch", "tc-first", () => send("first"));
  const back = button("back", "One batch back (←)", "tc-back", () => send("back"));
  const play = button("play", "Run through the batches", "tc-play", () => send(model.get("state").running ? "cancel" : "play"));
  play.classList.add("tc-primary");
  const forward = button("forward", "One batch forward (→)", "tc-forward", () => send("forward"));
  const last = button("last", "Run to the last batch", "tc-last", () => send("last"));
  const slider = h("input", {
    type: "range",
    min: 0,
    step: 1,
    class: "tc-slider",
    "aria-label": "Batches counted",
    testid: "tc-slider",
    on: { change: () => send("seek", { position: Number(slider.value) }) }
  });
  const text = h("span", { class: "tc-progress-text", testid: "tc-progress", "aria-live": "polite" });
  const cancel = button("cancel", "Stop after the present batch; what is recorded stays", "tc-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const message = h("div", { class: "tc-message", testid: "tc-message", role: "status" });
  const strip = h("div", { class: "tc-strip", role: "group", "aria-label": "Batches: largest |x| of the chosen tensor; press space to leave one out", testid: "tc-strip" });
  const thumbs = h("canvas", { class: "tc-thumbs", height: 34, width: 10, role: "img", testid: "tc-thumbs" });
  const batches = h("div", { class: "tc-batches" }, strip, thumbs);
  el.append(
    h(
      "div",
      { class: "tc-stepper", testid: "tc-stepper" },
      h("div", { class: "tc-transport", role: "toolbar", "aria-label": "Run control" }, first, back, play, forward, last),
      slider,
      text,
      cancel,
      helpButton(model.get("help"), "tc-help-stepper")
    ),
    message,
    batches
  );
  let bars = [];
  const toggleBatch = (index) => {
    const state = model.get("state");
    send(state.excluded.includes(index) ? "include" : "exclude", { batch: index });
  };
  const makeBar = (index) => {
    const bar = h("button", {
      type: "button",
      class: "tc-bar",
      role: "checkbox",
      testid: `tc-batch-${index}`,
      tabindex: index ? -1 : 0,
      on: { click: () => toggleBatch(index) }
    });
    bar.append(h("span", { class: "tc-bar-well" }, h("span", { class: "tc-bar-fill" })), h("span", { class: "tc-tick" }, icon("done")));
    return bar;
  };
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = bars.indexOf(document.activeElement);
    if (!step || at < 0 || modified(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const next = bars[Math.min(Math.max(at + step, 0), bars.length - 1)];
    bars[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  const drawBars = (state) => {
    if (bars.length !== state.bars) {
      bars = Array.from({ length: state.bars }, (_, index) => makeBar(index));
      strip.replaceChildren(...bars);
    }
    strip.classList.toggle("tc-strip-many", bars.length > MANY);
    const excluded = new Set(state.excluded);
    const largest = Math.max(...state.amax.filter((value) => value !== null), 0);
    bars.forEach((bar, index) => {
      const recorded = index < state.recorded;
      const value = state.amax[index];
      const out = excluded.has(index);
      bar.disabled = !recorded && !out;
      bar.dataset.state = out ? "out" : index < state.position ? "in" : recorded ? "later" : "none";
      bar.setAttribute("aria-checked", String(!out));
      bar.title = recorded ? `batch ${index + 1}: largest |x| ${state.amax_text[index]}${out ? " · left out; click to take it in again" : " · click to leave it out"}` : `batch ${index + 1}: not recorded yet`;
      bar.setAttribute("aria-label", bar.title);
      bar.firstChild.firstChild.style.height = recorded && largest > 0 && value !== null ? `${Math.max(4, 100 * value / largest)}%` : "0";
    });
  };
  const fitThumbs = () => {
    const { width, height, count } = model.get("thumbs");
    if (!count || !batches.clientWidth) return;
    const one = width / count * (THUMB_HEIGHT / height);
    thumbs.style.width = `${Math.max(1, Math.min(count, Math.floor(THUMB_ROOM * batches.clientWidth / one))) * one}px`;
  };
  const drawThumbs = () => {
    const { width, height, count, label } = model.get("thumbs");
    thumbs.hidden = !count;
    if (!count) return;
    const data = model.get("pixels");
    const rgba = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    thumbs.width = width;
    thumbs.height = height;
    const context = thumbs.getContext("2d");
    const image = context.createImageData(width, height);
    image.data.set(rgba.subarray(0, image.data.length));
    context.putImageData(image, 0, 0);
    fitThumbs();
    thumbs.title = label;
    thumbs.setAttribute("aria-label", label);
  };
  const update = () => {
    const state = model.get("state");
    if (state.phase === void 0) return;
    el.dataset.phase = state.phase;
    const playIcon = state.running ? "pause" : "play";
    if (play.dataset.icon !== playIcon) {
      play.dataset.icon = playIcon;
      play.replaceChildren(icon(playIcon));
    }
    play.title = state.running ? "Pause after the present batch" : "Run through the batches";
    play.setAttribute("aria-label", play.title);
    first.disabled = back.disabled = state.running || state.position === 0;
    forward.disabled = last.disabled = state.running || state.at_end;
    play.disabled = !state.running && state.at_end;
    slider.disabled = state.running || state.slider_max === 0;
    slider.max = state.slider_max;
    slider.value = state.position;
    slider.style.setProperty("--tc-fill", `${state.slider_max ? 100 * state.position / state.slider_max : 0}%`);
    slider.setAttribute("aria-valuetext", state.text);
    setText(text, state.text);
    text.title = state.text;
    cancel.style.visibility = state.running ? "visible" : "hidden";
    setText(message, state.message || state.caption);
    message.title = message.textContent;
    message.dataset.kind = state.message_kind;
    drawBars(state);
  };
  const stopState = follow(model, ["state"], update);
  const stopThumbs = follow(model, ["thumbs"], drawThumbs);
  const resize = new ResizeObserver(fitThumbs);
  resize.observe(batches);
  return () => {
    resize.disconnect();
    stopState();
    stopThumbs();
  };
}
var stepper_default = { render };
export {
  stepper_default as default
};
