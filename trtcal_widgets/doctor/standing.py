"""Which samples reach further than the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FENCE = 3.0
"""Interquartile ranges above the upper quartile: beyond is "far out" (Tukey, Exploratory Data Analysis, 1977)."""

_AT_LEAST = 1.25
"""And so many times the upper quartile, where nearly all are alike."""


def standing_out(amax: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the samples that reach much further than the others, the furthest first.

    Tukey's outer fence over the logarithms of ``amax``, for maxima are skewed: more than three interquartile ranges
    above the upper quartile, and at least a quarter above it.

    ``amax``: largest |x| of a tensor in every sample, shape (samples,); NaN and 0 say nothing. Returns Places in
    ``amax``, int, shape (found,).
    """
    known = np.flatnonzero(amax > 0)
    if len(known) < 4:
        return np.zeros(0, np.intp)
    logs = np.log(amax[known].astype(np.float64))
    lower, upper = np.quantile(logs, (0.25, 0.75))
    far: NDArray[np.intp] = known[logs > max(upper + _FENCE * (upper - lower), upper + np.log(_AT_LEAST))]
    order: NDArray[np.intp] = np.argsort(-amax[far], kind="stable")
    found: NDArray[np.intp] = far[order]
    return found
