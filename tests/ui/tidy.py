"""Whether a screen can be read at a width: no words over each other or cut without a sign, no control off the edge."""

from __future__ import annotations

from tests.ui.lab import answered

_UNTIDY = r"""(testid) => {
  const root = document.querySelector(`[data-testid=${testid}]`), edge = root.getBoundingClientRect();
  const aside = '.js-plotly-plot, option, svg, .tc-help-body, details:not([open]) > :not(summary), canvas';
  const visible = (e) => !e.closest(aside) && e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
  const found = [], words = [];
  // Where the screen is wider than the place it has, one can scroll to its right edge.
  for (let a = root.parentElement, scrolls = false; a && !scrolls; a = a.parentElement) {
    const { overflowX } = getComputedStyle(a);
    scrolls = /auto|scroll/.test(overflowX) && a.scrollWidth > a.clientWidth;
    const beyond = edge.right > a.getBoundingClientRect().right + 1.5;
    if (overflowX !== 'visible' && !scrolls && beyond) found.push('cut: the screen');
  }
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !visible(e)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect(), box = { l: text.left, t: text.top, r: text.right, b: text.bottom };
    for (let a = e; a !== root; a = a.parentElement) {
      const style = getComputedStyle(a), clip = a.getBoundingClientRect();
      if (style.overflowX === 'visible') continue;
      const scrolls = /auto|scroll/.test(style.overflowX);
      const said = scrolls || style.textOverflow === 'ellipsis';
      // What an element inside cuts with a sign does not reach further out.
      if (box.r > clip.right + 1.5 && !said) found.push(`cut: ${node.textContent}`);
      Object.assign(box, { l: Math.max(box.l, clip.left), r: Math.min(box.r, clip.right),
                           t: Math.max(box.t, clip.top), b: Math.min(box.b, clip.bottom) });
    }
    if (box.r - box.l > 1 && box.b - box.t > 1) words.push([node.textContent, box, e]);
  }
  words.forEach(([text, a, e], k) => words.slice(k + 1).forEach(([other, b, f]) => {
    const over = Math.min(a.r, b.r) - Math.max(a.l, b.l) > 1.5 && Math.min(a.b, b.b) - Math.max(a.t, b.t) > 3;
    if (over && e !== f) found.push(`over each other: ${text} | ${other}`);
  }));
  for (const legend of root.querySelectorAll('.js-plotly-plot .legend')) {
    const plot = legend.closest('.js-plotly-plot').getBoundingClientRect();
    const room = legend.querySelector('.bg').getBoundingClientRect();
    const [top, end] = [Math.max(room.top, plot.top), Math.min(room.bottom, plot.bottom)];
    for (const entry of legend.querySelectorAll('.legendtext')) {
      const { top: from, bottom: to, right } = entry.getBoundingClientRect();
      if (from < top - 1 || to > end + 1 || right > plot.right + 1) found.push(`legend: ${entry.textContent}`);
    }
  }
  const brush = document.createElement('canvas').getContext('2d');
  for (const e of root.querySelectorAll('button, select, input, summary')) {
    if (!visible(e)) continue;
    const box = e.getBoundingClientRect(), name = e.dataset.testid ?? e.className;
    if (box.right > edge.right + 1) found.push(`beyond the edge: ${name}`);
    if (e.tagName === 'BUTTON' && e.scrollWidth > e.clientWidth + 2) found.push(`cut: ${name}`);
    if (e.tagName !== 'SELECT' || !e.selectedOptions.length) continue;
    brush.font = getComputedStyle(e).font;
    const needed = Math.min(100, brush.measureText(e.selectedOptions[0].text).width) + 20;
    if (box.width < needed) found.push(`too narrow: ${name}, ${Math.round(box.width)} of ${Math.round(needed)}`);
  }
  return found;
}"""


def settle(page, testid: str) -> None:
    """Wait until the kernel has nothing more to say, and two looks find every part of a screen in its place."""
    answered(page)
    page.wait_for_function(
        """(testid) => {
          const root = document.querySelector(`[data-testid=${testid}]`);
          const places = [...root.querySelectorAll('*')].map((e) => e.getBoundingClientRect());
          const seen = JSON.stringify([places, root.textContent, scrollY]);
          const same = window.__tidy === seen; window.__tidy = seen; return same;
        }""",
        arg=testid,
        polling=150,
    )


def assert_tidy(page, testid: str, widths: tuple[int, ...], shots=None) -> None:
    """Look at a screen in browser windows of these widths; 150 % of zoom is a window of two thirds of the width."""
    height = page.viewport_size["height"]
    for width in widths:
        page.set_viewport_size({"width": width, "height": height})
        # Plotly follows the width one frame later; then nothing moves any more.
        settle(page, testid)
        if shots is not None:
            page.screenshot(path=shots / f"{testid}-{width}.png")
        assert page.evaluate(_UNTIDY, testid) == [], width
