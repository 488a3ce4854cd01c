"""SQNR along the graph: accumulated, with the plan, and of each layer alone. A click selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import INT8, LAYER_OUT, LAYER_OWN, PLAN, THEMES
from trtcal_widgets.widgets.kit.figures import BAND, FigureView, mark_column, new_figure, set_columns, words_inside
from trtcal_widgets.widgets.kit.network import GOOD_DB, POOR_DB

if TYPE_CHECKING:
    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.widgets.debugger.detail import SqnrPlot

_ACCUMULATED, _OWN, _OUTPUTS, _PLANNED = 0, 1, 2, 3
_NAMED = 16
_LABEL = 13
_FEW = 160
"""Up to so many tensors points are drawn on the line; beyond that the line alone, which costs one path."""
_DB_STEPS = (POOR_DB, GOOD_DB)
"""Guide lines: below the first a tensor is poor, above the second it is good."""


class SqnrView(FigureView):
    """The plot; a click on a point selects its tensor or its layer."""

    clickable = (_ACCUMULATED, _OWN, _OUTPUTS, _PLANNED)

    def __init__(self) -> None:
        super().__init__()
        self._plot: SqnrPlot | None = None
        self._selected = ""
        self.figure = new_figure(_traces(), _layout(), height=254)
        self.apply_theme("light")

    def clicked(self, trace: int, point: int) -> dict[str, Any] | None:
        """Return that the tensor or the layer of a point is to be looked at."""
        plot = self._plot
        if plot is None:
            return None
        if trace in (_OWN, _OUTPUTS):
            return {"type": "layer", "index": plot.layer_index[point]} if point < len(plot.layer_index) else None
        return {"type": "tensor", "name": plot.names[point]} if point < len(plot.names) else None

    @property
    def tensor_traces(self) -> tuple[Any, ...]:
        """The traces whose points are tensors."""
        return self.figure.data[_ACCUMULATED], self.figure.data[_PLANNED]

    @property
    def layer_traces(self) -> tuple[Any, ...]:
        """The traces whose points are layers."""
        return self.figure.data[_OWN], self.figure.data[_OUTPUTS]

    def render(self, plot: SqnrPlot, selected: str) -> None:
        """Draw the curves and the place of the chosen tensor."""
        if plot is self._plot and selected == self._selected:
            return
        new, self._plot, self._selected = plot is not self._plot, plot, selected
        with self.filling():
            if new:
                self._draw_axes(plot)
                self._draw_curves(plot)
            at = plot.names.index(selected) if selected in plot.names else None
            mark_column(self.figure.layout.shapes[0], at, len(plot.names))

    def _draw_axes(self, plot: SqnrPlot) -> None:
        n = len(plot.names)
        set_columns(self.figure.layout.xaxis, n, [_short(label) for label in plot.labels] if n <= _NAMED else None)
        values = np.concatenate([plot.accumulated, plot.planned, plot.own, plot.outputs])
        values = values[np.isfinite(values)]
        top = float(values.max()) if values.size else 50.0
        low = float(values.min()) if values.size else 0.0
        self.figure.layout.yaxis.range = [
            min(0.0, np.floor((low - 3) / 10) * 10 if low < 0 else 0.0),
            max(np.ceil((top + 3) / 10) * 10, 50.0),
        ]
        self.figure.layout.annotations[0].visible = n == 0

    def _draw_curves(self, plot: SqnrPlot) -> None:
        line, own, outputs, planned = self.figure.data
        line.mode = planned.mode = "lines+markers" if len(plot.names) <= _FEW else "lines"
        line.x, line.y, line.text = np.arange(len(plot.names)), plot.accumulated, plot.labels
        planned.visible = known = plot.planned.size > 0
        planned.x, planned.y, planned.text = (line.x, plot.planned, plot.labels) if known else ([], [], [])
        planned.name = f"with your plan{' (out of date)' if plot.outdated else ''}"
        labels = [plot.labels[x] for x in plot.layer_x]
        # Side by side at the layer's output, so that equal values do not hide each other.
        shift = 0.14 if len(plot.names) <= _FEW else 0.0
        places = np.array(plot.layer_x, np.float64)
        own.x, own.y, own.text = places - shift, plot.own, labels
        outputs.x, outputs.y, outputs.text = places + shift, plot.outputs, labels

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        line, own, outputs, planned = self.figure.data
        planned.line.color = planned.marker.color = PLAN[theme]
        line.line.color = line.marker.color = INT8[theme]
        own.marker.color, outputs.marker.color = LAYER_OWN[theme], LAYER_OUT[theme]
        layout = self.figure.layout
        layout.shapes[0].fillcolor = colors.selected
        for shape in layout.shapes[1:]:
            shape.line.color = colors.line


def _short(label: str) -> str:
    """Cut a label to a column's width; entities are escaped already, so only plain names are cut."""
    return label if len(label) <= _LABEL or "&" in label else f"{label[:6]}…{label[-6:]}"


def _traces() -> list[dict[str, Any]]:
    def layer(name: str, symbol: str, size: int, what: str) -> dict[str, Any]:
        return {"type": "scatter", "mode": "markers", "name": name, "x": [], "y": [],
                "marker": {"symbol": symbol, "size": size},
                "hovertemplate": f"%{{text}}<br>{what} %{{y:.1f}} dB<extra></extra>"}  # fmt: skip

    return [
        {"type": "scatter", "mode": "lines+markers", "name": "all layers in INT8", "x": [], "y": [],
         "line": {"width": 1.8}, "marker": {"size": 7}, "connectgaps": True,
         "hovertemplate": "%{text}<br>accumulated %{y:.1f} dB<extra></extra>"},
        layer("alone, own output", "square", 8, "alone, at its own output"),
        layer("alone, at outputs", "diamond", 10, "alone, at the model’s outputs"),
        {"type": "scatter", "mode": "lines+markers", "name": "with your plan", "x": [], "y": [], "visible": False,
         "line": {"width": 1.8, "dash": "dash"}, "marker": {"symbol": "circle-open", "size": 9}, "connectgaps": True,
         "hovertemplate": "%{text}<br>accumulated with your plan %{y:.1f} dB<extra></extra>"},
    ]  # fmt: skip


def _layout() -> dict[str, Any]:
    guides = [
        {"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": db, "y1": db, "layer": "below",
         "line": {"width": 1, "dash": "dot"}}
        for db in _DB_STEPS
    ]  # fmt: skip
    return {
        # Room for a legend of two lines, which then moves nothing where the notebook is narrow.
        "margin": {"l": 58, "r": 10, "t": 48, "b": 36, "autoexpand": False},
        "hoverdistance": 30,
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {"showgrid": False, "range": [-0.6, 0.4], "title": {"standoff": 2}, "tickangle": 0},
        "yaxis": {"title": {"text": "SQNR (dB)", "standoff": 6}, "range": [0, 60], "fixedrange": True},
        "shapes": [dict(BAND), *guides],
        "annotations": [words_inside("press run to compare FP32 with INT8", size=13, visible=True)],
    }  # fmt: skip
