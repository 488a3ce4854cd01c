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

// trtcal_widgets/widgets/debugger/js/layers.js
var COLUMNS = [
  ["graph", "layer", "Graph order", "tc-l-name"],
  ["loss", "loss", "What this layer alone in INT8 costs, everything else in FP32", "tc-l-number"],
  ["out", "at outputs", "SQNR at the model's outputs with only this layer in INT8", "tc-l-number"],
  ["own", "own SQNR", "SQNR at this layer's own output, with only this layer in INT8", "tc-l-number"],
  ["cos", "cosine", "Cosine between FP32 and INT8 at this layer's own output, with only this layer in INT8", "tc-l-number"]
];
var BAD_IS_LARGE = /* @__PURE__ */ new Set(["loss"]);
function dbText(value) {
  if (value === null) return "–";
  return value >= 300 ? "∞" : `${value.toFixed(1)} dB`;
}
function cellText(rows, key, i) {
  if (rows[key][i] === null) return "–";
  if (key === "loss") return rows.loss_text[i];
  if (key === "cos") return rows.cos[i].toFixed(5);
  return dbText(rows[key][i]);
}
function arrange(columns, rows, view) {
  const { fits } = view.wanted;
  const order = [];
  for (let i = 0; i < columns.names.length; i += 1) if (fits(columns.names[i]) || fits(columns.ops[i])) order.push(i);
  const sign = view.down ? -1 : 1;
  if (view.sort === "graph") return view.down ? order.reverse() : order;
  if (view.sort === "loss" && rows.rank) {
    const rank = rows.rank;
    return order.sort((a, b) => (rank[a] === null) - (rank[b] === null) || -sign * (rank[a] - rank[b]));
  }
  return order.sort(byNumber(rows[view.sort], sign));
}
function render({ model, el }) {
  const view = { wanted: matcher(""), sort: "loss", down: true };
  let columns = null;
  let rows = null;
  let keep = /* @__PURE__ */ new Set();
  const tick = (index, on) => model.send({ type: "keep", index, on });
  const turn = (index) => tick(index, !keep.has(index));
  const count = h("span", { class: "tc-faint", testid: "tc-dbg-count" });
  const heads = h("div", { class: "tc-dbg-heads" }, h("span", { class: "tc-l-keep", text: "keep", title: "Keep the layer in FP16 or FP32" }));
  const list = rowList(el, {
    props: { class: "tc-rows tc-dbg-rows", "aria-label": "Layers", testid: "tc-dbg-rows" },
    row: { class: "tc-row tc-dbg-layer", testid: "tc-dbg-layer" },
    empty: { testid: "tc-dbg-layers-empty" },
    fill: (row, index) => fill(row, index),
    ask: (index) => model.send({ type: "layer", index }),
    again: true,
    keys: { " ": turn }
  });
  const search = searchField(
    list,
    { class: "tc-input tc-dbg-search", placeholder: "search layers", "aria-label": "Search layers", testid: "tc-dbg-search" },
    (text) => {
      view.wanted = matcher(text);
      refresh();
    }
  );
  const panel = h(
    "div",
    { class: "tc-dbg-layers" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "each layer alone in INT8" }), count, search, helpButton(model.get("help"), "tc-help-dbg-layers")),
    heads,
    list.body
  );
  el.append(panel);
  const buttons = /* @__PURE__ */ new Map();
  for (const [key, label, title, cls] of COLUMNS) {
    const node = h("button", { type: "button", class: "tc-dbg-head-button", title: `${title}. Click to sort.`, testid: `tc-dbg-sort-${key}`, on: { click: () => sortBy(key) } });
    buttons.set(key, [node, label]);
    heads.append(h("span", { class: cls }, node));
  }
  const sortBy = (key) => {
    view.down = view.sort === key ? !view.down : BAD_IS_LARGE.has(key);
    view.sort = key;
    list.toTop();
    refresh();
  };
  const fill = (row, index) => {
    const box = h("input", {
      type: "checkbox",
      tabindex: "-1",
      testid: "tc-dbg-keep",
      "aria-label": `Keep ${columns.names[index]} in higher precision`,
      title: "Keep this layer in FP16 or FP32; what lies behind it is run again",
      on: { click: (event) => {
        event.stopPropagation();
        tick(index, box.checked);
      } }
    });
    box.checked = keep.has(index);
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index], `${columns.names[index]} (${columns.ops[index]})
quantises ${columns.inputs[index]}`, LONG_TAIL);
    const op = columns.names[index].startsWith(columns.ops[index]) ? "" : columns.ops[index];
    row.append(h("span", { class: "tc-l-keep" }, box), h("span", { class: "tc-l-name" }, name, h("span", { class: "tc-faint tc-l-op", text: op })));
    for (const key of ["loss", "out", "own", "cos"]) {
      const kind = key === "loss" ? rows.loss_kind[index] : null;
      row.append(h("span", { class: "tc-l-number", text: cellText(rows, key, index), "data-kind": kind }));
    }
    row.dataset.kept = String(keep.has(index));
    row.setAttribute("aria-label", `${columns.names[index]}, ${columns.ops[index]}, loss ${cellText(rows, "loss", index)} ${rows.loss_unit}${keep.has(index) ? ", kept" : ""}`);
  };
  const refresh = () => {
    for (const [key, [node, label]] of buttons) {
      const on = view.sort === key;
      const unit = key === "loss" && rows?.loss_unit ? `, ${rows.loss_unit.replace(/^of (your )?/, "")}` : "";
      node.replaceChildren(h("span", { text: `${label}${unit}` }), h("span", { class: "tc-dbg-arrow", "aria-hidden": "true", text: on ? view.down ? "▼" : "▲" : "" }));
      node.parentNode.toggleAttribute("data-on", on);
      node.setAttribute("aria-pressed", String(on));
    }
    const order = columns && rows && rows.loss ? arrange(columns, rows, view) : [];
    const kept = keep.size ? ` · ${keep.size} kept` : "";
    setText(count, columns ? `${countText(order.length, columns.names.length)}${kept}` : "");
    list.show(order, columns && view.wanted.text ? notFound(view.wanted, "No layer fits the search.") : model.get("state").empty ?? "");
  };
  const readRows = () => {
    const sent = model.get("columns");
    columns = sent.names ? sent : null;
    rows = model.get("rows");
    panel.style.setProperty("--tc-count", columns ? columns.names.length : 0);
    list.keepingPlace(refresh);
  };
  const readKeep = () => {
    keep = new Set(model.get("keep"));
    refresh();
  };
  const cleanups = [
    follow(model, ["columns", "rows", "state"], readRows),
    follow(model, ["keep"], readKeep),
    follow(model, ["selected"], () => list.select(model.get("selected"))),
    list.start({ "tc-keep": () => {
      if (list.current() >= 0) turn(list.current());
    } })
  ];
  return () => cleanups.forEach((clean) => clean());
}
var layers_default = { render };
export {
  layers_default as default
};
