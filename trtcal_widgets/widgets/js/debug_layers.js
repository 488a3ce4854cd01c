// Every layer with what it alone costs: sorted here, drawn only where it is in view, kept with a tick.

const ROW = 26;
const PAUSE = 70;
const COLUMNS = [
  ["graph", "layer", "Graph order", "tc-l-name"],
  ["loss", "loss", "What this layer alone in INT8 costs, everything else in FP32", "tc-l-number"],
  ["out", "at outputs", "SQNR at the model's outputs with only this layer in INT8", "tc-l-number"],
  ["own", "own SQNR", "SQNR at this layer's own output, with only this layer in INT8", "tc-l-number"],
  ["cos", "cosine", "Cosine between FP32 and INT8 at this layer's own output, with only this layer in INT8", "tc-l-number"],
];
// Which end is bad: a large loss, a low SQNR, a low cosine.
const BAD_IS_LARGE = new Set(["loss"]);

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
  const wanted = view.search.trim().toLowerCase();
  const order = [];
  for (let i = 0; i < columns.names.length; i += 1) if (!wanted || columns.lower[i].includes(wanted)) order.push(i);
  const sign = view.down ? -1 : 1;
  if (view.sort === "graph") return view.down ? order.reverse() : order;
  const values = rows[view.sort];
  if (view.sort === "loss" && rows.rank) {
    const rank = rows.rank;
    return order.sort((a, b) => (rank[a] === null) - (rank[b] === null) || -sign * (rank[a] - rank[b]));
  }
  return order.sort((a, b) => (values[a] === null) - (values[b] === null) || sign * (values[a] - values[b]) || a - b);
}

function render({ model, el }) {
  const view = { search: "", sort: "loss", down: true };
  let columns = null;
  let rows = null;
  let keep = new Set();
  let order = [];
  let current = -1;
  let timer = 0;

  const search = h("input", { type: "search", class: "tc-input tc-dbg-search", placeholder: "search layers", "aria-label": "Search layers", testid: "tc-dbg-search", spellcheck: "false" });
  const count = h("span", { class: "tc-faint", testid: "tc-dbg-count" });
  const heads = h("div", { class: "tc-dbg-heads" }, h("span", { class: "tc-l-keep", text: "keep", title: "Keep the layer in FP16 or FP32" }));
  const body = h("div", { class: "tc-rows tc-dbg-rows", role: "listbox", tabindex: "0", "aria-label": "Layers", testid: "tc-dbg-rows" });
  const spacer = h("div", { class: "tc-spacer" });
  const empty = h("div", { class: "tc-empty", testid: "tc-dbg-layers-empty" });
  body.append(spacer, empty);
  el.append(h("div", { class: "tc-dbg-layers" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "each layer alone in INT8" }), count, search, helpButton(model.get("help"), "tc-help-dbg-layers")), heads, body));
  const buttons = new Map();
  for (const [key, label, title, cls] of COLUMNS) {
    const node = h("button", { type: "button", class: "tc-dbg-head-button", title: `${title}. Click to sort.`, testid: `tc-dbg-sort-${key}`, on: { click: () => sortBy(key) } });
    buttons.set(key, [node, label]);
    heads.append(h("span", { class: cls }, node));
  }

  const sortBy = (key) => {
    view.down = view.sort === key ? !view.down : BAD_IS_LARGE.has(key);
    view.sort = key;
    body.scrollTop = 0;
    refresh();
  };
  const choose = (index, now) => {
    if (index < 0) return;
    current = index;
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => model.send({ type: "layer", index }), now ? 0 : PAUSE);
  };
  const move = (step) => {
    if (!order.length) return;
    const at = order.indexOf(current);
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), order.length - 1);
    reveal(next);
    choose(order[next], false);
  };
  const reveal = (at) => {
    const top = at * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + body.clientHeight) body.scrollTop = top + ROW - body.clientHeight;
  };
  const tick = (index, on) => model.send({ type: "keep", index, on });

  const makeRow = (at) => {
    const index = order[at];
    const box = h("input", { type: "checkbox", tabindex: "-1", testid: "tc-dbg-keep", "aria-label": `Keep ${columns.names[index]} in higher precision`,
      title: "Keep this layer in FP16 or FP32; what lies behind it is run again", on: { click: (event) => { event.stopPropagation(); tick(index, box.checked); } } });
    box.checked = keep.has(index);
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index], `${columns.names[index]} (${columns.ops[index]})\nquantises ${columns.inputs[index]}`);
    const row = h("div", { class: "tc-row tc-dbg-layer", role: "option", id: `${el.id}-row-${index}`, testid: "tc-dbg-layer", "aria-selected": String(index === current),
      "aria-posinset": at + 1, "aria-setsize": order.length, on: { click: () => choose(index, true) } },
      h("span", { class: "tc-l-keep" }, box), h("span", { class: "tc-l-name" }, name, h("span", { class: "tc-faint tc-l-op", text: columns.ops[index] })));
    for (const key of ["loss", "out", "own", "cos"]) {
      const kind = key === "loss" ? rows.loss_kind[index] : null;
      row.append(h("span", { class: "tc-l-number", text: cellText(rows, key, index), "data-kind": kind }));
    }
    row.dataset.index = index;
    row.dataset.kept = String(keep.has(index));
    row.style.top = `${at * ROW}px`;
    row.setAttribute("aria-label", `${columns.names[index]}, ${columns.ops[index]}, loss ${cellText(rows, "loss", index)}${keep.has(index) ? ", kept" : ""}`);
    return row;
  };
  const draw = () => {
    const from = Math.max(0, Math.floor(body.scrollTop / ROW) - 6);
    const to = Math.min(order.length, Math.ceil((body.scrollTop + body.clientHeight) / ROW) + 6);
    const drawn = [];
    for (let at = from; at < to; at += 1) drawn.push(makeRow(at));
    spacer.style.height = `${order.length * ROW}px`;
    spacer.replaceChildren(...drawn);
    if (order.includes(current)) body.setAttribute("aria-activedescendant", `${el.id}-row-${current}`);
    else body.removeAttribute("aria-activedescendant");
  };
  const refresh = () => {
    for (const [key, [node, label]] of buttons) {
      const on = view.sort === key;
      node.replaceChildren(h("span", { text: label }), h("span", { class: "tc-dbg-arrow", "aria-hidden": "true", text: on ? (view.down ? "▼" : "▲") : "" }));
      node.parentNode.toggleAttribute("data-on", on);
      node.setAttribute("aria-pressed", String(on));
    }
    if (!columns || !rows || !rows.loss) {
      order = [];
    } else {
      order = arrange(columns, rows, view);
    }
    const kept = keep.size ? ` · ${keep.size} kept` : "";
    setText(count, columns ? `${order.length === columns.names.length ? order.length : `${order.length} of ${columns.names.length}`}${kept}` : "");
    const state = model.get("state");
    empty.hidden = order.length > 0;
    setText(empty, columns && view.search ? "No layer fits the search." : state.empty ?? "");
    draw();
  };

  search.addEventListener("input", () => { view.search = search.value; body.scrollTop = 0; refresh(); });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); event.stopPropagation(); body.focus(); if (order.length && !order.includes(current)) choose(order[0], true); }
    if (event.key === "Escape") { event.stopPropagation(); search.value = ""; view.search = ""; refresh(); body.focus(); }
  });
  body.addEventListener("scroll", draw);
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(body.clientHeight / ROW) - 1);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -order.length, End: order.length }[event.key];
    if (event.key === " " && current >= 0) tick(current, !keep.has(current));
    else if (!step) return;
    else move(step);
    event.preventDefault();
    event.stopPropagation();
  });
  const readRows = () => {
    const sent = model.get("columns");
    columns = sent.names ? { ...sent, lower: sent.names.map((name, i) => `${name} ${sent.ops[i]}`.toLowerCase()) } : null;
    rows = model.get("rows");
    const kept = body.scrollTop;
    refresh();
    body.scrollTop = kept;
  };
  const readKeep = () => { keep = new Set(model.get("keep")); refresh(); };
  const readSelected = () => {
    const selected = model.get("selected");
    if (selected === current) return;
    current = selected;
    const at = order.indexOf(current);
    if (at >= 0) reveal(at);
    draw();
  };
  el.id = el.id || `tc-dbg-${Math.random().toString(36).slice(2)}`;
  const cleanups = [follow(model, ["columns", "rows", "state"], readRows), follow(model, ["keep"], readKeep), follow(model, ["selected"], readSelected)];
  const resize = new ResizeObserver(draw);
  resize.observe(body);
  const onMove = (event) => move(event.detail);
  const onKeep = () => { if (current >= 0) tick(current, !keep.has(current)); };
  let root = null;
  const frame = requestAnimationFrame(() => {
    root = el.closest(".trtcal-root");
    root?.addEventListener("tc-move", onMove);
    root?.addEventListener("tc-keep", onKeep);
    draw();
  });
  cleanups.push(() => resize.disconnect(), () => clearTimeout(timer),
    () => { cancelAnimationFrame(frame); root?.removeEventListener("tc-move", onMove); root?.removeEventListener("tc-keep", onKeep); });
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
