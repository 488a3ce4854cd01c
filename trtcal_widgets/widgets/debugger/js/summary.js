// Before and after: FP32, all-INT8 and the plan side by side; the search for a plan.

import { helpButton } from "../../kit/js/controls.js";
import { h, option, setText } from "../../kit/js/dom.js";
import { icon } from "../../kit/js/icons.js";
import { modified } from "../../kit/js/keyboard.js";
import { follow } from "../../kit/js/model.js";

function render({ model, el }) {
  const send = (type, extra) => model.send({ type, ...extra });
  const head = h("thead");
  const body = h("tbody");
  const table = h("table", { class: "tc-dbg-scores", testid: "tc-dbg-scores" }, head, body);
  const note = h("div", { class: "tc-faint tc-dbg-note", testid: "tc-dbg-scores-note" });
  const plan = h("div", { class: "tc-dbg-plan-text", testid: "tc-dbg-plan" });
  const adopt = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-adopt", text: "take thresholds into the session",
    title: "The plan's thresholds become the session's own: the explorer shows them, and caches are written with them", on: { click: () => send("adopt") } });
  const clear = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-clear", text: "clear", title: "Quantise every layer again, with the session's thresholds (undo brings the plan back)", on: { click: () => send("clear") } });
  const target = h("input", { class: "tc-input tc-dbg-target", testid: "tc-dbg-target", inputmode: "decimal", "aria-label": "Share of FP32's accuracy to reach, in percent", title: "Share of FP32's accuracy to reach, in percent" });
  const precision = h("select", { class: "tc-select", testid: "tc-dbg-precision", "aria-label": "What kept layers run in", title: "What kept layers run in. It is written into the plan; the simulation keeps them in FP32." },
    option("fp16", "FP16"), option("fp32", "FP32"));
  const scales = h("input", { type: "checkbox", testid: "tc-dbg-scales" });
  const find = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-find", text: "find a plan",
    title: "Try better thresholds for the worst layers, then keep as few layers as possible in higher precision. It replaces your ticks; undo brings them back.",
    on: { click: () => send("find", { target: target.value, precision: precision.value, scales: scales.checked }) } });
  const tune = h("button", { type: "button", class: "tc-button", testid: "tc-dbg-tune", text: "tune",
    title: "Measure with TensorRT on this GPU what each layer gains in INT8, and draw time against accuracy of the variants in between. Without a GPU: accuracy alone.",
    on: { click: () => send("tune") } });
  precision.addEventListener("change", () => send("precision", { precision: precision.value }));
  target.addEventListener("change", () => send("target", { target: target.value }));
  target.addEventListener("keydown", (event) => { if (event.key === "Enter" && !modified(event)) find.click(); });
  const steps = h("details", { class: "tc-preview-box tc-dbg-steps", testid: "tc-dbg-steps", hidden: true });
  const stepsHead = h("summary");
  const stepsList = h("ol", { class: "tc-preview tc-dbg-step-list", tabindex: "0", "aria-label": "What the search tried, in order" });
  steps.append(stepsHead, stepsList);
  const makeStep = (step) => h("li", { class: "tc-dbg-step", "data-accepted": step.accepted, title: step.accepted ? "The search went on with it" : "The search went on without it" },
    h("span", { class: "tc-dbg-step-mark" }, step.accepted ? icon("done") : null), h("span", { class: "tc-dbg-step-what", text: step.what }),
    h("span", { class: "tc-dbg-step-value", text: step.value }), h("span", { class: "tc-offscreen", text: step.accepted ? "accepted" : "not accepted" }));
  let drawn = "";
  el.append(h("div", { class: "tc-dbg-summary" },
    h("div", { class: "tc-panel-head" }, h("span", { class: "tc-panel-title", text: "before and after" }), note, helpButton(model.get("help"), "tc-help-dbg-summary")),
    h("div", { class: "tc-dbg-scores-box" }, table), plan,
    h("div", { class: "tc-dbg-row" }, h("label", { class: "tc-label" }, h("span", { text: "reach" }), target, h("span", { text: "% of FP32, keep in" }), precision),
      h("label", { class: "tc-label", title: "Try other thresholds first; a plan of thresholds alone costs no speed" }, scales, h("span", { text: "thresholds first" }))),
    h("div", { class: "tc-dbg-row tc-dbg-do" }, find, tune, adopt, clear), steps));
  let first = true;
  const update = () => {
    const state = model.get("state");
    if (!state.columns) return;
    head.replaceChildren(h("tr", {}, h("th", { scope: "col" }), ...state.columns.map((c) => h("th", { scope: "col", text: c.label, title: c.title }))));
    body.replaceChildren(...state.rows.map((row) => h("tr", { testid: `tc-dbg-score-${row.key}`, "data-empty": row.empty },
      h("th", { scope: "row", text: row.label, title: row.title }),
      ...row.cells.map((cell) => h("td", { text: cell.text, title: cell.title, "data-kind": cell.kind || null, testid: `tc-dbg-${row.key}-${cell.key}` })))));
    setText(note, state.note);
    setText(plan, state.plan);
    plan.title = state.plan_title;
    plan.dataset.kind = state.plan_kind;
    if (first || document.activeElement !== target) target.value = state.target;
    first = false;
    precision.value = state.precision;
    scales.checked = scales.dataset.touched ? scales.checked : state.scales;
    find.disabled = tune.disabled = state.running || !state.ready;
    adopt.hidden = !state.moved;
    clear.hidden = !state.planned;
    steps.hidden = !state.steps.length;
    const accepted = state.steps.filter((step) => step.accepted).length;
    setText(stepsHead, `${state.steps.length} ${state.steps.length === 1 ? "thing was" : "things were"} tried, ${accepted} accepted`);
    const key = JSON.stringify(state.steps);
    if (key !== drawn) stepsList.replaceChildren(...state.steps.map(makeStep));
    drawn = key;
  };
  scales.addEventListener("change", () => { scales.dataset.touched = "yes"; });
  return follow(model, ["state"], update);
}

export default { render };
