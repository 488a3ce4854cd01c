"""Is the calibration set good enough? What the recorded batches say about the data, without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trtcal_widgets.doctor.choosing import SmallSet, small_set
    from trtcal_widgets.doctor.comparison import CommonBins, DataComparison, TensorDifference
    from trtcal_widgets.doctor.examining import examine
    from trtcal_widgets.doctor.types import (
        Band,
        DataReport,
        DataWarning,
        Gate,
        Needed,
        OrderEffect,
        Settling,
        Verdict,
    )
    from trtcal_widgets.doctor.words import enough

_TYPES = "trtcal_widgets.doctor.types"
_HOMES = {
    "Band": _TYPES,
    "CommonBins": "trtcal_widgets.doctor.comparison",
    "DataComparison": "trtcal_widgets.doctor.comparison",
    "DataReport": _TYPES,
    "DataWarning": _TYPES,
    "Gate": _TYPES,
    "Needed": _TYPES,
    "OrderEffect": _TYPES,
    "Settling": _TYPES,
    "SmallSet": "trtcal_widgets.doctor.choosing",
    "TensorDifference": "trtcal_widgets.doctor.comparison",
    "Verdict": _TYPES,
    "enough": "trtcal_widgets.doctor.words",
    "examine": "trtcal_widgets.doctor.examining",
    "small_set": "trtcal_widgets.doctor.choosing",
}

__all__ = [
    "Band",
    "CommonBins",
    "DataComparison",
    "DataReport",
    "DataWarning",
    "Gate",
    "Needed",
    "OrderEffect",
    "Settling",
    "SmallSet",
    "TensorDifference",
    "Verdict",
    "enough",
    "examine",
    "small_set",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: types need no compiler, examining does."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
