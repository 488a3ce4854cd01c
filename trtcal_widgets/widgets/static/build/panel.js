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
function setOptions(select, pairs) {
  const key = JSON.stringify(pairs);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...pairs.map(([value, text]) => option(value, text)));
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
async function copyText(text, node) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "tc-offscreen", "aria-hidden": "true" });
    area.value = text;
    node.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  node.dataset.copied = copied ? "yes" : "no";
  setTimeout(() => delete node.dataset.copied, 1200);
}
function copyButton(label, testid, text) {
  const node = button("copy", label, testid, () => copyText(text(), node));
  node.classList.add("tc-copy");
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
function noticeBox(testid, send) {
  const text = h("div", { class: "tc-notice-text" });
  const node = h(
    "div",
    { class: "tc-notice", role: "alert", testid, hidden: true },
    icon("warn"),
    text,
    button("cancel", "Close this message", `${testid}-close`, () => send("dismiss"))
  );
  const show = (notice) => {
    node.hidden = !notice;
    setText(text, notice);
  };
  return { node, show };
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

// trtcal_widgets/widgets/kit/js/keyboard.js
function typing(target) {
  return target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]");
}
function takesSpace(target) {
  return target.closest?.("button, summary, input, a[href]");
}
function modified(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
}
var EDITING = /^(a|c|x|y|z|v|backspace|delete|home|end|arrow\w+)$/;
var EDITING_WITH_SHIFT = /^(z|v|backspace|delete|home|end|arrow\w+)$/;
function edits({ key, shiftKey, ctrlKey, altKey }) {
  return ctrlKey && altKey && key.length === 1 || (shiftKey ? EDITING_WITH_SHIFT : EDITING).test(key.toLowerCase());
}
function actionOf(actions, { key, target, ctrlKey, metaKey, altKey, shiftKey }) {
  if (altKey || typing(target)) return void 0;
  return actions[ctrlKey || metaKey ? `Mod+${shiftKey ? key.toUpperCase() : key.toLowerCase()}` : key];
}
var actionsOf = (keys) => Object.assign({}, ...keys.map(([, , does]) => does));
function holdsKey(event, keys) {
  if (!modified(event)) return true;
  return typing(event.target) ? Boolean(edits(event)) : actionOf(actionsOf(keys), event) !== void 0;
}
function bindKeys(root, keys, send) {
  const actions = actionsOf(keys);
  const onKey = (event) => {
    const { key, target } = event;
    if (event.defaultPrevented || event.altKey || typing(target) || key === " " && takesSpace(target)) return;
    if (key === " ") event.preventDefault();
    const action = actionOf(actions, event);
    if (!action || target.type === "range" && key.startsWith("Arrow")) return;
    event.preventDefault();
    event.stopPropagation();
    if (typeof action === "string") send(action);
    else action(root);
  };
  root.addEventListener("keydown", onKey);
  return () => root.removeEventListener("keydown", onKey);
}

// trtcal_widgets/widgets/kit/js/theme.js
function readTheme() {
  const body = document.body.dataset;
  if (body.jpThemeLight) return body.jpThemeLight === "false" ? "dark" : "light";
  if (body.vscodeThemeKind) return /dark|high-contrast$/.test(body.vscodeThemeKind) ? "dark" : "light";
  const root = document.documentElement;
  if (root.getAttribute("theme")) return root.getAttribute("theme") === "dark" ? "dark" : "light";
  if (root.dataset.theme) return root.dataset.theme === "dark" ? "dark" : "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
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

// trtcal_widgets/widgets/kit/js/root.js
function passResize(root) {
  let width = 0;
  let waiting2 = 0;
  const observer = new ResizeObserver(() => {
    if (Math.abs(root.clientWidth - width) < 2) return;
    width = root.clientWidth;
    cancelAnimationFrame(waiting2);
    waiting2 = requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
  });
  observer.observe(root);
  return () => {
    cancelAnimationFrame(waiting2);
    observer.disconnect();
  };
}
function hidePicture(root) {
  const of = [...root.classList].find((name) => /^tc-of-[\w-]+$/.test(name))?.slice("tc-of-".length);
  if (!of) return () => {
  };
  for (const picture of document.querySelectorAll(`.trtcal-static[data-of="${of}"]`)) {
    (picture.closest(".jp-OutputArea-child") ?? picture).style.display = "none";
  }
  const style = h("style", { text: `.trtcal-static[data-of="${of}"] { display: none; }` });
  document.head.append(style);
  return () => style.remove();
}
function whenAttached(el, callback) {
  const look = () => {
    const root = el.closest(".trtcal-root");
    if (root) callback(root);
    return Boolean(root);
  };
  if (look()) return () => {
  };
  const observer = new MutationObserver(() => {
    if (look()) observer.disconnect();
  });
  observer.observe(document.body, { childList: true, subtree: true });
  return () => observer.disconnect();
}
var NO_SHORTCUTS = "data-lm-suppress-shortcuts";
function keepShortcutsOff(root, keys) {
  const onKey = (event) => {
    if (!root.contains(event.target)) return;
    const held2 = holdsKey(event, keys);
    for (let node = event.target; node !== root.parentElement; node = node.parentElement) {
      if (node.closest(".trtcal-root") !== root) continue;
      if (held2 && (node === event.target || node === root)) node.setAttribute(NO_SHORTCUTS, "true");
      if (!held2) node.removeAttribute(NO_SHORTCUTS);
    }
  };
  window.addEventListener("keydown", onKey, true);
  return () => window.removeEventListener("keydown", onKey, true);
}
function nameRoot(root, label, testid) {
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", label);
  root.setAttribute(NO_SHORTCUTS, "true");
  root.dataset.testid = testid;
}
function followTheme(root, model) {
  return watchTheme(() => {
    const theme = readTheme();
    root.classList.toggle("trtcal-dark", theme === "dark");
    for (const [kind, colors] of Object.entries(model.get("palette") ?? {})) root.style.setProperty(`--tc-m-${kind}`, colors[theme]);
    if (model.get("theme") === void 0 || model.get("theme") === theme) return;
    model.set("theme", theme);
    model.save_changes();
  });
}
function alive(node) {
  return node.isConnected && !node.matches(":disabled") && node.getClientRects().length > 0;
}
function keepFocus(root) {
  let focused = null;
  let lost = null;
  const rescue = () => {
    const now = root.getRootNode().activeElement;
    if (lost && now === root && alive(lost)) lost.focus({ preventScroll: true });
    if (!focused || alive(focused)) return;
    const left = focused;
    if (root.isConnected && (!now || now === document.body || now === focused)) {
      root.focus({ preventScroll: true });
      lost = left;
    }
    focused = null;
  };
  const onFocus = (event) => {
    focused = event.target;
    lost = null;
  };
  const onBlur = ({ target, relatedTarget }) => {
    if (relatedTarget) focused = null;
    else queueMicrotask(() => {
      if (focused === target && alive(target)) focused = null;
      else rescue();
    });
  };
  const observer = new MutationObserver(rescue);
  root.addEventListener("focusin", onFocus);
  root.addEventListener("focusout", onBlur);
  observer.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled", "hidden"] });
  return () => {
    observer.disconnect();
    root.removeEventListener("focusin", onFocus);
    root.removeEventListener("focusout", onBlur);
  };
}
function setUpRoot(root, model, { label, testid, keys }) {
  root.setAttribute("tabindex", "0");
  nameRoot(root, label, testid);
  const cleanups = [
    hidePicture(root),
    followTheme(root, model),
    bindKeys(root, keys, (type) => model.send({ type })),
    keepShortcutsOff(root, keys),
    keepFocus(root),
    passResize(root)
  ];
  return () => cleanups.forEach((clean) => clean());
}

// trtcal_widgets/widgets/build/js/log.js
var LEVELS = [["error", "errors"], ["warning", "warnings"], ["info", "info"], ["verbose", "verbose"]];
var LEVEL_TITLES = {
  error: "Errors only",
  warning: "Warnings and errors",
  info: "What TensorRT says, warnings and errors",
  verbose: "Everything. Chosen before a build starts, TensorRT writes thousands of lines, and is slower"
};
function logBox(send) {
  const note = h("span", { class: "tc-faint", testid: "tc-bld-log-note" });
  const chips = LEVELS.map(([level, text]) => h("button", {
    type: "button",
    class: "tc-segment",
    text,
    title: LEVEL_TITLES[level],
    testid: `tc-bld-level-${level}`,
    on: { click: () => send("severity", { least: level }) }
  }));
  const lines = h("div", { class: "tc-bld-lines", role: "log", tabindex: "0", "aria-label": "TensorRT's log", "aria-live": "off", testid: "tc-bld-log" });
  lines.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow") && !modified(event)) event.stopPropagation();
  });
  const node = h(
    "div",
    { class: "tc-bld-log" },
    h(
      "div",
      { class: "tc-panel-head" },
      h("span", { class: "tc-panel-title", text: "log" }),
      h("div", { class: "tc-segments", role: "group", "aria-label": "Which lines" }, ...chips),
      note
    ),
    lines
  );
  const row = ([severity, seconds, text]) => h(
    "div",
    { class: "tc-bld-line", "data-severity": severity },
    h("span", { class: "tc-bld-time", text: seconds }),
    h("span", { class: "tc-bld-severity", text: severity === "info" ? "" : severity }),
    h("span", { class: "tc-bld-text", text })
  );
  const show = (log) => {
    chips.forEach((chip, k) => chip.setAttribute("aria-pressed", String(LEVELS[k][0] === log.least)));
    setText(chips[0], `errors ${log.errors || ""}`.trim());
    setText(chips[1], `warnings ${log.warnings || ""}`.trim());
    setText(note, log.note);
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 30;
    const top = lines.scrollTop;
    lines.replaceChildren(...log.lines.length ? log.lines.map(row) : [h("div", { class: "tc-faint tc-bld-empty", text: "No line yet." })]);
    lines.scrollTop = atEnd ? lines.scrollHeight : top;
  };
  return { node, show };
}

// trtcal_widgets/widgets/build/js/panel.js
function missingBox(send) {
  const text = h("div", { class: "tc-bld-missing-text", testid: "tc-bld-missing-text" });
  const install = h("div", { class: "tc-bld-install" });
  const files = h("div", { class: "tc-bld-files" });
  const result = h("div", { class: "tc-result", role: "status", testid: "tc-bld-written" });
  const filesHead = h("div", { class: "tc-bld-sub", text: "Without TensorRT: write the files here, build on the machine that has it" });
  const node = h(
    "div",
    { class: "tc-bld-missing", testid: "tc-bld-missing" },
    text,
    h("div", { class: "tc-bld-sub", text: "With an NVIDIA GPU: install, then look again" }),
    install,
    h("div", {}, button("reset", "Look for TensorRT again, after you have installed it", "tc-bld-look", () => send("look"), "look again")),
    filesHead,
    files,
    result
  );
  const command = ([line, what]) => h(
    "div",
    { class: "tc-bld-command tc-cell" },
    h("code", { text: line }),
    copyButton("Copy the command", "tc-bld-copy", () => line),
    h("span", { class: "tc-faint", text: what })
  );
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
  const select = (label2, title, testid) => h("select", { class: "tc-select", "aria-label": label2, title, testid, on: { change } });
  const input = (label2, title, testid) => h("input", { class: "tc-input tc-path", type: "text", spellcheck: "false", autocomplete: "off", "aria-label": label2, title, testid, on: { change } });
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
  const label = (text, node2, title) => h("label", { class: "tc-label", title }, h("span", { text }), node2);
  const calibrating = [label("calibrator", algorithm), label("cache", cache), label("show here", follows)];
  const holdLabel = h("label", { class: "tc-label", title: "Wait before the first batch, so that you can step" }, hold, h("span", { text: "pause first" }));
  const node = h(
    "div",
    { class: "tc-bld-form" },
    h(
      "div",
      { class: "tc-export-row" },
      label("scales", mode),
      h("label", { class: "tc-label", title: "Whether layers may run in FP16 where that is faster" }, fp16, h("span", { text: "FP16 too" })),
      holdLabel,
      calibrating[0],
      calibrating[2]
    ),
    h("div", { class: "tc-export-row" }, label("engine", path), calibrating[1], build)
  );
  let current = { exists: [] };
  const model = () => current;
  const set = (input2, value) => {
    if (document.activeElement !== input2) input2.value = value;
  };
  const show = (state) => {
    current = state;
    node.hidden = Boolean(state.missing);
    setOptions(mode, state.modes.map(([key, text]) => [key, text]));
    state.modes.forEach(([, , why], k) => {
      mode.options[k].disabled = Boolean(why);
      mode.options[k].title = why;
    });
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
    strip.replaceChildren(
      ...Array.from({ length: total }, (_, k) => h("span", {
        class: "tc-bld-batch",
        title: `batch ${k + 1}`,
        "data-state": k < done ? "done" : k === at ? state.holding ? "held" : "going" : "next"
      })),
      ...more ? [h("span", { class: "tc-faint", text: `+ ${more}` })] : []
    );
  };
  return { node, show };
}
function phaseRow(phase) {
  const fill = h("span", { class: "tc-bld-fill", style: `width: ${phase.percent ?? 30}%` });
  const bar = h("span", {
    class: "tc-bld-bar",
    role: "progressbar",
    "aria-label": phase.name,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": phase.percent ?? void 0,
    "data-known": String(phase.percent !== null)
  }, fill);
  const name = h("span", { class: "tc-bld-phase-name", text: phase.name, title: phase.name, "data-inner": phase.inner });
  return h("div", { class: "tc-bld-phase", "data-state": phase.state, testid: "tc-bld-phase" }, name, bar, h("span", { class: "tc-bld-steps", text: phase.steps }));
}
function resultRow([label, value, title]) {
  const shown = h("span", { class: "tc-name" });
  nameParts(shown, value, title || value);
  return h("div", { class: "tc-bld-result-row" }, h("dt", { text: label }), h(
    "dd",
    { class: "tc-cell" },
    shown,
    label === "engine" ? copyButton("Copy the path", "tc-bld-copy-path", () => value) : null
  ));
}
function outcomeBox() {
  const phases = h("div", { class: "tc-bld-phases", testid: "tc-bld-phases" });
  const result = h("dl", { class: "tc-bld-result", testid: "tc-bld-result" });
  const error = h("div", { class: "tc-bld-error", role: "alert", testid: "tc-bld-error" });
  const right = h("div", { class: "tc-bld-right" }, h("span", { class: "tc-panel-title", text: "result" }), error, result);
  const node = h("div", { class: "tc-bld-outcome" }, h("div", { class: "tc-bld-left" }, h("span", { class: "tc-panel-title", text: "phases" }), phases), right);
  const show = (state) => {
    node.hidden = Boolean(state.missing);
    phases.replaceChildren(...state.phases.length ? state.phases.map(phaseRow) : [h("div", { class: "tc-faint", text: "Nothing runs." })]);
    const empty = state.running ? "Comes when TensorRT is done." : "No engine yet.";
    result.replaceChildren(...state.result.length ? state.result.map(resultRow) : state.error ? [] : [h("div", { class: "tc-faint", text: empty })]);
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
  el.append(h(
    "div",
    { class: "tc-bld" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "TensorRT" }), facts, helpButton(model.get("help"), "tc-help-build")),
    notice.node,
    ...boxes.map((box) => box.node),
    log.node
  ));
  cleanups.push(follow(model, ["state"], () => {
    const state = model.get("state");
    if (!state.form) return;
    setText(facts, `${state.title} · ${state.model}`);
    notice.show(state.notice);
    log.node.hidden = Boolean(state.missing);
    for (const box of boxes) box.show(state);
  }), follow(model, ["log"], () => {
    if (model.get("log").lines) log.show(model.get("log"));
  }));
  cleanups.push(whenAttached(el, (root) => {
    cleanups.push(setUpRoot(root, model, { label: "TensorRT build", testid: "tc-build", keys: [] }));
  }));
  return () => cleanups.forEach((clean) => clean());
}
var panel_default = { render };
export {
  panel_default as default
};
