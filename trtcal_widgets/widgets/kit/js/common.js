// Shared by every panel: small DOM helpers. Text from models and files goes through textContent only.
const SVG_NS = "http://www.w3.org/2000/svg";

/** Make an element. `props`: class, text, testid, title, on: {event: handler}, anything else is an attribute. */
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") node.className = value;
    else if (key === "text") node.textContent = value;
    else if (key === "testid") node.dataset.testid = value;
    else if (key === "on") for (const [type, handler] of Object.entries(value)) node.addEventListener(type, handler);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG_NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const ICONS = {
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
  link: "M6.5 9.5 9.5 6.5M7 4.5l1.2-1.2a3 3 0 0 1 4.4 4.4L11.4 9M9 11.5l-1.2 1.2a3 3 0 0 1-4.4-4.4L4.6 7",
};
const FILLED = new Set(["first", "back", "play", "forward", "last"]);

function icon(name) {
  const path = svg("path", {
    d: ICONS[name], fill: FILLED.has(name) ? "currentColor" : "none", stroke: "currentColor",
    "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round",
  });
  return svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true", class: "tc-icon" }, path);
}

// The same shapes as Plotly's symbols of the same name.
const MARKERS = {
  circle: "M8 3.2a4.8 4.8 0 1 0 .001 0z",
  square: "M3.6 3.6h8.8v8.8H3.6z",
  "triangle-up": "M8 2.4 13.6 12.4H2.4z",
  "triangle-down": "M8 13.6 2.4 3.6h11.2z",
  hexagon: "M8 2.2 13 5.1v5.8L8 13.8 3 10.9V5.1z",
  diamond: "M8 1.4 14.6 8 8 14.6 1.4 8z",
};
const MARKER_OF = {
  entropy: "circle", minmax: "square", percentile: "triangle-up", mse: "triangle-down", legacy: "hexagon", mine: "diamond",
};

/** A method's marker in its colour; `kind` is one of MARKER_OF's keys. */
function marker(kind, size = 11) {
  const known = kind in MARKER_OF ? kind : "mine";
  const path = svg("path", { d: MARKERS[MARKER_OF[known]], fill: `var(--tc-m-${known})` });
  return svg("svg", { viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true", class: "tc-marker" }, path);
}

/** The kind of a row's method label: "p99.99" is a percentile. */
function kindOf(label) {
  if (/^p\d/.test(label)) return "percentile";
  return label.split(":")[0];
}

function button(name, label, testid, handler, text) {
  const node = h("button", { type: "button", class: text ? "tc-button" : "tc-button tc-button-icon", title: label,
    "aria-label": label, testid, on: { click: handler } });
  if (name) node.append(icon(name));
  if (text) node.append(h("span", { text }));
  return node;
}

function option(value, text) {
  return h("option", { value, text });
}

/** Fill a select anew only where its options changed, so that an open list is not closed. */
function setOptions(select, pairs) {
  const key = JSON.stringify(pairs);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  select.replaceChildren(...pairs.map(([value, text]) => option(value, text)));
}

const HEAD_TAIL = 11;

/** A name whose middle gives way when there is no room: the head shrinks, the tail stays. Whole on hover. */
function nameParts(node, shown, whole) {
  const cut = shown.length > HEAD_TAIL + 4 ? shown.length - HEAD_TAIL : shown.length;
  node.replaceChildren(h("span", { class: "tc-name-head", text: shown.slice(0, cut) }));
  if (cut < shown.length) node.append(h("span", { class: "tc-name-tail", text: shown.slice(cut) }));
  node.title = whole ?? shown;
}

/** Copy text, where the browser allows it; says so on the button for a moment. */
async function copyText(text, node) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard permission (plain http, an iframe): the old way still works there.
    const area = h("textarea", { class: "tc-offscreen", "aria-hidden": "true" });
    area.value = text;
    node.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  node.dataset.copied = copied ? "yes" : "no";
  setTimeout(() => delete node.dataset.copied, 1200);
}

function copyButton(label, testid, text) {
  const node = button("copy", label, testid, () => copyText(text(), node));
  node.classList.add("tc-copy");
  return node;
}

/** A "?" that opens what one sees in this panel. */
function helpButton(help, testid) {
  const box = h("details", { class: "tc-help", testid });
  const summary = h("summary", { "aria-label": `What am I seeing? ${help.title}`, title: "What am I seeing?", text: "?" });
  const body = h("div", { class: "tc-help-body", role: "note" },
    h("strong", { text: help.title }), h("p", { text: help.text }), h("p", { class: "tc-faint", text: `More: ${help.more}` }));
  box.append(summary, body);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.open) return;
    event.stopPropagation();
    box.open = false;
    summary.focus();
  });
  box.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) box.open = false;
  });
  return box;
}

/** Show text in a node only where it changed. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function toggle(node, attribute, on) {
  if (on) node.setAttribute(attribute, "");
  else node.removeAttribute(attribute);
}

/** Draw once, then again at each change of the traits; returns the clean-up that anywidget calls. */
function follow(model, traits, update) {
  const names = traits.map((name) => `change:${name}`);
  for (const name of names) model.on(name, update);
  update();
  return () => {
    for (const name of names) model.off(name, update);
  };
}

/** The static picture is for a notebook without its kernel; where the widget lives it would be seen twice. */
function hidePicture(root) {
  for (const picture of document.querySelectorAll(".trtcal-static")) {
    if (!root?.classList.contains(`tc-of-${picture.dataset.of}`)) continue;
    (picture.closest(".jp-OutputArea-child") ?? picture).style.display = "none";
  }
}
