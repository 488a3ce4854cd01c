"""The scale that TensorRT would pick for an array: the question asked most often."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtcal_widgets.common.arguments import one_of
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram, combine, replay
from trtcal_widgets.core.thresholds import Method, ThresholdCurve, is_infinite_in_tensorrt, threshold_curve
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex


@dataclass(frozen=True, eq=False)
class ArrayCalibration:
    """What calibration makes of one tensor's values.

    Attributes
    ----------
    amax
        The threshold, in the values' unit (float32 as a Python float).
    scale
        amax / 127 in float32, as a Python float: what a calibration cache stores.
    hex
        The scale as a cache row spells it.
    histogram, curve
        What it was picked from.
    """

    amax: float
    scale: float
    hex: str
    histogram: Histogram
    curve: ThresholdCurve

    @property
    def infinite_in_tensorrt(self) -> bool:
        """Whether TensorRT would write an infinite scale for these batches in this order."""
        return is_infinite_in_tensorrt(self.histogram, self.curve.method)


def calibrate_array(
    batches: Any, method: str | Method = "entropy", *, range_mode: str = "tensorrt"
) -> ArrayCalibration:
    """Return the scale that TensorRT would pick for a tensor that takes these values.

    Parameters
    ----------
    batches
        One array (a single batch), or an iterable of arrays: the batches in their order. Any shapes, real dtypes.
    method
        ``"entropy"``, ``"minmax"``, ``"percentile:99.99"``, ``"mse"``, ``"legacy:0.999"`` or
        ``"legacy:0.99,0.5"`` (with its regression cutoff).
    range_mode
        ``"tensorrt"``: the range starts at the largest value of the first batch and doubles, as TensorRT's does, so
        the result depends on the order and the size of the batches. ``"two-pass"``: the range is the largest value of
        all, so the result depends on the values alone; the batches are gone through twice.

    Returns
    -------
    ArrayCalibration
        With ``.amax``, ``.scale`` and ``.hex``. NaN among finite values change nothing (but the legacy quantile, where
        they count as 0). Infinite values are in the last bin where they come after the batch that sets the range, as
        with TensorRT; before that they are left out, ``.infinite_in_tensorrt`` is True, and the scale is finite all the
        same. ``.histogram`` counts both (``.nans``, ``.infs``). Zeros alone give 0, as with TensorRT: a scale that
        nothing can be quantised with.

    Raises
    ------
    UsageError
        If there is no value at all or none that is finite, no such method, or two passes are wanted over an
        iterator that gives one.

    Examples
    --------
    >>> calibrate_array(np.ones((2, 3), np.float32)).hex
    '3c010a14'
    """
    method = Method.parse(method)
    one_of(range_mode, ("tensorrt", "two-pass"), "range_mode")
    if range_mode == "tensorrt":
        histogram = _one_pass(_as_batches(batches))
    else:
        if isinstance(batches, Iterator):
            raise UsageError("two passes need batches that can be gone through twice: give a list, not an iterator")
        histogram = _two_passes(_as_batches(batches))
    if histogram.n_values == 0:
        raise UsageError("there is nothing to calibrate: the batches hold no values")
    if histogram.n_finite == 0:
        raise UsageError(
            f"there is nothing to calibrate: of {histogram.n_values} values {histogram.nans} are NaN and "
            f"{histogram.infs} infinite, and none is finite. Look at what made them"
        )
    curve = threshold_curve(histogram, method)
    scale = scale_of_amax(curve.amax)
    return ArrayCalibration(curve.amax, float(scale), scale_to_hex(float(scale)), histogram, curve)


def _as_batches(batches: Any) -> Iterable[Any]:
    """Take an array, a number or a list of numbers as one batch."""
    if hasattr(batches, "__array__") or np.isscalar(batches):
        return [batches]
    if isinstance(batches, (list, tuple)) and all(np.isscalar(value) for value in batches):
        return [np.asarray(batches, dtype=np.float32)]
    if not isinstance(batches, Iterable):
        raise UsageError(f"batches are an array or an iterable of arrays, not {type(batches).__name__}")
    return batches


def _one_pass(batches: Iterable[Any]) -> Histogram:
    """Count batch after batch as TensorRT 8.6.0 does."""
    total = Histogram.empty()
    for batch in batches:
        added = Histogram.of(batch, total.base)
        beyond_count = added.amax >= _NO_GROWTH * total.range
        if total.base > 0 and (added.infs or beyond_count) and not total.has_infinite_range:
            if added.doublings > total.doublings:
                added = _clamped(added, batch, total.range)
        elif total.base > 0 and added.amax > _MOST_GROWTH * total.range:
            total = _all_in_bin_0(total, added.amax)
            added = Histogram.of(batch, total.base)
        total = replay((total, added))
    return total


_MOST_GROWTH = 2048
"""Beyond it nothing is left of the bins. Seen on 8.6.0: a factor of 1,802 is a power of two, one of 902,138 is not."""


_NO_GROWTH = 2.0**63
"""From here on TensorRT takes a batch as one with infinite values. Seen: 1e12 grows, 1e30 does not."""


def _clamped(added: Histogram, batch: Any, limit: float) -> Histogram:
    """Count a batch with infinite or far too large values: the range stays, what is beyond it is in its last bin."""
    with np.errstate(all="ignore"):
        inside = np.clip(np.asarray(batch).astype(np.float32), np.float32(-limit), np.float32(limit))
    kept = Histogram.of(inside, added.base)
    extremes, sums, squares = (added.minimum, added.maximum), added.sum_parts, added.square_parts
    return Histogram.assemble(
        kept.base, kept.doublings, kept.counts, kept.edge, added.tallies, extremes, sums, squares, clamped=added.infs
    )


def _all_in_bin_0(total: Histogram, amax: float) -> Histogram:
    """Return a histogram whose range is the least multiple that holds ``amax``, and no power of two."""
    longer = np.float32(min(total.range * math.ceil(amax / total.range), float(np.finfo(np.float32).max)))
    counts = np.zeros_like(total.counts)
    counts[0] = total.counts.sum()
    extremes, sums, squares = (total.minimum, total.maximum), total.sum_parts, total.square_parts
    return Histogram.assemble(
        float(longer), 0, counts, 0, total.tallies, extremes, sums, squares, clamped=total.clamped
    )


def _two_passes(batches: Iterable[Any]) -> Histogram:
    known = max((amax_of(batch) for batch in batches), default=0.0)
    histogram = Histogram.empty()
    for batch in batches:
        histogram = combine((histogram, Histogram.of(batch, known)))
    return histogram
