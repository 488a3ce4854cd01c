// Every layer with what it alone costs: sorted here, kept with a tick.

import { helpButton } from "../../kit/js/controls.js";
import { h, LONG_TAIL, nameParts, setText } from "../../kit/js/dom.js";
import { follow } from "../../kit/js/model.js";
import { byNumber, countText, rowList } from "../../kit/js/row_list.js";
import { matcher, notFound, searchField } from "../../kit/js/search.js";

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
  let keep = new Set();

  const tick = (index, on) => model.send({ type: "keep", index, on });
  const turn = (index) => tick(index, !keep.has(index));
  const count = h("span", { class: "tc-faint", testid: "tc-dbg-count" });
  const heads = h("div", { class: "tc-dbg-heads" }, h("span", { class: "tc-l-keep", text: "keep", title: "Keep the layer in FP16 or FP32" }));
  // The same layer again is a question too: the tensor that is shown may be another one by now.
  const list = rowList(el, {
    props: { class: "tc-rows tc-dbg-rows", "aria-label": "Layers", testid: "tc-dbg-rows" }, row: { class: "tc-row tc-dbg-layer", testid: "tc-dbg-layer" },
    empty: { testid: "tc-dbg-layers-empty" }, fill: (row, index) => fill(row, index), ask: (index) => model.send({ type: "layer", index }),
    again: true, keys: { " ": turn },
  });
  const search = searchField(list, { class: "tc-input tc-dbg-search", placeholder: "search layers", "aria-label": "Search layers", testid: "tc-dbg-search" },
    (text) => { view.wanted = matcher(text); refresh(); });
  const panel = h("div", { class: "tc-dbg-layers" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "each layer alone in INT8" }), count, search, helpButton(model.get("help"), "tc-help-dbg-layers")), heads, list.body);
  el.append(panel);
  const buttons = new Map();
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
    const box = h("input", { type: "checkbox", tabindex: "-1", testid: "tc-dbg-keep", "aria-label": `Keep ${columns.names[index]} in higher precision`,
      title: "Keep this layer in FP16 or FP32; what lies behind it is run again", on: { click: (event) => { event.stopPropagation(); tick(index, box.checked); } } });
    box.checked = keep.has(index);
    const name = h("span", { class: "tc-name" });
    nameParts(name, columns.names[index], `${columns.names[index]} (${columns.ops[index]})\nquantises ${columns.inputs[index]}`, LONG_TAIL);
    // A name such as Conv@3 says the operator by itself.
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
      node.replaceChildren(h("span", { text: `${label}${unit}` }), h("span", { class: "tc-dbg-arrow", "aria-hidden": "true", text: on ? (view.down ? "▼" : "▲") : "" }));
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
  const readKeep = () => { keep = new Set(model.get("keep")); refresh(); };
  const cleanups = [
    follow(model, ["columns", "rows", "state"], readRows),
    follow(model, ["keep"], readKeep),
    follow(model, ["selected"], () => list.select(model.get("selected"))),
    list.start({ "tc-keep": () => { if (list.current() >= 0) turn(list.current()); } }),
  ];
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
