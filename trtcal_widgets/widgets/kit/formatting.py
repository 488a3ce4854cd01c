"""Numbers and names as screens take them: set for the eye, for Plotly, for JSON. No HTML leaves this module."""

from __future__ import annotations

import math
from typing import Any

from trtcal_widgets.common.words import printable, shorten_middle, significant

NO_NUMBER = "\u2013"
"""Stands where there is no number: a dash."""

_MINUS = "\u2212"
_CUT = 60
_FEW_SECONDS = 10.0


def typeset(value: float, digits: int = 3) -> str:
    """Return a number as :func:`~trtcal_widgets.common.words.significant` does, set for a screen.

    ``0.0123`` or ``1.23e−7``, with a real minus sign; a dash for nan, ∞ for inf.
    """
    if math.isnan(value):
        return NO_NUMBER
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    mantissa, e, power = significant(value, digits).partition("e")
    return (f"{mantissa}e{int(power)}" if e else mantissa).replace("-", _MINUS)


def exact(value: float) -> str:
    """Shortest text that reads back as the same float."""
    return repr(float(value))


def percent(fraction: float) -> str:
    """``0.0234 %``: three significant digits."""
    text = typeset(100.0 * fraction)
    return text if text == NO_NUMBER else f"{text} %"


def duration(seconds: float) -> str:
    """``2.1 s``, ``45 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < _FEW_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plot_text(name: str, longest: int = _CUT) -> str:
    """Return a name for Plotly, which reads ``<b>`` and ``&amp;`` as markup: escaped, and cut in the middle."""
    name = shorten_middle(printable(name), longest)
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def round_for_row(value: float) -> Any:
    """Return a number for a list row: five significant digits are shown, more need not travel."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
