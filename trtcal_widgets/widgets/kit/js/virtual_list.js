// Rows that are drawn only where they are in view: 100,000 rows are some 30 elements. Walked with keys.

import { h, setText } from "./dom.js";
import { modified } from "./keyboard.js";
import { watchPress } from "./press.js";

const MARGIN = 7;

/**
 * A list of rows, each at a place of its own.
 *
 * props, empty: attributes of the list and of the words for no row. height: of a row, in pixels.
 * makeRow(at): the element of the row at a place. step(rows): the user wants to go so many rows down; far beyond both
 * ends is the first and the last. press(key): another key; says whether it meant something.
 */
export function virtualList({ props, empty: emptyProps, height, makeRow, step, press = () => false }) {
  let count = 0;
  let held = false;
  let waiting = false;
  const spacer = h("div", { class: "tc-spacer", role: props.role === "grid" ? "rowgroup" : "presentation" });
  const empty = h("div", { class: "tc-empty", hidden: true, ...emptyProps });
  const body = h("div", { tabindex: "0", ...props }, spacer, empty);
  body.style.setProperty("--tc-row-height", `${height}px`);

  const draw = () => {
    waiting = held;
    if (held) return;
    const from = Math.max(0, Math.floor(body.scrollTop / height) - MARGIN);
    const to = Math.min(count, Math.ceil((body.scrollTop + body.clientHeight) / height) + MARGIN);
    const drawn = [];
    for (let at = from; at < to; at += 1) {
      const row = makeRow(at);
      row.style.top = `${at * height}px`;
      drawn.push(row);
    }
    const focused = body.getRootNode().activeElement;
    const kept = spacer.contains(focused) && focused.closest("[data-index]")?.dataset.index;
    // Not left to the page in between: JupyterLab would take the focus and scroll to its cell.
    if (kept !== false) body.focus({ preventScroll: true });
    spacer.style.height = `${count * height}px`;
    spacer.replaceChildren(...drawn);
    if (kept === false) return;
    spacer.querySelector(`[data-index="${kept}"] [data-testid="${focused.dataset.testid}"]`)?.focus({ preventScroll: true });
  };
  const forget = watchPress(spacer, (pressed) => {
    held = pressed;
    if (!held && waiting) draw();
  });
  body.addEventListener("scroll", draw);
  body.addEventListener("keydown", (event) => {
    if (modified(event)) return;
    const page = Math.max(1, Math.floor(body.clientHeight / height) - 1);
    const rows = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
    // A box in a row has the focus after a click, and takes Space; who walks on is back in the list.
    if (rows) {
      body.focus({ preventScroll: true });
      step(rows);
    } else if (event.target !== body || !press(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    body,
    draw,
    /** Show so many rows, or these words where there is none. */
    show(n, words) {
      count = n;
      empty.hidden = count > 0;
      setText(empty, words);
      draw();
    },
    /** Scroll no further than needed to see the row at a place. */
    reveal(at) {
      if (at < 0) return;
      const top = at * height;
      if (top < body.scrollTop) body.scrollTop = top;
      else if (top + height > body.scrollTop + body.clientHeight) body.scrollTop = top + height - body.clientHeight;
    },
    toTop() {
      body.scrollTop = 0;
    },
    /** Draw anew and leave the list where it is scrolled to. */
    keepingPlace(update) {
      const kept = body.scrollTop;
      update();
      body.scrollTop = kept;
    },
    /** Draw anew where the list becomes larger; returns the clean-up. */
    watchSize() {
      const resize = new ResizeObserver(draw);
      resize.observe(body);
      return () => {
        resize.disconnect();
        forget();
      };
    },
  };
}

/** The place some rows further, within the list; from nowhere it is the first. */
export function placeAfter(at, step, count) {
  return at < 0 ? 0 : Math.min(Math.max(at + step, 0), count - 1);
}
