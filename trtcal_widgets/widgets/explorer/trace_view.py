"""How the thresholds of the chosen tensor moved as batches were added."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import style_of
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure, range_of, set_step, words_inside

if TYPE_CHECKING:
    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.session import Trace

_SLOTS = 3

_NARROW = 24
"""Letters that fit beside each other where the panel is at its narrowest."""


class TraceView(FigureView):
    """The plot: a line per method, with its marker at every point."""

    def __init__(self) -> None:
        super().__init__()
        self._trace: Trace | None = None
        self._note = ""
        self.figure = new_figure(_traces(), _layout(), height=226, static=True)
        self.apply_theme("light")

    def render(self, trace: Trace, name: str, n_batches: int | None, note: str = "") -> None:
        """Draw the ways of the thresholds, or a note; the batch axis is as long as the run will be."""
        if trace is self._trace and note == self._note:
            return
        self._note = note
        self._trace = trace
        self.call(f"thresholds of {name} by batch")
        with self.filling():
            self._draw()
            last = max([n_batches or 1, *trace.positions.tolist(), 1])
            self.figure.layout.xaxis.range = [0.5 if last < 40 else 0, last + (0.5 if last < 40 else last * 0.01)]
            set_step(self.figure.layout.xaxis, 1 if last <= 12 else None)
            self.figure.layout.yaxis.range = range_of(*trace.amax.values(), room=0.12)
            empty = trace.positions.size == 0
            self.figure.layout.annotations[0].visible = empty
            self.figure.layout.annotations[0].text = "<br>".join(wrap(note or "nothing to draw yet", _NARROW))
            self.figure.layout.yaxis.showticklabels = not empty

    def _draw(self) -> None:
        trace = self._trace
        ways = [] if trace is None else list(trace.amax.items())
        for k in range(_SLOTS):
            line = self.figure.data[k]
            line.visible = line.showlegend = k < len(ways)
            if k >= len(ways) or trace is None:
                continue
            text, amax = ways[k]
            style = style_of(text)
            line.x, line.y = trace.positions.astype(np.int32), amax.astype(np.float32)
            line.name = Method.parse(text).label
            line.line.color = line.marker.color = style.color(self.theme)
            line.line.dash, line.marker.symbol = style.dash, style.marker

    def recolor(self, theme: Theme) -> None:  # noqa: ARG002 - it is self.theme by now
        """Colour everything anew."""
        self._draw()


def _traces() -> list[dict[str, Any]]:
    line = {"type": "scatter", "mode": "lines+markers", "x": [], "y": [], "line": {"width": 1.6}, "marker": {"size": 6},
            "hovertemplate": "%{y:.4g} after %{x} batches<extra>%{fullData.name}</extra>"}  # fmt: skip
    return [dict(line) for _ in range(_SLOTS)]


def _layout() -> dict[str, Any]:
    return {
        "margin": {"l": 58, "r": 10, "t": 26, "b": 34},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        "xaxis": {"title": {"text": "batches counted", "standoff": 2}, "showgrid": False, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "amax", "standoff": 4}, "nticks": 6},
        "annotations": [words_inside("")],
    }  # fmt: skip
