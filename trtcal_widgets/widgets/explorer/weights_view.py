"""The weights behind the chosen tensor: the range of each output channel as a bar, badly served ones marked."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import THEMES, style_of
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.widgets.kit.figures import FigureView, new_figure, set_ends, set_step, words_inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme
    from trtcal_widgets.session.weights import WeightChannels

__all__ = ["WeightsView", "weights_note"]

_FED, _STARVED = 0, 1
_NONE = "no layer with weights makes this tensor, or its weights are not counted yet"
_NARROW = 60


def weights_note(channels: WeightChannels | None) -> str:
    """Say in one line whose weights these are, and how many channels one scale for all would serve badly."""
    if channels is None:
        return ""
    before = "" if not channels.steps else f", {count_of(channels.steps, 'operator')} before"
    n, starved = len(channels.levels), int(channels.starved.sum())
    parts = [f"{printable(channels.layer)} ({channels.op_type}{before})", count_of(n, "channel")]
    if starved:
        parts.append(f"{starved:,} would reach fewer than 8 of 127 levels if all shared one scale")
    return " · ".join(parts)


class WeightsView(FigureView):
    """The plot."""

    def __init__(self) -> None:
        super().__init__()
        self._channels: WeightChannels | None = None
        self.figure = new_figure(_traces(), _layout(), height=172)
        self.apply_theme("light")
        self._show_words(shown=True)

    def render(self, channels: WeightChannels | None, name: str) -> None:
        """Draw the ranges; words where there are none."""
        if channels is self._channels:
            return
        self._channels = channels
        self.call(f"weights of {channels.layer} by channel" if channels else f"no weights behind {name}")
        with self.filling():
            self._show_words(shown=channels is None)
            if channels is None:
                for trace in self.figure.data:
                    trace.x = trace.y = trace.base = trace.customdata = []
                self.figure.layout.shapes[0].visible = False
                return
            starved = channels.starved
            self._fill(_FED, channels, ~starved)
            self._fill(_STARVED, channels, starved)
            self._draw_axes(channels)

    def _show_words(self, *, shown: bool) -> None:
        layout = self.figure.layout
        layout.annotations[0].visible = shown
        layout.xaxis.showticklabels = layout.yaxis.showticklabels = not shown

    def _fill(self, k: int, channels: WeightChannels, wanted: NDArray[np.bool_]) -> None:
        trace, at = self.figure.data[k], np.flatnonzero(wanted).astype(np.int32)
        trace.x = at
        trace.base = channels.minimum[at]
        trace.y = channels.maximum[at] - channels.minimum[at]
        trace.customdata = np.stack([channels.minimum[at], channels.maximum[at], channels.levels[at]], axis=1)

    def _draw_axes(self, channels: WeightChannels) -> None:
        n, largest = len(channels.levels), float(channels.amax.max(initial=0.0)) or 1.0
        layout = self.figure.layout
        set_ends(layout.xaxis, -0.7, n - 0.3)
        set_step(layout.xaxis, 1 if n <= 10 else 2 if n <= 24 else None)
        set_ends(layout.yaxis, -1.06 * largest, 1.06 * largest)
        band = layout.shapes[0]
        band.visible = True
        # Below level 7.5: what is inside reaches fewer than 8 levels.
        band.y0, band.y1 = -7.5 / 127 * largest, 7.5 / 127 * largest

    def recolor(self, theme: Theme) -> None:
        """Colour everything anew."""
        colors = THEMES[theme]
        fed, starved = (self.figure.data[k].marker for k in (_FED, _STARVED))
        fed.color, fed.line.color = colors.histogram, colors.histogram_line
        starved.color = starved.line.color = style_of("minmax").color(theme)
        self.figure.layout.shapes[0].fillcolor = colors.clipped


def _traces() -> list[dict[str, Any]]:
    words = (
        "channel %{x}<br>%{customdata[0]:.4g} to %{customdata[1]:.4g}<br>"
        "level %{customdata[2]} of 127, if all channels shared one scale<extra></extra>"
    )
    bar = {"type": "bar", "x": [], "y": [], "base": [], "width": 0.76, "marker": {"line": {"width": 0.6}},
           "hovertemplate": words, "textposition": "none"}  # fmt: skip
    return [dict(bar), dict(bar)]


def _layout() -> dict[str, Any]:
    band = {"type": "rect", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "visible": False,
            "line": {"width": 0}, "layer": "below"}  # fmt: skip
    return {
        "margin": {"l": 58, "r": 10, "t": 6, "b": 34},
        "barmode": "overlay",
        "xaxis": {"title": {"text": "output channel", "standoff": 2}, "showgrid": False, "range": [0, 1],
                  "tickangle": 0},
        "yaxis": {"title": {"text": "weights", "standoff": 4}, "nticks": 5, "range": [-1, 1], "tickformat": "~g"},
        "shapes": [band],
        "annotations": [words_inside("<br>".join(wrap(_NONE, _NARROW)))],
    }  # fmt: skip
