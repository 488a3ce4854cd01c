// Where am I: run control, the strip of batches, the pictures of the last batch.

import { button, helpButton } from "../../kit/js/controls.js";
import { h, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";

const MANY = 64;
const THUMB_HEIGHT = 34;
const THUMB_ROOM = 0.36;

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const first = button("first", "Back to before the first batch", "tc-first", () => send("first"));
  const back = button("back", "One batch back (←)", "tc-back", () => send("back"));
  const play = button("play", "Run through the batches", "tc-play", () => send(model.get("state").running ? "cancel" : "play"));
  play.classList.add("tc-primary");
  const forward = button("forward", "One batch forward (→)", "tc-forward", () => send("forward"));
  const last = button("last", "Run to the last batch", "tc-last", () => send("last"));
  const slider = h("input", { type: "range", min: 0, step: 1, class: "tc-slider", "aria-label": "Batches counted", testid: "tc-slider",
    on: { change: () => send("seek", { position: Number(slider.value) }) } });
  const text = h("span", { class: "tc-progress-text", testid: "tc-progress", "aria-live": "polite" });
  const cancel = button("cancel", "Stop after the present batch; what is recorded stays", "tc-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const message = h("div", { class: "tc-message", testid: "tc-message", role: "status" });
  const strip = h("div", { class: "tc-strip", role: "group", "aria-label": "Batches: largest |x| of the chosen tensor; press space to leave one out", testid: "tc-strip" });
  const thumbs = h("canvas", { class: "tc-thumbs", height: 34, width: 10, role: "img", testid: "tc-thumbs" });
  const batches = h("div", { class: "tc-batches" }, strip, thumbs);
  el.append(
    h("div", { class: "tc-stepper", testid: "tc-stepper" },
      h("div", { class: "tc-transport", role: "toolbar", "aria-label": "Run control" }, first, back, play, forward, last),
      slider, text, cancel, helpButton(model.get("help"), "tc-help-stepper")),
    message,
    batches,
  );
  let bars = [];

  const toggleBatch = (index) => {
    const state = model.get("state");
    send(state.excluded.includes(index) ? "include" : "exclude", { batch: index });
  };
  const makeBar = (index) => {
    const bar = h("button", { type: "button", class: "tc-bar", role: "checkbox", testid: `tc-batch-${index}`, tabindex: index ? -1 : 0,
      on: { click: () => toggleBatch(index) } });
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
      bar.title = recorded
        ? `batch ${index + 1}: largest |x| ${state.amax_text[index]}${out ? " · left out; click to take it in again" : " · click to leave it out"}`
        : `batch ${index + 1}: not recorded yet`;
      bar.setAttribute("aria-label", bar.title);
      bar.firstChild.firstChild.style.height = recorded && largest > 0 && value !== null ? `${Math.max(4, (100 * value) / largest)}%` : "0";
    });
  };

  // As many pictures as there is room for, each of them whole.
  const fitThumbs = () => {
    const { width, height, count } = model.get("thumbs");
    if (!count || !batches.clientWidth) return;
    const one = (width / count) * (THUMB_HEIGHT / height);
    thumbs.style.width = `${Math.max(1, Math.min(count, Math.floor((THUMB_ROOM * batches.clientWidth) / one))) * one}px`;
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
    if (state.phase === undefined) return;
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
    slider.style.setProperty("--tc-fill", `${state.slider_max ? (100 * state.position) / state.slider_max : 0}%`);
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

export default { render };
