"""The ranges of all tensors in graph order, on a log axis; a click selects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import THEMES, style_of
from trtcal_widgets.widgets.kit.figures import (
    BAND,
    FigureView,
    mark_column,
    new_figure,
    set_columns,
    set_ends,
    set_step,
    words_inside,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.widgets.explorer.table import Overview

__all__ = ["OverviewView"]

_BARS, _AMAX, _MINE = (0, 1), (2, 3), (4, 5)
_FEW = 160
"""Up to so many tensors each has a bar of its own; beyond that a skyline is drawn, which costs one path."""
_NAMED = 10


class OverviewView(FigureView):
    """The plot; a click on a column selects its tensor."""

    clickable = _BARS

    def __init__(self, n_tensors: int) -> None:
        super().__init__()
        self._many = n_tensors > _FEW
        self._overview: Overview | None = None
        self._selected = -1
        self._ends = (0.0, 0.0)
        self.figure = new_figure(_traces(many=self._many), _layout(), height=226)
        self.apply_theme("light")
        self.call("ranges of all tensors")

    def clicked(self, trace: int, point: int) -> dict[str, Any] | None:
        """Return that the tensor of a column is to be selected."""
        del trace
        places = () if self._overview is None else self._overview.places
        return {"type": "select", "index": int(places[point])} if point < len(places) else None

    def render(self, overview: Overview, selected: int) -> None:
        """Draw all ranges and the place of the chosen tensor."""
        if overview is self._overview and selected == self._selected:
            return
        before, self._overview = self._overview, overview
        self._selected = selected
        with self.filling():
            if overview is not before:
                if before is None or before.labels is not overview.labels:
                    self._draw_names(overview)
                self._draw_axes(overview)
                self._draw_ranges(overview, before)
                note = self.figure.layout.annotations[0]
                note.visible = not (np.isfinite(overview.positive).any() or np.isfinite(overview.negative).any())
            found = np.flatnonzero(overview.places == selected)
            mark_column(self.figure.layout.shapes[0], int(found[0]) if found.size else None, len(overview.places))

    def _draw_names(self, overview: Overview) -> None:
        n = len(overview.places)
        set_columns(self.figure.layout.xaxis, n, overview.short_labels if n <= _NAMED else None)
        for k in _BARS:
            self.figure.data[k].text = overview.labels
        if self._many:
            # A dash is two pixels long even where a column is a tenth of one.
            half = max(0.45, 0.0022 * n)
            columns = np.arange(n, dtype=np.float32)
            ends = np.stack([columns - half, columns + half, columns], axis=1).ravel()
            for k in _AMAX:
                self.figure.data[k].x = ends

    def _draw_axes(self, overview: Overview) -> None:
        """Keep the axis unless the ranges grew beyond it."""
        low, high = self._ends
        if self._ends != (0.0, 0.0):
            low, high = min(low, overview.floor), max(high, overview.ceiling)
        else:
            low, high = overview.floor, overview.ceiling
        if (low, high) == self._ends:
            return
        self._ends = (low, high)
        for axis in (self.figure.layout.yaxis, self.figure.layout.yaxis2):
            set_ends(axis, low, high, log=True)
            set_step(axis, max(1, math.ceil(math.log10(high / low) / 4)))
        self.figure.layout.yaxis2.range = [math.log10(high), math.log10(low)]

    def _draw_ranges(self, overview: Overview, before: Overview | None) -> None:
        for k, values in zip(_BARS, (overview.positive, overview.negative), strict=True):
            old = None if before is None else (before.positive, before.negative)[k]
            if old is None or not np.array_equal(old, values, equal_nan=True):
                self._draw_side(k, values)
        for k, values in zip(_AMAX, (overview.positive, overview.negative), strict=True):
            # ±amax on a side that has values; a tensor without negative values has one mark.
            shown = np.where(np.isfinite(values), overview.amax, np.nan).astype(np.float32)
            self.figure.data[k].y = _dashes(shown) if self._many else shown
            mine = self.figure.data[_MINE[k - _AMAX[0]]]
            mine.x = overview.mine
            mine.y = shown[overview.mine]

    def _draw_side(self, k: int, values: Any) -> None:
        # A skyline needs a value everywhere: an empty side lies below the axis.
        below = self._ends[0] / 10 if self._many else np.nan
        self.figure.data[k].y = np.where(np.isfinite(values), values, below).astype(np.float32)

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        for k in _BARS:
            bar = self.figure.data[k]
            if self._many:
                bar.fillcolor, bar.line.color = colors.histogram, colors.histogram_line
            else:
                bar.marker.color, bar.marker.line.color = colors.histogram, colors.histogram_line
        for k in _AMAX:
            mark = self.figure.data[k]
            (mark.line if self._many else mark.marker).color = colors.text
        for k in _MINE:
            self.figure.data[k].marker.color = style_of("mine").color(theme)
            self.figure.data[k].marker.line.color = colors.hover
        self.figure.layout.shapes[0].fillcolor = colors.selected


def _dashes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return y of a dash per value: both ends and a gap, in one path that is drawn fast however many there are."""
    return np.stack([values, values, np.full_like(values, np.nan)], axis=1).ravel()


def _traces(*, many: bool) -> list[dict[str, Any]]:
    if many:
        path: dict[str, Any] = {"type": "scatter", "mode": "lines"}
        bar = {**path, "fill": "tozeroy", "line": {"shape": "hvh", "width": 0}}
        amax = {**path, "line": {"width": 1.6, "simplify": False}}
    else:
        bar = {"type": "bar", "width": 0.62, "textposition": "none", "marker": {"line": {"width": 1}}}
        amax = {"type": "scatter", "mode": "markers",
                "marker": {"symbol": "line-ew-open", "size": 18, "line": {"width": 2.2}}}  # fmt: skip
    quiet = {"hoverinfo": "skip", "y": []}
    mine = {"type": "scatter", "mode": "markers", "marker": {"symbol": "diamond", "size": 9, "line": {"width": 1}}}
    top, bottom = {"yaxis": "y"}, {"yaxis": "y2"}
    return [
        {**bar, **top, "y": [], "hovertemplate": "%{text}<br>largest %{y:.3g}<extra></extra>"},
        {**bar, **bottom, "y": [], "hovertemplate": "%{text}<br>smallest \u2212%{y:.3g}<extra></extra>"},
        {**amax, **quiet, **top},
        {**amax, **quiet, **bottom},
        {**mine, **quiet, **top, "x": []},
        {**mine, **quiet, **bottom, "x": []},
    ]


def _layout() -> dict[str, Any]:
    side = {"type": "log", "tickformat": "~g"}
    return {
        "margin": {"l": 58, "r": 8, "t": 6, "b": 34},
        "hovermode": "x",
        "hoverdistance": -1,
        "barmode": "overlay",
        "bargap": 0.3,
        "xaxis": {"anchor": "y2", "showgrid": False, "range": [-0.6, 0.4], "title": {"standoff": 2}, "tickangle": 0},
        "yaxis": {**side, "domain": [0.55, 1], "range": [-2, 1], "title": {"text": "positive", "standoff": 4}},
        "yaxis2": {**side, "domain": [0, 0.45], "range": [1, -2], "anchor": "x",
                   "title": {"text": "negative", "standoff": 4}},
        "shapes": [dict(BAND)],
        "annotations": [words_inside("ranges appear with the first batch")],
    }  # fmt: skip
