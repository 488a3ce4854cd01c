"""Numbers and names as people read them. Pure text: no HTML leaves this module."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

__all__ = [
    "NO_NUMBER",
    "duration",
    "exact",
    "json_number",
    "percent",
    "plot_text",
    "printable",
    "round_for_row",
    "significant",
]

NO_NUMBER = "\u2013"
"""Stands where there is no number: a dash."""

_MINUS = "\u2212"
_CUT = 60
_FEW_SECONDS = 10.0


def significant(value: float, digits: int = 3) -> str:
    """Three significant digits, ``0.0123`` or ``1.23e-7``; a dash for nan, ∞ for inf."""
    if math.isnan(value):
        return NO_NUMBER
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -4 <= exponent < digits + 2:
        return f"{value:.{max(digits - 1 - exponent, 0)}f}".replace("-", _MINUS)
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa}e{int(power)}".replace("-", _MINUS)


def exact(value: float) -> str:
    """Shortest text that reads back as the same float."""
    return repr(float(value))


def percent(fraction: float) -> str:
    """``0.0234 %``: three significant digits."""
    text = significant(100.0 * fraction)
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


def printable(name: str) -> str:
    r"""Return a tensor's name on one line: what cannot be seen is spelt as in Python (a line break: ``\n``)."""
    if name.isprintable():
        return name
    return "".join(_visible(c) for c in name)


def _visible(character: str) -> str:
    # Format characters (Cf) turn text around (RTL override) or hide; lone surrogates cannot be sent as UTF-8.
    hidden = unicodedata.category(character) in ("Cf", "Cc", "Cs", "Co", "Zl", "Zp")
    return character.encode("unicode_escape").decode("ascii") if hidden else character


def plot_text(name: str, longest: int = _CUT) -> str:
    """Return a name for Plotly, which reads ``<b>`` and ``&amp;`` as markup: escaped, and cut in the middle."""
    name = printable(name)
    if len(name) > longest:
        name = f"{name[: longest // 2]}…{name[-(longest // 2) :]}"
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def json_number(value: float) -> float | None:
    """Return a number that JSON can hold: None for nan and infinities."""
    return value if math.isfinite(value) else None


def round_for_row(value: float) -> Any:
    """Return a number for a list row: five significant digits are shown, more need not travel."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
