"""What all plots have in common: the FigureWidget, its theme, its draggable line.

Plotly is imported when the first plot is made. Sizes are fixed by the layout; widths follow the page.
"""

from __future__ import annotations

import math
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.palette import THEMES
from trtcal_widgets.common.words import printable
from trtcal_widgets.widgets.kit.assets import plotly_script, script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


_WHOLE = frozenset({"_widget_layout", "_widget_data"})
"""What holds a whole figure. A change is sent by itself: a copy of thousands of values for each would take long."""


def new_figure(traces: list[dict[str, Any]], layout: dict[str, Any], *, height: int, static: bool = False) -> Any:
    """Return a FigureWidget without Plotly's own decoration, ``height`` pixels high and as wide as the page.

    All traces are made here: later only their data change. ``static`` switches zooming off.
    """
    axis = {
        "zeroline": False,
        "showline": True,
        "mirror": False,
        "ticks": "outside",
        "ticklen": 3,
        "fixedrange": static,
    }
    axes = {key: {**axis, **value} for key, value in layout.items() if key[1:5] == "axis"}
    common = {
        "template": _template(frozenset(trace["type"] for trace in traces)),
        "height": height,
        "autosize": True,
        "hovermode": "closest",
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 11},
        "margin": {"l": 56, "r": 12, "t": 10, "b": 34},
        "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 12}},
        "dragmode": False if static else "zoom",
    }
    figure = _figure_class()(traces, {**common, **layout, **axes})
    _configure(figure, displayModeBar=False, responsive=True, scrollZoom=False, doubleClick="autosize")
    figure.add_class("tc-figure")
    return figure


_DRAWN = (
    "annotationdefaults",
    "autotypenumbers",
    "colorway",
    "font",
    "hovermode",
    "shapedefaults",
    "title",
    "xaxis",
    "yaxis",
)
"""What of the layout of Plotly's template reaches a plot with two axes. Sizes and colours of the whole are our own."""


class _WhenUsed(ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            raise AttributeError(f"{self.__name__} is not imported yet")
        return getattr(import_module(self.__name__), name)


@cache
def _load_plotly() -> None:
    """Import Plotly, and give it nbformat for when it uses it.

    It asks for nbformat at once, for figures that are no widgets. With that comes jsonschema and, where JupyterLab is
    installed, a grammar of web addresses that takes longer to be compiled than all the rest to be loaded.
    """
    later = _WhenUsed("nbformat")
    if "nbformat" not in sys.modules and find_spec("nbformat") is not None:
        sys.modules["nbformat"] = later
    try:
        import_module("plotly.basewidget")
    finally:
        if sys.modules.get("nbformat") is later:
            del sys.modules["nbformat"]


@cache
def _template(kinds: frozenset[str]) -> dict[str, Any]:
    """Return Plotly's own template without what other kinds of plots have: a tenth of it, and three copies a figure."""
    _load_plotly()
    import plotly.io as pio

    whole = pio.templates["plotly"].to_plotly_json()
    layout = {key: value for key, value in whole["layout"].items() if key in _DRAWN}
    return {"data": {kind: whole["data"][kind] for kind in kinds if kind in whole["data"]}, "layout": layout}


@cache
def _figure_class() -> Any:
    """Make the class when the first plot is made: importing Plotly takes a second."""
    from copy import deepcopy

    import ipywidgets
    import traitlets

    _load_plotly()
    import plotly.graph_objects as go

    class Figure(go.FigureWidget):  # type: ignore[misc] # plotly has no types
        """A FigureWidget that shares Plotly's script with the others, and whose state is up to date when it is read.

        Plotly's objects are no friends of threads: one that draws and one that reads meet in a dictionary that changes.

        FigureWidget makes its state once and sends changes behind it as messages. A page that is opened later, or
        that was still loading Plotly's script when the messages came, would show the figure as it was first made.
        """

        _esm = script("kit/figure")
        script = traitlets.Instance(ipywidgets.Widget).tag(sync=True, **ipywidgets.widget_serialization)
        fresh = traitlets.Int(0).tag(sync=True)
        caption = traitlets.Unicode("").tag(sync=True)
        one_thread: Any = None
        """Held by the thread that changes or reads the figure."""

        @traitlets.default("script")
        def _script(self) -> Any:
            return plotly_script()

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.one_thread = threading.RLock()
            super().__init__(*arguments, **options)

        def _handler_js2py_traceDeltas(self, change: Any) -> None:  # noqa: N802 - FigureWidget's name
            """Do not let the browser's defaults take the place of what was set here: the state would lose it."""

        def _handler_js2py_layoutDelta(self, change: Any) -> None:  # noqa: N802 - FigureWidget's name
            """Likewise."""

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> Any:
            with self.one_thread:
                asked = None if key is None else {key} if isinstance(key, str) else set(key)
                whole = asked is None or not asked.isdisjoint(_WHOLE)
                if whole and getattr(self, "_layout_obj", None) is not None:
                    values = self._trait_values
                    values["_widget_layout"] = deepcopy(self._layout_obj._props)  # noqa: SLF001 - see above
                    values["_widget_data"] = deepcopy(self._data)
                return super().get_state(key, drop_defaults)

        def send_whole(self) -> None:
            """Send the figure as it is now, for a view that is about to be made."""
            self.send_state(["_widget_layout", "_widget_data"])

    return Figure


def make_draggable(figure: Any) -> None:
    """Let the user drag the shapes of a figure. Plotly reports a drag when it is let go."""
    _configure(figure, edits={"shapePosition": True})


def _configure(figure: Any, **options: Any) -> None:
    """Set options of Plotly.js. FigureWidget has no public way; only this helper knows the private one."""
    figure._config = {**figure._config, **options}  # noqa: SLF001 - see above


class FigureView:
    """A plot: one figure, drawn from frozen values, and what the user means by a click or a drag in it.

    ``rendering`` is true while a view is being filled: what Plotly reports then are echoes of our own changes.
    """

    figure: Any
    clickable: tuple[int, ...] = ()
    """Traces whose points can be clicked."""

    watched = ""
    """What of the layout the user drags."""

    follows_zoom = False
    """Whether :meth:`zoomed` is to hear of another window of the x axis."""

    def __init__(self) -> None:
        self.rendering = False
        self.theme: Theme = "light"

    def clicked(self, trace: int, point: int) -> dict[str, Any] | None:
        """Return the event that a click means, as a panel would send it; None where there is none."""

    def moved(self, value: Any) -> dict[str, Any] | None:
        """Return the event that a drag to ``value`` means; None where there is none."""

    def zoomed(self, low: float, high: float) -> dict[str, Any] | None:
        """Return the event that a zoom of the x axis means; None where there is none."""

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Collect changes into one message to the browser, and ignore their echoes."""
        with self.figure.one_thread:
            before, self.rendering = self.rendering, True
            try:
                with self.figure.batch_update():
                    yield
            finally:
                self.rendering = before

    def call(self, caption: str) -> None:
        """Say what the plot shows: the title and the name of the picture that a user saves of it."""
        self.figure.caption = printable(caption)

    def apply_theme(self, theme: Theme) -> None:
        """Draw in a theme's colours."""
        self.theme = theme
        colors = THEMES[theme]
        layout = self.figure.layout
        with self.filling():
            layout.font.color = colors.text
            layout.hoverlabel.bgcolor = colors.hover
            layout.hoverlabel.bordercolor = colors.line
            layout.hoverlabel.font.color = layout.legend.font.color = colors.text
            for note in layout.annotations:
                note.font.color = colors.faint
            for axis in (layout[name] for name in layout.to_plotly_json() if name[1:5] == "axis"):
                axis.gridcolor = colors.grid
                axis.linecolor = axis.tickcolor = colors.line
                axis.tickfont.color = axis.title.font.color = colors.faint
            self.recolor(theme)

    def recolor(self, theme: Theme) -> None:
        """Colour the traces; called within :meth:`filling`."""


def range_of(*parts: Any, room: float) -> list[float]:
    """Return the ends of an axis of thresholds on which all finite values have some room, as a share of their span."""
    values = np.concatenate([np.zeros(0), *(np.asarray(part, np.float64).ravel() for part in parts)])
    values = values[np.isfinite(values)]
    if not values.size or values.max() <= 0:
        return [0.0, 1.0]
    low, high = float(values.min()), float(values.max())
    around = max(room * (high - low), 0.02 * high)
    return [max(0.0, low - around), high + around]


def set_ends(axis: Any, low: float, high: float, *, log: bool = False) -> None:
    """Show an axis from ``low`` to ``high``, and no more when it is zoomed out."""
    axis.range = [math.log10(low), math.log10(high)] if log else [low, high]
    axis.autorangeoptions = {"minallowed": low, "maxallowed": high}


def set_step(axis: Any, step: float | None) -> None:
    """Put an axis' ticks ``step`` apart; None: as many as there is room for.

    The mode is always said. To Plotly a change of ``dtick`` means "linear", which stays when ``dtick`` is taken away:
    ticks are then 1 apart, and an axis of hundreds takes the page seconds to draw.
    """
    axis.tickmode, axis.dtick = ("auto", None) if step is None else ("linear", step)


def set_columns(axis: Any, n: int, names: Sequence[str] | None) -> None:
    """Give an axis ``n`` columns in graph order, with their names where these have room."""
    set_ends(axis, -0.6, max(n, 1) - 0.4)
    axis.tickmode = "auto" if names is None else "array"
    axis.tickvals = None if names is None else list(range(n))
    axis.ticktext = None if names is None else list(names)
    axis.title.text = "tensor in graph order" if names is None else ""


def mark_column(band: Any, at: int | None, n: int) -> None:
    """Put the band of the chosen tensor at its column, of ``n``."""
    band.visible = at is not None
    if at is not None:
        half = max(0.5, 0.0016 * n)
        band.x0, band.x1 = at - half, at + half


BAND = {"type": "rect", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "visible": False,
        "line": {"width": 0}, "layer": "below"}  # fmt: skip
"""The shape that marks a column."""


def words_inside(text: str, *, size: float = 12, visible: bool = False) -> dict[str, Any]:
    """Return an annotation in the middle of a plot, for where there is nothing to draw."""
    return {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False, "visible": visible, "text": text,
            "font": {"size": size}}  # fmt: skip


LOG_FLOOR = 0.5
"""Where a log axis of counts begins."""


def shown_counts(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the counts up to the last bin that holds something, float32; empty bins lie below a log axis.

    Nothing is thinned out: 2048 bins are 8 kB, and no peak is lost.
    """
    occupied = np.flatnonzero(counts)
    used = int(occupied[-1]) + 2 if occupied.size else 0
    return np.maximum(counts[:used], LOG_FLOOR / 4).astype(np.float32)


_PLOT_WIDTH = 480.0
"""The narrowest plot that is laid out for, in pixels: in a wider one labels are further apart still."""

_CHARACTER = 7.0
"""Of bold type, with a gap to the next label."""

_GLYPH = 16.0
_MOST_LANES = 4


@dataclass(frozen=True)
class Place:
    """A label's lane (0 is the lowest) and which of its ends is at the line."""

    lane: int
    anchor: str


def lanes(positions: Sequence[float], lengths: Sequence[int]) -> list[Place]:
    """Return a place for every label, from its line's share of the axis (0 to 1) and its length in characters."""
    places = [Place(0, "center")] * len(positions)
    ends = [float("-inf")] * _MOST_LANES
    for i in sorted(range(len(positions)), key=lambda i: positions[i]):
        width = lengths[i] * _CHARACTER + _GLYPH
        at = positions[i] * _PLOT_WIDTH
        anchor, left = "center", at - width / 2
        if left < 0:
            anchor, left = "left", at
        elif at + width / 2 > _PLOT_WIDTH:
            anchor, left = "right", at - width
        lane = next((k for k, end in enumerate(ends) if left >= end), None)
        if lane is None:
            lane = min(range(_MOST_LANES), key=lambda k: ends[k])
        ends[lane] = left + width
        places[i] = Place(lane, anchor)
    return places
