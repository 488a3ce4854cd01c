// Every tensor: searched, sorted and filtered here, drawn only where it is in view (3,000 rows are 20 elements).

const ROW = 26;
const SORTS = [["graph", "graph order"], ["name", "name"], ["amax", "amax"], ["sqnr", "SQNR"], ["dis", "disagreement"]];
// Which end is looked at first: poor SQNR, large amax, large disagreement.
const START_DOWN = new Set(["amax", "dis"]);
const PAUSE = 70;

function shortNumber(value) {
  if (value === null || value === undefined) return "–";
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

/** Which rows are shown, in which order. */
function arrange(columns, rows, view) {
  const wanted = view.search.trim().toLowerCase();
  const order = [];
  for (let i = 0; i < columns.names.length; i += 1) {
    if (view.cached && !columns.cached[i]) continue;
    if (view.op && columns.op_names[columns.ops[i]] !== view.op) continue;
    if (view.mine && !rows.mine[i]) continue;
    if (view.odd && !rows.odd[i]) continue;
    if (wanted && !columns.lower[i].includes(wanted)) continue;
    order.push(i);
  }
  const sign = view.down ? -1 : 1;
  if (view.sort === "graph") return view.down ? order.reverse() : order;
  if (view.sort === "name") return order.sort((a, b) => sign * columns.names[a].localeCompare(columns.names[b], undefined, { numeric: true }));
  const values = rows[view.sort];
  // Tensors without a number go last, whichever way one sorts.
  return order.sort((a, b) => (values[a] === null) - (values[b] === null) || sign * (values[a] - values[b]) || a - b);
}

function render({ model, el }) {
  const view = { search: "", sort: "graph", down: false, op: "", mine: false, odd: false, cached: true };
  let columns = null;
  let rows = null;
  let order = [];
  let current = -1;
  let timer = 0;

  const search = h("input", { type: "search", class: "tc-input", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-search", spellcheck: "false" });
  const sort = h("select", { class: "tc-select", "aria-label": "Sort by", title: "Sort by", testid: "tc-sort" }, ...SORTS.map(([value, text]) => option(value, text)));
  const direction = button("up", "Turn the order round", "tc-direction", () => { view.down = !view.down; refresh(); });
  const op = h("select", { class: "tc-select", "aria-label": "Operator type", title: "Only tensors that this operator makes", testid: "tc-filter-op" });
  const chip = (key, text, label) => h("button", { type: "button", class: "tc-chip", "aria-pressed": String(view[key]), title: label, testid: `tc-filter-${key}`, text,
    on: { click: (event) => { view[key] = !view[key]; event.currentTarget.setAttribute("aria-pressed", String(view[key])); refresh(); } } });
  const body = h("div", { class: "tc-rows", role: "listbox", tabindex: "0", "aria-label": "Tensors", testid: "tc-rows" });
  const spacer = h("div", { class: "tc-spacer" });
  const empty = h("div", { class: "tc-empty", testid: "tc-list-empty", hidden: true });
  body.append(spacer, empty);
  const count = h("span", { class: "tc-faint", testid: "tc-count", "aria-live": "polite" });
  el.append(h("div", { class: "tc-list" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "tensors" }), count, helpButton(model.get("help"), "tc-help-list")),
    search,
    h("div", { class: "tc-list-tools" }, h("label", { class: "tc-label" }, h("span", { text: "sort" }), sort), direction),
    h("div", { class: "tc-list-tools" }, op),
    h("div", { class: "tc-list-chips" }, chip("mine", "mine", "Only tensors that you chose for"), chip("odd", "suspicious", "Only tensors with something odd about them"),
      chip("cached", "in the cache", "Only tensors that get a row in the calibration cache (no weights)")),
    body));

  const choose = (index, now) => {
    if (index < 0 || index === current) return;
    current = index;
    draw();
    clearTimeout(timer);
    // Holding an arrow key passes many rows: only the one it rests on is asked for.
    timer = setTimeout(() => model.send({ type: "select", index }), now ? 0 : PAUSE);
  };
  const move = (step) => {
    if (!order.length) return;
    const at = order.indexOf(current);
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), order.length - 1);
    choose(order[next], false);
    reveal(next);
  };
  const reveal = (at) => {
    const top = at * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + body.clientHeight) body.scrollTop = top + ROW - body.clientHeight;
  };

  const makeRow = (at) => {
    const index = order[at];
    const label = rows.method_names[rows.method[index]];
    const row = h("div", { class: "tc-row", role: "option", id: `${el.id}-row-${index}`, testid: "tc-row", "aria-selected": String(index === current),
      "aria-posinset": at + 1, "aria-setsize": order.length, on: { click: () => choose(index, true) } });
    row.dataset.index = index;
    row.style.top = `${at * ROW}px`;
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index]);
    const value = valueText(rows, index, view.sort);
    row.append(h("span", { class: "tc-row-mark", title: `threshold by ${label}` }, marker(kindOf(label))), name);
    if (rows.odd[index]) row.append(h("span", { class: "tc-row-odd", title: rows.odd[index] }, icon("warn")));
    if (columns.group[index] > 1) row.append(h("span", { class: "tc-row-link", title: `shares its scale: a group of ${columns.group[index]}` }, icon("link")));
    row.append(h("span", { class: rows.has[index] ? "tc-row-value" : "tc-row-value tc-faint", text: value }));
    row.dataset.mine = String(Boolean(rows.mine[index]));
    row.setAttribute("aria-label", `${columns.names[index]}, ${columns.op_names[columns.ops[index]]}, ${label}, ${value}`);
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
    if (!columns) return;
    order = arrange(columns, rows, view);
    direction.replaceChildren(icon(view.down ? "down" : "up"));
    setText(count, order.length === columns.names.length ? `${order.length}` : `${order.length} of ${columns.names.length}`);
    empty.hidden = order.length > 0;
    setText(empty, "No tensor fits the search and the filters.");
    draw();
  };

  search.addEventListener("input", () => { view.search = search.value; body.scrollTop = 0; refresh(); });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); event.stopPropagation(); body.focus(); if (order.length && !order.includes(current)) choose(order[0], true); }
    if (event.key === "Escape") { event.stopPropagation(); search.value = ""; view.search = ""; refresh(); body.focus(); }
  });
  sort.addEventListener("change", () => { view.sort = sort.value; view.down = START_DOWN.has(view.sort); body.scrollTop = 0; refresh(); });
  op.addEventListener("change", () => { view.op = op.value; body.scrollTop = 0; refresh(); });
  body.addEventListener("scroll", draw);
  body.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(body.clientHeight / ROW) - 1);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -order.length, End: order.length }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    move(step);
  });

  const readColumns = () => {
    const sent = model.get("columns");
    if (!sent.names) return;
    columns = { ...sent, lower: sent.names.map((name) => name.toLowerCase()) };
    const counts = new Map();
    sent.ops.forEach((k) => counts.set(k, (counts.get(k) ?? 0) + 1));
    const ops = [...counts].map(([k, n]) => [sent.op_names[k], `${sent.op_names[k]} (${n})`]).sort((a, b) => a[0].localeCompare(b[0]));
    setOptions(op, [["", "all operators"], ...ops]);
  };
  const readRows = () => {
    // Patches are written into this very object, so that a second view of the model is up to date as well.
    rows = model.get("rows");
    readColumns();
    refresh();
  };
  const readPatch = () => {
    const { index, method_names: names, ...changed } = model.get("patch");
    if (!index || !rows) return;
    rows.method_names = names;
    for (const [key, values] of Object.entries(changed)) index.forEach((at, k) => { rows[key][at] = values[k]; });
    const kept = body.scrollTop;
    refresh();
    body.scrollTop = kept;
  };
  const readSelected = () => {
    const selected = model.get("selected");
    if (selected === current) return;
    current = selected;
    const at = order.indexOf(current);
    if (at >= 0) reveal(at);
    draw();
  };
  el.id = el.id || `tc-list-${Math.random().toString(36).slice(2)}`;
  const cleanups = [];
  const resize = new ResizeObserver(draw);
  const readAll = () => { if (model.get("columns").names) readRows(); };
  cleanups.push(follow(model, ["columns", "rows"], readAll), follow(model, ["patch"], readPatch), follow(model, ["selected"], readSelected));
  resize.observe(body);
  cleanups.push(() => resize.disconnect(), () => clearTimeout(timer));
  const onMove = (event) => move(event.detail);
  let root = null;
  const frame = requestAnimationFrame(() => {
    root = el.closest(".trtcal-root");
    root?.addEventListener("tc-move", onMove);
    const at = order.indexOf(current);
    if (at >= 0) reveal(at);
    draw();
  });
  cleanups.push(() => { cancelAnimationFrame(frame); root?.removeEventListener("tc-move", onMove); });
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
