"""Where random draws of the batches would have put the chosen tensor's threshold, over how many batches they had."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import DRAWS, DRAWS_FILL, THEMES
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure, range_of, words_inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.doctor.types import Band, Settling

_PER_WAY = 3
_WAYS = ("two-pass", "one-pass")
_ORDERS, _NOW = 6, 7
_ROOM = 1 / 14
"""What a number of four digits takes of the axis, where the screen is narrow."""


class BandView(FigureView):
    """The plot: for both ways of counting a wide band (90 %), a narrow one (half of the draws) and the middle."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Settling | None, str] | None = None
        self.figure = new_figure(_traces(), _layout(), height=312)
        self.apply_theme("light")

    def render(self, found: Settling | None, note: str) -> None:
        """Draw what was found about a tensor, or a note where there is nothing to draw."""
        if self._shown == (found, note):
            return
        self._shown = (found, note)
        with self.filling():
            for trace in self.figure.data:
                trace.visible = found is not None
            words = self.figure.layout.annotations[0]
            words.visible, words.text = bool(note), "<br>".join(wrap(note, 48))
            self.figure.layout.yaxis.showticklabels = self.figure.layout.xaxis.showticklabels = found is not None
            self.figure.layout.showlegend = found is not None
            if found is not None:
                self._draw(found)

    def _draw(self, found: Settling) -> None:
        data = self.figure.data
        for k, band in enumerate((found.two_pass, found.one_pass)):
            wide, narrow, middle = data[_PER_WAY * k : _PER_WAY * (k + 1)]
            around = np.concatenate([band.sizes, band.sizes[::-1]]).astype(np.float32)
            wide.x = narrow.x = around
            wide.y, narrow.y = _ring(band, 0, 4), _ring(band, 1, 3)
            middle.x, middle.y = band.sizes.astype(np.int32), band.quantiles[:, 2].astype(np.float32)
            middle.customdata = np.column_stack([band.quantiles[:, 0], band.quantiles[:, 4], band.draws])
        last = int(max([1, *found.two_pass.sizes.tolist(), *found.one_pass.sizes.tolist()]))
        orders = data[_ORDERS]
        orders.x = np.full(len(found.order.picks), last, np.int32)
        orders.y = found.order.picks.astype(np.float32)
        orders.customdata = found.order.first + 1
        data[_NOW].x, data[_NOW].y = [1, last], [found.amax, found.amax]
        layout = self.figure.layout
        room = max(0.04 * (last - 1), 0.3)
        layout.xaxis.range = [1 - room, last + room]
        layout.xaxis.tickvals = numbers_with_room(found.two_pass.sizes.tolist())
        drawn = (found.two_pass.quantiles, found.one_pass.quantiles, found.order.picks, [found.amax])
        layout.yaxis.range = range_of(*drawn, room=0.08)

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        data = self.figure.data
        for k, way in enumerate(_WAYS):
            wide, narrow, middle = data[_PER_WAY * k : _PER_WAY * (k + 1)]
            wide.fillcolor = narrow.fillcolor = DRAWS_FILL[way][theme]
            middle.line.color = middle.marker.color = DRAWS[way][theme]
        data[_ORDERS].marker.color = DRAWS["one-pass"][theme]
        data[_NOW].line.color = THEMES[theme].text


def numbers_with_room(sizes: list[int]) -> list[int]:
    """Return the sizes whose numbers have room beside each other on a linear axis: the last, and back from there."""
    room = _ROOM * (sizes[-1] - sizes[0]) if sizes else 0.0
    shown = sizes[-1:]
    for size in reversed(sizes[:-1]):
        if shown[-1] - size >= room:
            shown.append(size)
    return shown[::-1]


def _ring(band: Band, low: int, high: int) -> NDArray[np.float32]:
    """Return y of the outline between two quantiles: up along the one, back along the other."""
    return np.concatenate([band.quantiles[:, high], band.quantiles[::-1, low]]).astype(np.float32)


def _traces() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for way, dash, marker in (("two-pass", "solid", "circle"), ("one-pass", "dash", "square")):
        ring = {"type": "scatter", "mode": "lines", "x": [], "y": [], "fill": "toself", "line": {"width": 0},
                "hoverinfo": "skip", "showlegend": False, "legendgroup": way}  # fmt: skip
        made += [dict(ring), dict(ring)]
        made.append({
            "type": "scatter", "mode": "lines+markers", "x": [], "y": [], "name": way, "legendgroup": way,
            "line": {"width": 1.8, "dash": dash}, "marker": {"size": 5, "symbol": marker},
            "hovertemplate": "%{x} batches: middle %{y:.4g}<br>90 % of %{customdata[2]:,} draws: %{customdata[0]:.4g} "
                             "to %{customdata[1]:.4g}<extra>%{fullData.name}</extra>",
        })  # fmt: skip
    made.append({
        "type": "scatter", "mode": "markers", "x": [], "y": [], "name": "other orders",
        "marker": {"symbol": "line-ew-open", "size": 14, "line": {"width": 1.4}},
        "hovertemplate": "batch %{customdata} first: %{y:.4g}<extra></extra>",
    })  # fmt: skip
    made.append({
        "type": "scatter", "mode": "lines", "x": [], "y": [], "name": "now", "line": {"width": 1.2, "dash": "dot"},
        "hovertemplate": "the threshold now: %{y:.4g}<extra></extra>",
    })  # fmt: skip
    return made


def _layout() -> dict[str, Any]:
    return {
        "margin": {"l": 62, "r": 12, "t": 30, "b": 36},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        "xaxis": {"title": {"text": "batches in the draw", "standoff": 3}, "showgrid": False, "tickangle": 0},
        "yaxis": {"title": {"text": "amax", "standoff": 4}, "nticks": 6},
        "annotations": [words_inside("", visible=True)],
    }
