// The neighbourhood of the chosen tensor as a picture: walked with a click or the arrow keys. Names are text nodes only.

import { helpButton } from "./controls.js";
import { h, svg, toggle } from "./dom.js";
import { modified } from "./keyboard.js";
import { BOX_HEIGHT, layered, neighbourOf } from "./layered.js";
import { follow } from "./model.js";

const PAUSE = 140; // ms: holding an arrow key passes many boxes, only the one it rests on is told
const PAD = 8;
const SMALLEST = 0.84;
const GROUP_COLORS = 6;
const brush = document.createElement("canvas").getContext("2d");

/** A text cut in the middle to a width in pixels. */
function fitted(text, width, font) {
  brush.font = font;
  if (brush.measureText(text).width <= width) return text;
  let [low, high] = [1, text.length - 1];
  while (low < high) {
    const kept = Math.ceil((low + high) / 2);
    if (brush.measureText(cut(text, kept)).width <= width) low = kept;
    else high = kept - 1;
  }
  return cut(text, low);
}

function cut(text, kept) {
  const head = Math.ceil(kept / 2);
  return `${text.slice(0, head)}…${kept > head ? text.slice(head - kept) : ""}`;
}

const SEPARATOR = /[/.]/;
const SHARED = 0.6; // of the names in the picture have a beginning or an end that tells nothing here

/** The longest beginning (or end) of a name, up to a separator, that most of the names have. */
function sharedPart(name, names, atEnd) {
  const has = (part) => names.filter((other) => (atEnd ? other.endsWith(part) : other.startsWith(part))).length >= SHARED * names.length;
  let best = "";
  for (let i = 1; i < name.length - 1; i += 1) {
    if (!SEPARATOR.test(name[atEnd ? name.length - i : i - 1])) continue;
    const part = atEnd ? name.slice(-i) : name.slice(0, i);
    if (!has(part)) break;
    best = part;
  }
  return best;
}

/** A name in a width: where it has no room, what most names here have in common goes first, then its middle. */
function fittedName(name, names, width, font) {
  brush.font = font;
  const fits = (text) => brush.measureText(text).width <= width;
  if (fits(name)) return name;
  const head = sharedPart(name, names, false);
  const tail = sharedPart(name.slice(head.length), names.map((other) => other.slice(head.length)), true);
  const bare = name.slice(head.length, name.length - tail.length);
  if (!bare) return fitted(name, width, font);
  const tries = [head ? `…${name.slice(head.length)}` : "", tail ? `${name.slice(0, -tail.length)}…` : "", `${head ? "…" : ""}${bare}${tail ? "…" : ""}`];
  return tries.find((text) => text && fits(text)) ?? fitted(tries[2], width, font);
}

function words(text, attributes) {
  const node = svg("text", attributes);
  node.textContent = text;
  return node;
}

function titleOf(text) {
  const node = svg("title");
  node.textContent = text;
  return node;
}

function render({ model, el }) {
  const id = `tc-net-${Math.random().toString(36).slice(2)}`;
  const note = h("span", { class: "tc-faint tc-net-note", testid: "tc-net-note" });
  const legend = h("span", { class: "tc-net-legend", testid: "tc-net-legend" });
  const drawing = svg("svg", { class: "tc-net-drawing", role: "presentation" });
  const view = h("div", { class: "tc-net-view", tabindex: "0", role: "listbox", "aria-label": "Tensors around the chosen one: arrow keys walk", testid: "tc-net" });
  view.append(drawing);
  el.append(h("div", { class: "tc-net-panel" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "network" }), note, legend, helpButton(model.get("help"), "tc-help-network")), view));

  let state = null;
  let found = null;
  let cursor = -1;
  let timer = 0;
  let nodes = [];
  let scale = 1;

  const ask = (index, now) => {
    clearTimeout(timer);
    const { name, selectable } = state.boxes[index];
    if (!selectable) return;
    timer = setTimeout(() => { if (name !== state.boxes[state.chosen].name) model.send({ type: "select_name", name }); }, now ? 0 : PAUSE);
  };
  const point = (index) => {
    cursor = index;
    nodes.forEach((node, i) => {
      toggle(node, "data-cursor", i === cursor);
      node.setAttribute("aria-selected", String(i === cursor));
    });
    view.setAttribute("aria-activedescendant", `${id}-${cursor}`);
    reveal(cursor);
  };
  const reveal = (index) => {
    const { x, y } = found.boxes[index];
    const scroll = (position, size, start, length) => (start < position ? start : start + length > position + size ? start + length - size : position);
    view.scrollLeft = scroll(view.scrollLeft, view.clientWidth, scale * (x - PAD), scale * (found.boxWidth + 2 * PAD));
    view.scrollTop = scroll(view.scrollTop, view.clientHeight, scale * (y - PAD), scale * (BOX_HEIGHT + 2 * PAD));
  };
  const choose = (index, now) => {
    point(index);
    ask(index, now);
  };

  const makeBox = (box, i, fonts, names) => {
    const { x, y } = found.boxes[i];
    const width = found.boxWidth;
    const value = words(box.value, { class: "tc-net-value", x: width - PAD, y: 13, "text-anchor": "end" });
    brush.font = box.level === "bad" ? `600 ${fonts.small}` : fonts.small;
    const taken = box.value ? brush.measureText(box.value).width + 8 : 0;
    const left = width - 2 * PAD - taken - (box.letter ? 18 : 0);
    const node = svg("g", { class: "tc-net-box", transform: `translate(${x} ${y})`, role: "option", id: `${id}-${i}`, "aria-selected": "false", "data-testid": "tc-net-box",
      "data-level": box.level, "data-scale": box.scale, "data-selectable": box.selectable, "aria-label": box.title });
    node.append(titleOf(box.title), svg("rect", { class: "tc-net-frame", width, height: BOX_HEIGHT, rx: 5 }),
      svg("path", { class: "tc-net-level", d: `M5 0H3.5V${BOX_HEIGHT}H5a5 5 0 0 1-5-5V5a5 5 0 0 1 5-5z` }),
      words(fitted(box.op, left, fonts.small), { class: "tc-net-op", x: PAD + 1, y: 13 }), value,
      words(fittedName(box.shown, names, width - 2 * PAD - 1, i === state.chosen ? fonts.chosen : fonts.name), { class: "tc-net-name", x: PAD + 1, y: 27 }));
    if (box.letter) {
      const at = width - PAD - taken - 7;
      const badge = svg("g", { class: "tc-net-badge", "data-group": box.letter.charCodeAt(0) % GROUP_COLORS, transform: `translate(${at} 9)` });
      badge.append(svg("circle", { r: 6.5 }), words(box.letter, { "text-anchor": "middle", y: 3 }));
      node.append(badge);
      node.dataset.group = box.letter.charCodeAt(0) % GROUP_COLORS;
    }
    const middle = BOX_HEIGHT / 2;
    if (box.before) node.append(svg("path", { class: "tc-net-stub", d: `M0 ${middle}H-11` }));
    if (box.after) node.append(svg("path", { class: "tc-net-stub", d: `M${width} ${middle}H${width + 11}` }));
    toggle(node, "data-chosen", i === state.chosen);
    node.addEventListener("click", () => choose(i, true));
    return node;
  };
  const makeCut = (item, i) => {
    const { x, y } = found.boxes[i];
    const node = svg("g", { class: "tc-net-cut", transform: `translate(${x} ${y})`, "data-testid": "tc-net-cut" });
    node.append(titleOf(item.title), svg("rect", { width: found.boxWidth, height: BOX_HEIGHT, rx: 5 }),
      words(item.text, { x: found.boxWidth / 2, y: BOX_HEIGHT / 2 + 4, "text-anchor": "middle" }));
    return node;
  };

  const draw = () => {
    found = null; // while it is on no page it has no width, and what was found for another state is of no use
    if (!state || !view.clientWidth) return;
    const style = getComputedStyle(view);
    const fonts = { small: `11px ${style.fontFamily}`, name: `12px ${style.fontFamily}`, chosen: `600 12px ${style.fontFamily}` };
    const names = state.boxes.map((box) => box.shown);
    const count = state.boxes.length;
    const edges = [...state.edges];
    state.cuts.forEach((item, k) => item.at.forEach((at) => edges.push(item.before ? [count + k, at] : [at, count + k])));
    found = layered(count + state.cuts.length, edges, view.clientWidth);
    // A little smaller where that saves scrolling up and down.
    scale = Math.max(SMALLEST, Math.min(1, view.clientHeight / found.height));
    if (scale < 1) found = layered(count + state.cuts.length, edges, view.clientWidth / scale);
    const [width, height] = [Math.max(found.width, Math.floor(view.clientWidth / scale)), Math.max(found.height, Math.floor(view.clientHeight / scale))];
    const [dx, dy] = [(width - found.width) / 2, (height - found.height) / 2];
    found.boxes.forEach((box) => { box.x += dx; box.y += dy; });
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("width", Math.floor(width * scale));
    drawing.setAttribute("height", Math.floor(height * scale));
    const lines = svg("g", { transform: `translate(${dx} ${dy})` });
    found.paths.forEach((d, k) => {
      const near = k < state.edges.length && edges[k].includes(state.chosen);
      lines.append(svg("path", { class: "tc-net-edge", d, "data-near": near, "data-cut": k >= state.edges.length }));
    });
    nodes = state.boxes.map((box, i) => makeBox(box, i, fonts, names));
    drawing.replaceChildren(lines, ...nodes, ...state.cuts.map((item, k) => makeCut(item, count + k)));
  };
  const update = () => {
    const sent = model.get("state");
    if (!sent.boxes || !sent.boxes.length) return;
    // Who walks on while the answer is under way stays where he is, if that is still in the picture.
    const wanted = state && cursor >= 0 && cursor !== state.chosen ? state.boxes[cursor].name : null;
    const same = state && state.boxes[state.chosen].name === sent.boxes[sent.chosen].name;
    const kept = [view.scrollLeft, view.scrollTop];
    state = sent;
    view.style.setProperty("--tc-net-rows", sent.rows);
    note.textContent = sent.note ?? "";
    legend.replaceChildren(...sent.groups.map((group) => h("span", { class: "tc-net-key", title: group.title, "data-group": group.letter.charCodeAt(0) % GROUP_COLORS },
      h("span", { class: "tc-net-key-letter", text: group.letter }), h("span", { text: `one scale for ${group.n}` }))),
      sent.boxes.some((box) => !box.scale) ? h("span", { class: "tc-net-key" }, h("span", { class: "tc-net-key-dashed" }), h("span", { text: "not calibrated" })) : "");
    draw();
    if (!found) return;
    const at = wanted === null ? -1 : sent.boxes.findIndex((box) => box.name === wanted);
    if (same) [view.scrollLeft, view.scrollTop] = kept;
    else centre();
    point(at >= 0 && same ? at : sent.chosen);
  };
  const centre = () => {
    const { x, y } = found.boxes[state.chosen];
    view.scrollLeft = scale * (x + found.boxWidth / 2) - view.clientWidth / 2;
    view.scrollTop = scale * (y + BOX_HEIGHT / 2) - view.clientHeight / 2;
  };

  view.addEventListener("keydown", (event) => {
    if (!found || modified(event)) return;
    const { key } = event;
    if (key.startsWith("Arrow")) {
      const next = neighbourOf(key, cursor < 0 ? state.chosen : cursor, state.edges, found.boxes.slice(0, state.boxes.length));
      if (next >= 0) choose(next, false);
    } else if (key === "Enter" || key === " ") ask(cursor, true);
    else if (key === "Home") choose(state.chosen, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  let width = 0;
  const resize = new ResizeObserver(() => {
    if (Math.abs(view.clientWidth - width) < 2) return;
    width = view.clientWidth;
    draw();
    if (!found) return;
    centre();
    point(cursor >= 0 ? cursor : state.chosen);
  });
  resize.observe(view);
  const stop = follow(model, ["state"], update);
  return () => {
    clearTimeout(timer);
    resize.disconnect();
    stop();
  };
}

export default { render };
