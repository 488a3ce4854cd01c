// The cache viewer's table: what the file is, filters, rows. The kernel searches and sorts and sends rows by the page,
// so that a file of 100,000 rows costs the browser no more than one of 100.

import { copyButton } from "../../kit/js/controls.js";
import { h, LONG_TAIL, nameParts, option, setText } from "../../kit/js/dom.js";
import { focusKey, modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";
import { setUpRoot, whenAttached } from "../../kit/js/root.js";
import { searchField } from "../../kit/js/search.js";
import { placeAfter, virtualList } from "../../kit/js/virtual_list.js";

const ROW = 24;
const PAGE = 100;
const KEPT_PAGES = 60;
const TYPING_PAUSE = 150;
const NARROWEST = 160;
const FIELD = { row: 0, place: 1, name: 2, amax: 3, scale: 4, hex: 5, mark: 6, other: 7, otherHex: 8, ratio: 9, change: 10 };
const COLUMNS = [["file", "#", "tc-c-place"], ["name", "tensor", "tc-c-name"], ["amax", "±amax", "tc-c-number"], ["", "scale", "tc-c-number tc-c-scale"], ["", "hex", "tc-c-hex"]];
const OTHER_COLUMNS = [["other", "B ±amax", "tc-c-number tc-c-other"], ["", "B hex", "tc-c-hex"], ["ratio", "B / A", "tc-c-number tc-c-ratio"]];

function headerView(model, send) {
  const title = h("span", { class: "tc-title tc-name", testid: "tc-cache-title" });
  const facts = h("span", { class: "tc-facts", testid: "tc-cache-facts" });
  const other = h("div", { class: "tc-facts tc-cache-other", testid: "tc-cache-other" });
  const version = h("input", { class: "tc-input tc-version", list: "tc-trt-versions", "aria-label": "TensorRT version", spellcheck: "false",
    title: "The TensorRT version that is to read the file, such as 10.16.1", testid: "tc-cache-version" });
  const versions = h("datalist", { id: "tc-trt-versions" }, ...model.get("summary").versions.map((text) => option(text, text)));
  const algorithm = h("select", { class: "tc-select", "aria-label": "Calibrator", title: "The calibrator class that it is given with", testid: "tc-cache-algorithm" },
    ...model.get("summary").algorithms.map((text) => option(text, text)));
  const verdict = h("div", { class: "tc-cache-verdict", role: "status", testid: "tc-cache-verdict" });
  const row = h("div", { class: "tc-cache-fit" }, h("label", { class: "tc-label" }, h("span", { text: "Would TensorRT" }), version, versions),
    h("label", { class: "tc-label" }, h("span", { text: "take it with" }), algorithm, h("span", { text: "?" })), verdict);
  const remarks = h("ul", { class: "tc-cache-remarks", testid: "tc-cache-remarks" });
  const sendVersion = () => send({ version: version.value });
  version.addEventListener("change", sendVersion);
  version.addEventListener("input", () => {
    // A choice from the list is complete at once.
    if (model.get("summary").versions.includes(version.value)) sendVersion();
  });
  version.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || modified(event)) return;
    event.preventDefault(); // JupyterLab would take it for "edit the cell"
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
      const chip = h("button", { type: "button", class: "tc-chip tc-cache-chip", "aria-pressed": String(key === chosen), testid: `tc-cache-group-${key}`,
        on: { click: () => send({ group: key === chosen ? "all" : key }) } }, h("span", { text: label }), h("span", { class: "tc-cache-count", text: count }));
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
    const empty = detail.name === undefined;
    copy.hidden = empty;
    nameParts(name, empty ? "Choose a row to see its exact numbers." : detail.name, undefined, LONG_TAIL);
    numbers.replaceChildren(...(empty ? [] : detail.numbers).map(([label, value]) =>
      h("span", { class: "tc-cache-fact" }, h("span", { class: "tc-faint", text: `${label} ` }), h("span", { class: "tc-mono tc-cache-exact", text: value }))));
    notes.replaceChildren(...(empty ? [] : detail.notes).map((text) => h("div", { text })));
  };
  const node = h("div", { class: "tc-cache-detail" }, h("div", { class: "tc-detail-name" }, name, copy), numbers, notes);
  return { node, update, traits: ["detail"] };
}

/** The rows in view; pages that are not here yet are asked for and stand as dots until they come. */
function rowsView(model, send) {
  const pages = new Map();
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
  // The column of names is as wide as the longest that was seen, if there is room: numbers stand close by.
  let longest = 0;
  const brush = document.createElement("canvas").getContext("2d");
  const unmeasured = new Set();
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
    nameParts(name, data[FIELD.name], undefined, LONG_TAIL);
    row.append(cell("tc-c-place", data[FIELD.place]), name, cell("tc-c-number", data[FIELD.amax]), cell("tc-c-number tc-c-scale", data[FIELD.scale]), cell("tc-c-hex", data[FIELD.hex]));
    if (data.length > FIELD.other) {
      row.append(cell("tc-c-number tc-c-other", data[FIELD.other]), cell("tc-c-hex", data[FIELD.otherHex]), cell("tc-c-number tc-c-ratio", data[FIELD.ratio]));
      row.dataset.change = data[FIELD.change];
    }
    return row;
  };
  // Which row is at a place, the kernel knows.
  const step = (rows) => {
    const { total } = view();
    if (total) model.send({ type: "move", to: placeAfter(model.get("selected_at"), rows, total), generation });
  };
  const list = virtualList({
    props: { class: "tc-rows tc-cache-rows", role: "grid", "aria-label": "Rows of the cache", testid: "tc-cache-rows" },
    empty: { testid: "tc-cache-empty" }, height: ROW, makeRow, step, press: (key) => key === " ",
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
      const arrow = active ? (model.get("descending") ? " ▾" : " ▴") : "";
      const label = `${text}${arrow}`;
      if (!key) return h("span", { class: className, role: "columnheader", text: label });
      const head = h("button", { type: "button", class: `tc-cache-head-button ${className}`, title: key === "ratio" ? "Sort by the size of the change" : `Sort by ${text}`, testid: `tc-cache-sort-${key}`, text: label,
        on: { click: () => send(active ? { descending: !model.get("descending") } : { sort: key, descending: key === "amax" || key === "other" || key === "ratio" }) } });
      const cell = h("span", { role: "columnheader", class: className, "aria-sort": active ? (model.get("descending") ? "descending" : "ascending") : "none" }, head);
      return cell;
    }));
  };
  return { node, update, traits: ["summary", "sort", "descending"] };
}

const KEYS = focusKey("/", "search tensors", "tc-cache-search");

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
    // Now the rows have a height.
    const frame = requestAnimationFrame(rows.update);
    cleanups.push(() => cancelAnimationFrame(frame));
  }));
  return () => cleanups.forEach((clean) => clean());
}

export default { render };
