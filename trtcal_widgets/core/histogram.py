"""The histogram that TensorRT's calibration is made of: 2048 bins of |x| over a range that grows by doubling.

The rules (bin of x, where the range starts, how it grows) are TensorRT's as far as they were verified with
published calibration tables; what is inferred is marked in ``docs/algorithm.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.kernels.counting import N_BINS, SMALLEST_RANGE
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["N_BINS", "SMALLEST_RANGE", "Histogram", "bin_factor"]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of |x| with everything that calibration asks about a tensor. Immutable; make it with :meth:`of`.

    Attributes
    ----------
    base
        The range R that the histogram started from, in the tensor's unit: 0 while only zeros were seen, otherwise
        at least :data:`SMALLEST_RANGE`.
    doublings
        How often R has doubled since: the bins cover [0, base * 2**doublings).
    counts
        int64, shape (2048,), read-only. Only finite values are in it.
    edge
        How many of the values in the last bin lie at its upper edge (int(|x| * 2048 / R) == 2048). They belong to
        the next bin once the range is doubled, which makes merging exact; see :func:`replay`.
    zeros, nans, pos_infs, neg_infs
        How many values were exactly 0, NaN, +inf, -inf. Zeros are in bin 0; the others are in no bin.
    minimum, maximum
        Smallest and largest finite value; 0 where there is none.
    sum_parts, square_parts
        Floats whose exact sum is the sum of the values and of their squares; see :attr:`total`, :attr:`sum_squares`.
    """

    base: float
    doublings: int
    counts: NDArray[np.int64]
    edge: int = 0
    zeros: int = 0
    nans: int = 0
    pos_infs: int = 0
    neg_infs: int = 0
    minimum: float = 0.0
    maximum: float = 0.0
    sum_parts: tuple[float, ...] = field(default=(), repr=False)
    square_parts: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.counts.shape != (N_BINS,) or self.counts.dtype != np.int64:
            raise UsageError(
                f"a histogram has {N_BINS} int64 counts, not {self.counts.dtype} of shape {self.counts.shape}"
            )
        if self.counts.flags.writeable:
            self.counts.setflags(write=False)

    @classmethod
    def of(cls, array: Any, base: float | None = None) -> Histogram:
        """Count an array.

        Parameters
        ----------
        array
            Any shape, any real dtype; other than contiguous float32 it is converted to float32 block by block, so
            float64 values beyond float32 count as infinite.
        base
            The range to start from, rounded to float32 and not below :data:`SMALLEST_RANGE`; None or 0: the largest
            finite |x| of this array, which is what TensorRT does with the first batch.

        Returns
        -------
        Histogram
            The range is ``base`` doubled as often as this array needs it.

        Raises
        ------
        UsageError
            If ``base`` is negative, not a number or beyond float32, or the dtype is not real.
        """
        from trtcal_widgets.core.counting import Counting

        return next(Counting([array], [base]).run().histograms())

    @classmethod
    def empty(cls) -> Histogram:
        """Return the histogram of no values: the neutral element of merging."""
        return cls(base=0.0, doublings=0, counts=np.zeros(N_BINS, np.int64))

    @property
    def range(self) -> float:
        """R: the bins cover [0, R)."""
        return math.ldexp(self.base, self.doublings)

    @property
    def bin_width(self) -> float:
        """float32(R / 2048) as a Python float, as TensorRT's threshold formula has it."""
        return float(np.float32(self.range / N_BINS))

    @cached_property
    def n_finite(self) -> int:
        """Number of finite values: the sum of the counts."""
        return int(self.counts.sum())

    def with_n_finite(self, n_finite: int) -> Histogram:
        """Return this histogram, told how many values it has: adding them up is a good part of a merge's time."""
        self.__dict__["n_finite"] = n_finite
        return self

    @property
    def infs(self) -> int:
        """Number of infinite values of either sign."""
        return self.pos_infs + self.neg_infs

    @property
    def n_values(self) -> int:
        """Number of values seen, NaN and infinities included."""
        return self.n_finite + self.nans + self.infs

    @property
    def amax(self) -> float:
        """Largest finite |x|."""
        return max(self.maximum, -self.minimum)

    @property
    def total(self) -> float:
        """Sum of the finite values, correctly rounded from the sums of the parts."""
        return math.fsum(self.sum_parts)

    @property
    def sum_squares(self) -> float:
        """Sum of the squares of the finite values, correctly rounded from the sums of the parts."""
        return math.fsum(self.square_parts)

    @property
    def mean(self) -> float:
        """Mean of the finite values; 0 where there is none."""
        return self.total / self.n_finite if self.n_finite else 0.0

    @property
    def rms(self) -> float:
        """Root mean square of the finite values; 0 where there is none."""
        return math.sqrt(self.sum_squares / self.n_finite) if self.n_finite else 0.0

    def rounded(self) -> Histogram:
        """Return the same histogram with each sum rounded to one float, as files keep it."""
        if len(self.sum_parts) <= 1 and len(self.square_parts) <= 1:
            return self
        rounded = replace(self, sum_parts=(self.total,), square_parts=(self.sum_squares,))
        return rounded.with_n_finite(self.n_finite)

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both. Exact, associative and free of order; both must have the same base.

        Counts, edge, extremes and tallies are integers or exact; sums are kept as exact expansions.

        Raises
        ------
        UsageError
            If the two started from different ranges: their bins do not coincide.
        """
        from trtcal_widgets.core.counting import combine

        return combine((self, other))


def bin_factor(bin_range: float) -> np.float32:
    """Return float32(2048 / R): the bin of x is ``min(int(float32(|x|) * factor), 2047)``, a float32 product.

    Doubling R halves the factor exactly, so that bins 2j and 2j+1 become bin j.

    Parameters
    ----------
    bin_range
        R, at least :data:`SMALLEST_RANGE`.
    """
    return np.float32(N_BINS / bin_range)
