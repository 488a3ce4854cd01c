"""Minima that are nearly as good as the pick: which of them TensorRT takes is decided by rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.thresholds import FIRST_CANDIDATE

if TYPE_CHECKING:
    from trtcal_widgets.core.thresholds import ThresholdCurve

NEARLY_EQUAL = 2e-3
"""How much larger a divergence may be to be nearly equal, as a share of the smallest.

With the activations of TensorRT 8.6.0 and of ONNX Runtime for the same batches, which differ by rounding alone, entropy
picked different minima of PP-OCR models that were 0.02 to 0.2 % apart.
"""


@dataclass(frozen=True)
class Rival:
    """Another minimum of the objective.

    ``index``: candidate i, as :attr:`ThresholdCurve.pick`. ``amax``: its threshold, in the tensor's unit. ``excess``:
    how much its objective is above that of the pick, as a share of it.
    """

    index: int
    amax: float
    excess: float


def rival_of(curve: ThresholdCurve, within: float = NEARLY_EQUAL) -> Rival | None:
    """Return the best other minimum that is nearly as good as the pick; None where there is none.

    Parameters
    ----------
    curve
        Of a method that minimises its objective, such as entropy.
    within
        How much above the pick's objective the other one may be, as a share.

    Notes
    -----
    A candidate counts as another minimum where the objective rises above ``within`` between it and the pick: bins on
    the floor of the same valley are not rivals.
    """
    objective, pick = curve.objective, curve.pick - FIRST_CANDIDATE
    if not 0 <= pick < len(objective) or not np.isfinite(objective[pick]) or objective[pick] <= 0:
        return None
    limit = objective[pick] * (1 + within)
    low = objective <= limit
    # Number the stretches of candidates that are all low: the pick's own is no rival.
    stretch = np.cumsum(~low)
    others = np.flatnonzero(low & (stretch != stretch[pick]))
    if not len(others):
        return None
    best = int(others[np.argmin(objective[others])])
    excess = float(objective[best] / objective[pick] - 1)
    return Rival(best + FIRST_CANDIDATE, float(curve.candidates[best]), excess)
