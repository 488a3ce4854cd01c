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
var TAIL = 11;
var LONG_TAIL = 22;
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

// trtcal_widgets/widgets/kit/js/keyboard.js
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

// trtcal_widgets/widgets/kit/js/search.js
var SEARCH_HELP = "Part of a name. With * and ? the whole name: backbone.*weight. A regular expression: re:conv[0-9]+$ or /conv[0-9]+$/";
function searchField(list, props, search) {
  const field = h("input", { type: "search", spellcheck: "false", title: SEARCH_HELP, ...props });
  field.addEventListener("input", () => {
    list.toTop();
    search(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      list.body.focus();
      list.chooseFirst?.();
    }
    if (event.key === "Escape") {
      event.stopPropagation();
      field.value = "";
      search("");
      list.body.focus();
    }
  });
  return field;
}

// trtcal_widgets/widgets/kit/js/virtual_list.js
var MARGIN = 7;
function virtualList({ props, empty: emptyProps, height, makeRow, step, press = () => false }) {
  let count = 0;
  let held2 = false;
  let waiting2 = false;
  const spacer = h("div", { class: "tc-spacer", role: props.role === "grid" ? "rowgroup" : "presentation" });
  const empty = h("div", { class: "tc-empty", hidden: true, ...emptyProps });
  const body = h("div", { tabindex: "0", ...props }, spacer, empty);
  body.style.setProperty("--tc-row-height", `${height}px`);
  const draw = () => {
    waiting2 = held2;
    if (held2) return;
    const from = Math.max(0, Math.floor(body.scrollTop / height) - MARGIN);
    const to = Math.min(count, Math.ceil((body.scrollTop + body.clientHeight) / height) + MARGIN);
    const drawn = [];
    for (let at = from; at < to; at += 1) {
      const row = makeRow(at);
      row.style.top = `${at * height}px`;
      drawn.push(row);
    }
    const focused = body.getRootNode().activeElement;
    const kept = spacer.contains(focused) && focused.closest("[data-index]")?.dataset.index;
    if (kept !== false) body.focus({ preventScroll: true });
    spacer.style.height = `${count * height}px`;
    spacer.replaceChildren(...drawn);
    if (kept === false) return;
    spacer.querySelector(`[data-index="${kept}"] [data-testid="${focused.dataset.testid}"]`)?.focus({ preventScroll: true });
  };
  const forget = watchPress(spacer, (pressed) => {
    held2 = pressed;
    if (!held2 && waiting2) draw();
  });
  body.addEventListener("scroll", draw);
  body.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    const page = Math.max(1, Math.floor(body.clientHeight / height) - 1);
    const rows = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
    if (rows) {
      body.focus({ preventScroll: true });
      step(rows);
    } else if (event.target !== body || !press(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    body,
    draw,
    /** Show so many rows, or these words where there is none. */
    show(n, words) {
      count = n;
      empty.hidden = count > 0;
      setText(empty, words);
      draw();
    },
    /** Scroll no further than needed to see the row at a place. */
    reveal(at) {
      if (at < 0) return;
      const top = at * height;
      if (top < body.scrollTop) body.scrollTop = top;
      else if (top + height > body.scrollTop + body.clientHeight) body.scrollTop = top + height - body.clientHeight;
    },
    toTop() {
      body.scrollTop = 0;
    },
    /** Draw anew and leave the list where it is scrolled to. */
    keepingPlace(update) {
      const kept = body.scrollTop;
      update();
      body.scrollTop = kept;
    },
    /** Draw anew where the list becomes larger; returns the clean-up. */
    watchSize() {
      const resize = new ResizeObserver(draw);
      resize.observe(body);
      return () => {
        resize.disconnect();
        forget();
      };
    }
  };
}
function placeAfter(at, step, count) {
  return at < 0 ? 0 : Math.min(Math.max(at + step, 0), count - 1);
}

// trtcal_widgets/widgets/cache/js/table.js
var ROW = 24;
var PAGE = 100;
var KEPT_PAGES = 60;
var TYPING_PAUSE = 150;
var NARROWEST = 160;
var FIELD = { row: 0, place: 1, name: 2, amax: 3, scale: 4, hex: 5, mark: 6, other: 7, otherHex: 8, ratio: 9, change: 10 };
var COLUMNS = [["file", "#", "tc-c-place"], ["name", "tensor", "tc-c-name"], ["amax", "±amax", "tc-c-number"], ["", "scale", "tc-c-number tc-c-scale"], ["", "hex", "tc-c-hex"]];
var OTHER_COLUMNS = [["other", "B ±amax", "tc-c-number tc-c-other"], ["", "B hex", "tc-c-hex"], ["ratio", "B / A", "tc-c-number tc-c-ratio"]];
function headerView(model, send) {
  const title = h("span", { class: "tc-title tc-name", testid: "tc-cache-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-cache-facts" });
  const other = h("div", { class: "tc-facts tc-cache-other", testid: "tc-cache-other" });
  const version = h("input", {
    class: "tc-input tc-version",
    list: "tc-trt-versions",
    "aria-label": "TensorRT version",
    spellcheck: "false",
    title: "The TensorRT version that is to read the file, such as 10.16.1",
    testid: "tc-cache-version"
  });
  const versions = h("datalist", { id: "tc-trt-versions" }, ...model.get("summary").versions.map((text) => option(text, text)));
  const algorithm = h(
    "select",
    { class: "tc-select", "aria-label": "Calibrator", title: "The calibrator class that it is given with", testid: "tc-cache-algorithm" },
    ...model.get("summary").algorithms.map((text) => option(text, text))
  );
  const verdict = h("div", { class: "tc-cache-verdict", role: "status", testid: "tc-cache-verdict" });
  const row = h(
    "div",
    { class: "tc-cache-fit" },
    h("label", { class: "tc-label" }, h("span", { text: "Would TensorRT" }), version, versions),
    h("label", { class: "tc-label" }, h("span", { text: "take it with" }), algorithm, h("span", { text: "?" })),
    verdict
  );
  const remarks = h("ul", { class: "tc-cache-remarks", testid: "tc-cache-remarks" });
  const sendVersion = () => send({ version: version.value });
  version.addEventListener("change", sendVersion);
  version.addEventListener("input", () => {
    if (model.get("summary").versions.includes(version.value)) sendVersion();
  });
  version.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || modified(event)) return;
    event.preventDefault();
    event.stopPropagation();
    sendVersion();
  });
  algorithm.addEventListener("change", () => send({ algorithm: algorithm.value }));
  const update = () => {
    const summary = model.get("summary");
    nameParts(title, summary.title, summary.path);
    setText(facts, summary.facts);
    facts.title = summary.facts;
    other.hidden = !summary.other;
    setText(other, summary.other ?? "");
    row.hidden = !summary.has_header;
    if (document.activeElement !== version) version.value = model.get("version");
    algorithm.value = model.get("algorithm");
    setText(verdict, model.get("verdict").text);
    verdict.dataset.kind = model.get("verdict").kind;
    remarks.hidden = summary.remarks.length === 0;
    remarks.replaceChildren(...summary.remarks.map(([kind, text]) => {
      const item = h("li", { text });
      item.dataset.kind = kind;
      return item;
    }));
  };
  const node = h("div", { class: "tc-cache-head" }, h("div", { class: "tc-header-what" }, title, facts), other, row, remarks);
  return { node, update, traits: ["summary", "verdict", "version", "algorithm"] };
}
function filterView(model, send) {
  const chips = h("div", { class: "tc-list-chips", role: "group", "aria-label": "Which rows are shown", testid: "tc-cache-groups" });
  const text = h("div", { class: "tc-cache-group-text", role: "status", testid: "tc-cache-group-text" });
  const update = () => {
    const chosen = model.get("group");
    const groups = model.get("summary").groups;
    chips.replaceChildren(...groups.map(({ key, label, count, severity }) => {
      const chip = h("button", {
        type: "button",
        class: "tc-chip tc-cache-chip",
        "aria-pressed": String(key === chosen),
        testid: `tc-cache-group-${key}`,
        on: { click: () => send({ group: key === chosen ? "all" : key }) }
      }, h("span", { text: label }), h("span", { class: "tc-cache-count", text: count }));
      chip.dataset.kind = severity;
      return chip;
    }));
    setText(text, groups.find(({ key }) => key === chosen)?.text ?? "");
  };
  return { node: h("div", {}, chips, text), update, traits: ["summary", "group"] };
}
function detailView(model) {
  const name = h("span", { class: "tc-name", testid: "tc-cache-detail-name" });
  const numbers = h("div", { class: "tc-cache-detail-numbers", testid: "tc-cache-detail-numbers" });
  const notes = h("div", { class: "tc-cache-detail-notes", testid: "tc-cache-detail-notes" });
  const copy = copyButton("Copy the tensor's name", "tc-cache-copy", () => model.get("detail").name);
  const update = () => {
    const detail = model.get("detail");
    const empty = detail.name === void 0;
    copy.hidden = empty;
    nameParts(name, empty ? "Choose a row to see its exact numbers." : detail.name, void 0, LONG_TAIL);
    numbers.replaceChildren(...(empty ? [] : detail.numbers).map(([label, value]) => h("span", { class: "tc-cache-fact" }, h("span", { class: "tc-faint", text: `${label} ` }), h("span", { class: "tc-mono tc-cache-exact", text: value }))));
    notes.replaceChildren(...(empty ? [] : detail.notes).map((text) => h("div", { text })));
  };
  const node = h("div", { class: "tc-cache-detail" }, h("div", { class: "tc-detail-name" }, name, copy), numbers, notes);
  return { node, update, traits: ["detail"] };
}
function rowsView(model, send) {
  const pages = /* @__PURE__ */ new Map();
  let generation = -1;
  const view = () => model.get("view");
  const rowAt = (at) => {
    const page = Math.floor(at / PAGE);
    if (!pages.has(page)) {
      forgetFarPages(page);
      pages.set(page, null);
      model.send({ type: "rows", generation, page });
    }
    return pages.get(page)?.[at - page * PAGE];
  };
  const forgetFarPages = (near) => {
    if (pages.size <= KEPT_PAGES) return;
    for (const page of pages.keys()) if (Math.abs(page - near) > KEPT_PAGES / 3) pages.delete(page);
  };
  let longest = 0;
  const brush = document.createElement("canvas").getContext("2d");
  const unmeasured = /* @__PURE__ */ new Set();
  const measure = () => {
    if (!list.body.clientHeight) return;
    brush.font = getComputedStyle(list.body).font;
    for (const row of [...unmeasured].flatMap((page) => pages.get(page) ?? [])) {
      longest = Math.max(longest, Math.ceil(brush.measureText(row[FIELD.name]).width) + 2);
    }
    unmeasured.clear();
    list.body.parentElement.style.setProperty("--tc-name-width", `${Math.max(longest, NARROWEST)}px`);
  };
  const keepPage = (page, rows) => {
    pages.set(page, rows);
    unmeasured.add(page);
  };
  const cell = (className, text) => h("span", { class: className, role: "gridcell", text });
  const makeRow = (at) => {
    const data = rowAt(at);
    const row = h("div", { class: "tc-row tc-cache-row", role: "row", testid: "tc-cache-row", "aria-rowindex": at + 1 });
    if (!data) {
      row.append(cell("tc-c-name tc-faint", "…"));
      return row;
    }
    const index = data[FIELD.row];
    row.dataset.index = index;
    row.dataset.kind = data[FIELD.mark];
    row.setAttribute("aria-selected", String(index === model.get("selected")));
    row.addEventListener("click", () => send({ selected: index }));
    const name = h("span", { class: "tc-name tc-c-name", role: "gridcell" });
    nameParts(name, data[FIELD.name], void 0, LONG_TAIL);
    row.append(cell("tc-c-place", data[FIELD.place]), name, cell("tc-c-number", data[FIELD.amax]), cell("tc-c-number tc-c-scale", data[FIELD.scale]), cell("tc-c-hex", data[FIELD.hex]));
    if (data.length > FIELD.other) {
      row.append(cell("tc-c-number tc-c-other", data[FIELD.other]), cell("tc-c-hex", data[FIELD.otherHex]), cell("tc-c-number tc-c-ratio", data[FIELD.ratio]));
      row.dataset.change = data[FIELD.change];
    }
    return row;
  };
  const step = (rows) => {
    const { total } = view();
    if (total) model.send({ type: "move", to: placeAfter(model.get("selected_at"), rows, total), generation });
  };
  const list = virtualList({
    props: { class: "tc-rows tc-cache-rows", role: "grid", "aria-label": "Rows of the cache", testid: "tc-cache-rows" },
    empty: { testid: "tc-cache-empty" },
    height: ROW,
    makeRow,
    step,
    press: (key) => key === " "
  });
  const draw = () => {
    measure();
    list.show(view().total, view().empty);
  };
  const update = () => {
    if (view().generation !== generation) {
      ({ generation } = view());
      pages.clear();
      keepPage(0, view().rows);
      if (model.get("selected_at") < 0) list.toTop();
    }
    list.body.setAttribute("aria-rowcount", view().total);
    list.reveal(model.get("selected_at"));
    draw();
  };
  const onRows = (message) => {
    if (message.type !== "rows" || message.generation !== generation) return;
    keepPage(message.page, message.rows);
    draw();
  };
  model.on("msg:custom", onRows);
  const unwatch = list.watchSize();
  const clean = () => {
    model.off("msg:custom", onRows);
    unwatch();
  };
  return { node: list.body, body: list.body, toTop: list.toTop, update, traits: ["view", "selected_at"], clean };
}
function columnHeads(model, send) {
  const node = h("div", { class: "tc-cache-row tc-cache-heads", role: "row" });
  const update = () => {
    const two = Boolean(model.get("summary").other);
    const columns = two ? [...COLUMNS, ...OTHER_COLUMNS] : COLUMNS;
    node.replaceChildren(...columns.map(([key, plain, className]) => {
      const text = two && (plain === "±amax" || plain === "hex" || plain === "scale") ? `A ${plain}` : plain;
      const active = key && model.get("sort") === key;
      const arrow = active ? model.get("descending") ? " ▾" : " ▴" : "";
      const label = `${text}${arrow}`;
      if (!key) return h("span", { class: className, role: "columnheader", text: label });
      const head = h("button", {
        type: "button",
        class: `tc-cache-head-button ${className}`,
        title: key === "ratio" ? "Sort by the size of the change" : `Sort by ${text}`,
        testid: `tc-cache-sort-${key}`,
        text: label,
        on: { click: () => send(active ? { descending: !model.get("descending") } : { sort: key, descending: key === "amax" || key === "other" || key === "ratio" }) }
      });
      const cell = h("span", { role: "columnheader", class: className, "aria-sort": active ? model.get("descending") ? "descending" : "ascending" : "none" }, head);
      return cell;
    }));
  };
  return { node, update, traits: ["summary", "sort", "descending"] };
}
var KEYS = focusKey("/", "search tensors", "tc-cache-search");
function searchView(model, send, rows) {
  let timer = 0;
  const search = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => send({ search: text }), text ? TYPING_PAUSE : 0);
  };
  const field = searchField(rows, { class: "tc-input tc-cache-search", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-cache-search" }, search);
  const count = h("span", { class: "tc-faint", "aria-live": "polite", testid: "tc-cache-count-shown" });
  const update = () => {
    if (document.activeElement !== field) field.value = model.get("search");
    setText(count, model.get("view").count_text);
  };
  return { node: h("div", { class: "tc-cache-tools" }, field, count), update, traits: ["search", "view"], clean: () => clearTimeout(timer) };
}
function render({ model, el }) {
  const send = (change) => {
    for (const [key, value] of Object.entries(change)) model.set(key, value);
    model.save_changes();
  };
  const rows = rowsView(model, send);
  const search = searchView(model, send, rows);
  const views = [headerView(model, send), filterView(model, send), search, columnHeads(model, send), rows, detailView(model)];
  el.append(h("div", { class: "tc-cache", testid: "tc-cache" }, ...views.map(({ node }) => node)));
  const cleanups = [...views.map(({ traits, update }) => follow(model, traits, update)), rows.clean, search.clean];
  cleanups.push(whenAttached(el, (root) => {
    cleanups.push(setUpRoot(root, model, { label: "Calibration cache", testid: "tc-cache-viewer", keys: KEYS }));
    const frame = requestAnimationFrame(rows.update);
    cleanups.push(() => cancelAnimationFrame(frame));
  }));
  return () => cleanups.forEach((clean) => clean());
}
var table_default = { render };
export {
  table_default as default
};
