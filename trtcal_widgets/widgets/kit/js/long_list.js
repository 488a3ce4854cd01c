// A long list: drawn only where it is in view (3,000 rows are 20 elements), walked with keys, searched.

const ROW = 26;
const PAUSE = 70;

/** "97", or "3 of 97" where some are hidden. */
function countText(shown, all) {
  const [some, whole] = [shown, all].map((n) => n.toLocaleString("en-US"));
  return shown === all ? whole : `${some} of ${whole}`;
}

/** Order rows by a number, `sign` 1 for the least first. Rows without a number go last, whichever way one sorts. */
function byNumber(values, sign) {
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
function longList(el, { props, row: rowProps, empty: emptyProps, fill, ask, again = false, keys = {} }) {
  let order = [];
  let current = -1;
  let timer = 0;
  const spacer = h("div", { class: "tc-spacer" });
  const empty = h("div", { class: "tc-empty", hidden: true, ...emptyProps });
  const body = h("div", { role: "listbox", tabindex: "0", ...props }, spacer, empty);
  el.id = el.id || `tc-list-${Math.random().toString(36).slice(2)}`;

  const makeRow = (at) => {
    const index = order[at];
    const node = h("div", { ...rowProps, role: "option", id: `${el.id}-row-${index}`, "aria-selected": String(index === current),
      "aria-posinset": at + 1, "aria-setsize": order.length, on: { click: () => choose(index, true) } });
    node.dataset.index = index;
    node.style.top = `${at * ROW}px`;
    fill(node, index);
    return node;
  };
  const draw = () => {
    const from = Math.max(0, Math.floor(body.scrollTop / ROW) - 6);
    const to = Math.min(order.length, Math.ceil((body.scrollTop + body.clientHeight) / ROW) + 6);
    const drawn = [];
    for (let at = from; at < to; at += 1) drawn.push(makeRow(at));
    spacer.style.height = `${order.length * ROW}px`;
    spacer.replaceChildren(...drawn);
    if (order.includes(current)) body.setAttribute("aria-activedescendant", `${el.id}-row-${current}`);
    else body.removeAttribute("aria-activedescendant");
  };
  const reveal = (at) => {
    const top = at * ROW;
    if (top < body.scrollTop) body.scrollTop = top;
    else if (top + ROW > body.scrollTop + body.clientHeight) body.scrollTop = top + ROW - body.clientHeight;
  };
  const revealCurrent = () => {
    const at = order.indexOf(current);
    if (at >= 0) reveal(at);
    draw();
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
    const at = order.indexOf(current);
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), order.length - 1);
    reveal(next);
    choose(order[next], false);
  };
  const press = (key) => {
    const page = Math.max(1, Math.floor(body.clientHeight / ROW) - 1);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -order.length, End: order.length }[key];
    if (step) move(step);
    else if (keys[key] && current >= 0) keys[key](current);
    else return false;
    return true;
  };

  body.addEventListener("scroll", draw);
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !press(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    body,
    draw,
    current: () => current,
    /** Show these rows in this order, or these words where there is none. */
    show(rows, words) {
      order = rows;
      empty.hidden = order.length > 0;
      setText(empty, words);
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
    toTop() {
      body.scrollTop = 0;
    },
    /** Draw anew and leave the list where it is scrolled to. */
    keepingPlace(update) {
      const kept = body.scrollTop;
      update();
      body.scrollTop = kept;
    },
    /** Listen to the root's keys once the list is on the page: `tc-move`, and whatever else is named. Returns the clean-up. */
    start(events = {}) {
      const resize = new ResizeObserver(draw);
      resize.observe(body);
      const heard = { "tc-move": (event) => move(event.detail), ...events };
      let root = null;
      const frame = requestAnimationFrame(() => {
        root = el.closest(".trtcal-root");
        for (const [type, handler] of Object.entries(heard)) root?.addEventListener(type, handler);
        revealCurrent();
      });
      return () => {
        resize.disconnect();
        clearTimeout(timer);
        cancelAnimationFrame(frame);
        for (const [type, handler] of Object.entries(heard)) root?.removeEventListener(type, handler);
      };
    },
  };
}

/** A field that searches a list: Enter and ArrowDown go to its rows, Escape empties it. `search(text)` shows what fits. */
function searchField(list, props, search) {
  const field = h("input", { type: "search", spellcheck: "false", ...props });
  field.addEventListener("input", () => {
    list.toTop();
    search(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      list.body.focus();
      list.chooseFirst();
    }
    if (event.key === "Escape") {
      event.stopPropagation();
      field.value = "";
      search("");
      list.body.focus();
    }
  });
  return field;
}
