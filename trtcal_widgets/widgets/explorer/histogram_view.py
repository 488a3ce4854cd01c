"""The chosen tensor's histogram with every method's threshold, and below it the objective: one x axis for both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from trtcal_widgets.common.palette import THEMES, style_of
from trtcal_widgets.widgets.kit.figures import (
    LOG_FLOOR,
    FigureView,
    lanes,
    make_draggable,
    new_figure,
    set_ends,
    set_step,
    shown_counts,
)
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.widgets.explorer.detail import HistogramPlot, Mark, Over

CountsScale = Literal["log", "linear"]
Window = tuple[str, float, float]

_SLOTS = 6
"""Traces for the methods' lines: four methods, one other choice, the user's own."""
_HIST, _SHADE, _FIRST_MARK = 0, 1, 2
_CURVE, _PICK, _CURVE_CHOSEN, _OVER = range(_FIRST_MARK + _SLOTS, _FIRST_MARK + _SLOTS + 4)
_LANE = 13
_MOST_BESIDE = 2
_BESIDE = 1.5
"""Thresholds up to so many times the end of the data are on the axis; one beyond it is marked at the edge."""
_GLYPHS = {
    "circle": "●",
    "square": "■",
    "triangle-up": "▲",
    "triangle-down": "▼",
    "hexagon": "⬢",
    "diamond": "◆",
}


class HistogramView(FigureView):
    """The plot. Plotly reports a drag of the line when it is let go; :meth:`moved` says what it means."""

    watched = "shapes"
    follows_zoom = True

    def __init__(self) -> None:
        super().__init__()
        self._detail: HistogramPlot | None = None
        self._counts: CountsScale = "log"
        self._x_end = 0.0
        self._window: Window | None = None
        self._over: Over | None = None
        self._shown = (0.0, 1.0)
        self._place = 0.0
        self._y_top = 0.0
        self.figure = new_figure(_traces(), _layout(), height=398)
        make_draggable(self.figure)
        self.apply_theme("light")

    def moved(self, value: Any) -> dict[str, Any] | None:
        """Return that the line was let go at an amax; a line that was dragged by one end counts by that end."""
        detail, shapes = self._detail, value
        if detail is None or not shapes:
            return None
        ends = [float(x) for x in (shapes[0].x0, shapes[0].x1) if isinstance(x, (int, float))]
        return next(({"type": "drop", "amax": x} for x in ends if x != self._place), None)

    def zoomed(self, low: float, high: float) -> dict[str, Any] | None:
        """Return that another part of the axis is in view: thresholds outside it are marked at its edge."""
        return {"type": "zoom", "first": low, "last": high}

    def put_back(self) -> None:
        """Draw the line where it was: a drop that was refused, or one that only moved it up or down."""
        if self._detail is not None:
            with self.filling():
                self._draw_line(self._detail)

    def render(
        self, detail: HistogramPlot, counts: CountsScale, window: Window | None = None, over: Over | None = None
    ) -> None:
        """Draw a tensor. Axes move only where the tensor is another one or its range has grown.

        ``window`` is the part of the x axis that the user looks at: a tensor's name, and both ends. ``over`` is laid
        over it as an outline.
        """
        before, scale_before, new_over = self._detail, self._counts, over is not self._over
        if detail is before and counts == scale_before and window == self._window and not new_over:
            return
        self._over = over
        if window != self._window and window is not None and window[0] == detail.name:
            self._shown = window[1:]
        self._window = window
        self._detail, self._counts = detail, counts
        other = before is None or before.name != detail.name or not before.has_data or new_over
        self.call(f"histogram of {detail.name}" + (f", {over.name} over it" if over else ""))
        with self.filling():
            self._draw_axes(detail, counts, other=other, other_scale=counts != scale_before)
            if before is None or before.counts is not detail.counts:
                self._draw_histogram(detail)
            if new_over:
                self._draw_over()
            self._draw_marks(detail)
            self._draw_curve(detail)
            self._draw_line(detail)
            self._draw_empty(detail)

    def _draw_axes(self, detail: HistogramPlot, counts: CountsScale, *, other: bool, other_scale: bool) -> None:
        layout = self.figure.layout
        end = _x_end(detail, self._over)
        # Of the same tensor the axis only grows: stepping back does not make it jump.
        if other or end > self._x_end * 1.0001:
            self._x_end = end
            self._shown = (0.0, end)
            set_ends(layout.xaxis, 0, end)
        over = self._over.counts if self._over is not None and not detail.empty else detail.counts[:0]
        top = _y_top(float(max(detail.counts.max(initial=0), over.max(initial=0))), counts)
        if other or other_scale or top > self._y_top:
            self._y_top = top
            bottom = LOG_FLOOR if counts == "log" else 0.0
            layout.yaxis.type = counts
            layout.yaxis.title.text = f"counts ({counts})"
            set_ends(layout.yaxis, bottom, top, log=counts == "log")
            set_step(layout.yaxis, 1 if counts == "log" and top <= 1e9 else None)

    def _draw_histogram(self, detail: HistogramPlot) -> None:
        trace = self.figure.data[_HIST]
        trace.x0 = 0
        trace.dx = detail.range / len(detail.counts) or 1
        # All in bin 0 of no width: a bar would be as wide as the axis.
        trace.y = shown_counts(detail.counts[:0] if detail.empty else detail.counts)

    def _draw_over(self) -> None:
        over, trace = self._over, self.figure.data[_OVER]
        trace.visible = over is not None
        if over is not None:
            trace.x0, trace.dx = 0, over.range / len(over.counts)
            used = int(np.flatnonzero(over.counts)[-1]) + 2
            trace.y = np.maximum(over.counts[:used], LOG_FLOOR / 4)

    def _draw_marks(self, detail: HistogramPlot) -> None:
        marks = () if detail.empty else detail.marks[:_SLOTS]
        top, (low, high) = self._y_top, self._shown
        labels = _labels(marks, low, high, self.theme)
        seen = [min(max((mark.amax - low) / (high - low), 0.0), 1.0) for mark in marks]
        places = lanes(seen, [label.length for label in labels])
        for k in range(_SLOTS):
            trace, note = self.figure.data[_FIRST_MARK + k], self.figure.layout.annotations[k]
            mark = marks[k] if k < len(marks) else None
            trace.visible = mark is not None
            note.visible = mark is not None and bool(labels[k].text)
            if mark is None:
                continue
            style = style_of(mark.kind)
            color = style.color(self.theme)
            trace.x, trace.y = [mark.amax, mark.amax], [LOG_FLOOR / 10, top]
            trace.line.color, trace.line.dash = color, style.dash
            trace.name = mark.label
            note.x = min(max(mark.amax, low), high)
            note.text = labels[k].text
            note.font.color = color
            note.yshift = 1 + _LANE * places[k].lane
            note.xanchor = places[k].anchor
        clipped = detail.has_data and 0 < detail.amax < self._x_end
        shade = self.figure.data[_SHADE]
        shade.visible = clipped
        if clipped:
            shade.x, shade.y = [detail.amax, self._x_end * 4], [top * 4, top * 4]

    def _draw_curve(self, detail: HistogramPlot) -> None:
        curve = detail.curve
        line, pick = self.figure.data[_CURVE], self.figure.data[_PICK]
        line.visible = curve is not None
        pick.visible = curve is not None and math.isfinite(curve.pick_objective)
        axis = self.figure.layout.yaxis2
        if curve is None:
            axis.title.text = "objective"
            return
        style = style_of(curve.kind)
        line.x, line.y = curve.amax, curve.objective
        axis.showticklabels = bool(np.isfinite(curve.objective).any())
        line.line.color = style.color(self.theme)
        axis.title.text = curve.label.replace(" share", "<br>share") if len(curve.label) > 16 else curve.label
        axis.type = "log" if curve.log else "linear"
        ticks = _log_ticks(*_finite_ends(detail)) if curve.log else []
        axis.tickmode, axis.tickvals = ("array", ticks) if ticks else ("auto", None)
        if pick.visible:
            pick.x, pick.y = [curve.pick_amax], [curve.pick_objective]
            pick.marker.color, pick.marker.symbol = style.color(self.theme), style.marker

    def _draw_line(self, detail: HistogramPlot) -> None:
        """Draw the line that can be dragged far beyond both ends of the axis: it cannot be tilted or lost.

        A threshold off the axis has it at the edge, from where it can be drawn back.
        """
        shape = self.figure.layout.shapes[0]
        shape.visible = not detail.empty and detail.editable
        place = self._place = min(detail.amax, self._x_end) if self._x_end else detail.amax
        shape.x0 = shape.x1 = place
        far = self._y_top * 20
        shape.y0, shape.y1 = (1e-12, 1e24) if self._counts == "log" else (-far, far)
        below = self.figure.data[_CURVE_CHOSEN]
        below.visible = not detail.empty
        below.x = [place, place]
        ends = _finite_ends(detail)
        below.y = ends
        shape.line.color = below.line.color = style_of("mine").color(self.theme)

    def _draw_empty(self, detail: HistogramPlot) -> None:
        note = self.figure.layout.annotations[_SLOTS]
        note.visible = empty = bool(detail.empty)
        self.figure.layout.xaxis.showticklabels = not empty
        self.figure.layout.yaxis.showticklabels = not empty
        if detail.curve is None:
            self.figure.layout.yaxis2.showticklabels = False
        note.text = detail.empty

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        histogram = self.figure.data[_HIST]
        histogram.fillcolor, histogram.line.color = colors.histogram, colors.histogram_line
        self.figure.data[_OVER].line.color = colors.text
        shade = self.figure.data[_SHADE]
        shade.fillcolor = colors.clipped
        if self._detail is not None:
            self._draw_marks(self._detail)
            self._draw_curve(self._detail)
            self._draw_line(self._detail)


class _Label(NamedTuple):
    """What stands above a threshold, as Plotly takes it, and how many letters are seen of it."""

    text: str
    length: int


def _labels(marks: Sequence[Mark], low: float, high: float, theme: Theme) -> list[_Label]:
    """Return the words of thresholds; of those out of view, with their value, on the side on which they lie.

    Where there is no room for that, one label has the markers of all that lie on a side.
    """
    labels = [_label(mark, mark.label) for mark in marks]
    for before, after, out in (
        ("", " →", [k for k, mark in enumerate(marks) if mark.amax > high]),
        ("← ", "", [k for k, mark in enumerate(marks) if mark.amax < low]),
    ):
        for k in out:
            labels[k] = _label(marks[k], f"{marks[k].label} {typeset(marks[k].amax)}", before, after)
        if len(out) > _MOST_BESIDE:
            glyphs = " ".join(_coloured(marks[k], theme) for k in out)
            labels[out[0]] = _Label(f"{before}{glyphs}{after}", 2 * len(out) + 2)
            labels[out[0] + 1 : out[-1] + 1] = [
                _Label("", 0) if k in out else labels[k] for k in range(out[0] + 1, out[-1] + 1)
            ]
    return labels


def _label(mark: Mark, words: str, before: str = "", after: str = "") -> _Label:
    text = f"{before}{_GLYPHS[style_of(mark.kind).marker]} {words}{after}"
    return _Label(f"<b>{text}</b>" if mark.chosen else text, len(text))


def _coloured(mark: Mark, theme: Theme) -> str:
    style = style_of(mark.kind)
    text = _GLYPHS[style.marker]
    if mark.chosen:
        text = f"<b>{text} {mark.label} {typeset(mark.amax)}</b>"
    return f'<span style="color: {style.color(theme)}">{text}</span>'


def _x_end(detail: HistogramPlot, over: Over | None) -> float:
    """Return the right end of the axis: the end of the data, of what is laid over them, and of thresholds near by."""
    if detail.end <= 0:
        return 1.0
    beside = (m.amax for m in detail.marks if m.amax <= _BESIDE * detail.end)
    return max([detail.end, *beside, *([over.end] if over is not None else [])]) * 1.03


def _y_top(largest: float, counts: CountsScale) -> float:
    """Return the upper end of the counts axis: a round number, so that it moves seldom."""
    if largest <= 0:
        return 10.0
    if counts == "log":
        return float(10.0 ** math.ceil(math.log10(largest) + 0.05))
    power = 10.0 ** math.floor(math.log10(largest))
    return float(
        next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12) if step * power >= 1.04 * largest)
    )


def _finite_ends(detail: HistogramPlot) -> list[float]:
    """Return the two ends of the objective's values, for the chosen line in the lower plot."""
    if detail.curve is None:
        return [0.0, 1.0]
    finite = detail.curve.objective[np.isfinite(detail.curve.objective)]
    return [float(finite.min()), float(finite.max())] if finite.size else [0.0, 1.0]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return at most four round numbers on a log axis that is 90 pixels high: decades, or 1, 2, 5."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**k for k in range(first, last + 1) if low <= 10.0**k <= high]
    if len(decades) >= 2:
        return decades[:: math.ceil(len(decades) / 4)]
    finer = [step * 10.0**k for k in range(first, last + 1) for step in (1, 2, 5)]
    within = [value for value in finer if low <= value <= high]
    return within[:: math.ceil(len(within) / 4) or 1]


def _traces() -> list[dict[str, Any]]:
    quiet = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "cliponaxis": True}
    marks = [
        {**quiet, "line": {"width": 1.6}, "visible": False, "x": [0, 0], "y": [0.1, 1], "hoverinfo": "skip"}
        for _ in range(_SLOTS)
    ]
    return [
        {**quiet, "line": {"shape": "hv", "width": 1}, "fill": "tozeroy", "y": [], "hoverinfo": "x+y",
         "hovertemplate": "|x| %{x:.4g}<br>%{y:,.0f} values<extra></extra>"},
        {**quiet, "line": {"width": 0}, "fill": "tozeroy", "x": [0, 0], "y": [1, 1], "visible": False},
        *marks,
        {**quiet, "yaxis": "y2", "line": {"width": 1.6}, "x": [], "y": [], "connectgaps": False, "hoverinfo": "x+y",
         "hovertemplate": "amax %{x:.4g}<br>objective %{y:.4g}<extra></extra>"},
        {**quiet, "yaxis": "y2", "mode": "markers", "marker": {"size": 10, "line": {"width": 1.5, "color": "white"}},
         "x": [], "y": [], "hoverinfo": "x+y", "hovertemplate": "minimum at amax %{x:.4g}<br>%{y:.4g}<extra></extra>"},
        {**quiet, "yaxis": "y2", "line": {"width": 2.5}, "x": [0, 0], "y": [0, 1], "visible": False},
        {**quiet, "line": {"shape": "hv", "width": 1.2}, "y": [], "visible": False},
    ]  # fmt: skip


def _layout() -> dict[str, Any]:
    note = {"xref": "x", "yref": "y domain", "y": 1, "x": 0, "yanchor": "bottom", "showarrow": False, "visible": False,
            "text": "", "font": {"size": 11}}  # fmt: skip
    empty = {**note, "xref": "x domain", "x": 0.5, "y": 0.5, "yanchor": "middle", "font": {"size": 13}}
    return {
        "margin": {"l": 58, "r": 14, "t": 58, "b": 36},
        "hoverdistance": 12,
        "xaxis": {"range": [0, 1], "anchor": "y2", "title": {"text": "|x|", "standoff": 4}, "showgrid": False},
        "yaxis": {"type": "log", "range": [-0.3, 1], "domain": [0.36, 1],
                  "title": {"text": "counts (log)", "standoff": 6},
                  "exponentformat": "SI", "nticks": 6},
        "yaxis2": {"domain": [0, 0.29], "title": {"text": "objective", "standoff": 6}, "tickformat": "~g", "nticks": 4,
                   "anchor": "x"},
        "shapes": [{"type": "line", "xref": "x", "yref": "y", "x0": 0, "x1": 0, "y0": 1e-12, "y1": 1e24,
                    "visible": False,
                    "line": {"width": 3.5}, "layer": "above"}],
        "annotations": [dict(note) for _ in range(_SLOTS)] + [empty],
    }  # fmt: skip
