"""Scores as JSON has them, for searches that go on where they stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.runners.evaluation import Score

_COUNTS = ("n_samples", "n", "non_finite")
_NOT_NEGATIVE = ("signal", "tested", "noise", "absolute", "max_error")
_PARTS = ("n_samples", "top1", "top5", "custom")


def plain_score(score: Score) -> dict[str, Any]:
    """Return a score as JSON can hold it."""
    return {**{name: getattr(score, name) for name in _PARTS}, "outputs": dict(vars(score.outputs))}


def score_of(entry: Any) -> Score:
    """Read what :func:`plain_score` gave; every part is looked at, whatever else is found raises some exception."""
    outputs = TensorComparison(**_numbers(entry["outputs"], [one.name for one in fields(TensorComparison)]))
    return Score(**_numbers({name: entry[name] for name in _PARTS}, _PARTS), outputs=outputs)


def _numbers(given: Any, names: Any) -> dict[str, Any]:
    """Return whole numbers for counts and floats for the rest."""
    if not isinstance(given, Mapping) or set(given) - set(names):
        raise TypeError("a score has other parts")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} is {value!r}, no number")
        if name in _NOT_NEGATIVE and value < 0:
            raise ValueError(f"{name} is {value!r}, less than 0")
        if name in _COUNTS and not (isinstance(value, int) and value >= 0):
            raise ValueError(f"{name} is {value!r}, no count")
        found[name] = value if name in _COUNTS else float(value)
    return found
