// Made by frontend/build.mjs: change the sources beside the screens, in their js folders.

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
  return {
    get: (name) => model.get(name),
    set: (name, value) => {
      if (!unwanted.has(name)) model.set(name, value);
    },
    save_changes: () => model.save_changes(),
    on: (name, callback) => model.on(name, callback),
    off: (name, callback) => model.off(name, callback),
    send: (...content) => model.send(...content),
    widget_manager: model.widget_manager
  };
}
function refresh(model) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      model.off("change:fresh", done);
      resolve();
    };
    const timer = setTimeout(done, PATIENCE);
    model.on("change:fresh", done);
    model.send({ type: "refresh" });
  });
}
var figure_default = () => {
  let figure = null;
  const prepare = async (model) => {
    const made = (await loadPlotly(model))();
    made.initialize({ model: quiet(model) });
    await refresh(model);
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
      let gone = false;
      figure ??= prepare(model);
      figure.then((made) => {
        waiting.remove();
        if (!gone) cleanup = made.render({ model: quiet(model), el });
      }, (error) => {
        waiting.textContent = `Plotly could not be loaded: ${error.message}`;
      });
      return () => {
        gone = true;
        cleanup?.();
      };
    }
  };
};
export {
  figure_default as default
};
