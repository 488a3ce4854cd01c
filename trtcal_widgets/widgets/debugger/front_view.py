"""Time against accuracy of the variants that tuning looked at. A click on one takes its plan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import milliseconds
from trtcal_widgets.common.palette import INT8, LAYER_OWN, PLAN, THEMES
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.debug.goal import goal_of, value_text
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure
from trtcal_widgets.widgets.kit.formatting import plot_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.tuning.results import TunePoint, TuneResult

_OTHERS, _FRONT, _CHOSEN = 0, 1, 2
_HEIGHT = 250
_EXACT_ABOVE = 1.2
"""How far above the others outputs that equal FP32's are drawn, whose SQNR is infinite."""


@dataclass(frozen=True, eq=False)
class FrontPlot:
    """What is drawn: place and words of each point, in the order of the result's points.

    Attributes
    ----------
    x, y, labels
        Milliseconds (without a device, layers in INT8), accuracy (in percent where it is top-1), and words.
    front
        Indices of the points than which none is both faster and more accurate, the fastest first.
    chosen
        Index of the point whose plan is the plan of the moment; -1 where it is none's.
    goal
        The accuracy to reach, in the unit of ``y``.
    measured
        Whether a device measured times.
    x_title, y_title
        Titles of the axes.
    """

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    front: tuple[int, ...] = ()
    chosen: int = -1
    goal: float = math.nan
    measured: bool = False
    x_title: str = ""
    y_title: str = ""


def build_front_plot(debugging: AccuracyDebugging) -> FrontPlot:
    """Make the plot of what tuning found; empty where there was none."""
    tuned, state = debugging.state.tuned, debugging.state
    if tuned is None:
        return FrontPlot()
    measured = bool(tuned.device)
    # Where nothing was measured, what runs without INT8 is no variant to choose from: it has no place on the axis.
    places = [point.ms if measured else float(point.layers_in_int8) for point in tuned.points]
    heights, y_title, goal = _heights(tuned, state.target)
    on_front = {id(point) for point in tuned.front}
    kept = set(state.plan.keep)
    own = (i for i, p in enumerate(tuned.points) if p.plan is not None and set(p.plan.keep) == kept)
    return FrontPlot(
        x=tuple(places),
        y=heights,
        labels=tuple(map(_label, tuned.points)),
        front=tuple(sorted((i for i, p in enumerate(tuned.points) if id(p) in on_front), key=places.__getitem__)),
        chosen=next(own, -1),
        goal=goal,
        measured=measured,
        x_title=printable(f"ms per batch on {tuned.device}") if measured else "layers in INT8 (nothing was measured)",
        y_title=y_title,
    )


def _heights(tuned: TuneResult, target: float) -> tuple[tuple[float, ...], str, float]:
    """Return the points' accuracy, what that is, and the goal: SQNR where all have the same value."""
    measure = tuned.fp32.measure
    if len({value_text(point.score) for point in tuned.points}) == 1:
        decibels = [point.score.outputs.sqnr_db for point in tuned.points]
        most = max((value for value in decibels if math.isfinite(value)), default=0.0)
        exact = _EXACT_ABOVE * 10 * math.ceil(most / 10 + 0.5)
        return tuple(v if math.isfinite(v) else exact for v in decibels), f"SQNR (dB); {measure} is the same", math.nan
    percent = 100.0 if measure == "top-1" else 1.0
    title = "top-1 (%)" if measure == "top-1" else measure
    return tuple(percent * point.score.value for point in tuned.points), title, percent * goal_of(tuned.fp32, target)


def _range(values: Sequence[float]) -> list[float]:
    """Return the ends of an axis around some values."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = 0.08 * (high - low) or max(abs(high), 1.0) * 0.05
    return [low - room, high + room]


def _label(point: TunePoint) -> str:
    time = "" if math.isnan(point.ms) else f"<br>{milliseconds(point.ms)}"
    take = "<br>click to take its plan" if point.plan is not None else ""
    layers = count_of(point.layers_in_int8, "layer")
    return f"{plot_text(point.name)}<br>{value_text(point.score)}{time}<br>{layers} in INT8{take}"


class FrontView(FigureView):
    """The plot; a click on a point takes its plan."""

    clickable = (_OTHERS, _FRONT)

    def __init__(self) -> None:
        super().__init__()
        self._plot = FrontPlot()
        self._indices: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self.figure = new_figure(_traces(), _layout(), height=_HEIGHT)
        self.apply_theme("light")

    def clicked(self, trace: int, point: int) -> dict[str, Any] | None:
        """Return that the plan of a point is to be taken."""
        shown = self._indices[trace] if trace in self.clickable else ()
        return {"type": "take", "index": shown[point]} if point < len(shown) else None

    def render(self, plot: FrontPlot) -> None:
        """Draw the points, the front and the point of the plan of the moment."""
        if plot is self._plot:
            return
        self._plot = plot
        front = set(plot.front)
        self._indices = (tuple(i for i in range(len(plot.x)) if i not in front), plot.front)
        chosen = (plot.chosen,) if plot.chosen >= 0 else ()
        with self.filling():
            for trace, indices in zip(self.figure.data, (*self._indices, chosen), strict=True):
                trace.x = [plot.x[i] for i in indices]
                trace.y = [plot.y[i] for i in indices]
                trace.text = [plot.labels[i] for i in indices]
            self.figure.layout.xaxis.title.text, self.figure.layout.yaxis.title.text = plot.x_title, plot.y_title
            self.figure.layout.xaxis.range = _range(plot.x)
            self.figure.layout.yaxis.range = _range([*plot.y, plot.goal])
            goal = self.figure.layout.shapes[0]
            goal.visible = math.isfinite(plot.goal)
            if math.isfinite(plot.goal):
                goal.y0, goal.y1 = plot.goal, plot.goal

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        others, front, chosen = self.figure.data
        others.marker.color = LAYER_OWN[theme]
        front.marker.color = front.line.color = INT8[theme]
        chosen.marker.color = PLAN[theme]
        self.figure.layout.shapes[0].line.color = THEMES[theme].line


def _traces() -> list[dict[str, Any]]:
    words = {"hovertemplate": "%{text}<extra></extra>", "x": [], "y": []}
    return [
        {"type": "scatter", "mode": "markers", "name": "other variants",
         "marker": {"size": 9, "symbol": "circle-open"}, **words},
        {"type": "scatter", "mode": "lines+markers", "name": "none is both faster and more accurate",
         "line": {"width": 1.6, "shape": "hv"}, "marker": {"size": 10}, **words},
        {"type": "scatter", "mode": "markers", "name": "your plan", "hoverinfo": "skip", "x": [], "y": [],
         "marker": {"size": 18, "symbol": "circle-open", "line": {"width": 2.4}}},
    ]  # fmt: skip


def _layout() -> dict[str, Any]:
    return {
        "margin": {"l": 64, "r": 12, "t": 34, "b": 42, "autoexpand": False},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {"title": {"standoff": 4}},
        "yaxis": {"title": {"standoff": 6}},
        "shapes": [{"type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "visible": False,
                    "layer": "below", "line": {"width": 1, "dash": "dot"}}],
    }  # fmt: skip
