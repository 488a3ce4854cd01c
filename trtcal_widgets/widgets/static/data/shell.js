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
function shortcutsHelp(shortcuts, where, testid) {
  const summary = h("summary", { class: "tc-wide", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts", text: "keys" });
  const rows = shortcuts.map(([keys, what]) => h("div", { class: "tc-key-row" }, h("kbd", { text: keys }), h("span", { text: what })));
  return popover(testid, summary, h(
    "div",
    { class: "tc-help-body", role: "note" },
    h("strong", { text: "Keyboard" }),
    ...rows,
    h("p", { class: "tc-faint", text: `Click anywhere in the ${where} first, so that it has the focus.` })
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

// trtcal_widgets/widgets/kit/js/keyboard.js
function moveKeys(what) {
  const move = (step) => (root) => root.dispatchEvent(new CustomEvent("tc-move", { detail: step }));
  return [["↑ ↓", what, { ArrowUp: move(-1), ArrowDown: move(1) }]];
}
function undoKeys(undo, redo) {
  return [
    ["z or Ctrl+Z", undo, { z: "undo", "Mod+z": "undo" }],
    ["Z, y or Ctrl+Y", redo, { Z: "redo", y: "redo", "Mod+Z": "redo", "Mod+y": "redo" }]
  ];
}
function focusKey(key, what, testid) {
  return [[key, what, { [key]: (root) => root.querySelector(`[data-testid=${testid}]`)?.focus() }]];
}
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

// trtcal_widgets/widgets/data/js/shell.js
var walk = (step) => (root) => root.dispatchEvent(new CustomEvent("tc-sample", { detail: step }));
var KEYS = [
  ...moveKeys("previous or next tensor"),
  ["← →", "previous or next sample or batch", { ArrowLeft: walk(-1), ArrowRight: walk(1) }],
  ["x", "leave the chosen sample or batch out, or count it again", { x: (root) => root.dispatchEvent(new CustomEvent("tc-leave-out")) }],
  ...focusKey("/", "search tensors", "tc-data-search"),
  ["e", "examine", { e: "examine" }],
  ["Esc", "cancel", { Escape: "cancel" }],
  ...undoKeys("undo", "redo")
];
var MARKS = { ok: "done", bad: "warn", unsure: "search", none: "search" };
function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const title = h("span", { class: "tc-title tc-name tc-own", testid: "tc-data-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-data-facts" });
  const bar = h("select", {
    class: "tc-select",
    "aria-label": "Bar",
    testid: "tc-data-bar",
    title: "By how much the SQNR of a tensor may be off before it counts as not settled; what is shown is examined anew",
    on: { change: () => send("bar", { db: Number(bar.value) }) }
  });
  const run = h("button", {
    type: "button",
    class: "tc-button tc-primary-text",
    testid: "tc-data-examine",
    title: "Examine the counted batches (e)",
    text: "examine",
    on: { click: () => send("examine") }
  });
  const undo = button("undo", "Undo (z)", "tc-data-undo", () => send("undo"));
  const redo = button("redo", "Redo (Z)", "tc-data-redo", () => send("redo"));
  for (const node of [undo, redo]) node.classList.add("tc-own");
  const cancel = button("cancel", "Stop examining; what was found before stays (Esc)", "tc-data-cancel", () => send("cancel"), "cancel");
  cancel.classList.add("tc-cancel");
  const fill = h("div", { class: "tc-data-progress-fill" });
  const progress = h("div", { class: "tc-data-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100, testid: "tc-data-progress" }, fill);
  const status = h("span", { class: "tc-data-status-text", role: "status", testid: "tc-data-status" });
  const lines = h("ul", { class: "tc-data-lines", "aria-live": "polite", testid: "tc-data-verdict" });
  const notice = noticeBox("tc-data-notice", send);
  el.append(
    h(
      "div",
      { class: "tc-header" },
      h("div", { class: "tc-header-what" }, title, facts),
      h("div", { class: "tc-header-do" }, h("label", { class: "tc-label" }, h("span", { text: "may be off by" }), bar), run, undo, redo, shortcutsHelp(KEYS, "data doctor", "tc-data-keys"))
    ),
    h(
      "div",
      { class: "tc-data-top" },
      h("div", { class: "tc-data-verdict" }, lines, helpButton(model.get("help"), "tc-help-data-verdict")),
      h("div", { class: "tc-data-status" }, progress, status, cancel)
    ),
    notice.node
  );
  const update = () => {
    const state = model.get("state");
    if (state.title === void 0) return;
    nameParts(title, state.title, state.title);
    setText(facts, state.facts);
    facts.title = state.facts;
    setOptions(bar, state.bars);
    bar.value = String(state.bar);
    run.disabled = state.running || !state.can_examine;
    undo.disabled = !state.can_undo;
    redo.disabled = !state.can_redo;
    el.dataset.stale = String(state.stale);
    lines.replaceChildren(...state.lines.map(({ text, kind }) => {
      const line = h("li", { title: text }, icon(MARKS[kind]), h("span", { text }));
      line.dataset.kind = kind;
      return line;
    }));
    progress.hidden = cancel.hidden = !state.running;
    fill.style.width = `${state.percent ?? 0}%`;
    progress.setAttribute("aria-valuenow", state.percent ?? 0);
    setText(status, state.status);
    status.dataset.kind = state.status_kind;
    notice.show(state.notice);
  };
  const cleanups = [
    follow(model, ["state"], update),
    whenAttached(el, (root) => cleanups.push(setUpRoot(root, model, { label: "Data doctor", testid: "tc-data", keys: KEYS })))
  ];
  return () => cleanups.forEach((clean) => clean());
}
var shell_default = { render };
export {
  shell_default as default
};
