"""One colour, dash and marker per threshold method, the same wherever a method is shown.

The colours are Okabe and Ito's ("Color Universal Design", 2008), which people with any common kind of colour
blindness can tell apart; the darker ones are lightened on a dark background. A dash and a marker say the same again
without colour. The user's own choice is drawn in the text colour: the strongest mark on either background.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Theme = Literal["light", "dark"]


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn.

    ``light``, ``dark``: CSS colours on a light and on a dark background. ``dash``: plotly's dash name. ``marker``:
    plotly's symbol name; the list and the chips draw the same shape. ``mpl_marker``, ``mpl_dash``: the same for
    matplotlib.
    """

    light: str
    dark: str
    dash: str
    marker: str
    mpl_marker: str
    mpl_dash: str

    def color(self, theme: Theme) -> str:
        """Return the colour on a theme's background."""
        return self.dark if theme == "dark" else self.light


MINE = "mine"
"""Key of the user's own threshold."""

METHOD_STYLES: Mapping[str, MethodStyle] = MappingProxyType(
    {
        "entropy": MethodStyle("#0072b2", "#56b4e9", "solid", "circle", "o", "-"),
        "minmax": MethodStyle("#c24e00", "#ff8a3d", "dash", "square", "s", "--"),
        "percentile": MethodStyle("#00835f", "#2ec99b", "dot", "triangle-up", "^", ":"),
        "mse": MethodStyle("#a8588a", "#e29ac4", "dashdot", "triangle-down", "v", "-."),
        "legacy": MethodStyle("#6e4a1f", "#e6b422", "longdash", "hexagon", "h", "--"),
        MINE: MethodStyle("#111827", "#f9fafb", "solid", "diamond", "D", "-"),
    }
)


def style_of(label: str) -> MethodStyle:
    """Return the style of a method's text or label: ``percentile:99.9``, ``p99.9``, ``mine``."""
    kind = label.partition(":")[0]
    if kind[:1] == "p" and kind[1:2].isdigit():
        kind = "percentile"
    return METHOD_STYLES.get(kind, METHOD_STYLES[MINE])


@dataclass(frozen=True)
class ThemeColors:
    """Colours of everything in a plot that is no method. CSS colours."""

    text: str
    faint: str
    grid: str
    line: str
    histogram: str
    histogram_line: str
    clipped: str
    hover: str
    selected: str


THEMES: Mapping[Theme, ThemeColors] = MappingProxyType(
    {
        "light": ThemeColors(
            text="#24292f",
            faint="#656d76",
            grid="rgba(27,31,36,0.08)",
            line="rgba(27,31,36,0.30)",
            histogram="rgba(87,106,128,0.32)",
            histogram_line="rgba(66,84,105,0.85)",
            clipped="rgba(194,40,40,0.13)",
            hover="#ffffff",
            selected="rgba(25,118,210,0.22)",
        ),
        "dark": ThemeColors(
            text="#e6e8eb",
            faint="#a3abb5",
            grid="rgba(255,255,255,0.08)",
            line="rgba(255,255,255,0.32)",
            histogram="rgba(150,172,198,0.30)",
            histogram_line="rgba(178,198,222,0.90)",
            clipped="rgba(255,110,110,0.17)",
            hover="#1c2128",
            selected="rgba(100,181,246,0.30)",
        ),
    }
)


INT8: Mapping[Theme, str] = MappingProxyType({"light": "#6a3fc4", "dark": "#b79bff"})
INT8_FILL: Mapping[Theme, str] = MappingProxyType({"light": "rgba(106,63,196,0.10)", "dark": "rgba(183,155,255,0.12)"})
ERROR: Mapping[Theme, str] = MappingProxyType({"light": "#c22828", "dark": "#ff8a80"})
ERROR_FILL: Mapping[Theme, str] = MappingProxyType({"light": "rgba(194,40,40,0.16)", "dark": "rgba(255,138,128,0.18)"})
PLAN: Mapping[Theme, str] = MappingProxyType({"light": "#0b7285", "dark": "#3bc9db"})
LAYER_OWN: Mapping[Theme, str] = MappingProxyType({"light": "#57606a", "dark": "#b1bac4"})
LAYER_OUT: Mapping[Theme, str] = MappingProxyType({"light": "#b35900", "dark": "#ffb454"})
DRAWS: Mapping[str, Mapping[Theme, str]] = MappingProxyType(
    {
        "two-pass": MappingProxyType({"light": "#0072b2", "dark": "#56b4e9"}),
        "one-pass": MappingProxyType({"light": "#b35900", "dark": "#ffb454"}),
    }
)
"""Thresholds of random draws of the batches, by how these were counted."""
DRAWS_FILL: Mapping[str, Mapping[Theme, str]] = MappingProxyType(
    {
        "two-pass": MappingProxyType({"light": "rgba(0,114,178,0.15)", "dark": "rgba(86,180,233,0.16)"}),
        "one-pass": MappingProxyType({"light": "rgba(179,89,0,0.13)", "dark": "rgba(255,180,84,0.14)"}),
    }
)
