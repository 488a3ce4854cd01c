// Every sample, one mark each: what it brings to the chosen tensor, which stand out, which are left out.

import { button, helpButton } from "../../kit/js/controls.js";
import { h, nameParts, setText } from "../../kit/js/dom.js";
import { modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";
import { watchTheme } from "../../kit/js/theme.js";
import { pictureStore, showPicture } from "./pictures.js";
import { drawStrip, largestOf, layoutOf } from "./strip.js";

const HEIGHT = 116;
const CLOSEST = 20;

function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? Number(value.toPrecision(3)).toString() : value.toExponential(1).replace("e+", "e");
}

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const view = { first: 0, last: 0, sorted: false };
  let marks = { order: [], values: new Float32Array(0), out: new Set(), extreme: new Set(), batchOf: null, placeOf: () => -1 };
  let chosen = -1;
  let hovered = -1;
  let colors = null;
  let frame = 0;

  const title = h("span", { class: "tc-panel-title", testid: "tc-data-samples-title" });
  const note = h("span", { class: "tc-faint tc-caption-note", testid: "tc-data-samples-note" });
  const order = h("div", { class: "tc-segments", role: "group", "aria-label": "Order of the samples" },
    ...[[false, "as fed"], [true, "largest first"]].map(([sorted, text]) => h("button", { type: "button", class: "tc-segment", "aria-pressed": String(sorted === view.sorted), testid: `tc-data-order-${sorted ? "size" : "data"}`, text,
      on: { click: (event) => { view.sorted = sorted; for (const other of order.children) other.setAttribute("aria-pressed", String(other === event.currentTarget)); readMarks(); } } })));
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
  el.append(h("div", { class: "tc-data-samples" },
    h("div", { class: "tc-panel-head" }, title, note, whole, order, helpButton(model.get("help"), "tc-help-data-samples")),
    h("div", { class: "tc-data-samples-row" }, box, card)));

  const pictures = pictureStore(model, (sample) => { if (sample === hovered) showHover(); if (sample === chosen) showCard(); });

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
    const at = chosen < 0 ? (by > 0 ? -1 : marks.order.length) : marks.placeOf(chosen);
    choose(marks.order[Math.min(Math.max(at + by, 0), marks.order.length - 1)]);
  };
  const reveal = () => {
    const place = marks.placeOf(chosen);
    const wide = view.last - view.first;
    if (place < 0 || (place >= view.first && place < view.last)) return;
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
      brings, more: [marks.extreme.has(sample) ? "stands out" : "", marks.out.has(sample) ? "left out" : ""].filter(Boolean).join(", "),
    };
  };
  const showHover = () => {
    hover.hidden = hovered < 0;
    if (hovered < 0) return;
    const said = words(hovered);
    nameParts(hoverName, said.name);
    setText(hoverFacts, `${said.place}\n${said.brings}${said.more ? `\n${said.more}` : ""}`);
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
    setText(facts, `${said.place}\n${said.brings}${model.get("state").detail ? `\n${model.get("state").detail}` : ""}`);
    facts.title = facts.textContent;
    canvas.setAttribute("aria-valuenow", marks.placeOf(chosen) + 1);
    canvas.setAttribute("aria-valuetext", `${said.name}, ${said.place}, ${said.brings}${said.more ? `, ${said.more}` : ""}`);
  };

  const readColors = () => {
    const style = getComputedStyle(el.closest(".trtcal-root") ?? el);
    const of = (key) => style.getPropertyValue(key).trim();
    colors = { bar: of("--tc-bar"), extreme: of("--tc-mark"), out: of("--tc-line-strong"), line: of("--tc-line"), strong: of("--tc-line-strong"), text: of("--tc-fg"),
      faint: of("--tc-fg2"), well: of("--tc-well"), threshold: of("--tc-accent"), font: style.fontFamily };
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
    places.forEach((sample, place) => { at[sample] = place; });
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
  canvas.addEventListener("pointerleave", () => { hovered = -1; showHover(); draw(); });
  canvas.addEventListener("click", (event) => choose(sampleAt(event)));
  canvas.addEventListener("dblclick", () => zoomTo(0, marks.order.length));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
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
  const unwatch = watchTheme(() => requestAnimationFrame(() => { colors = null; draw(); }));
  const cleanups = [
    follow(model, ["facts", "state", "values"], readMarks),
    follow(model, ["selected"], readChosen),
    () => resize.disconnect(), unwatch, pictures.clean, () => cancelAnimationFrame(frame),
  ];
  // The root's keys: it is there once the panel is on the page.
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

export default { render };
