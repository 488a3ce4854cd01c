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

// trtcal_widgets/widgets/kit/js/theme.js
function watchTheme(apply) {
  const observer = new MutationObserver(apply);
  const options = { attributes: true, attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "theme", "data-theme", "class"] };
  observer.observe(document.body, options);
  observer.observe(document.documentElement, options);
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", apply);
  apply();
  return () => {
    observer.disconnect();
    media.removeEventListener("change", apply);
  };
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

// trtcal_widgets/widgets/data/js/strip.js
var TOP = 14;
var BOTTOM = 10;
var LEFT = 52;
var GAP = 1;
var WIDEST = 36;
function layoutOf({ order, first, last, width }) {
  const shown = Math.max(last - first, 1);
  const room = Math.max(width - LEFT - 2, 1);
  const step = Math.min(room / shown, WIDEST);
  return {
    step,
    columns: Math.min(Math.ceil(shown * step), shown),
    left: (place) => LEFT + (place - first) * step,
    /** Places that a pixel stands for: several where there are more samples than pixels. */
    placesAt(x) {
      const at = first + (x - LEFT) / step;
      if (at < first || at >= Math.min(last, order.length)) return null;
      if (step >= 1) return [Math.floor(at), Math.floor(at) + 1];
      return [Math.floor(at), Math.min(Math.max(Math.ceil(at + 1 / step), Math.floor(at) + 1), last)];
    }
  };
}
function largestOf(order, values, [from, to]) {
  let best = order[from];
  for (let place = from; place < to; place += 1) {
    const sample = order[place];
    if (!(values[sample] <= values[best])) best = sample;
  }
  return best;
}
function drawStrip(canvas, { marks, view, chosen, hovered, threshold, colors, texts, width, height }) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const { order, values, out, extreme, batchOf } = marks;
  if (!order.length) return;
  const layout = layoutOf({ order, ...view, width });
  let top = 0;
  for (let place = view.first; place < view.last; place += 1) {
    const value = values[order[place]];
    if (value > top) top = value;
  }
  const ceiling = Math.max(top, 0) || 1;
  const base = height - BOTTOM;
  const tall = base - TOP;
  const yOf = (value) => base - value / ceiling * tall;
  const right = layout.left(Math.min(view.last, order.length));
  context.fillStyle = colors.well;
  context.fillRect(LEFT, TOP, right - LEFT, tall);
  if (batchOf) drawBatches(context, { order, batchOf, view, layout, base, colors });
  const last = Math.min(view.last, order.length);
  const draw = (sample, x, wide) => {
    const value = values[sample];
    const gone = out.has(sample);
    const known = value >= 0;
    const high = known ? Math.max(value / ceiling * tall, 1.5) : 3;
    context.fillStyle = gone ? colors.out : extreme.has(sample) ? colors.extreme : known ? colors.bar : colors.line;
    context.globalAlpha = gone ? 0.75 : 1;
    context.fillRect(x, base - high, wide, high);
    context.globalAlpha = 1;
    if (!gone && extreme.has(sample) && known) {
      context.beginPath();
      const middle = x + wide / 2;
      context.moveTo(middle - 3, base - high - 5);
      context.lineTo(middle + 3, base - high - 5);
      context.lineTo(middle, base - high - 1);
      context.fill();
    }
  };
  if (layout.step >= 1) {
    const gap = layout.step >= 4 ? GAP : 0;
    for (let place = view.first; place < last; place += 1) draw(order[place], layout.left(place), Math.max(layout.step - gap, 1));
  } else {
    for (let x = LEFT; x < right; x += 1) {
      const places = layout.placesAt(x);
      if (places) draw(largestOf(order, values, places), x, 1);
    }
  }
  context.strokeStyle = colors.text;
  context.beginPath();
  for (const sample of out) {
    const place = marks.placeOf(sample);
    if (place < view.first || place >= last) continue;
    const middle = layout.left(place) + Math.max(layout.step, 1) / 2;
    context.moveTo(middle - 2.5, base + 4);
    context.lineTo(middle + 2.5, base + 9);
    context.moveTo(middle + 2.5, base + 4);
    context.lineTo(middle - 2.5, base + 9);
  }
  context.stroke();
  if (threshold > 0 && threshold <= ceiling) {
    context.strokeStyle = colors.threshold;
    context.setLineDash([5, 3]);
    context.beginPath();
    context.moveTo(LEFT, yOf(threshold));
    context.lineTo(right, yOf(threshold));
    context.stroke();
    context.setLineDash([]);
  }
  for (const [sample, color, wide] of [[hovered, colors.strong, 1], [chosen, colors.text, 2]]) {
    const place = sample >= 0 ? marks.placeOf(sample) : -1;
    if (place < view.first || place >= last) continue;
    const x = layout.left(place) + Math.max(layout.step, 1) / 2;
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = wide;
    if (layout.step >= 4) context.strokeRect(layout.left(place) - 0.5, TOP - 0.5, layout.step, tall + 1);
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x - 4.5, 2);
    context.lineTo(x + 4.5, 2);
    context.lineTo(x, 9);
    context.fill();
  }
  drawAxis(context, { ceiling, yOf, threshold, base, colors, texts });
}
function drawBatches(context, { order, batchOf, view, layout, base, colors }) {
  let from = view.first;
  const last = Math.min(view.last, order.length);
  for (let place = view.first + 1; place <= last; place += 1) {
    if (place < last && batchOf[order[place]] === batchOf[order[from]]) continue;
    context.fillStyle = batchOf[order[from]] % 2 ? colors.strong : colors.line;
    context.fillRect(layout.left(from), base + 1, Math.max(layout.left(place) - layout.left(from) - 1, 0.5), 2);
    from = place;
  }
}
function drawAxis(context, { ceiling, yOf, threshold, base, colors, texts }) {
  context.font = `11px ${colors.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = colors.faint;
  context.fillText("0", LEFT - 6, base);
  context.fillText(texts.number(ceiling), LEFT - 6, TOP);
  if (threshold > 0 && threshold <= ceiling && yOf(threshold) - TOP > 12 && base - yOf(threshold) > 12) {
    context.fillStyle = colors.threshold;
    context.fillText(texts.threshold, LEFT - 6, yOf(threshold));
  }
}

// trtcal_widgets/widgets/data/js/samples.js
var HEIGHT = 116;
var CLOSEST = 20;
function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? Number(value.toPrecision(3)).toString() : value.toExponential(1).replace("e+", "e");
}
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const view = { first: 0, last: 0, sorted: false };
  let marks = { order: [], values: new Float32Array(0), out: /* @__PURE__ */ new Set(), extreme: /* @__PURE__ */ new Set(), batchOf: null, placeOf: () => -1 };
  let chosen = -1;
  let hovered = -1;
  let colors = null;
  let frame = 0;
  const title = h("span", { class: "tc-panel-title", testid: "tc-data-samples-title" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: "tc-data-samples-note" });
  const order = h(
    "div",
    { class: "tc-segments", role: "group", "aria-label": "Order of the samples" },
    ...[[false, "as fed"], [true, "largest first"]].map(([sorted, text]) => h("button", {
      type: "button",
      class: "tc-segment",
      "aria-pressed": String(sorted === view.sorted),
      testid: `tc-data-order-${sorted ? "size" : "data"}`,
      text,
      on: { click: (event) => {
        view.sorted = sorted;
        for (const other of order.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        readMarks();
      } }
    }))
  );
  const whole = button("reset", "Show all again (double click)", "tc-data-zoom-out", () => zoomTo(0, marks.order.length), "show all");
  const canvas = h("canvas", { class: "tc-data-strip", tabindex: "0", role: "slider", "aria-label": "Samples", "aria-valuemin": 1, testid: "tc-data-strip" });
  const hoverPicture = h("canvas", { width: 96, height: 96, class: "tc-data-picture" });
  const hoverName = h("div", { class: "tc-name" });
  const hoverFacts = h("div", { class: "tc-faint" });
  const hover = h("div", { class: "tc-data-hover", hidden: true, testid: "tc-data-hover" }, hoverPicture, h("div", {}, hoverName, hoverFacts));
  const picture = h("canvas", { width: 96, height: 96, class: "tc-data-picture", testid: "tc-data-picture" });
  const name = h("span", { class: "tc-name", testid: "tc-data-sample-name" });
  const facts = h("div", { class: "tc-faint tc-data-card-facts", testid: "tc-data-sample-facts" });
  const tick = h("input", { type: "checkbox", testid: "tc-data-count-it", on: { change: () => toggle(chosen) } });
  const tickLabel = h("label", { class: "tc-label tc-data-tick", title: "Untick to leave this out of every threshold (x); nothing is lost, and undo brings it back" }, tick, h("span", { text: "counted" }));
  const card = h("div", { class: "tc-data-card" }, picture, h("div", { class: "tc-data-card-words" }, name, facts, tickLabel));
  const box = h("div", { class: "tc-data-strip-box" }, canvas, hover);
  el.append(h(
    "div",
    { class: "tc-data-samples" },
    h("div", { class: "tc-panel-head" }, title, note, whole, order, helpButton(model.get("help"), "tc-help-data-samples")),
    h("div", { class: "tc-data-samples-row" }, box, card)
  ));
  const pictures = pictureStore(model, (sample) => {
    if (sample === hovered) showHover();
    if (sample === chosen) showCard();
  });
  const toggle = (sample) => {
    if (sample >= 0 && model.get("state").can_leave_out) send(marks.out.has(sample) ? "count_sample" : "leave_out", { sample });
    else showCard();
  };
  const choose = (sample) => {
    if (sample < 0 || sample === chosen) return;
    chosen = sample;
    reveal();
    showCard();
    draw();
    send("sample", { sample });
  };
  const step = (by) => {
    if (!marks.order.length) return;
    const at = chosen < 0 ? by > 0 ? -1 : marks.order.length : marks.placeOf(chosen);
    choose(marks.order[Math.min(Math.max(at + by, 0), marks.order.length - 1)]);
  };
  const reveal = () => {
    const place = marks.placeOf(chosen);
    const wide = view.last - view.first;
    if (place < 0 || place >= view.first && place < view.last) return;
    zoomTo(place < view.first ? place : place - wide + 1, place < view.first ? place + wide : place + 1);
  };
  const zoomTo = (first, last) => {
    const n = marks.order.length;
    const wide = Math.min(Math.max(Math.round(last - first), Math.min(CLOSEST, n)), n);
    view.first = Math.min(Math.max(Math.round(first), 0), n - wide);
    view.last = view.first + wide;
    whole.style.visibility = wide < n ? "visible" : "hidden";
    draw();
  };
  const zoomBy = (factor, around) => {
    const middle = around ?? (chosen >= 0 ? marks.placeOf(chosen) : (view.first + view.last) / 2);
    zoomTo(middle - (middle - view.first) * factor, middle + (view.last - middle) * factor);
  };
  const words = (sample) => {
    const { names, unit } = model.get("facts");
    const value = marks.values[sample];
    const brings = Number.isFinite(value) && value >= 0 ? `largest |x| ${shortNumber(value)}` : "no value of this tensor";
    const count = marks.order.length.toLocaleString("en-US");
    const batch = marks.batchOf ? ` · batch ${marks.batchOf[sample] + 1}` : "";
    return {
      name: names?.[sample] || `${unit} ${(sample + 1).toLocaleString("en-US")}`,
      place: names?.[sample] ? `${unit} ${(sample + 1).toLocaleString("en-US")} of ${count}${batch}` : `of ${count}${batch}`,
      brings,
      more: [marks.extreme.has(sample) ? "stands out" : "", marks.out.has(sample) ? "left out" : ""].filter(Boolean).join(", ")
    };
  };
  const showHover = () => {
    hover.hidden = hovered < 0;
    if (hovered < 0) return;
    const said = words(hovered);
    nameParts(hoverName, said.name);
    setText(hoverFacts, `${said.place}
${said.brings}${said.more ? `
${said.more}` : ""}`);
    const has = model.get("facts").pictures;
    hoverPicture.hidden = !has;
    if (has) showPicture(hoverPicture, pictures.get(hovered));
  };
  const showCard = () => {
    const none = chosen < 0 || chosen >= marks.order.length;
    card.dataset.empty = String(none);
    const { pictures: has, unit } = model.get("facts");
    picture.hidden = !has;
    if (has) showPicture(picture, none ? null : pictures.get(chosen));
    tick.disabled = none || !model.get("state").can_leave_out;
    tick.checked = !none && !marks.out.has(chosen);
    if (none) {
      nameParts(name, `Choose a ${unit ?? "sample"} in the strip`);
      setText(facts, "a click, or ← and →");
      return;
    }
    const said = words(chosen);
    nameParts(name, said.name);
    setText(facts, `${said.place}
${said.brings}${model.get("state").detail ? `
${model.get("state").detail}` : ""}`);
    facts.title = facts.textContent;
    canvas.setAttribute("aria-valuenow", marks.placeOf(chosen) + 1);
    canvas.setAttribute("aria-valuetext", `${said.name}, ${said.place}, ${said.brings}${said.more ? `, ${said.more}` : ""}`);
  };
  const readColors = () => {
    const style = getComputedStyle(el.closest(".trtcal-root") ?? el);
    const of = (key) => style.getPropertyValue(key).trim();
    colors = {
      bar: of("--tc-bar"),
      extreme: of("--tc-mark"),
      out: of("--tc-line-strong"),
      line: of("--tc-line"),
      strong: of("--tc-line-strong"),
      text: of("--tc-fg"),
      faint: of("--tc-fg2"),
      well: of("--tc-well"),
      threshold: of("--tc-accent"),
      font: style.fontFamily
    };
  };
  const draw = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      if (!box.clientWidth) return;
      if (!colors) readColors();
      const { threshold, threshold_text } = model.get("state");
      drawStrip(canvas, { marks, view, chosen, hovered, threshold: threshold ?? 0, colors, texts: { number: shortNumber, threshold: threshold_text ?? "" }, width: box.clientWidth, height: HEIGHT });
      el.dataset.drawn = String(Number(el.dataset.drawn ?? 0) + 1);
    });
  };
  const readMarks = () => {
    const { n = 0, starts = [], unit } = model.get("facts");
    const state = model.get("state");
    const bytes = model.get("values");
    const values = bytes?.byteLength >= 4 * n ? new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 4 * n)) : new Float32Array(n).fill(NaN);
    const places = Array.from({ length: n }, (_, i) => i);
    if (view.sorted) places.sort((a, b) => (values[b] >= 0 ? values[b] : -1) - (values[a] >= 0 ? values[a] : -1) || a - b);
    const at = new Int32Array(n);
    places.forEach((sample, place) => {
      at[sample] = place;
    });
    let batchOf = null;
    if (!view.sorted && starts.length) {
      batchOf = new Int32Array(n);
      starts.forEach((start, batch) => batchOf.fill(batch, start, starts[batch + 1] ?? n));
    }
    const grew = n !== marks.order.length;
    marks = { order: places, values, out: new Set(state.out), extreme: new Set(state.extreme), batchOf, placeOf: (sample) => at[sample] ?? -1 };
    if (grew) {
      pictures.forget();
      zoomTo(0, n);
    }
    setText(title, unit === "batch" ? "batches" : "samples");
    setText(note, state.note ?? "");
    note.title = state.note ?? "";
    canvas.setAttribute("aria-valuemax", Math.max(n, 1));
    showCard();
    draw();
  };
  const readChosen = () => {
    chosen = model.get("selected");
    reveal();
    showCard();
    draw();
  };
  const sampleAt = (event) => {
    const places = layoutOf({ order: marks.order, ...view, width: box.clientWidth }).placesAt(event.offsetX);
    return places ? largestOf(marks.order, marks.values, places) : -1;
  };
  canvas.addEventListener("pointermove", (event) => {
    const sample = sampleAt(event);
    const wide = box.clientWidth;
    hover.style.left = `${Math.min(Math.max(event.offsetX - 120, 0), Math.max(wide - 300, 0))}px`;
    if (sample === hovered) return;
    hovered = sample;
    showHover();
    draw();
  });
  canvas.addEventListener("pointerleave", () => {
    hovered = -1;
    showHover();
    draw();
  });
  canvas.addEventListener("click", (event) => choose(sampleAt(event)));
  canvas.addEventListener("dblclick", () => zoomTo(0, marks.order.length));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const places = layoutOf({ order: marks.order, ...view, width: box.clientWidth }).placesAt(event.offsetX);
    zoomBy(event.deltaY < 0 ? 0.7 : 1 / 0.7, places?.[0]);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    const page = Math.max(1, Math.round((view.last - view.first) / 10));
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
    if (steps) step(steps);
    else if (event.key === " " || event.key === "Enter") toggle(chosen);
    else if (event.key === "+") zoomBy(0.6);
    else if (event.key === "-") zoomBy(1 / 0.6);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const resize = new ResizeObserver(draw);
  resize.observe(box);
  const unwatch = watchTheme(() => requestAnimationFrame(() => {
    colors = null;
    draw();
  }));
  const cleanups = [
    follow(model, ["facts", "state", "values"], readMarks),
    follow(model, ["selected"], readChosen),
    () => resize.disconnect(),
    unwatch,
    pictures.clean,
    () => cancelAnimationFrame(frame)
  ];
  let root = null;
  const onStep = (event) => step(event.detail);
  const onLeave = () => toggle(chosen);
  const attached = requestAnimationFrame(() => {
    root = el.closest(".trtcal-root");
    root?.addEventListener("tc-sample", onStep);
    root?.addEventListener("tc-leave-out", onLeave);
    colors = null;
    draw();
  });
  return () => {
    cancelAnimationFrame(attached);
    root?.removeEventListener("tc-sample", onStep);
    root?.removeEventListener("tc-leave-out", onLeave);
    cleanups.forEach((clean) => clean());
  };
}
var samples_default = { render };
export {
  samples_default as default
};
