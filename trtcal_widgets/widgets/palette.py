"""One look per method, the same in every plot, list and static picture.

The colours are told apart by people with red-green colour blindness too (they start from the palette of Okabe and Ito,
"Color Universal Design", 2008), and each method has a dash pattern and a marker of its own as well. The colour of a
method has a twin for dark backgrounds: both have a contrast of at least 3:1, as WCAG 2.1 (1.4.11) asks of graphics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.core.thresholds import Method

__all__ = ["ACCENTS", "MINE", "STYLES", "MethodStyle", "style_of"]


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn.

    Attributes
    ----------
    light, dark
        Colour on a light and on a dark background, ``#rrggbb``.
    dash
        Line pattern by plotly's name: ``solid``, ``dash``, ``dot``, ``dashdot`` or ``longdash``.
    marker
        Marker by plotly's name: ``circle``, ``square``, …
    width
        Line width in pixels.
    """

    light: str
    dark: str
    dash: str
    marker: str
    width: float = 2.0

    def colour(self, *, dark: bool = False) -> str:
        """Return the colour for a background."""
        return self.dark if dark else self.light

    @property
    def matplotlib_dash(self) -> str | tuple[int, tuple[int, ...]]:
        """The line pattern as matplotlib takes it."""
        return _MATPLOTLIB_DASHES[self.dash]

    @property
    def matplotlib_marker(self) -> str:
        """The marker as matplotlib names it."""
        return _MATPLOTLIB_MARKERS[self.marker]


_MATPLOTLIB_DASHES: dict[str, str | tuple[int, tuple[int, ...]]] = {
    "solid": "solid",
    "dash": (0, (6, 3)),
    "dot": (0, (1, 2)),
    "dashdot": (0, (6, 2, 1, 2)),
    "longdash": (0, (10, 3)),
}
_MATPLOTLIB_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle-up": "^",
    "triangle-down": "v",
    "cross": "P",
    "diamond": "D",
}

MINE = "mine"
"""Key of the user's own threshold in :data:`STYLES`."""

STYLES: dict[str, MethodStyle] = {
    "entropy": MethodStyle("#0072b2", "#56b4e9", "solid", "circle"),
    "minmax": MethodStyle("#c04a00", "#ff9248", "dash", "square"),
    "percentile": MethodStyle("#00795a", "#2cc39a", "dashdot", "triangle-up"),
    "mse": MethodStyle("#a8447f", "#e79ac6", "dot", "triangle-down"),
    "legacy": MethodStyle("#6e4a1f", "#ffe98a", "longdash", "cross"),
    MINE: MethodStyle("#111111", "#ffffff", "solid", "diamond", 3.5),
}
"""A style per kind of method (``Method.kind``), and the user's own threshold, which has the strongest mark."""

ACCENTS = {
    "data": ("#6b7785", "#9aa7b5"),
    "clipped": ("#d9a08a", "#8a5a48"),
    "other": ("#c04a00", "#ff9248"),
    "warning": ("#9a6700", "#e3b341"),
    "error": ("#c9302c", "#ff7b72"),
}
"""Colours, (light, dark), of what is no method: histogram bars, clipped bars, a second file, oddities."""


def style_of(method: str | Method) -> MethodStyle:
    """Return the style of a method, of its text (``"percentile:99.9"``) or label (``"p99.9"``), or of ``"mine"``."""
    kind = method if isinstance(method, str) else method.kind
    kind = kind.partition(":")[0]
    if kind not in STYLES and kind[:1] == "p" and kind[1:2].isdigit():
        kind = "percentile"
    return STYLES[kind]
