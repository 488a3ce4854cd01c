"""What all static pictures share: the sheet they are drawn on, text that is never markup, axes with a log scale.

Drawn with matplotlib's objects alone: nothing is registered with pyplot, no backend is chosen, and the user's style
settings do not show through.
"""

from __future__ import annotations

import io
import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable, shorten_middle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trtcal_widgets.common.palette import Theme

_DPI = 100
ACCENTS = {
    "data": ("#6b7785", "#9aa7b5"),
    "bars": ("#aeb9c5", "#4d5866"),
    "clipped": ("#c2402a", "#ff7b6b"),
    "other": ("#c24e00", "#ff8a3d"),
    "selected": ("#1976d2", "#64b5f6"),
    "error": ("#c9302c", "#ff7b72"),
}
"""Opaque colours, (light, dark), of what is no method: bars, the clipped range, a second file, odd rows."""

_FAR = 6.0
"""Decades from the median beyond which a threshold is drawn at the edge: constants of 1e38 occur in real caches."""

_DRAWING = threading.Lock()
"""matplotlib's settings are global; they are set for the length of a drawing."""


def to_png(draw: Callable[[Figure], None], width: int, aspect: float, *, dark: bool) -> bytes:
    """Return what ``draw`` draws on a figure of ``width`` pixels, ``width * aspect`` high, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    colors = ("#111111", "#e6e6e6", "#3a3a3a") if dark else ("#ffffff", "#1f2328", "#dddddd")
    settings = {"font.size": 9, "legend.facecolor": colors[0], "legend.edgecolor": colors[2]}
    target = io.BytesIO()
    with sheet(width, width * aspect, colors, settings, dpi=_DPI) as figure:
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.print_png(target)  # type: ignore[no-untyped-call]
    return target.getvalue()


@contextmanager
def sheet(
    width: float, height: float, colors: tuple[str, str, str], settings: Mapping[str, Any], *, dpi: int
) -> Iterator[Figure]:
    """Give a figure of this size in pixels, in (background, foreground, grid), while it is drawn on."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    back, fore, grid = colors
    wanted: Any = {
        **mpl.rcParamsDefault,
        "figure.facecolor": back, "axes.facecolor": back, "savefig.facecolor": back,
        "text.color": fore, "axes.labelcolor": fore, "axes.edgecolor": fore,
        "xtick.color": fore, "ytick.color": fore, "grid.color": grid, "axes.grid": True,
        "text.parse_math": False, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
        **settings,
    }  # fmt: skip
    wanted.pop("backend", None)  # setting it, even to what it is, would choose one
    with _DRAWING, mpl.rc_context(wanted):
        yield Figure(figsize=(width / dpi, height / dpi), dpi=dpi)


def set_log_range(axes: Axes, values: NDArray[np.float64]) -> None:
    """Show all values that can be shown, but not so far from the middle that the others become a line."""
    drawable = values[(values > 0) & np.isfinite(values)]
    axes.set_yscale("log")
    plain_log_ticks(axes)
    if drawable.size:
        logs = np.log10(drawable)
        middle = float(np.median(logs))
        low, high = max(float(logs.min()), middle - _FAR), min(float(logs.max()), middle + _FAR)
    else:
        low, high = -1.0, 1.0
    margin = max(0.08 * (high - low), 0.15)
    axes.set_ylim(10.0 ** (low - margin), 10.0 ** (high + margin))


def plain_log_ticks(axes: Axes) -> None:
    """Label the decades of the y axis in plain text, without ticks between them."""
    from matplotlib.ticker import NullLocator

    axes.yaxis.set_major_formatter(_plain_number)
    axes.yaxis.set_minor_locator(NullLocator())


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _plain_number(value: float, _position: float) -> str:
    """Label a tick without mathtext, which is switched off: powers of ten beyond a hundred with their exponent."""
    power = round(math.log10(value)) if value > 0 else 0
    if abs(power) < 3 or not math.isclose(value, 10.0**power):
        return f"{value:g}"
    return "10" + str(power).translate(_SUPERSCRIPT)


def accent(name: str, *, dark: bool) -> str:
    """Return an opaque colour of :data:`ACCENTS`."""
    return ACCENTS[name][1 if dark else 0]


def theme_of(*, dark: bool) -> Theme:
    """Return the palette's word for it."""
    return "dark" if dark else "light"


def name_of(name: str, width: int = 60) -> str:
    """Return a tensor's name on one line, cut in the middle, with escapes for what the font lacks."""
    return text_of(shorten_middle(printable(name), width))


def text_of(text: str) -> str:
    """Return the text with an escape for every character that matplotlib's own font lacks (it would warn)."""
    from matplotlib.font_manager import findfont, get_font

    has = get_font(findfont("DejaVu Sans")).get_char_index
    return "".join(c if c == "\n" or has(ord(c)) else ascii(c)[1:-1] for c in _printable_lines(text))


def _printable_lines(text: str) -> str:
    """Make every line printable, and keep the line breaks that we made ourselves."""
    return "\n".join(printable(line) for line in text.split("\n"))
