// TensorRT's log: severity filter and the last lines. Lines quote names from model files: text only.

import { h, setText } from "../../kit/js/dom.js";
import { modified } from "../../kit/js/keyboard.js";

const LEVELS = [["error", "errors"], ["warning", "warnings"], ["info", "info"], ["verbose", "verbose"]];
const LEVEL_TITLES = {
  error: "Errors only", warning: "Warnings and errors", info: "What TensorRT says, warnings and errors",
  verbose: "Everything. Chosen before a build starts, TensorRT writes thousands of lines, and is slower",
};

/** A box with the log; returns its node and a function that shows a state. */
export function logBox(send) {
  const note = h("span", { class: "tc-faint", testid: "tc-bld-log-note" });
  const chips = LEVELS.map(([level, text]) => h("button", { type: "button", class: "tc-segment", text, title: LEVEL_TITLES[level],
    testid: `tc-bld-level-${level}`, on: { click: () => send("severity", { least: level }) } }));
  const lines = h("div", { class: "tc-bld-lines", role: "log", tabindex: "0", "aria-label": "TensorRT's log", "aria-live": "off", testid: "tc-bld-log" });
  // The explorer's arrows change the tensor: here they scroll.
  lines.addEventListener("keydown", (event) => { if (event.key.startsWith("Arrow") && !modified(event)) event.stopPropagation(); });
  const node = h("div", { class: "tc-bld-log" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "log" }),
      h("div", { class: "tc-segments", role: "group", "aria-label": "Which lines" }, ...chips), note),
    lines);
  const row = ([severity, seconds, text]) => h("div", { class: "tc-bld-line", "data-severity": severity },
    h("span", { class: "tc-bld-time", text: seconds }), h("span", { class: "tc-bld-severity", text: severity === "info" ? "" : severity }), h("span", { class: "tc-bld-text", text }));
  const show = (log) => {
    chips.forEach((chip, k) => chip.setAttribute("aria-pressed", String(LEVELS[k][0] === log.least)));
    setText(chips[0], `errors ${log.errors || ""}`.trim());
    setText(chips[1], `warnings ${log.warnings || ""}`.trim());
    setText(note, log.note);
    // Stay at the end unless the user has scrolled up.
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 30;
    const top = lines.scrollTop;
    lines.replaceChildren(...(log.lines.length ? log.lines.map(row) : [h("div", { class: "tc-faint tc-bld-empty", text: "No line yet." })]));
    lines.scrollTop = atEnd ? lines.scrollHeight : top;
  };
  return { node, show };
}
