// A Plotly figure whose script is shared: every FigureWidget would bring its own 5 MB, and anywidget gives a model two
// seconds to be ready. Here the model is ready at once, and Plotly is loaded, once per page, before the first plot is drawn.

import { spreadLabels } from "./labels.js";
import { saveButtons } from "./save_picture.js";

const PATIENCE = 3000;

/** Plotly's own widget module, from the one widget that carries its text. */
async function loadPlotly(model) {
  const id = model.get("script").replace("IPY_MODEL_", "");
  const carrier = await model.widget_manager.get_model(id);
  const version = carrier.get("version");
  const loaded = (globalThis.__trtcalPlotly ??= new Map());
  if (!loaded.has(version)) {
    const url = URL.createObjectURL(new Blob([carrier.get("code")], { type: "text/javascript" }));
    loaded.set(version, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return (await loaded.get(version)).default;
}

/**
 * The model as a view is given it: without Plotly's reports of its own defaults (the kernel does not want them, and they
 * are long), with the wheel, and with a double click that is ours. `relayout(data)` draws as if the kernel had said so.
 */
function quiet(model) {
  const unwanted = new Set(["_js2py_traceDeltas", "_js2py_layoutDelta", "_js2py_widget_layoutDelta"]);
  const RELAYOUT = "_py2js_relayout";
  const drawing = [];
  const heard = [];
  let said = null;
  return {
    get: (name) => {
      if (name === "_config") return { ...model.get(name), scrollZoom: true, doubleClick: false };
      return name === RELAYOUT && said ? said : model.get(name);
    },
    set: (name, value) => { if (!unwanted.has(name)) model.set(name, value); },
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
    detach: () => heard.splice(0).forEach(([name, callback]) => model.off(name, callback)),
  };
}

/** The ranges of the axes in the state that the kernel sent: copies, for a zoom changes the layout's own. */
function rangesOf(model) {
  const axes = Object.entries(model.get("_widget_layout")).filter(([name, axis]) => /^[xy]axis\d*$/.test(name) && axis.range);
  return Object.fromEntries(axes.map(([name, axis]) => [`${name}.range`, [...axis.range]]));
}

/** The ranges of the axes as the kernel set them last. */
function followRanges(model) {
  const home = rangesOf(model);
  const note = (message, layout) => {
    // A message with a source is a zoom that the kernel passes on to the other views.
    if (!message || message.source_view_id) return;
    for (const [key, value] of Object.entries(layout(message) ?? {})) if (/^[xy]axis\d*\.range$/.test(key) && value) home[key] = [...value];
  };
  model.on("change:_py2js_relayout", () => note(model.get("_py2js_relayout"), (message) => message.relayout_data));
  model.on("change:_py2js_update", () => note(model.get("_py2js_update"), (message) => message.layout_data));
  return home;
}

/**
 * A double click goes back to the ranges that the kernel set. Plotly's own would fit the data and what is drawn over
 * them: a log axis then ends where the line does that can be dragged, and one that is turned round turns back.
 */
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
  // Plotly counts presses, drags among them: after a quick zoom it takes the first click for the second.
  let before = null;
  const far = ({ clientX, clientY }) => Math.hypot(clientX - before.x, clientY - before.y) > SAME_PLACE;
  const onDown = (event) => {
    if (event.button !== 0 || !event.target.closest?.(".nsewdrag")) return;
    const twice = before && event.timeStamp - before.at < DOUBLE && !far(event);
    if (twice) window.addEventListener("pointerup", () => setTimeout(reset, AFTER), { capture: true, once: true });
    before = twice ? null : { at: event.timeStamp, x: event.clientX, y: event.clientY };
  };
  const onMove = (event) => { if (before && event.buttons && far(event)) before = null; };
  el.addEventListener("pointerdown", onDown, true);
  window.addEventListener("pointermove", onMove, true);
  return () => window.removeEventListener("pointermove", onMove, true);
}

const DOUBLE = 500; // ms between the presses of a double click
const SAME_PLACE = 5; // px that the pointer may move meanwhile
const AFTER = 50; // ms: Plotly is done with the second click

/**
 * The wheel zooms along x, around the pointer: Plotly would move the counts as well, and does not where the wheel turns
 * over the axis. A page that is scrolled and brings a plot below a resting pointer scrolls on.
 */
function zoomWithWheel(el) {
  let pointed = false;
  const onMove = (event) => { pointed ||= event.movementX !== 0 || event.movementY !== 0; };
  const onScroll = () => { pointed = false; };
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

/**
 * Ask the kernel for the figure as it is now: what changed before a view is there is drawn by nobody. A kernel that runs a
 * cell answers when that is done: after some patience what is there is drawn, and `late` is called when the rest comes.
 */
function refresh(model, late) {
  return new Promise((resolve) => {
    let waiting = true;
    const timer = setTimeout(() => { waiting = false; resolve(); }, PATIENCE);
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

export default () => {
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
    },
  };
};
