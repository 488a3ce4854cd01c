"""Numbers and names as screens take them: set for the eye, for Plotly, for JSON. No HTML leaves this module."""

from __future__ import annotations

import math
import re
from typing import Any

from trtcal_widgets.common import figures
from trtcal_widgets.common.figures import NO_NUMBER
from trtcal_widgets.common.words import printable, shorten_middle, significant

_MINUS = "\u2212"
_CUT = 60
_EXPONENT = re.compile(r"(?<=\d)e\+?(-?)0*(?=\d)")


def typeset(value: float, digits: int = 3) -> str:
    """Return a number as :func:`~trtcal_widgets.common.words.significant` does, set for a screen.

    ``0.0123`` or ``1.23e−7``, with a real minus sign; a dash for nan, ∞ for inf.
    """
    if math.isnan(value):
        return NO_NUMBER
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return _set(significant(value, digits))


def _set(text: str) -> str:
    return _EXPONENT.sub(r"e\1", text).replace("-", _MINUS)


def exact(value: float) -> str:
    """Shortest text that reads back as the same float."""
    return repr(float(value))


def percent(fraction: float) -> str:
    """Return a share as :func:`~trtcal_widgets.common.figures.percent` does, set for a screen."""
    return _set(figures.percent(fraction))


def decibels(value: float) -> str:
    """Return a ratio as :func:`~trtcal_widgets.common.figures.decibels` does, set for a column of a screen."""
    return _set(figures.decibels(value, column=True))


def plot_text(name: str, longest: int = _CUT) -> str:
    """Return a name for Plotly, which reads ``<b>`` and ``&amp;`` as markup: escaped, and cut in the middle."""
    name = shorten_middle(printable(name), longest)
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def round_for_row(value: float) -> Any:
    """Return a number for a list row: five significant digits are shown, more need not travel."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
