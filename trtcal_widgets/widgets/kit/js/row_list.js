// A list whose rows are all here: sorted and searched in the browser, one row chosen.

import { h } from "./dom.js";
import { placeAfter, virtualList } from "./virtual_list.js";

const ROW = 26;
const PAUSE = 70;

/** "97", or "3 of 97" where some are hidden. */
export function countText(shown, all) {
  const [some, whole] = [shown, all].map((n) => n.toLocaleString("en-US"));
  return shown === all ? whole : `${some} of ${whole}`;
}

/** Order rows by a number, `sign` 1 for the least first. Rows without a number go last, whichever way one sorts. */
export function byNumber(values, sign) {
  return (a, b) => (values[a] === null) - (values[b] === null) || sign * (values[a] - values[b]) || a - b;
}

/**
 * A list of rows that have numbers, one of which is chosen.
 *
 * props: the body's class, label and testid; row: testid and class of a row; empty: testid of the words for no row.
 * fill(row, index): put what a row shows into its element.
 * ask(index): tell that the user chose a row. Holding an arrow key passes many: only the one it rests on is told.
 * again: whether the chosen row may be chosen again. keys: further keys, each called with the chosen row.
 */
export function rowList(el, { props, row: rowProps, empty, fill, ask, again = false, keys = {} }) {
  let order = [];
  let current = -1;
  let timer = 0;
  el.id = el.id || `tc-list-${Math.random().toString(36).slice(2)}`;

  const makeRow = (at) => {
    const index = order[at];
    const node = h("div", { ...rowProps, role: "option", id: `${el.id}-row-${index}`, "aria-selected": String(index === current),
      "aria-posinset": at + 1, "aria-setsize": order.length, on: { click: () => choose(index, true) } });
    node.dataset.index = index;
    fill(node, index);
    return node;
  };
  const choose = (index, now) => {
    if (index < 0 || (index === current && !again)) return;
    current = index;
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => ask(index), now ? 0 : PAUSE);
  };
  const move = (step) => {
    if (!order.length) return;
    const next = placeAfter(order.indexOf(current), step, order.length);
    list.reveal(next);
    choose(order[next], false);
  };
  const press = (key) => {
    if (keys[key] && current >= 0) keys[key](current);
    else return key === " ";
    return true;
  };
  const list = virtualList({ props: { role: "listbox", ...props }, empty, height: ROW, makeRow, step: move, press });
  const { body } = list;
  const draw = () => {
    list.draw();
    if (order.includes(current)) body.setAttribute("aria-activedescendant", `${el.id}-row-${current}`);
    else body.removeAttribute("aria-activedescendant");
  };
  const revealCurrent = () => {
    list.reveal(order.indexOf(current));
    draw();
  };
  return {
    body,
    toTop: list.toTop,
    keepingPlace: list.keepingPlace,
    current: () => current,
    /** Show these rows in this order, or these words where there is none. */
    show(rows, words) {
      order = rows;
      list.show(order.length, words);
      draw();
    },
    /** Choose a row because the session says so: nobody is told. */
    select(index) {
      if (index === current) return;
      current = index;
      revealCurrent();
    },
    /** Choose the first row, unless the chosen one is among those shown. */
    chooseFirst() {
      if (order.length && !order.includes(current)) choose(order[0], true);
    },
    /** Listen to the root's keys once the list is on the page: `tc-move`, and whatever else is named. Returns the clean-up. */
    start(events = {}) {
      const unwatch = list.watchSize();
      const heard = { "tc-move": (event) => move(event.detail), ...events };
      let root = null;
      const frame = requestAnimationFrame(() => {
        root = el.closest(".trtcal-root");
        for (const [type, handler] of Object.entries(heard)) root?.addEventListener(type, handler);
        revealCurrent();
      });
      return () => {
        unwatch();
        clearTimeout(timer);
        cancelAnimationFrame(frame);
        for (const [type, handler] of Object.entries(heard)) root?.removeEventListener(type, handler);
      };
    },
  };
}
