"""What a plan is to reach, and whether it does: values are compared as they are shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import number
from trtcal_widgets.common.words import significant
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from trtcal_widgets.runners.evaluation import Score

_CUSTOM_DIGITS = 4
_NO_LOSS = 1e-9
"""What is left of equal values by rounding."""


def checked_target(target: Any) -> float:
    """Return a goal as a share of FP32's value.

    Raises UsageError if it is no number greater than 0 and at most 1.
    """
    share = number(target, "target")
    if not 0 < share <= 1:
        raise UsageError(f"target is a share of FP32's accuracy, greater than 0 and at most 1, not {target}")
    return share


def goal_of(fp32: Score, target: float) -> float:
    """Return the value that is a share of FP32's, in the unit of :attr:`Score.value`.

    ``target``: the share, 0 to 1. Of a measure below 0, where nearer to 0 is better, as much may be lost: of -2.0 a
    target of 0.99 gives -2.02, for -1.98 would be more than FP32 has.
    """
    value = fp32.value
    return target * value if value >= 0 else (2.0 - target) * value


def reaches(score: Score, goal: float) -> bool:
    """Whether a score reaches a goal, as :func:`value_text` shows both: 99.20 % reaches a goal of 99.20 %."""
    return score.value >= goal or _shown(score.measure, score.value) >= _shown(score.measure, goal)


def value_text(score: Score, value: float | None = None) -> str:
    """Return the value that decides, or another one of its kind, in its unit: ``"99.20 %"``, ``"0.99981"``; ASCII."""
    shown = score.value if value is None else value
    if math.isnan(shown):
        return "-"
    if score.measure == "top-1":
        return f"{100 * shown:.2f} %"
    return f"{shown:.5f}" if score.measure == "output cosine" else significant(shown, _CUSTOM_DIGITS)


_LOSS_UNITS = {"top-1": "pt", "output cosine": "of cosine"}


def loss_unit(score: Score) -> str:
    """Return what a loss of this score is counted in: percentage points for top-1, else parts of the measure."""
    return _LOSS_UNITS.get(score.measure, "of your measure")


def loss_text(score: Score, loss: float) -> str:
    """Return a loss with its unit: ``"+1.20 pt"``, ``"+0.00123 of cosine"``; ASCII."""
    if math.isnan(loss):
        return "-"
    number = f"{100 * loss:+.2f}" if score.measure == "top-1" else _signed(loss)
    return f"{number} {loss_unit(score)}"


def _signed(loss: float) -> str:
    return "0" if abs(loss) < _NO_LOSS else ("+" if loss > 0 else "") + significant(loss)


def _shown(measure: str, value: float) -> float:
    if math.isnan(value):
        return value
    if measure == "top-1":
        return float(f"{100 * value:.2f}")
    return float(f"{value:.5f}" if measure == "output cosine" else significant(value, _CUSTOM_DIGITS))
