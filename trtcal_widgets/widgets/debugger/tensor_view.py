"""One tensor in FP32 and INT8: both histograms, the errors, and pairs of values, side by side in one figure.

One figure and not three: every FigureWidget brings Plotly's whole script to the page again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import ERROR, ERROR_FILL, INT8, INT8_FILL, MINE, THEMES, style_of
from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure, set_ends, set_step, shown_counts

if TYPE_CHECKING:
    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.widgets.debugger.detail import TensorPlot

_FP32, _INT8, _AMAX, _ERROR, _DIAGONAL, _PAIRS, _CLIP = range(7)
_DOMAINS = ((0.0, 0.37), (0.435, 0.665), (0.76, 1.0))
_LOG_BOTTOM = -0.3


class TensorView(FigureView):
    """The figure: |x| of both, |FP32 - INT8|, and FP32 against what the next layer reads in INT8."""

    def __init__(self) -> None:
        super().__init__()
        self._plot: TensorPlot | None = None
        self.figure = new_figure(_traces(), _layout(), height=264)
        self.apply_theme("light")

    def render(self, plot: TensorPlot) -> None:
        """Draw a tensor."""
        if plot is self._plot:
            return
        self._plot = plot
        with self.filling():
            self._draw_values(plot)
            self._draw_errors(plot)
            self._draw_pairs(plot)

    def _draw_values(self, plot: TensorPlot) -> None:
        fp32, int8, line = self.figure.data[_FP32], self.figure.data[_INT8], self.figure.data[_AMAX]
        _fill(fp32, plot.reference)
        _fill(int8, plot.tested)
        top = _log_top(plot.reference, plot.tested)
        largest = max(plot.reference.amax, plot.tested.amax)
        # A threshold far beyond the values would squeeze them into a corner: it is left out of the picture.
        end = max(largest, plot.amax) if plot.amax < 3 * largest else largest
        line.visible = quantized = plot.amax > 0
        # What is hidden travels as well, and JSON has no NaN.
        line.x, line.y = ([plot.amax, plot.amax], [0.1, 10.0 ** (top + 1)]) if quantized else ([], [])
        self._set_axes("", end, top)
        known = plot.reference.n_finite > 0
        self._say(0, plot.note or ("" if known else "no finite value"), known=known)

    def _draw_errors(self, plot: TensorPlot) -> None:
        _fill(self.figure.data[_ERROR], plot.error)
        self._set_axes("2", plot.error.amax, _log_top(plot.error))
        known = plot.error.n_values > 0
        same = known and plot.error.amax == 0
        self._say(1, "no difference" if same else "" if known or plot.note else "…", known=known and not same)

    def _draw_pairs(self, plot: TensorPlot) -> None:
        diagonal, dots, clip = self.figure.data[_DIAGONAL], self.figure.data[_PAIRS], self.figure.data[_CLIP]
        keep = np.isfinite(plot.fp32) & np.isfinite(plot.int8)
        x, y = plot.fp32[keep], plot.int8[keep]
        dots.x, dots.y = x, y
        low, high = (float(min(x.min(), y.min())), float(max(x.max(), y.max()))) if x.size else (0.0, 1.0)
        pad = 0.04 * (high - low) or 1.0
        ends = [low - pad, high + pad]
        diagonal.x, diagonal.y = (ends, ends) if x.size else ([], [])
        sides = [s for s in (-plot.amax, plot.amax) if x.size and ends[0] < s < ends[1]]
        clip.x = [value for side in sides for value in (side, side, None)]
        clip.y = [value for _ in sides for value in (*ends, None)]
        for axis in (self.figure.layout.xaxis3, self.figure.layout.yaxis3):
            set_ends(axis, *ends)
        self._say(2, "" if x.size or plot.note else "…", known=x.size > 0)

    def _set_axes(self, number: str, end: float, top: float) -> None:
        x, y = self.figure.layout[f"xaxis{number}"], self.figure.layout[f"yaxis{number}"]
        set_ends(x, 0, (end or 1.0) * 1.03)
        y.range = [_LOG_BOTTOM, top]
        set_step(y, 1 if top <= 5 else 2)

    def _say(self, k: int, text: str, *, known: bool) -> None:
        """Show words in the middle of a plot; axes have no numbers where nothing is drawn."""
        note = self.figure.layout.annotations[k]
        note.visible, note.text = bool(text), text
        number = str(k + 1) if k else ""
        self.figure.layout[f"xaxis{number}"].showticklabels = known
        self.figure.layout[f"yaxis{number}"].showticklabels = known

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors, data = THEMES[theme], self.figure.data
        data[_FP32].fillcolor, data[_FP32].line.color = colors.histogram, colors.histogram_line
        data[_INT8].fillcolor, data[_INT8].line.color = INT8_FILL[theme], INT8[theme]
        data[_ERROR].fillcolor, data[_ERROR].line.color = ERROR_FILL[theme], ERROR[theme]
        data[_DIAGONAL].line.color, data[_PAIRS].marker.color = colors.line, INT8[theme]
        data[_AMAX].line.color = data[_CLIP].line.color = style_of(MINE).color(theme)


def _fill(trace: Any, histogram: Histogram) -> None:
    trace.x0, trace.dx = 0, histogram.range / N_BINS or 1
    trace.y = shown_counts(histogram.counts)


def _log_top(*histograms: Histogram) -> float:
    largest = max(float(h.counts.max()) for h in histograms)
    return math.ceil(math.log10(largest) + 0.05) if largest > 0 else 1.0


def _traces() -> list[dict[str, Any]]:
    def steps(name: str, axis: str, hover: str) -> dict[str, Any]:
        return {"type": "scatter", "mode": "lines", "name": name, "x0": 0, "dx": 1, "y": [], "fill": "tozeroy",
                "xaxis": f"x{axis}", "yaxis": f"y{axis}", "line": {"shape": "hv", "width": 1.2},
                "hovertemplate": f"%{{x:.4g}}<br>{hover}<extra></extra>"}  # fmt: skip

    line = {"type": "scatter", "mode": "lines", "x": [], "y": [], "hoverinfo": "skip"}
    third = {"xaxis": "x3", "yaxis": "y3", "showlegend": False}
    return [
        steps("FP32", "", "%{y:,.0f} values in FP32"),
        steps("INT8, before its rounding", "", "%{y:,.0f} values in INT8"),
        {**line, "name": "±amax", "line": {"width": 2.5}},
        {**steps("error", "2", "%{y:,.0f} values"), "showlegend": False},
        {**line, **third, "name": "no error", "line": {"width": 1, "dash": "dot"}},
        {"type": "scatter", "mode": "markers", "name": "values", "x": [], "y": [], **third,
         "marker": {"size": 3, "opacity": 0.5}, "hovertemplate": "FP32 %{x:.4g}<br>INT8 %{y:.4g}<extra></extra>"},
        {**line, **third, "name": "±amax", "line": {"width": 1.6}},
    ]  # fmt: skip


def _layout() -> dict[str, Any]:
    note = {"showarrow": False, "visible": False, "text": "", "x": 0.5, "y": 0.5, "font": {"size": 12.5}}
    counts = {"type": "log", "range": [_LOG_BOTTOM, 1], "exponentformat": "SI"}

    def x(k: int, title: str) -> dict[str, Any]:
        anchor = f"y{k + 1}" if k else "y"
        return {"domain": list(_DOMAINS[k]), "anchor": anchor, "range": [0, 1], "showgrid": False, "nticks": 5,
                "title": {"text": title, "standoff": 4}}  # fmt: skip

    return {
        "margin": {"l": 56, "r": 8, "t": 28, "b": 38},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": x(0, "|x|"),
        "xaxis2": x(1, "|FP32 - INT8|"),
        "xaxis3": x(2, "FP32"),
        "yaxis": {**counts, "title": {"text": "counts (log)", "standoff": 4}},
        "yaxis2": {**counts, "anchor": "x2"},
        "yaxis3": {"anchor": "x3", "range": [0, 1], "nticks": 5, "title": {"text": "INT8, as read", "standoff": 4}},
        "annotations": [
            {**note, "xref": f"x{n} domain", "yref": f"y{n} domain"} for n in ("", "2", "3")
        ],
    }  # fmt: skip
