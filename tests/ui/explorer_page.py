"""The explorer on a page: where things are, and what a user does with them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.ui.lab import answered

if TYPE_CHECKING:
    from pathlib import Path

PLOT = "[...document.querySelectorAll('.js-plotly-plot')].find((p) => p._fullLayout?.shapes?.[0]?.type === 'line')"
"""The histogram, which has the line that can be dragged."""

_PLACES = (
    f"(to) => {{ const plot = {PLOT};"
    """
  const box = plot.getBoundingClientRect();
  const { xaxis, yaxis, shapes } = plot._fullLayout;
  const place = (value) => box.left + xaxis._offset + xaxis.l2p(value);
  return { line: place(shapes[0].x0), to: place(to), y: box.top + yaxis._offset + 0.6 * yaxis._length,
           unit: 1 / (xaxis.l2p(1) - xaxis.l2p(0)) };
}"""
)

_SHOW = f"() => {PLOT}.scrollIntoView({{ block: 'center' }})"
_NOTE_PRESS = """() => {
  const note = ({ target }) => { window.__tcLine = Boolean(target.closest?.('.shapelayer')); };
  addEventListener('mousedown', note, { capture: true, once: true });
}"""


class ExplorerPage:
    """An explorer that is on the page."""

    def __init__(self, page) -> None:
        self.page = page
        page.get_by_test_id("tc-explorer").wait_for()
        page.wait_for_function(
            """() => {
              const plots = [...document.querySelectorAll('.js-plotly-plot')];
              return plots.length >= 3 && plots.every((p) => p._fullLayout && p.querySelector('.main-svg'));
            }"""
        )

    def press(self, testid: str) -> None:
        self.page.get_by_test_id(testid).click()

    def text(self, testid: str) -> str:
        return self.page.get_by_test_id(testid).inner_text()

    def wait_text(self, testid: str, part: str) -> None:
        self.page.wait_for_function(
            "([id, part]) => document.querySelector(`[data-testid=${id}]`)?.textContent.includes(part)",
            arg=[testid, part],
        )

    def select(self, name: str) -> None:
        self.page.locator(f'[data-testid=tc-row]:has([title="{name}"])').click()
        self.page.wait_for_function(
            "(name) => document.querySelector('[data-testid=tc-tensor-name]').title === name", arg=name
        )

    def show_plot(self) -> None:
        """Scroll to the histogram: with what stands above it on the screen, its middle may be below the window."""
        self.page.evaluate(_SHOW)

    def drag_line(self, to: float) -> float:
        """Drag the chosen line to a value; returns the width of a pixel in the value's unit."""
        places = self._take_hold(to)
        for _ in range(4):
            if places is not None:
                break
            # cells above were laid out in the last moment: who missed the line tries again, but no double click
            self.page.mouse.up()
            self.page.wait_for_timeout(800)
            places = self._take_hold(to)
        assert places is not None, "the line could not be taken hold of"
        mouse, y = self.page.mouse, places["y"]
        mouse.move((places["line"] + places["to"]) / 2, y + 4, steps=5)
        mouse.move(places["to"], y, steps=5)
        mouse.up()
        return places["unit"]

    def _take_hold(self, to: float) -> dict | None:
        """Press the mouse on the chosen line once nothing moves; None where it was not the line."""
        page, places = self.page, None
        while places is None or page.evaluate(_PLACES, to) != places:
            self.show_plot()
            self.settle()
            places = page.evaluate(_PLACES, to)
            page.mouse.move(places["line"], places["y"])
            page.wait_for_timeout(200)
        page.evaluate(_NOTE_PRESS)
        page.mouse.down()
        return places if page.evaluate("() => window.__tcLine") else None

    def double_click(self, x: float, y: float) -> None:
        """Click twice, a tenth of a second apart in the events' own time, however long the page takes to hear them."""
        session = self.page.context.new_cdp_session(self.page)
        event = {"x": x, "y": y, "button": "left", "timestamp": time.time()}
        for click in (1, 2):
            for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
                event |= {"type": kind, "buttons": buttons, "clickCount": click, "timestamp": event["timestamp"] + 0.05}
                session.send("Input.dispatchMouseEvent", event)
        session.detach()

    def wait_method(self, value: str) -> None:
        """Wait until the chosen tensor's method is this one: ``mine``, or empty for that of all tensors."""
        self.page.wait_for_function(
            "(value) => document.querySelector('[data-testid=tc-method]').value === value", arg=value
        )

    def drop_is_one_update(self, to: float, log: Path) -> None:
        """Drag the line to a value: the kernel hears of one choice, to the pixel, and what it says is drawn."""
        n = len(self.noted(log))
        pixel = self.drag_line(to)
        self.wait_method("mine")
        dropped = float(self.page.get_by_test_id("tc-amax").input_value())
        self.line_at(dropped)
        self.settle()
        heard = self.noted(log)[n:]
        assert [line["changed"] for line in heard] == [["choices"]], "a drop is exactly one update"
        assert heard[0]["amax"] == dropped
        assert abs(dropped - to) <= 1.5 * pixel

    def undo_puts_the_line_back(self, before: float) -> None:
        """Undo the only choice with the keyboard: the line is drawn where it was."""
        self.page.get_by_test_id("tc-explorer").focus()
        self.page.keyboard.press("z")
        self.wait_method("")
        self.line_at(before)

    def leave_out(self, batch: int, log: Path) -> None:
        """Click a batch away: the only one that is left out."""
        self.press(f"tc-batch-{batch}")
        self.page.wait_for_selector(f"[data-testid=tc-batch-{batch}][data-state=out]")
        self.wait_noted(log, excluded=[batch])

    def noted(self, log: Path) -> list[dict]:
        """What the kernel has written down once it has done what the page asked of it: a line per change."""
        answered(self.page)
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def wait_noted(self, log: Path, **facts) -> None:
        """Wait until this is so after the last change that the kernel wrote down: it works on after it has answered."""
        deadline = time.monotonic() + 60
        while not (self.noted(log) or [{}])[-1].items() >= facts.items():
            assert time.monotonic() < deadline, f"not noted: {facts}"
            self.page.wait_for_timeout(50)

    def line_at(self, value: float) -> None:
        """Wait until the line is drawn at a value."""
        self.page.wait_for_function(
            """(value) => [...document.querySelectorAll('.js-plotly-plot')].some((p) =>
                 p._fullLayout?.shapes?.[0]?.type === 'line' &&
                 Math.abs(p._fullLayout.shapes[0].x0 - value) <= 1e-9 * value)""",
            arg=value,
        )

    def settle(self) -> None:
        """Wait until the kernel has no more to say, and two looks find the same text and plots in the same place."""
        answered(self.page)
        self.page.evaluate("() => { window.__tcSeen = null; }")
        self.page.wait_for_function(
            """() => {
              const plots = [...document.querySelectorAll('.js-plotly-plot')].map((p) => {
                const box = p.getBoundingClientRect();
                const { width, shapes, xaxis } = p._fullLayout;
                return [box.left, box.top, box.width, width, shapes?.[0]?.x0, xaxis.range];
              });
              const seen = document.querySelector('[data-testid=tc-explorer]').textContent + JSON.stringify(plots);
              const same = window.__tcSeen === seen; window.__tcSeen = seen; return same;
            }""",
            polling=150,
        )
