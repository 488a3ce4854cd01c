"""What FP8 (E4M3) with a given amax costs: exactly for an array, estimated for a histogram.

E4M3 as ONNX and TensorRT have it (FLOAT8E4M3FN: no infinities, largest value 448; Micikevicius et al., "FP8 Formats for
Deep Learning", 2022): one sign bit, four of exponent with bias 7, three of mantissa. scale = amax / 448; values beyond
saturate; rounding is to nearest, half to even. Where INT8 has 127 equal steps up to amax, E4M3 has 126 that grow with
the value: every value keeps about 4 bits, so small ones gain and large ones lose.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.quantizer import Cost, NoiseModel
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["E4M3_MAX", "fake_quantize_fp8", "fp8_cost", "fp8_scale"]

E4M3_MAX = 448.0
"""The largest value of E4M3."""

_SMALLEST_EXPONENT = -6
"""Below 2 ** -6 the steps are equal: 2 ** -9."""

_MANTISSA_BITS = 3


def fp8_scale(amax: float) -> np.float32:
    """Return the scale with which ±amax fills E4M3: float32(amax / 448).

    Raises
    ------
    UsageError
        If amax is negative, not finite, or too large for float32.
    """
    value = float(amax)
    if not 0 <= value <= float(np.finfo(np.float32).max):
        raise UsageError(f"amax must be a number from 0 to the largest float32, not {value!r}")
    return np.float32(value / E4M3_MAX)


def fake_quantize_fp8(array: Any, scale: float) -> NDArray[np.float32]:
    """Quantise to E4M3 and come back: what an FP8 Q/DQ pair does to an array.

    Parameters
    ----------
    array
        Any shape; converted to float32. Infinities saturate; NaN stays NaN.
    scale
        In the array's unit, finite and > 0: what 1 in E4M3 stands for.

    Raises
    ------
    UsageError
        If the scale is not finite and positive.
    """
    with np.errstate(all="ignore"):
        step = np.float32(scale)
        if not (np.isfinite(step) and step > 0):
            raise UsageError(f"a scale must be finite and greater than 0 (as float32) to quantise with, not {scale}")
        values = np.asarray(array, dtype=np.float32) / step
        return np.asarray(_rounded(values) * step, dtype=np.float32)


def _rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round to the values of E4M3, saturating."""
    exponent = np.frexp(np.clip(values, -E4M3_MAX, E4M3_MAX))[1] - 1
    quantum = np.ldexp(np.float32(1), np.maximum(exponent, _SMALLEST_EXPONENT) - _MANTISSA_BITS)
    rounded = np.rint(values.astype(np.float32) / quantum) * quantum
    return np.asarray(np.clip(rounded, -E4M3_MAX, E4M3_MAX), dtype=np.float32)


@cache
def _levels() -> NDArray[np.float64]:
    """Return the values of E4M3 from 0 to 448, in ascending order, shape (127,)."""
    small = np.arange(8) * 2.0 ** (_SMALLEST_EXPONENT - _MANTISSA_BITS)
    normal = [(1 + np.arange(8) / 8) * 2.0**e for e in range(_SMALLEST_EXPONENT, 9)]
    levels = np.concatenate([small, *normal])[:-1]  # the last code is NaN
    levels.setflags(write=False)
    return levels


def fp8_cost(histogram: Histogram, amax: float) -> Cost:
    """Return what E4M3 with an amax costs a tensor, from its histogram alone.

    Values are taken as evenly spread over their bin, exact zeros apart; the integral of the squared error over that
    density is exact. Formulas: ``docs/algorithm.md``.

    Parameters
    ----------
    histogram
        Of the tensor.
    amax
        The threshold, in the tensor's unit.

    Raises
    ------
    UsageError
        If amax is negative or not a number.
    """
    if not amax >= 0.0:
        raise UsageError(f"amax must be 0 or more, not {amax}")
    model = NoiseModel(histogram)
    n, width = histogram.n_finite + histogram.clamped, histogram.range / N_BINS
    if n == 0 or width == 0.0 or amax == 0.0 or not math.isfinite(amax):
        return model.cost(amax)  # nothing, or everything, is lost with either format
    levels = _levels() * (float(amax) / E4M3_MAX / width)
    limit = float(amax) / width
    edges = np.concatenate(([0.0], (levels[1:] + levels[:-1]) / 2.0, [np.inf]))
    moments = _moments_up_to(model.mass, np.append(edges, limit))
    mass, first, second = (np.diff(moment[:-1]) for moment in moments)
    total = float((second - 2.0 * levels * first + levels**2 * mass).sum())
    beyond = [float(moment[-2] - moment[-1]) for moment in moments]
    clipped = 0.0
    fraction = 0.0
    if amax < histogram.amax:
        clipped = max(beyond[2] - 2.0 * limit * beyond[1] + limit**2 * beyond[0], 0.0)
        fraction = max(beyond[0], 0.0) / n
    rounding = max(total - clipped, 0.0)
    clip_noise, rounding_noise = (noise * width * width / n for noise in (clipped, rounding))
    sqnr = model.sqnr_db(clip_noise + rounding_noise)
    return Cost(float(amax), fraction, clip_noise, rounding_noise, sqnr)


def _moments_up_to(mass: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the integrals of 1, x and x² over the density up to each point, each of the shape of ``points``.

    ``mass``: per bin, shape (2048,); lengths in bins.
    """
    at = np.clip(points, 0.0, float(N_BINS))
    index = np.minimum(at.astype(np.int64), N_BINS - 1)
    left = np.arange(N_BINS, dtype=np.float64)
    own = mass[index]
    found = []
    for power in (0, 1, 2):
        whole = mass * ((left + 1.0) ** (power + 1) - left ** (power + 1)) / (power + 1)
        before = np.concatenate(([0.0], np.cumsum(whole)))
        part = (at ** (power + 1) - index.astype(np.float64) ** (power + 1)) / (power + 1)
        found.append(before[index] + own * part)
    return tuple(found)
