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

// trtcal_widgets/widgets/data/js/pictures.js
var KEPT = 400;
function pictureStore(model, onPicture) {
  const pictures = /* @__PURE__ */ new Map();
  const asked = /* @__PURE__ */ new Set();
  const receive = (message, buffers) => {
    if (message.type !== "picture") return;
    asked.delete(message.sample);
    if (pictures.size >= KEPT) pictures.delete(pictures.keys().next().value);
    pictures.set(message.sample, message.width ? paint(message, buffers[0]) : null);
    onPicture(message.sample);
  };
  model.on("msg:custom", receive);
  return {
    get(sample) {
      if (pictures.has(sample)) return pictures.get(sample);
      if (!asked.has(sample)) {
        asked.add(sample);
        model.send({ type: "picture", sample });
      }
      return null;
    },
    forget() {
      pictures.clear();
      asked.clear();
    },
    clean: () => model.off("msg:custom", receive)
  };
}
function paint({ width, height }, buffer) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  image.data.set(new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, width * height * 4));
  context.putImageData(image, 0, 0);
  return canvas;
}
function showPicture(target, picture) {
  const context = target.getContext("2d");
  context.clearRect(0, 0, target.width, target.height);
  target.dataset.empty = String(!picture);
  if (!picture) return;
  const scale = Math.min(target.width / picture.width, target.height / picture.height);
  const [wide, high] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingEnabled = scale < 1;
  context.drawImage(picture, (target.width - wide) / 2, (target.height - high) / 2, wide, high);
}

// trtcal_widgets/widgets/data/js/blame.js
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const title = h("span", { class: "tc-panel-title", text: "who sets the range" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: "tc-data-blame-note" });
  const rows = h("div", { class: "tc-data-blame-rows", role: "list", testid: "tc-data-blame" });
  const empty = h("div", { class: "tc-empty", testid: "tc-data-blame-empty" });
  el.append(h(
    "div",
    { class: "tc-data-blame" },
    h("div", { class: "tc-panel-head" }, title, note, helpButton(model.get("help"), "tc-help-data-blame")),
    rows,
    empty
  ));
  const canvases = /* @__PURE__ */ new Map();
  const pictures = pictureStore(model, (sample) => {
    if (canvases.has(sample)) showPicture(canvases.get(sample), pictures.get(sample));
  });
  const makeRow = (entry, state) => {
    const node = h("div", { class: "tc-data-culprit", role: "listitem", testid: "tc-data-culprit" });
    node.dataset.sample = entry.sample;
    node.dataset.out = String(entry.out);
    if (entry.sample === state.selected) node.dataset.current = "";
    if (state.pictures) {
      const canvas = h("canvas", { width: 48, height: 48, class: "tc-data-picture" });
      canvases.set(entry.sample, canvas);
      node.append(canvas);
      showPicture(canvas, pictures.get(entry.sample));
    }
    const name = h("button", { type: "button", class: "tc-data-link", testid: "tc-data-culprit-name", on: { click: () => send("sample", { sample: entry.sample }) } });
    const shown = h("span", { class: "tc-name" });
    nameParts(shown, entry.name);
    name.append(shown);
    const words = h(
      "div",
      { class: "tc-data-culprit-words" },
      name,
      h("div", { class: "tc-faint", text: entry.facts, title: entry.facts }),
      h("div", { class: "tc-data-without", text: entry.without, title: entry.without, testid: "tc-data-without" })
    );
    words.lastChild.dataset.kind = entry.without_kind;
    const actions = h("div", { class: "tc-data-culprit-do" });
    if (entry.can_ask) {
      actions.append(h("button", {
        type: "button",
        class: "tc-button",
        text: "without it?",
        testid: "tc-data-ask",
        title: "Run this one again and take its values away: exact, for all tensors at once",
        on: { click: () => send("without", { sample: entry.sample }) }
      }));
    }
    const tick = h("input", { type: "checkbox", disabled: !state.can_leave_out, testid: "tc-data-culprit-count", on: { change: () => send(tick.checked ? "count_sample" : "leave_out", { sample: entry.sample }) } });
    tick.checked = !entry.out;
    actions.append(h("label", { class: "tc-label tc-data-tick", title: "Untick to leave it out of every threshold; undo brings it back" }, tick, h("span", { text: "counted" })));
    node.append(words, actions);
    return node;
  };
  const update = () => {
    const state = model.get("state");
    if (!state.entries) return;
    const focused = el.contains(document.activeElement) && [document.activeElement.closest("[data-sample]")?.dataset.sample, document.activeElement.dataset.testid];
    canvases.clear();
    setText(note, state.note);
    note.title = state.note;
    rows.hidden = !state.entries.length;
    rows.replaceChildren(...state.entries.map((entry) => makeRow(entry, state)));
    empty.hidden = state.entries.length > 0;
    setText(empty, state.empty);
    if (focused?.[0]) rows.querySelector(`[data-sample="${focused[0]}"] [data-testid="${focused[1]}"]`)?.focus({ preventScroll: true });
  };
  const stop = follow(model, ["state"], update);
  return () => {
    stop();
    pictures.clean();
  };
}
var blame_default = { render };
export {
  blame_default as default
};
