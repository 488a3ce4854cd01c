"""One tensor in FP32 and INT8: both histograms, the errors, and pairs of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.widgets.debugger_colors import ERROR, ERROR_FILL, INT8, INT8_FILL
from trtcal_widgets.widgets.figures import FigureView, new_figure
from trtcal_widgets.widgets.palette import MINE, THEMES, style_of
from trtcal_widgets.widgets.view_histogram import shown_counts

if TYPE_CHECKING:
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.widgets.debugger_detail import TensorPlot
    from trtcal_widgets.widgets.palette import Theme

__all__ = ["ErrorView", "PairsView", "ValuesView"]

_HEIGHT = 262
_MARGIN = {"l": 54, "r": 12, "t": 26, "b": 36}
_NOTE = {
    "xref": "paper",
    "yref": "paper",
    "x": 0.5,
    "y": 0.5,
    "showarrow": False,
    "visible": False,
    "text": "",
    "font": {"size": 12.5},
}


class _TensorView(FigureView):
    """What the three plots share: one tensor, and words where there is nothing to draw."""

    def __init__(self, traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        super().__init__()
        self._plot: TensorPlot | None = None
        self.figure = new_figure(traces, {"margin": _MARGIN, "annotations": [dict(_NOTE)], **layout}, height=_HEIGHT)
        self.apply_theme("light")

    def render(self, plot: TensorPlot) -> None:
        """Draw a tensor."""
        if plot is self._plot:
            return
        self._plot = plot
        with self.filling():
            self.draw(plot)

    def draw(self, plot: TensorPlot) -> None:
        """Draw a tensor; called within :meth:`filling`."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show words in the middle of the plot; none for an empty text."""
        note = self.figure.layout.annotations[0]
        note.visible, note.text = bool(text), text

    def blank(self, empty: bool) -> None:
        """Leave the axes without numbers where nothing is drawn."""
        self.figure.layout.xaxis.showticklabels = self.figure.layout.yaxis.showticklabels = not empty

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        self.figure.layout.annotations[0].font.color = colors.faint
        if self.figure.layout.legend.orientation is not None:
            self.figure.layout.legend.font.color = colors.text


class ValuesView(_TensorView):
    """|x| in FP32 and in INT8 over each other, with the threshold."""

    def __init__(self) -> None:
        super().__init__(
            [_steps("FP32", "%{y:,.0f} values in FP32"), _steps("INT8, before its rounding", "%{y:,.0f} values in INT8"),
             {"type": "scatter", "mode": "lines", "name": "±amax", "x": [], "y": [], "hoverinfo": "skip", "line": {"width": 2.5}}],
            _histogram_layout("|x|", legend=True),
        )  # fmt: skip

    def draw(self, plot: TensorPlot) -> None:
        fp32, int8, line = self.figure.data
        _fill(fp32, plot.reference)
        _fill(int8, plot.tested)
        top = _log_top(plot.reference, plot.tested)
        end = (
            max(plot.reference.amax, plot.tested.amax, plot.amax * 1.03 if plot.amax < 3 * plot.reference.amax else 0.0)
            or 1.0
        )
        line.visible = quantized = plot.amax > 0
        # What is hidden travels as well, and JSON has no NaN.
        line.x, line.y = ([plot.amax, plot.amax], [0.1, 10.0**top * 10]) if quantized else ([], [])
        _axes(self.figure, end * 1.02, top)
        self.say(plot.note or ("" if plot.reference.n_finite else "no finite value"))
        self.blank(not plot.reference.n_finite)

    def recolor(self, theme: Theme) -> None:
        super().recolor(theme)
        colors = THEMES[theme]
        fp32, int8, line = self.figure.data
        fp32.fillcolor, fp32.line.color = colors.histogram, colors.histogram_line
        int8.fillcolor, int8.line.color = INT8_FILL[theme], INT8[theme]
        line.line.color = style_of(MINE).color(theme)


class ErrorView(_TensorView):
    """How large |FP32 - INT8| is."""

    def __init__(self) -> None:
        super().__init__([_steps("error", "%{y:,.0f} values")], _histogram_layout("|FP32 − INT8|", legend=False))

    def draw(self, plot: TensorPlot) -> None:
        _fill(self.figure.data[0], plot.error)
        _axes(self.figure, (plot.error.amax or 1.0) * 1.02, _log_top(plot.error))
        known = plot.error.n_values > 0
        self.say("" if known and plot.error.amax > 0 else "" if plot.note else "no difference" if known else "…")
        self.blank(not known)

    def recolor(self, theme: Theme) -> None:
        super().recolor(theme)
        self.figure.data[0].fillcolor, self.figure.data[0].line.color = ERROR_FILL[theme], ERROR[theme]


class PairsView(_TensorView):
    """FP32 against what the next layer reads in INT8, with the diagonal and the threshold."""

    def __init__(self) -> None:
        line = {"type": "scatter", "mode": "lines", "x": [], "y": [], "hoverinfo": "skip"}
        super().__init__(
            [{**line, "line": {"width": 1, "dash": "dot"}},
             {"type": "scattergl", "mode": "markers", "x": [], "y": [], "marker": {"size": 3, "opacity": 0.55},
              "hovertemplate": "FP32 %{x:.4g}<br>INT8 %{y:.4g}<extra></extra>"},
             {**line, "line": {"width": 1.6}}],
            {"xaxis": {"title": {"text": "FP32", "standoff": 4}, "showgrid": False, "range": [0, 1], "nticks": 5},
             "yaxis": {"title": {"text": "INT8, as read", "standoff": 4}, "range": [0, 1], "nticks": 5}},
        )  # fmt: skip

    def draw(self, plot: TensorPlot) -> None:
        diagonal, dots, clip = self.figure.data
        keep = np.isfinite(plot.fp32) & np.isfinite(plot.int8)
        x, y = plot.fp32[keep], plot.int8[keep]
        dots.x, dots.y = x, y
        low, high = (float(min(x.min(), y.min())), float(max(x.max(), y.max()))) if x.size else (0.0, 1.0)
        pad = 0.04 * (high - low) or 1.0
        ends = [low - pad, high + pad]
        diagonal.x = diagonal.y = ends
        clip.visible = plot.amax > 0
        sides = [side for side in (-plot.amax, plot.amax) if ends[0] < side < ends[1]] if plot.amax > 0 else []
        clip.x = [value for side in sides for value in (side, side, None)]
        clip.y = [value for _ in sides for value in (*ends, None)]
        for axis in (self.figure.layout.xaxis, self.figure.layout.yaxis):
            axis.range = ends
            axis.autorangeoptions = {"minallowed": ends[0], "maxallowed": ends[1]}
        self.say("" if x.size or plot.note else "…")
        self.blank(not x.size)

    def recolor(self, theme: Theme) -> None:
        super().recolor(theme)
        diagonal, dots, clip = self.figure.data
        diagonal.line.color = THEMES[theme].line
        dots.marker.color = INT8[theme]
        clip.line.color = style_of(MINE).color(theme)


def _steps(name: str, hover: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x0": 0, "dx": 1, "y": [], "fill": "tozeroy",
            "line": {"shape": "hv", "width": 1.2}, "hovertemplate": f"%{{x:.4g}}<br>{hover}<extra></extra>"}  # fmt: skip


def _histogram_layout(title: str, *, legend: bool) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "hovermode": "closest",
        "xaxis": {"range": [0, 1], "title": {"text": title, "standoff": 4}, "showgrid": False, "nticks": 6},
        "yaxis": {
            "type": "log",
            "range": [-0.3, 1],
            "title": {"text": "counts (log)", "standoff": 4},
            "exponentformat": "power",
        },
    }
    if legend:
        layout |= {
            "showlegend": True,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        }
    return layout


def _fill(trace: Any, histogram: Histogram) -> None:
    trace.x0, trace.dx = 0, histogram.range / N_BINS or 1
    trace.y = shown_counts(histogram.counts)


def _log_top(*histograms: Histogram) -> float:
    largest = max(float(h.counts.max()) for h in histograms)
    return math.ceil(math.log10(largest) + 0.05) if largest > 0 else 1.0


def _axes(figure: Any, end: float, top: float) -> None:
    figure.layout.xaxis.range = [0, end]
    figure.layout.xaxis.autorangeoptions = {"minallowed": 0, "maxallowed": end}
    figure.layout.yaxis.range = [-0.3, top]
    figure.layout.yaxis.dtick = 1 if top <= 6 else 2
