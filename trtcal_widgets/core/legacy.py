"""The threshold of TensorRT's LegacyCalibration: the end of a line through the tail, or a quantile.

The rule was found from what TensorRT 8.6.0 wrote: 3,840 rows of six pairs of quantile and cutoff, all bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.kernels.counting import N_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LN_2 = np.float32(0.694)
"""Just above ln 2: a bin with one value is not above 0."""


class Line(NamedTuple):
    """A line through logarithms of counts: ``intercept + slope * x``, x in bins; ``end`` is where it comes to 0."""

    intercept: float
    slope: float
    end: float


def tail_line(counts: NDArray[np.int64], cutoff: float, limit: float) -> Line | None:
    """Return the least-squares line through the tail's log counts; None where the quantile decides.

    y = float32(ln(count + 1)) - float32(0.694) in float32. The points are the bins from the highest one on (bin 0 is
    none) whose y is positive and at least ``cutoff`` of the highest. The line counts where there are two points and
    it comes to 0 between 0 and ``limit``, twice the largest |x| (or the largest float32), in
    bins; a rising one too.
    """
    return _line(_heights(counts), cutoff, limit)


def _heights(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return y of every bin, of one histogram or of many."""
    y = (np.log(counts + 1.0).astype(np.float32) - _LN_2).astype(np.float64)
    y[..., 0] = -np.inf
    return np.asarray(y, np.float64)


def _line(y: NDArray[np.float64], cutoff: float, limit: float) -> Line | None:
    top = int(np.argmax(y))
    if not y[top] > 0:
        return None
    tail = np.arange(top, N_BINS)
    tail = tail[(y[tail] > 0) & (y[tail] >= cutoff * y[top])]
    if tail.size < 2:
        return None
    x, height = tail + 0.5, y[tail]
    from_mean = x - x.mean()
    slope = float((from_mean * (height - height.mean())).sum() / (from_mean**2).sum())
    if slope == 0:
        return None
    end = float(x.mean() - height.mean() / slope)
    if not 0 < end <= limit:
        return None
    return Line(float(height.mean() - slope * x.mean()), slope, end)


def quantile_bin(counts: NDArray[np.int64], quantile: float) -> int:
    """Return the first bin at which the running sum of count / total, in float64, exceeds the quantile; else the last.

    Rounding may take the sum beyond 1: then quantile 1 is exceeded too, in the bin of the largest value.
    """
    beyond = np.flatnonzero(np.cumsum(counts / float(counts.sum())) > quantile)
    return int(beyond[0]) if beyond.size else N_BINS - 1


def legacy_places(
    counts: NDArray[np.int64], quantile: float, cutoff: float, limits: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return :func:`quantile_bin` of each row of counts, and where its :func:`tail_line` ends: nan where there is none.

    ``counts``: shape (rows, 2048), each with a value; ``limits``: shape (rows,).
    """
    shares = np.cumsum(counts / counts.sum(axis=1, dtype=np.float64)[:, None], axis=1) > quantile
    bins = np.where(shares.any(axis=1), shares.argmax(axis=1), N_BINS - 1)
    ends = np.full(len(counts), np.nan)
    y = _heights(counts)
    top = y.argmax(axis=1)
    highest = np.take_along_axis(y, top[:, None], 1)
    behind = np.arange(N_BINS) >= top[:, None]
    several = (behind & (y > 0) & (y >= cutoff * highest)).sum(axis=1) > 1
    for row in np.flatnonzero(several):
        line = _line(y[row], cutoff, float(limits[row]))
        ends[row] = np.nan if line is None else line.end
    return bins, ends
