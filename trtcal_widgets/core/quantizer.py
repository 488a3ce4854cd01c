"""What symmetric INT8 with a given amax costs: exactly for an array, estimated for a histogram.

The quantiser is TensorRT's: scale = amax / 127, zero point 0, round half to even. A histogram of |x| does not tell
the signs, so the estimates clip at ±127 steps; TensorRT's Q clamps at -128, one step further for negative values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.discrete import discrete_values, exact_noise
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.kernels import objectives as _objectives
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.discrete import Discrete

Q_MAX = 127

_NEAR_IN_BINS = 1e-6
"""An amax of less than this many bins clips everything."""

_FAR_IN_BINS = 1e12
"""An amax this many bins away rounds everything to 0, as any larger one does."""


def quantize(array: Any, scale: float, *, q_min: int = -128) -> NDArray[np.int8]:
    """Quantise to int8: clip(round_half_even(x / scale), q_min, 127), computed in float32 as ONNX defines it.

    Parameters
    ----------
    array
        Any shape; converted to float32. Infinities clip; NaN becomes 0 (ONNX leaves it open).
    scale
        Step in the array's unit, finite and > 0.
    q_min
        -128 for activations (TensorRT's Q), -127 for weights.

    Raises
    ------
    UsageError
        If the scale is not finite and positive: such a row of a cache cannot be used to quantise. Or if ``q_min`` is
        neither of the two.
    """
    if q_min not in (-128, -127):
        raise UsageError(f"q_min is -128 (activations) or -127 (weights), not {q_min}")
    with np.errstate(all="ignore"):
        step = np.float32(scale)
        if not (np.isfinite(step) and step > 0):
            raise UsageError(f"a scale must be finite and greater than 0 (as float32) to quantise with, not {scale}")
        levels = np.asarray(array, dtype=np.float32) / step
    levels = np.clip(np.rint(levels), q_min, Q_MAX)
    return np.asarray(np.where(np.isnan(levels), 0.0, levels)).astype(np.int8)


def dequantize(quantized: Any, scale: float) -> NDArray[np.float32]:
    """Return q * scale in float32, the shape of ``quantized``."""
    return np.asarray(quantized).astype(np.float32) * np.float32(scale)


def fake_quantize(array: Any, scale: float, *, q_min: int = -128) -> NDArray[np.float32]:
    """Quantise and come back: what a Q/DQ pair does to an array.

    ``array``, ``scale``, ``q_min``: as for :func:`quantize`. Returns float32 of the array's shape: multiples of
    ``scale``.
    """
    return dequantize(quantize(array, scale, q_min=q_min), scale)


@dataclass(frozen=True)
class Cost:
    """What one amax costs one tensor.

    Attributes
    ----------
    amax
        The threshold, in the tensor's unit.
    clipped_fraction
        Share of the finite values beyond it, 0 to 1.
    clip_noise, rounding_noise
        Mean squared error, in the tensor's unit squared, of the clipped values and of the others, over all values.
    sqnr_db
        Signal to quantisation noise ratio in dB: inf without noise, nan without signal.
    """

    amax: float
    clipped_fraction: float
    clip_noise: float
    rounding_noise: float
    sqnr_db: float


def is_vague(range_db: tuple[float, float]) -> bool:
    """Whether the ends of a range of SQNR are 3 dB apart or more: the histogram alone does not tell the noise."""
    low, high = range_db
    return high - low >= 3.0 or (math.isinf(high) and math.isfinite(low))


class NoiseModel:
    """The cost of any amax, from a histogram alone: dragging a threshold needs no model run.

    The values of a bin are taken as evenly spread over it, except exact zeros, which quantise without error, and
    discrete values that the histogram tells exactly (:attr:`discrete`). The integral of the squared error over that
    density is exact. The first call prepares prefix sums (2048 steps); each
    amax costs 128 steps after that. Formulas: ``docs/algorithm.md``.

    Parameters
    ----------
    histogram
        Of the tensor.
    """

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    @property
    def mass(self) -> NDArray[np.float64]:
        """Values per bin that are not exact zeros, shape (2048,)."""
        mass = self._histogram.counts.astype(np.float64)
        mass[0] -= self._histogram.zeros
        return mass

    @cached_property
    def discrete(self) -> Discrete | None:
        """The values themselves, where they are few or multiples of one number; see :func:`discrete_values`."""
        return discrete_values(self._histogram)

    def noise(self, amax: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return clipped fraction, clipping noise and rounding noise, shape (k, 3), for amax of shape (k,).

        Noise is a mean squared error over the finite values, in the tensor's unit squared.

        Raises
        ------
        UsageError
            If an amax is negative or not a number.
        """
        amax = np.ascontiguousarray(amax, dtype=np.float64)
        if not (amax >= 0.0).all():
            raise UsageError(f"amax must be 0 or more, not {amax[~(amax >= 0.0)][0]}")
        n = self._histogram.n_finite + self._histogram.clamped
        width = self._histogram.range / N_BINS
        if n == 0 or width == 0.0:
            return np.zeros((amax.size, 3))
        if self.discrete is not None:
            return exact_noise(self.discrete, amax) / n
        with np.errstate(all="ignore"):
            in_bins = np.minimum(amax / width, _FAR_IN_BINS)
        result = _noise([self._histogram.counts], [self._histogram.zeros], in_bins)[0]
        # Nothing is clipped from the largest value on, though its bin reaches further.
        result[amax >= self._histogram.amax, :2] = 0.0
        result = np.maximum(result, 0.0) / n
        result[:, 1:] *= width * width
        return np.asarray(result)

    def cost(self, amax: float) -> Cost:
        """Return what ``amax`` costs.

        Raises
        ------
        UsageError
            If amax is negative or not a number.
        """
        (clipped, clip_noise, rounding_noise) = (float(v) for v in self.noise(np.array([amax]))[0])
        return Cost(
            amax=float(amax),
            clipped_fraction=clipped,
            clip_noise=clip_noise,
            rounding_noise=rounding_noise,
            sqnr_db=self.sqnr_db(clip_noise + rounding_noise),
        )

    def sqnr_range_db(self, amax: float) -> tuple[float, float]:
        """Return between what the SQNR of ``amax`` lies, in dB, however values lie in bins that do not tell.

        Those are the first one, and bins that stand alone; see :meth:`noise_range`. Dearer than :meth:`cost`: for the
        tensor that is looked at, not for tables.
        """
        noise = float(self.noise(np.array([amax]))[0, 1:].sum())
        low, high = self.noise_range(amax)
        return self.sqnr_db(max(high, noise)), self.sqnr_db(min(low, noise))

    def noise_range(self, amax: float) -> tuple[float, float]:
        """Return the least and the largest mean squared error that the histogram allows for.

        Values are taken as evenly spread where a bin has occupied neighbours. That says nothing of the first bin, in
        which the bulk of a heavy-tailed tensor lies, nor of a bin that stands alone, as the bins of discrete values do:
        these have the smallest and the largest squared error that a value in them can have. The largest value is known
        exactly, and so are discrete values that the histogram tells.

        Parameters
        ----------
        amax
            The threshold, in the tensor's unit.
        """
        h = self._histogram
        n, width = h.n_finite, h.range / N_BINS
        with np.errstate(all="ignore"):
            limit, largest = (min(float(np.float64(x) / width), _FAR_IN_BINS) for x in (amax, h.amax))
        if n == 0 or not (limit > _NEAR_IN_BINS and largest > 0.0) or self.discrete is not None:
            return (noise := float(self.noise(np.array([amax]))[0, 1:].sum())), noise
        mass = self.mass
        mass[int(min(largest, N_BINS - 1))] -= 1.0  # the largest value itself
        mass = np.maximum(mass, 0.0)
        occupied = mass > 0.0
        alone = occupied & ~np.append(False, occupied[:-1]) & ~np.append(occupied[1:], False)
        alone[0] = bool(occupied[0])
        bins = np.flatnonzero(alone)
        left = bins.astype(np.float64)
        least, most = _extreme_errors(left, np.minimum(left + 1.0, largest), limit)
        spread = np.where(alone, 0.0, mass).astype(np.int64)
        _, clipped, rounded = _noise([spread], [0], np.array([limit]))[0][0]
        sure = (0.0 if amax >= h.amax else max(clipped, 0.0)) + max(rounded, 0.0) + _squared_error(largest, limit)
        ends = (sure + float((mass[bins] * errors).sum()) for errors in (least, most))
        low, high = (end * width * width / n for end in ends)
        return float(low), float(high)

    def sqnr_db(self, noise: float) -> float:
        """Return the signal's power over a mean squared error, in dB."""
        n = self._histogram.n_finite
        power = self._histogram.sum_squares / n if n and self._histogram.amax else 0.0
        if power == 0.0:
            return math.nan
        if noise <= 0.0:
            return math.inf
        return 10.0 * math.log10(power / noise) if power / noise > 0.0 else -math.inf


def costs(histograms: Sequence[Histogram], amax: Sequence[float]) -> list[Cost]:
    """Return what a threshold costs each of many tensors: as :meth:`NoiseModel.cost`, in one call without the GIL.

    ``histograms``, ``amax``: of each tensor, and its threshold in its unit. Raises UsageError if an amax is negative or
    not a number.
    """
    limits = np.array(amax, np.float64)
    if not (limits >= 0.0).all():
        raise UsageError(f"amax must be 0 or more, not {limits[~(limits >= 0.0)][0]}")
    if not histograms:
        return []
    widths = np.array([h.range / N_BINS for h in histograms])
    with np.errstate(all="ignore"):
        in_bins = np.fmin(limits / widths, _FAR_IN_BINS)
    noise, dense = _noise([h.counts for h in histograms], [h.zeros for h in histograms], in_bins)
    noise[limits >= np.array([h.amax for h in histograms]), :2] = 0.0
    totals = np.array([h.n_finite + h.clamped for h in histograms], np.float64)
    with np.errstate(all="ignore"):
        noise = np.maximum(noise, 0.0) / totals[:, None]
        noise[:, 1:] *= (widths * widths)[:, None]
    noise[(totals == 0.0) | (widths == 0.0)] = 0.0
    found = []
    for histogram, limit, row, is_dense in zip(
        histograms, limits.tolist(), noise.tolist(), dense.tolist(), strict=True
    ):
        model = NoiseModel(histogram)
        clipped, clip_noise, rounding_noise = row
        if is_dense:
            found.append(Cost(limit, clipped, clip_noise, rounding_noise, model.sqnr_db(clip_noise + rounding_noise)))
        else:
            found.append(model.cost(limit))
    return found


def _noise(
    counts: Sequence[NDArray[np.int64]], zeros: Sequence[int], in_bins: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return clipped mass, clipping noise and rounding noise, shape (n k, 3), for k thresholds of each histogram.

    ``in_bins``: the thresholds, shape (n k,). And whether each histogram cannot tell the values; see ``noise_at``.
    """
    noise, dense = np.empty((in_bins.size, 3)), np.empty(len(counts), np.bool_)
    _objectives.noise_at(np.stack(counts), np.array(zeros, np.int64), in_bins, noise, dense)
    return noise, dense


def _squared_error(value: float, amax: float) -> float:
    """Return the squared error of one |x|; lengths in bins."""
    step = amax / Q_MAX
    return (value - min(round(min(value, amax) / step), Q_MAX) * step) ** 2


def _extreme_errors(
    left: NDArray[np.float64], right: NDArray[np.float64], amax: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest and the largest squared error that a value between two ends can have; lengths in bins."""
    step = amax / Q_MAX
    ends = [np.abs(x - np.minimum(np.rint(x / step), Q_MAX) * step) for x in (left, right)]
    holds_level = np.minimum(np.floor(right / step), Q_MAX) >= np.ceil(left / step)
    edge = (np.ceil(left / step - 0.5) + 0.5) * step  # the first edge between two levels from the left end on
    holds_edge = (edge <= right) & (edge < amax)
    least = np.where(holds_level, 0.0, np.minimum(*ends))
    most = np.maximum(np.maximum(*ends), np.where(holds_edge, step / 2.0, 0.0))
    return least**2, most**2
