"""The chosen tensor's values with their sign, between the two ends of its INT8 range."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import THEMES, style_of
from trtcal_widgets.widgets.kit.figures import LOG_FLOOR, FigureView, new_figure, set_ends, set_step, words_inside

if TYPE_CHECKING:
    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.session.signed import SignedCounts

__all__ = ["SignedView"]

_HIST, _LOW, _HIGH = 0, 1, 2
_NONE = "what is recorded are counts of |x|: press “count” for the signs of one batch"
_NARROW = 30
_FEW_DECADES = 1e4
_FAR = 4.0
"""Up to so many times the largest |x| both ends of ±amax are on the axis: of a one-sided tensor half of it is empty."""


class SignedView(FigureView):
    """The plot: a histogram over x, and a line at each end of ±amax."""

    def __init__(self) -> None:
        super().__init__()
        self._signed: SignedCounts | None = None
        self._amax = 0.0
        self.figure = new_figure(_traces(), _layout(), height=172)
        self.apply_theme("light")

    def render(self, signed: SignedCounts | None, amax: float) -> None:
        """Draw the counts and ±amax (0 for none); words where nothing is counted."""
        if signed is self._signed and amax == self._amax:
            return
        self._signed, self._amax = signed, amax
        layout, (histogram, *lines) = self.figure.layout, self.figure.data
        with self.filling():
            layout.annotations[0].visible = signed is None
            layout.xaxis.showticklabels = layout.yaxis.showticklabels = signed is not None
            for trace in self.figure.data:
                trace.visible = signed is not None
            if signed is None:
                return
            self.call(f"values of {signed.name} with their sign, {signed.words}")
            histogram.x0, histogram.dx = signed.low, (signed.high - signed.low) / len(signed.counts)
            # One more, so that the last bin has its width.
            histogram.y = np.append(np.maximum(signed.counts, LOG_FLOOR / 4), LOG_FLOOR / 4).astype(np.float32)
            top = 10.0 ** np.ceil(np.log10(max(float(signed.counts.max()), 1.0)) + 0.05)
            low, high = _ends(signed, amax)
            room = 0.02 * (high - low)
            set_ends(layout.xaxis, low - room, high + room)
            set_ends(layout.yaxis, LOG_FLOOR, top, log=True)
            set_step(layout.yaxis, 1 if top <= _FEW_DECADES else 2)
            for trace, place in zip(lines, (-amax, amax), strict=True):
                trace.x, trace.y = [place, place], [LOG_FLOOR / 10, top]
                trace.visible = amax > 0

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        histogram = self.figure.data[_HIST]
        histogram.fillcolor, histogram.line.color = colors.histogram, colors.histogram_line
        for k in (_LOW, _HIGH):
            self.figure.data[k].line.color = style_of("mine").color(theme)


def _ends(signed: SignedCounts, amax: float) -> tuple[float, float]:
    """Return the ends of the axis: of the data, and both of ±amax unless that is far beyond them."""
    near = amax <= _FAR * max(abs(signed.low), abs(signed.high))
    return (min(signed.low, -amax), max(signed.high, amax)) if near else (signed.low, signed.high)


def _traces() -> list[dict[str, Any]]:
    path = {"type": "scatter", "mode": "lines", "visible": False}
    line = {**path, "line": {"width": 2.5}, "x": [0, 0], "y": [1, 1], "hoverinfo": "skip"}
    return [
        {**path, "line": {"shape": "hv", "width": 1}, "fill": "tozeroy", "y": [],
         "hovertemplate": "%{x:.4g}<br>%{y:,.0f} values<extra></extra>"},
        dict(line),
        dict(line),
    ]  # fmt: skip


def _layout() -> dict[str, Any]:
    return {
        "margin": {"l": 58, "r": 10, "t": 6, "b": 34},
        "xaxis": {"title": {"text": "x", "standoff": 2}, "showgrid": False, "range": [-1, 1], "showticklabels": False},
        "yaxis": {"type": "log", "range": [-0.3, 1], "title": {"text": "counts (log)", "standoff": 4}, "dtick": 2,
                  "exponentformat": "SI", "showticklabels": False},
        "annotations": [words_inside("<br>".join(wrap(_NONE, _NARROW)), visible=True)],
    }  # fmt: skip
