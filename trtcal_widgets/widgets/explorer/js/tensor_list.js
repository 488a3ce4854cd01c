// Every tensor: searched, sorted and filtered here.

import { button, helpButton } from "../../kit/js/controls.js";
import { h, nameParts, option, setOptions, setText } from "../../kit/js/dom.js";
import { icon, kindOf, marker } from "../../kit/js/icons.js";
import { follow, followEach } from "../../kit/js/model.js";
import { byNumber, countText, rowList } from "../../kit/js/row_list.js";
import { matcher, notFound, searchField } from "../../kit/js/search.js";

const SORTS = [["graph", "graph order"], ["name", "name"], ["amax", "amax"], ["sqnr", "SQNR"], ["dis", "disagreement"]];
// Which end is looked at first: poor SQNR, large amax, large disagreement.
const START_DOWN = new Set(["amax", "dis"]);

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
  if (view.sort === "name") return order.sort((a, b) => sign * columns.names[a].localeCompare(columns.names[b], undefined, { numeric: true }));
  return order.sort(byNumber(rows[view.sort], sign));
}

function render({ model, el }) {
  const view = { wanted: matcher(""), sort: "graph", down: false, op: "", mine: false, odd: false, cached: true };
  let columns = null;
  let rows = null;

  const sort = h("select", { class: "tc-select", "aria-label": "Sort by", title: "Sort by", testid: "tc-sort" }, ...SORTS.map(([value, text]) => option(value, text)));
  const direction = button("up", "Turn the order round", "tc-direction", () => { view.down = !view.down; refresh(); });
  const op = h("select", { class: "tc-select", "aria-label": "Operator type", title: "Only tensors that this operator makes", testid: "tc-filter-op" });
  const chip = (key, text, label) => h("button", { type: "button", class: "tc-chip", "aria-pressed": String(view[key]), title: label, testid: `tc-filter-${key}`, text,
    on: { click: (event) => { view[key] = !view[key]; event.currentTarget.setAttribute("aria-pressed", String(view[key])); refresh(); } } });
  const list = rowList(el, {
    props: { class: "tc-rows", "aria-label": "Tensors", testid: "tc-rows" }, row: { class: "tc-row", testid: "tc-row" }, empty: { testid: "tc-list-empty" },
    fill: (row, index) => fill(row, index), ask: (index) => model.send({ type: "select", index }),
  });
  const search = searchField(list, { class: "tc-input", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-search" },
    (text) => { view.wanted = matcher(text); refresh(); });
  const count = h("span", { class: "tc-faint", testid: "tc-count", "aria-live": "polite" });
  el.append(h("div", { class: "tc-list" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "tensors" }), count, helpButton(model.get("help"), "tc-help-list")),
    search,
    h("div", { class: "tc-list-tools" }, h("label", { class: "tc-label" }, h("span", { text: "sort" }), sort), direction),
    h("div", { class: "tc-list-tools" }, op),
    h("div", { class: "tc-list-chips" }, chip("mine", "mine", "Only tensors that you chose for"), chip("odd", "suspicious", "Only tensors with something odd about them"),
      chip("cached", "in the cache", "Only tensors that get a row in the calibration cache (no weights)")),
    list.body));

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

  sort.addEventListener("change", () => { view.sort = sort.value; view.down = START_DOWN.has(view.sort); list.toTop(); refresh(); });
  op.addEventListener("change", () => { view.op = op.value; list.toTop(); refresh(); });
  const readColumns = () => {
    const sent = model.get("columns");
    if (!sent.names) return;
    columns = sent;
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
  // Rows that wait to be drawn are patched too. Those that come with a page that is opened are up to date.
  const readPatch = () => {
    const { index, method_names: names, ...changed } = model.get("patch");
    const kept = model.get("rows");
    kept.method_names = names;
    for (const [key, values] of Object.entries(changed)) index.forEach((at, k) => { kept[key][at] = values[k]; });
  };
  const readAll = () => { if (model.get("columns").names) readRows(); };
  const cleanups = [
    follow(model, ["columns", "rows"], readAll),
    followEach(model, ["patch"], readPatch, () => list.keepingPlace(refresh)),
    follow(model, ["selected"], () => list.select(model.get("selected"))),
    list.start(),
  ];
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
