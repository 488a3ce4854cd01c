"""Is the calibration set good enough? What the recorded batches say about the data, without the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.lazy import lazy

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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "doctor.choosing": "SmallSet small_set",
        "doctor.comparison": "CommonBins DataComparison TensorDifference",
        "doctor.examining": "examine",
        "doctor.types": "Band DataReport DataWarning Gate Needed OrderEffect Settling Verdict",
        "doctor.words": "enough",
    },
)
