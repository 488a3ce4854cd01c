// Every tensor with what examining found: not settled first, or those that depend on the order first.

import { helpButton } from "../../kit/js/controls.js";
import { h, nameParts, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { follow } from "../../kit/js/model.js";
import { byNumber, countText, rowList } from "../../kit/js/row_list.js";
import { matcher, notFound, searchField } from "../../kit/js/search.js";

const COLUMNS = [
  ["graph", "tensor", "Graph order", "tc-d-name"],
  ["off", "may be off", "How far the SQNR may be off because there is not more data. Halves of the batches differ as much as these data do from all there are.", "tc-d-number"],
  ["order", "order", "How far the SQNR moves with the batch that TensorRT sees first", "tc-d-number"],
  ["need", "images", "How many samples it takes until it is settled, between what it lies with 80 % probability on hover", "tc-d-number"],
];
const CHIPS = [["unsettled", "not settled"], ["depends", "order-dependent"], ["unknown", "cannot tell"]];

const dB = (value) => (value === null ? "–" : value < 0.005 ? "0" : `${value.toFixed(value < 10 ? 2 : 1)}`);
const many = (value) => (value === null ? "?" : value.toLocaleString("en-US"));

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
    props: { class: "tc-rows tc-data-rows", "aria-label": "Tensors", testid: "tc-data-rows" }, row: { class: "tc-row tc-data-row", testid: "tc-data-row" },
    empty: { testid: "tc-data-empty" }, fill: (row, index) => fill(row, index), ask: (index) => model.send({ type: "select", index }),
  });
  const search = searchField(list, { class: "tc-input tc-data-search", placeholder: "search tensors  ( / )", "aria-label": "Search tensors", testid: "tc-data-search" },
    (text) => { view.wanted = matcher(text); refresh(); });
  const chips = CHIPS.map(([key, text]) => {
    const number = h("span", { class: "tc-data-chip-count" });
    const node = h("button", { type: "button", class: "tc-chip", "aria-pressed": "false", testid: `tc-data-only-${key}`,
      on: { click: () => { view.only = view.only === key ? "" : key; list.toTop(); refresh(); } } }, h("span", { text: `${text} ` }), number);
    return { key, node, number };
  });
  const heads = h("div", { class: "tc-data-heads" });
  const buttons = COLUMNS.map(([key, label, about, cls]) => {
    const node = h("button", { type: "button", class: "tc-data-head-button", title: `${about}. Click to sort.`, testid: `tc-data-sort-${key}`, on: { click: () => sortBy(key) } });
    heads.append(h("span", { class: cls }, node));
    return { key, label, node };
  });
  el.append(h("div", { class: "tc-data-tensors" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "tensors" }), count, search, helpButton(model.get("help"), "tc-help-data-tensors")),
    h("div", { class: "tc-list-chips" }, ...chips.map(({ node }) => node)), heads, list.body));

  const sortBy = (key) => {
    view.down = view.sort === key ? !view.down : key !== "graph";
    view.sort = key;
    list.toTop();
    refresh();
  };
  const fill = (row, index) => {
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index], `${columns.names[index]}${columns.group[index] > 1 ? `\none scale for ${columns.group[index]} tensors` : ""}`);
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
      node.replaceChildren(h("span", { text: label }), h("span", { class: "tc-data-arrow", "aria-hidden": "true", text: on ? (view.down ? "▼" : "▲") : "" }));
      node.setAttribute("aria-pressed", String(on));
    }
    const ready = columns && rows;
    const found = ready ? { unsettled: rows.settled.filter((s) => s === 0).length, unknown: rows.has.filter((has, i) => has && rows.settled[i] === -1).length, depends: rows.depends.filter(Boolean).length } : {};
    for (const { key, node, number } of chips) {
      node.setAttribute("aria-pressed", String(view.only === key));
      setText(number, found[key] === undefined || !ready ? "" : found[key].toLocaleString("en-US"));
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
    list.start(),
  ];
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
