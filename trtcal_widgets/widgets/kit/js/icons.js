// Icons of buttons, and the markers of the methods.

import { svg } from "./dom.js";

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

export function icon(name) {
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
export function marker(kind, size = 11) {
  const known = kind in MARKER_OF ? kind : "mine";
  const path = svg("path", { d: MARKERS[MARKER_OF[known]], fill: `var(--tc-m-${known})` });
  return svg("svg", { viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true", class: "tc-marker" }, path);
}

/** The kind of a row's method label: "p99.99" is a percentile. */
export function kindOf(label) {
  if (/^p\d/.test(label)) return "percentile";
  return label.split(":")[0];
}
