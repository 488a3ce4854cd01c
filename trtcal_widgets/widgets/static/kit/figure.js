// Made by frontend/build.mjs: change the sources beside the screens, in their js folders.

// trtcal_widgets/widgets/kit/js/labels.js
var LANE = 13;
var GAP = 3;
var BLANK = 4;
function spread(boxes, { left, right, top }) {
  const order = boxes.map((_, k) => k).sort((a, b) => boxes[b].bottom - boxes[a].bottom || boxes[a].left - boxes[b].left);
  const steps = boxes.map(() => ({ x: 0, y: 0 }));
  const placed = [];
  for (const k of order) {
    const box = boxes[k];
    const x = Math.max(left - box.left, 0) || Math.min(right - box.right, 0);
    const over = (y2) => placed.some((other) => box.left + x < other.right + GAP && other.left < box.right + x + GAP && box.top - y2 + BLANK < other.bottom && other.top + BLANK < box.bottom - y2);
    let y = 0;
    while (over(y) && box.top - y - LANE >= top) y += LANE;
    placed.push({ left: box.left + x, right: box.right + x, top: box.top - y, bottom: box.bottom - y });
    steps[k] = { x, y };
  }
  return steps;
}
function spreadLabels(el) {
  let frame = 0;
  const draw = (anew) => {
    const nodes = [...el.querySelectorAll(".infolayer > .annotation")];
    if (!anew && nodes.every((node) => node.dataset.step)) return;
    nodes.forEach((node) => {
      node.removeAttribute("transform");
      node.dataset.step = "0 0";
    });
    if (!el.querySelector(".main-svg")) return;
    const shown = nodes.filter((node) => node.textContent && node.getClientRects().length);
    const steps = spread(shown.map((node) => node.getBoundingClientRect()), el.querySelector(".main-svg").getBoundingClientRect());
    shown.forEach((node, k) => {
      const { x, y } = steps[k];
      node.dataset.step = `${x} ${y}`;
      if (x || y) node.setAttribute("transform", `translate(${x}, ${-y})`);
    });
  };
  const observer = new MutationObserver(() => {
    draw(false);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => draw(true));
  });
  observer.observe(el, { childList: true, subtree: true });
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  };
}
function withLabelsAsSeen(plot, layout) {
  for (const node of plot.querySelectorAll(".infolayer > .annotation[data-step]")) {
    const note = layout.annotations?.[node.dataset.index];
    const [x, y] = node.dataset.step.split(" ").map(Number);
    if (note) Object.assign(note, { xshift: (note.xshift ?? 0) + x, yshift: (note.yshift ?? 0) + y });
  }
  return layout;
}

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

// trtcal_widgets/widgets/kit/js/save_picture.js
var TITLE = 26;
var SCALE = 2;
var LONGEST = 80;
function fileName(title) {
  return title.replace(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^[_.]+/, "").slice(0, LONGEST) || "plot";
}
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
async function picture(plot, title, format) {
  const { width, height } = plot._fullLayout;
  const root = plot.closest(".trtcal-root") ?? document.body;
  const { backgroundColor } = getComputedStyle(root);
  const layout = withLabelsAsSeen(plot, structuredClone(plot.layout));
  const margin = { ...layout.margin, t: (layout.margin?.t ?? 10) + TITLE };
  Object.assign(layout, {
    margin,
    paper_bgcolor: backgroundColor,
    autosize: false,
    title: { text: plain(title), x: 0.01, xanchor: "left", y: 1, yanchor: "top", pad: { t: 9 }, font: { size: 13 } }
  });
  return globalThis.Plotly.toImage({ data: plot.data, layout }, { format, width, height: height + TITLE, scale: format === "png" ? SCALE : 1 });
}
async function save(el, title, format) {
  const plot = el.matches(".js-plotly-plot") ? el : el.querySelector(".js-plotly-plot");
  if (!plot?._fullLayout || !globalThis.Plotly) return;
  const link = h("a", { href: await picture(plot, title, format), download: `${fileName(title)}.${format}` });
  link.click();
}
function saveButtons(el, title) {
  const button = (format) => h("button", {
    type: "button",
    class: "tc-segment",
    text: format.toUpperCase(),
    testid: `tc-save-${format}`,
    title: `Save this plot as ${format.toUpperCase()}`,
    "aria-label": `Save this plot as ${format.toUpperCase()}: ${title()}`,
    on: { click: () => save(el, title(), format) }
  });
  return h("div", { class: "tc-save tc-segments", role: "group", "aria-label": "Save this plot" }, button("png"), button("svg"));
}

// trtcal_widgets/widgets/kit/js/figure.js
var PATIENCE = 3e3;
async function loadPlotly(model) {
  const id = model.get("script").replace("IPY_MODEL_", "");
  const carrier = await model.widget_manager.get_model(id);
  const version = carrier.get("version");
  const loaded = globalThis.__trtcalPlotly ??= /* @__PURE__ */ new Map();
  if (!loaded.has(version)) {
    const url = URL.createObjectURL(new Blob([carrier.get("code")], { type: "text/javascript" }));
    loaded.set(version, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return (await loaded.get(version)).default;
}
function quiet(model) {
  const unwanted = /* @__PURE__ */ new Set(["_js2py_traceDeltas", "_js2py_layoutDelta", "_js2py_widget_layoutDelta"]);
  const RELAYOUT = "_py2js_relayout";
  const drawing = [];
  const heard = [];
  let said = null;
  return {
    get: (name) => {
      if (name === "_config") return { ...model.get(name), scrollZoom: true, doubleClick: false };
      return name === RELAYOUT && said ? said : model.get(name);
    },
    set: (name, value) => {
      if (!unwanted.has(name)) model.set(name, value);
    },
    save_changes: () => model.save_changes(),
    on: (name, callback) => {
      if (name === `change:${RELAYOUT}`) drawing.push(callback);
      heard.push([name, callback]);
      model.on(name, callback);
    },
    off: (name, callback) => model.off(name, callback),
    send: (...content) => model.send(...content),
    widget_manager: model.widget_manager,
    relayout(data) {
      said = { relayout_data: { ...data } };
      drawing.forEach((draw) => draw());
      said = null;
    },
    /** Plotly's view leaves its listeners behind when it goes. */
    detach: () => heard.splice(0).forEach(([name, callback]) => model.off(name, callback))
  };
}
function rangesOf(model) {
  const axes = Object.entries(model.get("_widget_layout")).filter(([name, axis]) => /^[xy]axis\d*$/.test(name) && axis.range);
  return Object.fromEntries(axes.map(([name, axis]) => [`${name}.range`, [...axis.range]]));
}
function followRanges(model) {
  const home = rangesOf(model);
  const note = (message, layout) => {
    if (!message || message.source_view_id) return;
    for (const [key, value] of Object.entries(layout(message) ?? {})) if (/^[xy]axis\d*\.range$/.test(key) && value) home[key] = [...value];
  };
  model.on("change:_py2js_relayout", () => note(model.get("_py2js_relayout"), (message) => message.relayout_data));
  model.on("change:_py2js_update", () => note(model.get("_py2js_update"), (message) => message.layout_data));
  return home;
}
function resetWithDoubleClick(el, model, relayout, home) {
  const reset = () => {
    const layout = model.get("_widget_layout");
    const data = {};
    for (const [name, axis] of Object.entries(layout)) {
      if (!/^[xy]axis\d*$/.test(name) || axis.fixedrange) continue;
      if (home[`${name}.range`]) data[`${name}.range`] = [...home[`${name}.range`]];
      else data[`${name}.autorange`] = true;
    }
    relayout(data);
    model.set("_js2py_relayout", { relayout_data: data, source_view_id: "double click" });
    model.save_changes();
  };
  let before = null;
  const far = ({ clientX, clientY }) => Math.hypot(clientX - before.x, clientY - before.y) > SAME_PLACE;
  const onDown = (event) => {
    if (event.button !== 0 || !event.target.closest?.(".nsewdrag")) return;
    const twice = before && event.timeStamp - before.at < DOUBLE && !far(event);
    if (twice) window.addEventListener("pointerup", () => setTimeout(reset, AFTER), { capture: true, once: true });
    before = twice ? null : { at: event.timeStamp, x: event.clientX, y: event.clientY };
  };
  const onMove = (event) => {
    if (before && event.buttons && far(event)) before = null;
  };
  el.addEventListener("pointerdown", onDown, true);
  window.addEventListener("pointermove", onMove, true);
  return () => window.removeEventListener("pointermove", onMove, true);
}
var DOUBLE = 500;
var SAME_PLACE = 5;
var AFTER = 50;
function zoomWithWheel(el) {
  let pointed = false;
  const onMove = (event) => {
    pointed ||= event.movementX !== 0 || event.movementY !== 0;
  };
  const onScroll = () => {
    pointed = false;
  };
  const axisBelow = (plot) => {
    const { left, right, bottom } = plot.getBoundingClientRect();
    const axes = [...el.querySelectorAll(".ewdrag")].map((node) => [node, node.getBoundingClientRect()]);
    const below = axes.filter(([, box]) => left < (box.left + box.right) / 2 && (box.left + box.right) / 2 < right && box.bottom > bottom);
    return below.sort(([, a], [, b]) => a.top - b.top)[0]?.[0];
  };
  const onWheel = (event) => {
    if (!event.isTrusted) return;
    const plot = event.target.closest?.(".nsewdrag");
    const axis = pointed && plot && axisBelow(plot);
    if (!axis) {
      if (event.target.closest?.(".drag") && !pointed) event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const { deltaX, deltaY, deltaMode, clientX, clientY } = event;
    axis.dispatchEvent(new WheelEvent("wheel", { deltaX, deltaY, deltaMode, clientX, clientY, cancelable: true }));
  };
  el.addEventListener("pointermove", onMove, true);
  el.addEventListener("wheel", onWheel, { capture: true, passive: false });
  document.addEventListener("scroll", onScroll, { capture: true, passive: true });
  return () => document.removeEventListener("scroll", onScroll, { capture: true });
}
function refresh(model, late) {
  return new Promise((resolve) => {
    let waiting = true;
    const timer = setTimeout(() => {
      waiting = false;
      resolve();
    }, PATIENCE);
    const done = () => {
      clearTimeout(timer);
      model.off("change:fresh", done);
      if (waiting) resolve();
      else late();
    };
    model.on("change:fresh", done);
    model.send({ type: "refresh" });
  });
}
var figure_default = () => {
  let figure = null;
  let home = {};
  const prepare = async (model) => {
    const made = (await loadPlotly(model))();
    made.initialize({ model: quiet(model) });
    home = followRanges(model);
    return made;
  };
  return {
    async render({ model, el }) {
      el.dataset.testid = "tc-figure";
      const waiting = document.createElement("div");
      waiting.className = "tc-figure-waiting";
      waiting.style.height = `${model.get("_widget_layout").height ?? 360}px`;
      waiting.textContent = "drawing …";
      el.append(waiting);
      let cleanup = null;
      let view = null;
      const cleanups = [zoomWithWheel(el), spreadLabels(el)];
      let gone = false;
      figure ??= prepare(model);
      const begin = async (made) => {
        const draw = () => {
          if (gone) return;
          cleanup?.();
          view?.detach();
          view = quiet(model);
          Object.assign(home, rangesOf(model));
          cleanup = made.render({ model: view, el });
        };
        await refresh(model, draw);
        if (gone) return;
        waiting.remove();
        draw();
        cleanups.push(resetWithDoubleClick(el, model, (data) => view.relayout(data), home));
        el.append(saveButtons(el, () => model.get("caption") || "plot"));
      };
      figure.then(begin).catch((error) => {
        waiting.textContent = `Plotly could not be loaded: ${error.message}`;
      });
      return () => {
        gone = true;
        cleanups.forEach((clean) => clean());
        cleanup?.();
        view?.detach();
      };
    }
  };
};
export {
  figure_default as default
};
