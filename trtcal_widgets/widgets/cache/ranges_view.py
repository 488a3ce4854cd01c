"""Thresholds of a cache on a log axis, in the order of the file: a Plotly figure that follows its window.

At most a few thousand points go to the browser: where more rows are in view, each run of neighbours is drawn by its
smallest and its largest, and zooming in draws the rows themselves.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import THEMES
from trtcal_widgets.common.words import significant
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure
from trtcal_widgets.widgets.kit.formatting import plot_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.widgets.cache.facts import CacheFacts, Column

MAX_POINTS = 3000
"""Points per file that are drawn at once."""

_COLORS = {"A": ("#0072b2", "#56b4e9"), "B": ("#c24e00", "#ff8a3d"), "odd": ("#b42318", "#ff8a80")}
_SYMBOLS = {"A": "circle", "B": "diamond"}
_FAR = 6.0
"""Decades from the median beyond which a threshold is drawn at the edge: constants of 1e38 occur in real caches."""


class CacheRanges(FigureView):
    """The figure and what is drawn in it."""

    follows_zoom = True

    def __init__(self, facts: CacheFacts) -> None:
        super().__init__()
        self._facts = facts
        self._files: list[tuple[str, Column]] = [("A", facts.mine)]
        if facts.theirs is not None:
            self._files.append(("B", facts.theirs))
        self._low, self._high = _decades(np.concatenate([column.amax for _, column in self._files]))
        self._drawn: list[NDArray[np.intp]] = []
        self._selected = -1
        self._window = (0.0, float(len(facts.names) + 1))
        self.clickable = tuple(range(2 * len(self._files)))
        self.figure = self._new_figure()
        self._draw()
        self.apply_theme("light")
        self.call(f"thresholds in {Path(facts.file.source).name or facts.file.source}")

    def _new_figure(self) -> Any:
        traces: list[dict[str, Any]] = []
        for label, _ in self._files:
            name = "±amax" if len(self._files) == 1 else f"{label} ±amax"
            traces += [
                {"name": name, "mode": "markers", "marker": {"size": 5, "symbol": _SYMBOLS[label]}},
                {"name": f"{name}, beyond the plot", "mode": "markers", "marker": {"size": 9}, "cliponaxis": False},
            ]
        ring = {"size": 14, "symbol": "circle-open", "line": {"width": 2.5}}
        traces.append({"name": "chosen", "mode": "markers", "marker": ring, "hoverinfo": "skip"})
        common = {"x": [], "y": [], "type": "scatter", "hovertemplate": "%{text}<extra></extra>", "showlegend": True}
        dtick = 1.0 if self._high - self._low < 8 else 2.0
        layout = {
            "showlegend": True,
            "margin": {"l": 58, "r": 12, "t": 26, "b": 38},
            "legend": {"orientation": "h", "y": 1.01, "yanchor": "bottom", "x": 0},
            "xaxis": {"title": {"text": "row, in the order of the file"}, "range": list(self._window)},
            "yaxis": {"title": {"text": "±amax"}, "type": "log", "range": [self._low, self._high], "dtick": dtick},
        }
        return new_figure([{**common, **trace} for trace in traces], layout, height=290)

    def recolor(self, theme: Theme) -> None:
        """Colour the points; called within :meth:`filling`."""
        dark = theme == "dark"
        for number, (label, _) in enumerate(self._files):
            self.figure.data[2 * number].marker.color = _COLORS[label][dark]
            self.figure.data[2 * number + 1].marker.color = _COLORS["odd"][dark]
        self.figure.data[-1].marker.color = THEMES[theme].text
        self.figure.layout.legend.font.color = THEMES[theme].faint

    def render(self, selected: int, window: tuple[float, float]) -> None:
        """Draw the rows that are in the window, and a ring around those of the selected one."""
        if window != self._window:
            self._window = window
            self._draw()
        if selected == self._selected:
            return
        self._selected = selected
        files = [column for _, column in self._files if selected >= 0 and column.present[selected]]
        ring = self.figure.data[-1]
        with self.filling():
            ring.x = [selected + 1] * len(files)
            ring.y = [self._level(column.amax[selected]) for column in files]
            ring.showlegend = bool(files)

    def _draw(self) -> None:
        first, last = self._window
        self._drawn = []
        with self.filling():
            self.figure.layout.xaxis.title.text = self._axis_title(first, last)
            for number, (label, column) in enumerate(self._files):
                rows = np.flatnonzero(column.present)
                rows = rows[(rows + 1 >= first) & (rows + 1 <= last)]
                amax = column.amax[rows]
                inside = (amax >= 10**self._low) & (amax <= 10**self._high)
                self._fill(2 * number, label, column, thin_out(rows[inside], amax[inside]))
                self._fill(2 * number + 1, label, column, rows[~inside][:MAX_POINTS])
                symbols = np.where(column.amax[self._drawn[-1]] <= 10**self._low, "triangle-down", "triangle-up")
                self.figure.data[2 * number + 1].marker.symbol = symbols.tolist()
                self.figure.data[2 * number + 1].showlegend = bool((~inside).any())

    def _axis_title(self, first: float, last: float) -> str:
        run = 2 * (min(last, len(self._facts.names)) - max(first, 0.0)) / MAX_POINTS
        if run <= 2:
            return "row, in the order of the file"
        return f"row, in the order of the file: smallest and largest of each {run:.0f}; zoom in to see all"

    def _fill(self, number: int, label: str, column: Column, rows: NDArray[np.intp]) -> None:
        self._drawn.append(rows)
        trace = self.figure.data[number]
        trace.x = (rows + 1).tolist()
        trace.y = [self._level(value) for value in column.amax[rows].tolist()]
        prefix = f"{label} " if len(self._files) > 1 else ""
        trace.text = [
            f"{plot_text(self._facts.names[row])}<br>{prefix}±{significant(column.amax[row])}   {column.hex(row)}"
            for row in rows.tolist()
        ]

    def _level(self, amax: float) -> float:
        """Height of a threshold; what cannot be on the axis stands at its edge."""
        if math.isnan(amax):
            return float(10**self._high)
        return float(min(max(amax, 10**self._low), 10**self._high))

    def clicked(self, trace: int, point: int) -> dict[str, Any] | None:
        """Return that the row of a point is to be selected."""
        rows = self._drawn[trace]
        return {"type": "select", "row": int(rows[point])} if point < len(rows) else None

    def zoomed(self, low: float, high: float) -> dict[str, Any] | None:
        """Return that other rows are in view; where all are drawn anyway, nothing is to be done."""
        return None if len(self._facts.names) <= MAX_POINTS else {"type": "zoom", "first": low, "last": high}


def thin_out(rows: NDArray[np.intp], values: NDArray[np.float64], limit: int = MAX_POINTS) -> NDArray[np.intp]:
    """Return at most ``limit`` (even) of ascending rows so that the outline of their values stays.

    Of each run of neighbours its smallest and its largest value are kept.
    """
    if len(rows) <= limit:
        return rows
    edges = np.linspace(0, len(rows), limit // 2 + 1).astype(np.intp)
    kept = [
        edge + extreme
        for edge, run in zip(edges[:-1], np.split(values, edges[1:-1]), strict=True)
        for extreme in (int(run.argmin()), int(run.argmax()))
    ]
    return np.asarray(rows[np.unique(kept)], np.intp)


def _decades(amax: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the log axis, in powers of ten."""
    logs = np.log10(amax[(amax > 0) & np.isfinite(amax)])
    if not logs.size:
        return -1.0, 1.0
    middle = float(np.median(logs))
    low, high = max(float(logs.min()), middle - _FAR), min(float(logs.max()), middle + _FAR)
    margin = max(0.06 * (high - low), 0.12)
    return low - margin, high + margin
