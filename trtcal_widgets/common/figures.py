"""Figures with their unit: one way to write a percentage, decibels and a time, for texts, tables and screens.

What was measured has three significant digits (:func:`~trtcal_widgets.common.words.significant`); what was given, a
goal or a bar, is written as it was given (:func:`plain`): "0.5 dB", not "0.500 dB".
"""

from __future__ import annotations

import math

from trtcal_widgets.common.words import significant

NO_NUMBER = "\u2013"
"""Stands where there is no number: a dash."""

_INFINITE = "∞"
_FEW_SECONDS = 9.95
_SHORT = 0.05

AS_GIVEN = 8
"""Digits of what was given: more than anybody gives."""


def plain(value: float, digits: int = 3) -> str:
    """Return a figure without zeros behind it: ``0.5``, ``30``, ``12.5``, ``1e-07``; at most ``digits`` of it."""
    if not math.isfinite(value):
        return _not_finite(value)
    mantissa, e, power = significant(value, digits).partition("e")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + e + power


def percent(fraction: float, digits: int = 3) -> str:
    """Return a share of one: ``12.5 %``, ``0.0234 %``; less than all is never ``100 %``.

    ``digits``: at most so many of it: more for a goal that was given, which is no other one for being written.
    """
    if not math.isfinite(fraction):
        return _not_finite(fraction)
    text = plain(100.0 * fraction, digits)
    return f"{'99.9' if text == '100' and fraction < 1.0 else text} %"


def decibels(value: float, *, column: bool = False) -> str:
    """Return ``31.2 dB``, ``9.53 dB``, ``0.5 dB``, ``∞ dB`` for what is exact; a dash for nan.

    ``column``: with one decimal always, as figures below each other have it.
    """
    if not math.isfinite(value):
        return NO_NUMBER if math.isnan(value) else f"{_not_finite(value)} dB"
    if not column and 0 < abs(value) < 0.005:
        return "<0.01 dB"
    text = f"{value:.{1 if column or abs(value) >= 9.995 else 2}f}"
    text = text if column else text.rstrip("0").rstrip(".")
    return f"{text.removeprefix('-') if float(text) == 0 else text} dB"


def milliseconds(value: float) -> str:
    """Return ``0.3124 ms``, ``12.35 ms``: four digits, because what is compared differs by percents; a dash for nan."""
    return f"{significant(value, 4)} ms" if math.isfinite(value) else _not_finite(value)


def duration(seconds: float) -> str:
    """Return ``<0.1 s``, ``2.1 s``, ``45 s``, ``3 min 05 s``, ``2 h 10 min``; a dash where it is not known."""
    if not math.isfinite(seconds):
        return NO_NUMBER
    if seconds < _FEW_SECONDS:
        return "<0.1 s" if seconds < _SHORT else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _not_finite(value: float) -> str:
    return NO_NUMBER if math.isnan(value) else _INFINITE if value > 0 else f"-{_INFINITE}"
