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
var MARKERS = {
  circle: "M8 3.2a4.8 4.8 0 1 0 .001 0z",
  square: "M3.6 3.6h8.8v8.8H3.6z",
  "triangle-up": "M8 2.4 13.6 12.4H2.4z",
  "triangle-down": "M8 13.6 2.4 3.6h11.2z",
  hexagon: "M8 2.2 13 5.1v5.8L8 13.8 3 10.9V5.1z",
  diamond: "M8 1.4 14.6 8 8 14.6 1.4 8z"
};
var MARKER_OF = {
  entropy: "circle",
  minmax: "square",
  percentile: "triangle-up",
  mse: "triangle-down",
  legacy: "hexagon",
  mine: "diamond"
};
function marker(kind, size = 11) {
  const known = kind in MARKER_OF ? kind : "mine";
  const path = svg("path", { d: MARKERS[MARKER_OF[known]], fill: `var(--tc-m-${known})` });
  return svg("svg", { viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true", class: "tc-marker" }, path);
}
function kindOf(label) {
  if (/^p\d/.test(label)) return "percentile";
  return label.split(":")[0];
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
function modified(event) {
  return event.ctrlKey || event.metaKey || event.altKey;
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

// trtcal_widgets/widgets/kit/js/row_list.js
var ROW = 26;
var PAUSE = 70;
function countText(shown, all) {
  const [some, whole] = [shown, all].map((n) => n.toLocaleString("en-US"));
  return shown === all ? whole : `${some} of ${whole}`;
}
function byNumber(values, sign) {
  return (a, b) => (values[a] === null) - (values[b] === null) || sign * (values[a] - values[b]) || a - b;
}
function rowList(el, { props, row: rowProps, empty, fill, ask, again = false, keys = {} }) {
  let order = [];
  let current = -1;
  let timer = 0;
  el.id = el.id || `tc-list-${Math.random().toString(36).slice(2)}`;
  const makeRow = (at) => {
    const index = order[at];
    const node = h("div", {
      ...rowProps,
      role: "option",
      id: `${el.id}-row-${index}`,
      "aria-selected": String(index === current),
      "aria-posinset": at + 1,
      "aria-setsize": order.length,
      on: { click: () => choose(index, true) }
    });
    node.dataset.index = index;
    fill(node, index);
    return node;
  };
  const choose = (index, now) => {
    if (index < 0 || index === current && !again) return;
    current = index;
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => ask(index), now ? 0 : PAUSE);
  };
  const move = (step) => {
    if (!order.length) return;
    const next = placeAfter(order.indexOf(current), step, order.length);
    list.reveal(next);
    choose(order[next], false);
  };
  const press = (key) => {
    if (keys[key] && current >= 0) keys[key](current);
    else return key === " ";
    return true;
  };
  const list = virtualList({ props: { role: "listbox", ...props }, empty, height: ROW, makeRow, step: move, press });
  const { body } = list;
  const draw = () => {
    list.draw();
    if (order.includes(current)) body.setAttribute("aria-activedescendant", `${el.id}-row-${current}`);
    else body.removeAttribute("aria-activedescendant");
  };
  const revealCurrent = () => {
    list.reveal(order.indexOf(current));
    draw();
  };
  return {
    body,
    toTop: list.toTop,
    keepingPlace: list.keepingPlace,
    current: () => current,
    /** Show these rows in this order, or these words where there is none. */
    show(rows, words) {
      order = rows;
      list.show(order.length, words);
      draw();
    },
    /** Choose a row because the session says so: nobody is told. */
    select(index) {
      if (index === current) return;
      current = index;
      revealCurrent();
    },
    /** Choose the first row, unless the chosen one is among those shown. */
    chooseFirst() {
      if (order.length && !order.includes(current)) choose(order[0], true);
    },
    /** Listen to the root's keys once the list is on the page: `tc-move`, and whatever else is named. Returns the clean-up. */
    start(events = {}) {
      const unwatch = list.watchSize();
      const heard = { "tc-move": (event) => move(event.detail), ...events };
      let root = null;
      const frame = requestAnimationFrame(() => {
        root = el.closest(".trtcal-root");
        for (const [type, handler] of Object.entries(heard)) root?.addEventListener(type, handler);
        revealCurrent();
      });
      return () => {
        unwatch();
        clearTimeout(timer);
        cancelAnimationFrame(frame);
        for (const [type, handler] of Object.entries(heard)) root?.removeEventListener(type, handler);
      };
    }
  };
}

// trtcal_widgets/widgets/kit/js/search.js
var SEARCH_HELP = "Part of a name. With * and ? the whole name: backbone.*weight. A regular expression: re:conv[0-9]+$ or /conv[0-9]+$/";
var SPECIAL = /[\\^$.*+?()[\]{}|]/g;
function expressionIn(text) {
  if (/^re:/i.test(text)) return text.slice(3);
  const between = /^\/(.+)\/$/.exec(text)?.[1];
  return between && /[\\^$*+?()[\]{}|]/.test(between) ? between : null;
}
function matcher(wanted) {
  const text = wanted.trim();
  const expression = expressionIn(text);
  if (expression !== null) {
    try {
      const pattern = new RegExp(expression, "i");
      return { text, error: "", fits: (name) => pattern.test(name) };
    } catch (error) {
      return { text, error: error.message, fits: () => false };
    }
  }
  if (/[*?]/.test(text)) {
    const source = text.replace(SPECIAL, (c) => ({ "*": ".*", "?": "." })[c] ?? `\\${c}`);
    const pattern = new RegExp(`^${source}$`, "isu");
    return { text, error: "", fits: (name) => pattern.test(name) };
  }
  const lower = text.toLowerCase();
  return { text, error: "", fits: (name) => name.toLowerCase().includes(lower) };
}
function notFound({ error }, words) {
  return error ? `Not a regular expression: ${error}` : words;
}
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

// trtcal_widgets/widgets/explorer/js/tensor_list.js
var SORTS = [["graph", "graph order"], ["name", "name"], ["amax", "amax"], ["sqnr", "SQNR"], ["dis", "disagreement"]];
var START_DOWN = /* @__PURE__ */ new Set(["amax", "dis"]);
function shortNumber(value) {
  if (value === null || value === void 0) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return Number(value.toPrecision(3)).toString();
  return value.toExponential(2).replace("e+", "e");
}
function valueText(rows, index, sort) {
  if (!rows.has[index]) return "no data";
  if (sort === "amax") return shortNumber(rows.amax[index]);
  if (sort === "dis") return rows.dis[index] === null ? "–" : `× ${shortNumber(rows.dis[index])}`;
  return rows.sqnr[index] === null ? "–" : `${rows.sqnr[index].toFixed(1)} dB`;
}
function arrange(columns, rows, view) {
  const { fits } = view.wanted;
  const order = [];
  for (let i = 0; i < columns.names.length; i += 1) {
    if (view.cached && !columns.cached[i]) continue;
    if (view.op && columns.op_names[columns.ops[i]] !== view.op) continue;
    if (view.mine && !rows.mine[i]) continue;
    if (view.odd && !rows.odd[i]) continue;
    if (!fits(columns.names[i])) continue;
    order.push(i);
  }
  const sign = view.down ? -1 : 1;
  if (view.sort === "graph") return view.down ? order.reverse() : order;
  if (view.sort === "name") return order.sort((a, b) => sign * columns.names[a].localeCompare(columns.names[b], void 0, { numeric: true }));
  return order.sort(byNumber(rows[view.sort], sign));
}
function render({ model, el }) {
  const view = { wanted: matcher(""), sort: "graph", down: false, op: "", mine: false, odd: false, cached: true };
  let columns = null;
  let rows = null;
  const sort = h("select", { class: "tc-select", "aria-label": "Sort by", title: "Sort by", testid: "tc-sort" }, ...SORTS.map(([value, text]) => option(value, text)));
  const direction = button("up", "Turn the order round", "tc-direction", () => {
    view.down = !view.down;
    refresh();
  });
  const op = h("select", { class: "tc-select", "aria-label": "Operator type", title: "Only tensors that this operator makes", testid: "tc-filter-op" });
  const chip = (key, text, label) => h("button", {
    type: "button",
    class: "tc-chip",
    "aria-pressed": String(view[key]),
    title: label,
    testid: `tc-filter-${key}`,
    text,
    on: { click: (event) => {
      view[key] = !view[key];
      event.currentTarget.setAttribute("aria-pressed", String(view[key]));
      refresh();
    } }
  });
  const list = rowList(el, {
    props: { class: "tc-rows", "aria-label": "Tensors", testid: "tc-rows" },
    row: { class: "tc-row", testid: "tc-row" },
    empty: { testid: "tc-list-empty" },
    fill: (row, index) => fill(row, index),
    ask: (index) => model.send({ type: "select", index })
  });
  const search = searchField(
    list,
    { class: "tc-input", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-search" },
    (text) => {
      view.wanted = matcher(text);
      refresh();
    }
  );
  const count = h("span", { class: "tc-faint", testid: "tc-count", "aria-live": "polite" });
  el.append(h(
    "div",
    { class: "tc-list" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "tensors" }), count, helpButton(model.get("help"), "tc-help-list")),
    search,
    h("div", { class: "tc-list-tools" }, h("label", { class: "tc-label" }, h("span", { text: "sort" }), sort), direction),
    h("div", { class: "tc-list-tools" }, op),
    h(
      "div",
      { class: "tc-list-chips" },
      chip("mine", "mine", "Only tensors that you chose for"),
      chip("odd", "suspicious", "Only tensors with something odd about them"),
      chip("cached", "in the cache", "Only tensors that get a row in the calibration cache (no weights)")
    ),
    list.body
  ));
  const fill = (row, index) => {
    const label = rows.method_names[rows.method[index]];
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index]);
    const value = valueText(rows, index, view.sort);
    row.append(h("span", { class: "tc-row-mark", title: `threshold by ${label}` }, marker(kindOf(label))), name);
    if (rows.odd[index]) row.append(h("span", { class: "tc-row-odd", title: rows.odd[index] }, icon("warn")));
    if (columns.group[index] > 1) row.append(h("span", { class: "tc-row-link", title: `shares its scale: a group of ${columns.group[index]}` }, icon("link")));
    row.append(h("span", { class: rows.has[index] ? "tc-row-value" : "tc-row-value tc-faint", text: value }));
    row.dataset.mine = String(Boolean(rows.mine[index]));
    row.setAttribute("aria-label", `${columns.names[index]}, ${columns.op_names[columns.ops[index]]}, ${label}, ${value}`);
  };
  const refresh = () => {
    if (!columns) return;
    const order = arrange(columns, rows, view);
    direction.replaceChildren(icon(view.down ? "down" : "up"));
    setText(count, countText(order.length, columns.names.length));
    list.show(order, notFound(view.wanted, "No tensor fits the search and the filters."));
  };
  sort.addEventListener("change", () => {
    view.sort = sort.value;
    view.down = START_DOWN.has(view.sort);
    list.toTop();
    refresh();
  });
  op.addEventListener("change", () => {
    view.op = op.value;
    list.toTop();
    refresh();
  });
  const readColumns = () => {
    const sent = model.get("columns");
    if (!sent.names) return;
    columns = sent;
    const counts = /* @__PURE__ */ new Map();
    sent.ops.forEach((k) => counts.set(k, (counts.get(k) ?? 0) + 1));
    const ops = [...counts].map(([k, n]) => [sent.op_names[k], `${sent.op_names[k]} (${n})`]).sort((a, b) => a[0].localeCompare(b[0]));
    setOptions(op, [["", "all operators"], ...ops]);
  };
  const readRows = () => {
    rows = model.get("rows");
    readColumns();
    refresh();
  };
  const readPatch = () => {
    const { index, method_names: names, ...changed } = model.get("patch");
    const kept = model.get("rows");
    kept.method_names = names;
    for (const [key, values] of Object.entries(changed)) index.forEach((at, k) => {
      kept[key][at] = values[k];
    });
  };
  const readAll = () => {
    if (model.get("columns").names) readRows();
  };
  const cleanups = [
    follow(model, ["columns", "rows"], readAll),
    followEach(model, ["patch"], readPatch, () => list.keepingPlace(refresh)),
    follow(model, ["selected"], () => list.select(model.get("selected"))),
    list.start()
  ];
  return () => cleanups.forEach((clean) => clean());
}
var tensor_list_default = { render };
export {
  tensor_list_default as default
};
