// Labels of a plot: the kernel lays them out for a plot of some width, and here is one that may be narrower.

const LANE = 13; // px, as the kernel has it
const GAP = 3;
const BLANK = 4; // px of a box above and below its letters: boxes of two lanes reach into each other

/** How far each box must go, px to the right and px up, so that none is over another one or beyond the edges. */
export function spread(boxes, { left, right, top }) {
  const order = boxes.map((_, k) => k).sort((a, b) => boxes[b].bottom - boxes[a].bottom || boxes[a].left - boxes[b].left);
  const steps = boxes.map(() => ({ x: 0, y: 0 }));
  const placed = [];
  for (const k of order) {
    const box = boxes[k];
    const x = Math.max(left - box.left, 0) || Math.min(right - box.right, 0);
    const over = (y) => placed.some((other) => box.left + x < other.right + GAP && other.left < box.right + x + GAP
      && box.top - y + BLANK < other.bottom && other.top + BLANK < box.bottom - y);
    let y = 0;
    while (over(y) && box.top - y - LANE >= top) y += LANE;
    placed.push({ left: box.left + x, right: box.right + x, top: box.top - y, bottom: box.bottom - y });
    steps[k] = { x, y };
  }
  return steps;
}

/** Keep the labels of a plot off each other, whenever Plotly has drawn them anew. Returns the clean-up. */
export function spreadLabels(el) {
  let frame = 0;
  const draw = (anew) => {
    const nodes = [...el.querySelectorAll(".infolayer > .annotation")];
    // Plotly makes a label anew for most of what it changes.
    if (!anew && nodes.every((node) => node.dataset.step)) return;
    nodes.forEach((node) => { node.removeAttribute("transform"); node.dataset.step = "0 0"; });
    if (!el.querySelector(".main-svg")) return;
    const shown = nodes.filter((node) => node.textContent && node.getClientRects().length);
    const steps = spread(shown.map((node) => node.getBoundingClientRect()), el.querySelector(".main-svg").getBoundingClientRect());
    shown.forEach((node, k) => {
      const { x, y } = steps[k];
      node.dataset.step = `${x} ${y}`;
      if (x || y) node.setAttribute("transform", `translate(${x}, ${-y})`);
    });
  };
  const observer = new MutationObserver(() => {
    draw(false);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => draw(true));
  });
  observer.observe(el, { childList: true, subtree: true });
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  };
}

/** The layout of a plot with its labels where they are seen, for a picture of it. */
export function withLabelsAsSeen(plot, layout) {
  for (const node of plot.querySelectorAll(".infolayer > .annotation[data-step]")) {
    const note = layout.annotations?.[node.dataset.index];
    const [x, y] = node.dataset.step.split(" ").map(Number);
    if (note) Object.assign(note, { xshift: (note.xshift ?? 0) + x, yshift: (note.yshift ?? 0) + y });
  }
  return layout;
}
