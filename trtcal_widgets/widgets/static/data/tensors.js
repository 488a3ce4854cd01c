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

// trtcal_widgets/widgets/data/js/tensors.js
var COLUMNS = [
  ["graph", "tensor", "Graph order", "tc-d-name"],
  ["off", "may be off", "How far the SQNR may be off because there is not more data. Halves of the batches differ as much as these data do from all there are.", "tc-d-number"],
  ["order", "order", "How far the SQNR moves with the batch that TensorRT sees first", "tc-d-number"],
  ["need", "images", "How many samples it takes until it is settled, between what it lies with 80 % probability on hover", "tc-d-number"]
];
var CHIPS = [["unsettled", "not settled"], ["depends", "order-dependent"], ["unknown", "cannot tell"]];
var dB = (value) => value === null ? "–" : value < 5e-3 ? "0" : `${value.toFixed(value < 10 ? 2 : 1)}`;
var many = (value) => value === null ? "?" : value.toLocaleString("en-US");
function arrange(columns, rows, view) {
  const order = [];
  for (let i = 0; i < columns.names.length; i += 1) {
    if (view.only === "unsettled" && rows.settled[i] !== 0) continue;
    if (view.only === "unknown" && rows.settled[i] !== -1) continue;
    if (view.only === "depends" && !rows.depends[i]) continue;
    if (view.wanted.fits(columns.names[i])) order.push(i);
  }
  const sign = view.down ? -1 : 1;
  if (view.sort === "graph") return view.down ? order.reverse() : order;
  return order.sort(byNumber(rows[view.sort], sign));
}
function render({ model, el }) {
  const view = { wanted: matcher(""), sort: "off", down: true, only: "" };
  let columns = null;
  let rows = null;
  const count = h("span", { class: "tc-faint", "aria-live": "polite", testid: "tc-data-count" });
  const list = rowList(el, {
    props: { class: "tc-rows tc-data-rows", "aria-label": "Tensors", testid: "tc-data-rows" },
    row: { class: "tc-row tc-data-row", testid: "tc-data-row" },
    empty: { testid: "tc-data-empty" },
    fill: (row, index) => fill(row, index),
    ask: (index) => model.send({ type: "select", index })
  });
  const search = searchField(
    list,
    { class: "tc-input tc-data-search", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-data-search" },
    (text) => {
      view.wanted = matcher(text);
      refresh();
    }
  );
  const chips = CHIPS.map(([key, text]) => {
    const number = h("span", { class: "tc-data-chip-count" });
    const node = h("button", {
      type: "button",
      class: "tc-chip",
      "aria-pressed": "false",
      testid: `tc-data-only-${key}`,
      on: { click: () => {
        view.only = view.only === key ? "" : key;
        list.toTop();
        refresh();
      } }
    }, h("span", { text: `${text} ` }), number);
    return { key, node, number };
  });
  const heads = h("div", { class: "tc-data-heads" });
  const buttons = COLUMNS.map(([key, label, about, cls]) => {
    const node = h("button", { type: "button", class: "tc-data-head-button", title: `${about}. Click to sort.`, testid: `tc-data-sort-${key}`, on: { click: () => sortBy(key) } });
    heads.append(h("span", { class: cls }, node));
    return { key, label, node };
  });
  el.append(h(
    "div",
    { class: "tc-data-tensors" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "tensors" }), count, search, helpButton(model.get("help"), "tc-help-data-tensors")),
    h("div", { class: "tc-list-chips" }, ...chips.map(({ node }) => node)),
    heads,
    list.body
  ));
  const sortBy = (key) => {
    view.down = view.sort === key ? !view.down : key !== "graph";
    view.sort = key;
    list.toTop();
    refresh();
  };
  const fill = (row, index) => {
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index], `${columns.names[index]}${columns.group[index] > 1 ? `
one scale for ${columns.group[index]} tensors` : ""}`);
    const known = rows.off[index] !== null;
    const state = rows.settled[index];
    const off = h("span", { class: "tc-d-number", text: known ? `${dB(rows.off[index])} dB` : "–", title: rows.why[index] });
    off.dataset.kind = state === 0 ? "bad" : state === 1 ? "ok" : "";
    const turn = h("span", { class: "tc-d-number", text: rows.order[index] === null ? "–" : `${dB(rows.order[index])} dB` });
    turn.dataset.kind = rows.depends[index] ? "bad" : "";
    const need = h("span", { class: "tc-d-number", text: state === 1 ? "enough" : rows.has[index] ? many(rows.need[index]) : "–", title: rows.need_why[index] });
    row.append(h("span", { class: "tc-d-name" }, h("span", { class: "tc-data-mark" }, icon(state === 1 ? "done" : state === 0 ? "warn" : "search")), name), off, turn, need);
    row.dataset.settled = String(state);
    row.setAttribute("aria-label", `${columns.names[index]}, ${state === 1 ? "settled" : state === 0 ? "not settled" : "cannot tell"}, may be off by ${off.textContent}, order ${turn.textContent}, images ${need.textContent}`);
  };
  const refresh = () => {
    for (const { key, label, node } of buttons) {
      const on = view.sort === key;
      node.replaceChildren(h("span", { text: label }), h("span", { class: "tc-data-arrow", "aria-hidden": "true", text: on ? view.down ? "▼" : "▲" : "" }));
      node.setAttribute("aria-pressed", String(on));
    }
    const ready = columns && rows;
    const found = ready ? { unsettled: rows.settled.filter((s) => s === 0).length, unknown: rows.has.filter((has, i) => has && rows.settled[i] === -1).length, depends: rows.depends.filter(Boolean).length } : {};
    for (const { key, node, number } of chips) {
      node.setAttribute("aria-pressed", String(view.only === key));
      setText(number, found[key] === void 0 || !ready ? "" : found[key].toLocaleString("en-US"));
    }
    const order = ready ? arrange(columns, rows, view) : [];
    setText(count, columns ? countText(order.length, columns.names.length) : "");
    list.show(order, view.wanted.text ? notFound(view.wanted, "No tensor fits the search.") : model.get("state").empty ?? "");
  };
  const read = () => {
    const sent = model.get("columns");
    columns = sent.names ? sent : null;
    const numbers = model.get("rows");
    rows = numbers.settled ? numbers : null;
    list.keepingPlace(refresh);
  };
  const cleanups = [
    follow(model, ["columns", "rows", "state"], read),
    follow(model, ["selected"], () => list.select(model.get("selected"))),
    list.start()
  ];
  return () => cleanups.forEach((clean) => clean());
}
var tensors_default = { render };
export {
  tensors_default as default
};
