// The TensorRT build: what is asked for, how far it is, the batches, what came of it; or what to do without TensorRT.

import { button, copyButton, helpButton, noticeBox } from "../../kit/js/controls.js";
import { h, nameParts, setOptions, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { follow } from "../../kit/js/model.js";
import { setUpRoot, whenAttached } from "../../kit/js/root.js";
import { logBox } from "./log.js";

/** What to do without TensorRT: what to install, and the files for a machine that has it. */
function missingBox(send) {
  const text = h("div", { class: "tc-bld-missing-text", testid: "tc-bld-missing-text" });
  const install = h("div", { class: "tc-bld-install" });
  const files = h("div", { class: "tc-bld-files" });
  const result = h("div", { class: "tc-result", role: "status", testid: "tc-bld-written" });
  const filesHead = h("div", { class: "tc-bld-sub", text: "Without TensorRT: write the files here, build on the machine that has it" });
  const node = h("div", { class: "tc-bld-missing", testid: "tc-bld-missing" }, text,
    h("div", { class: "tc-bld-sub", text: "With an NVIDIA GPU: install, then look again" }), install,
    h("div", {}, button("reset", "Look for TensorRT again, after you have installed it", "tc-bld-look", () => send("look"), "look again")),
    filesHead, files, result);
  const command = ([line, what]) => h("div", { class: "tc-bld-command tc-cell" }, h("code", { text: line }),
    copyButton("Copy the command", "tc-bld-copy", () => line), h("span", { class: "tc-faint", text: what }));
  const file = (one) => {
    const write = button(null, one.why_not || `Write ${one.path}`, `tc-bld-write-${one.kind}`, () => send("write", { kind: one.kind, replace: one.exists }), one.exists ? "replace" : "write");
    write.disabled = Boolean(one.why_not);
    return h("div", { class: "tc-bld-command" }, write, h("code", { text: one.path }), h("span", { class: "tc-faint", text: one.why_not || one.label }));
  };
  let drawn = "";
  const show = (state) => {
    node.hidden = !state.missing;
    const key = JSON.stringify([state.install, state.files]);
    if (key !== drawn) {
      drawn = key;
      install.replaceChildren(...state.install.map(command));
      files.replaceChildren(...state.files.map(file));
    }
    filesHead.hidden = !state.files.length;
    setText(text, state.missing);
    setText(result, state.written);
    result.dataset.kind = state.written_kind;
  };
  return { node, show };
}

function formBox(send) {
  const values = () => ({ mode: mode.value, algorithm: algorithm.value, follow: follows.value, fp16: fp16.checked, hold: hold.checked, path: path.value, cache: cache.value });
  const change = () => send("set", values());
  const select = (label, title, testid) => h("select", { class: "tc-select", "aria-label": label, title, testid, on: { change } });
  const input = (label, title, testid) => h("input", { class: "tc-input tc-path", type: "text", spellcheck: "false", autocomplete: "off", "aria-label": label, title, testid, on: { change } });
  const check = (testid) => h("input", { type: "checkbox", testid, on: { change } });
  const mode = select("Scales", "Where the INT8 scales come from", "tc-bld-mode");
  const algorithm = select("Calibrator", "TensorRT's calibrator class; DLA takes entropy 2 only", "tc-bld-algorithm");
  const follows = select("Show here", "What the session (and an explorer of it) shows while TensorRT calibrates", "tc-bld-follow");
  const path = input("Engine", "Where the engine goes; a JSON that says what it was made from goes beside it", "tc-bld-path");
  const cache = input("Cache", "Where TensorRT's calibration cache goes; empty: it is not written. A file that is there is used instead of calibrating", "tc-bld-cache");
  const fp16 = check("tc-bld-fp16");
  const hold = check("tc-bld-hold");
  const build = button(null, "Start the build", "tc-bld-build", () => send("build", { ...values(), replace: model().exists.length > 0 }), "build");
  build.classList.add("tc-primary-text");
  const label = (text, node, title) => h("label", { class: "tc-label", title }, h("span", { text }), node);
  const calibrating = [label("calibrator", algorithm), label("cache", cache), label("show here", follows)];
  const holdLabel = h("label", { class: "tc-label", title: "Wait before the first batch, so that you can step" }, hold, h("span", { text: "pause first" }));
  const node = h("div", { class: "tc-bld-form" },
    h("div", { class: "tc-export-row" }, label("scales", mode),
      h("label", { class: "tc-label", title: "Whether layers may run in FP16 where that is faster" }, fp16, h("span", { text: "FP16 too" })),
      holdLabel, calibrating[0], calibrating[2]),
    h("div", { class: "tc-export-row" }, label("engine", path), calibrating[1], build));
  let current = { exists: [] };
  const model = () => current;
  const set = (input, value) => { if (document.activeElement !== input) input.value = value; };
  const show = (state) => {
    current = state;
    node.hidden = Boolean(state.missing);
    setOptions(mode, state.modes.map(([key, text]) => [key, text]));
    state.modes.forEach(([, , why], k) => { mode.options[k].disabled = Boolean(why); mode.options[k].title = why; });
    setOptions(algorithm, state.algorithms);
    setOptions(follows, state.follows);
    mode.value = state.form.mode;
    algorithm.value = state.form.algorithm;
    follows.value = state.form.follow;
    set(path, state.form.path);
    set(cache, state.form.cache);
    fp16.checked = state.form.fp16;
    hold.checked = state.form.hold;
    const steps = state.form.mode === "calibrate";
    for (const one of calibrating) one.style.visibility = steps ? "" : "hidden";
    holdLabel.style.visibility = state.steppable ? "" : "hidden";
    for (const one of [mode, algorithm, follows, path, cache, fp16, hold]) one.disabled = state.running;
    const there = state.exists.length > 0;
    setText(build.querySelector("span"), there ? "build, replacing it" : "build");
    build.title = there ? `Build anew, and replace ${state.exists.join(", ")}` : "Start the build";
    build.setAttribute("aria-label", build.title);
    build.disabled = !state.can_build;
  };
  return { node, show };
}

/** Pause, continue, step, cancel; how far TensorRT is in the batches. */
function runBox(send) {
  const pause = button("pause", "Wait before the next batch", "tc-bld-pause", () => send(pause.dataset.does ?? "pause"), "pause");
  const step = button("forward", "Let TensorRT run one batch, then wait", "tc-bld-step", () => send("step"), "step");
  const cancel = button("cancel", "Stop the build; no engine is made", "tc-bld-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const text = h("div", { class: "tc-bld-status", role: "status", "aria-live": "polite", testid: "tc-bld-status" });
  const strip = h("div", { class: "tc-bld-strip", role: "img", testid: "tc-bld-strip" });
  const note = h("div", { class: "tc-bld-note", testid: "tc-bld-note" });
  const controls = h("div", { class: "tc-transport" }, pause, step, cancel);
  const node = h("div", { class: "tc-bld-run" }, h("div", { class: "tc-bld-run-row" }, controls, text), strip, note);
  let drawn = "";
  const show = (state) => {
    node.hidden = Boolean(state.missing);
    const steps = state.running && state.steppable;
    const does = state.paused ? "resume" : "pause";
    if (pause.dataset.does !== does) {
      pause.dataset.does = does;
      pause.replaceChildren(icon(state.paused ? "play" : "pause"), h("span", { text: state.paused ? "continue" : "pause" }));
      pause.title = state.paused ? "Let TensorRT go on" : "Wait before the next batch";
      pause.setAttribute("aria-label", pause.title);
    }
    pause.disabled = step.disabled = !steps;
    cancel.disabled = !state.running;
    setText(text, state.text);
    text.title = state.text;
    text.dataset.kind = state.text_kind;
    setText(note, state.note);
    const { total, done, at, more } = state.batches;
    const key = JSON.stringify([state.batches, state.holding]);
    if (key === drawn) return;
    drawn = key;
    strip.setAttribute("aria-label", total ? `${done} of ${total + more} calibration batches done` : "no calibration batches yet");
    strip.replaceChildren(...Array.from({ length: total }, (_, k) => h("span", { class: "tc-bld-batch", title: `batch ${k + 1}`,
      "data-state": k < done ? "done" : k === at ? (state.holding ? "held" : "going") : "next" })),
      ...(more ? [h("span", { class: "tc-faint", text: `+ ${more}` })] : []));
  };
  return { node, show };
}

function phaseRow(phase) {
  const fill = h("span", { class: "tc-bld-fill", style: `width: ${phase.percent ?? 30}%` });
  const bar = h("span", { class: "tc-bld-bar", role: "progressbar", "aria-label": phase.name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": phase.percent ?? undefined, "data-known": String(phase.percent !== null) }, fill);
  const name = h("span", { class: "tc-bld-phase-name", text: phase.name, title: phase.name, "data-inner": phase.inner });
  return h("div", { class: "tc-bld-phase", "data-state": phase.state, testid: "tc-bld-phase" }, name, bar, h("span", { class: "tc-bld-steps", text: phase.steps }));
}

function resultRow([label, value, title]) {
  const shown = h("span", { class: "tc-name" });
  nameParts(shown, value, title || value);
  return h("div", { class: "tc-bld-result-row" }, h("dt", { text: label }), h("dd", { class: "tc-cell" },
    shown, label === "engine" ? copyButton("Copy the path", "tc-bld-copy-path", () => value) : null));
}

/** Phases beside the result or the error. */
function outcomeBox() {
  const phases = h("div", { class: "tc-bld-phases", testid: "tc-bld-phases" });
  const result = h("dl", { class: "tc-bld-result", testid: "tc-bld-result" });
  const error = h("div", { class: "tc-bld-error", role: "alert", testid: "tc-bld-error" });
  const right = h("div", { class: "tc-bld-right" }, h("span", { class: "tc-panel-title", text: "result" }), error, result);
  const node = h("div", { class: "tc-bld-outcome" }, h("div", { class: "tc-bld-left" }, h("span", { class: "tc-panel-title", text: "phases" }), phases), right);
  const show = (state) => {
    node.hidden = Boolean(state.missing);
    phases.replaceChildren(...(state.phases.length ? state.phases.map(phaseRow) : [h("div", { class: "tc-faint", text: "Nothing runs." })]));
    const empty = state.running ? "Comes when TensorRT is done." : "No engine yet.";
    result.replaceChildren(...(state.result.length ? state.result.map(resultRow) : state.error ? [] : [h("div", { class: "tc-faint", text: empty })]));
    error.hidden = !state.error;
    setText(error, state.error);
  };
  return { node, show };
}

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const cleanups = [];
  const facts = h("span", { class: "tc-facts", testid: "tc-bld-facts" });
  const notice = noticeBox("tc-bld-notice", send);
  const boxes = [missingBox(send), formBox(send), runBox(send), outcomeBox()];
  const log = logBox(send);
  el.append(h("div", { class: "tc-bld" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "TensorRT" }), facts, helpButton(model.get("help"), "tc-help-build")),
    notice.node, ...boxes.map((box) => box.node), log.node));
  cleanups.push(follow(model, ["state"], () => {
    const state = model.get("state");
    if (!state.form) return;
    setText(facts, `${state.title} · ${state.model}`);
    notice.show(state.notice);
    log.node.hidden = Boolean(state.missing);
    for (const box of boxes) box.show(state);
  }), follow(model, ["log"], () => { if (model.get("log").lines) log.show(model.get("log")); }));
  cleanups.push(whenAttached(el, (root) => {
    cleanups.push(setUpRoot(root, model, { label: "TensorRT build", testid: "tc-build", keys: [] }));
  }));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
