// A plot as a file: PNG or SVG, with a title and a background of its own, as it is zoomed now.

import { h } from "./dom.js";
import { withLabelsAsSeen } from "./labels.js";

const TITLE = 26; // px above the plot, for the title
const SCALE = 2; // of a PNG, so that it can be printed
const LONGEST = 80;

/** A name that every file system takes. */
export function fileName(title) {
  return title.replace(/[^\p{L}\p{N}._-]+/gu, "_").replace(/^[_.]+/, "").slice(0, LONGEST) || "plot";
}

/** Text for Plotly, which reads tags and entities. */
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The picture as a data URL. */
async function picture(plot, title, format) {
  const { width, height } = plot._fullLayout;
  const root = plot.closest(".trtcal-root") ?? document.body;
  const { backgroundColor } = getComputedStyle(root);
  const layout = withLabelsAsSeen(plot, structuredClone(plot.layout));
  const margin = { ...layout.margin, t: (layout.margin?.t ?? 10) + TITLE };
  Object.assign(layout, {
    margin, paper_bgcolor: backgroundColor, autosize: false,
    title: { text: plain(title), x: 0.01, xanchor: "left", y: 1, yanchor: "top", pad: { t: 9 }, font: { size: 13 } },
  });
  return globalThis.Plotly.toImage({ data: plot.data, layout }, { format, width, height: height + TITLE, scale: format === "png" ? SCALE : 1 });
}

async function save(el, title, format) {
  const plot = el.matches(".js-plotly-plot") ? el : el.querySelector(".js-plotly-plot");
  if (!plot?._fullLayout || !globalThis.Plotly) return;
  const link = h("a", { href: await picture(plot, title, format), download: `${fileName(title)}.${format}` });
  link.click();
}

/** Buttons over the corner of a plot, seen when the pointer or the focus is there; `title()` names picture and file. */
export function saveButtons(el, title) {
  const button = (format) => h("button", { type: "button", class: "tc-segment", text: format.toUpperCase(), testid: `tc-save-${format}`,
    title: `Save this plot as ${format.toUpperCase()}`, "aria-label": `Save this plot as ${format.toUpperCase()}: ${title()}`,
    on: { click: () => save(el, title(), format) } });
  return h("div", { class: "tc-save tc-segments", role: "group", "aria-label": "Save this plot" }, button("png"), button("svg"));
}
