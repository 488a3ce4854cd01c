"""The histogram that TensorRT's calibration is made of: 2048 bins of |x| over a range that grows by doubling.

The rules (bin of x, where the range starts, how it grows) are TensorRT's as far as they were verified with
published calibration tables; what is inferred is marked in ``docs/algorithm.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core import _kernels
from trtcal_widgets.core._kernels import EDGE_SLOT, N_BINS
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

__all__ = ["N_BINS", "SMALLEST_RANGE", "Histogram", "amax_of", "bin_factor", "combine", "join_parts", "replay"]

SMALLEST_RANGE = 2.0**-116
"""No range is shorter: float32(2048 / R), which every value is multiplied by, must be finite. About 1.2e-35."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)

_BLOCK = 1 << 16
"""Values that are converted to float32 at a time where the array is not contiguous float32 already."""


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
        x = _real_array(array)
        start = _start_of(base or amax_of(x))
        slots = np.zeros(N_BINS + 1, np.int64)
        tally = np.zeros(4, np.int64)
        moments = np.array([math.inf, -math.inf, 0.0, 0.0])
        doublings = 0
        # With nothing but zeros (and NaN, inf) any range counts them the same way: all in bin 0.
        limit = start or 1.0
        for block in _float32_blocks(x):
            grown = _kernels.accumulate(block, slots, limit, bin_factor(limit), tally, moments)
            doublings += grown
            limit *= 2.0**grown
        zeros, nans, pos_infs, neg_infs = (int(v) for v in tally)
        seen = moments[0] <= moments[1]
        edge = int(slots[EDGE_SLOT])
        slots[N_BINS - 1] += edge
        return cls(
            base=start,
            doublings=doublings,
            counts=slots[:N_BINS].copy(),
            edge=edge,
            zeros=zeros,
            nans=nans,
            pos_infs=pos_infs,
            neg_infs=neg_infs,
            minimum=float(moments[0]) + 0.0 if seen else 0.0,
            maximum=float(moments[1]) + 0.0 if seen else 0.0,
            sum_parts=(float(moments[2]),),
            square_parts=(float(moments[3]),),
        )

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

    @cached_property
    def total(self) -> float:
        """Sum of the finite values, correctly rounded from the sums of the parts."""
        return math.fsum(self.sum_parts)

    @cached_property
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

    def merge(self, other: Histogram) -> Histogram:
        """Return the histogram of both. Exact, associative and free of order; both must have the same base.

        Counts, edge, extremes and tallies are integers or exact; sums are kept as exact expansions.

        Raises
        ------
        UsageError
            If the two started from different ranges: their bins do not coincide.
        """
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


def _start_of(base: float) -> float:
    """Return the range that a histogram starts from: float32, 0 or at least the smallest."""
    if not 0 <= base <= _FLOAT32_MAX:
        raise UsageError(f"the range to start from must be from 0 to {_FLOAT32_MAX:.8g} (float32), not {base}")
    return max(float(np.float32(base)), SMALLEST_RANGE) if base else 0.0


def amax_of(array: Any) -> float:
    """Return the largest finite |x| of an array as float32 sees it; 0 where there is none.

    Parameters
    ----------
    array
        Any shape, any real dtype. No temporary of its size is made.

    Raises
    ------
    UsageError
        If the dtype is not real.
    """
    blocks = _float32_blocks(_real_array(array))
    best = max((int(_kernels.finite_amax(block.view(np.int32))) for block in blocks), default=0)
    return float(np.array(best, np.int32).view(np.float32))


def combine(histograms: Iterable[Histogram]) -> Histogram:
    """Merge any number of histograms of one base exactly; the result does not depend on their order.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=False, lift_earlier=False)


def join_parts(histograms: Iterable[Histogram]) -> Histogram:
    """Merge histograms of the parts of ONE array to what :meth:`Histogram.of` makes of the whole array.

    The range of a batch is known before its first value is counted, so a value at the upper edge of a part's range
    belongs one bin higher wherever another part had to double it.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=True)


def replay(histograms: Iterable[Histogram]) -> Histogram:
    """Merge per-batch histograms in their order, to the counts that one pass over the batches would have made.

    One pass puts a value that lies exactly at the upper edge of the range into the last bin, and it stays with
    that bin when a later batch doubles the range; had the range been doubled before, the value would be one bin
    higher. That is the only way in which the order of batches of one base shows, and it is kept here.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=False)


def _merged(parts: list[Histogram], *, lift_later: bool, lift_earlier: bool) -> Histogram:
    """Merge; lifting moves edge values of a shorter range to the next bin of the longer one.

    ``lift_later`` does so for histograms that come after the range has grown, ``lift_earlier`` for those before.
    """
    bases = {h.base for h in parts if h.base > 0}
    if len(bases) > 1:
        listed = ", ".join(repr(b) for b in sorted(bases)[:3])
        raise UsageError(
            f"histograms that started from different ranges ({listed}) cannot be merged: "
            "count the later ones with base= the first one's base"
        )
    if len(parts) == 1:
        return parts[0]
    counts = np.zeros(N_BINS, np.int64)
    doublings = 0
    edge = 0
    for h in parts:
        # A histogram without a base holds zeros only, which are in bin 0 of any range.
        own = h.doublings if h.base > 0 else doublings
        if own > doublings:
            counts = _folded(counts, own - doublings, edge if lift_earlier else 0)
            doublings, edge = own, 0
            counts += h.counts
        elif own < doublings:
            counts += _folded(h.counts, doublings - own, h.edge if lift_later else 0)
        else:
            counts += h.counts
        if own == doublings and h.base > 0:
            edge += h.edge
    occupied = [h for h in parts if h.n_finite]
    return Histogram(
        base=next(iter(bases), 0.0),
        doublings=doublings,
        counts=counts,
        edge=edge,
        zeros=sum(h.zeros for h in parts),
        nans=sum(h.nans for h in parts),
        pos_infs=sum(h.pos_infs for h in parts),
        neg_infs=sum(h.neg_infs for h in parts),
        minimum=min((h.minimum for h in occupied), default=0.0),
        maximum=max((h.maximum for h in occupied), default=0.0),
        sum_parts=_exact_sum(h.sum_parts for h in parts),
        square_parts=_exact_sum(h.square_parts for h in parts),
    )


def _folded(counts: NDArray[np.int64], doublings: int, edge: int = 0) -> NDArray[np.int64]:
    """Return counts over a range that is 2**doublings times as long; ``edge`` of the last bin go one bin higher."""
    run = 1 << min(doublings, N_BINS.bit_length() - 1)
    folded = np.zeros(N_BINS, np.int64)
    folded[: N_BINS // run] = counts.reshape(-1, run).sum(axis=1)
    if edge and doublings < N_BINS.bit_length():
        folded[N_BINS // run - 1] -= edge
        folded[N_BINS // run] += edge
    return folded


def _exact_sum(parts: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Add floats without rounding: the result is a short tuple of floats whose exact sum is the exact sum.

    Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997: grow
    an expansion by one number at a time.
    """
    expansion: list[float] = []
    for value in (value for part in parts for value in part):
        rest = []
        carry = value
        for term in expansion:
            high = carry + term
            virtual = high - carry
            low = (carry - (high - virtual)) + (term - virtual)
            if low:
                rest.append(low)
            carry = high
        expansion = [*rest, carry]
    return tuple(expansion)


def _real_array(array: Any) -> NDArray[Any]:
    x = np.asarray(array)
    # The small floats of ml_dtypes (bfloat16, float8) are of kind V, "void", as records are.
    if x.dtype.kind not in "fiub" and not (x.dtype.kind == "V" and np.can_cast(x.dtype, np.float32)):
        raise UsageError(f"a histogram needs real numbers, not dtype {x.dtype}")
    return x


def _float32_blocks(x: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Yield the values as contiguous float32 blocks, in any order, without a temporary of the array's size."""
    # Transposed arrays (Fortran order, NHWC seen as NCHW) lie in memory without gaps too.
    by_stride = x.transpose(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))
    if by_stride.flags.c_contiguous and by_stride.flags.aligned and x.dtype == np.float32:
        if x.size:
            yield by_stride.reshape(-1)
        return
    for block in _raw_blocks(by_stride):
        with np.errstate(all="ignore"):
            converted = block.astype(np.float32)
        yield converted


def _raw_blocks(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all values in pieces of bounded size, shape (n,), of the array's own dtype."""
    if x.flags.c_contiguous:
        flat = x.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK]
        return
    with np.nditer(x, flags=["external_loop", "buffered"], op_flags=["readonly"], buffersize=_BLOCK) as pieces:
        yield from pieces
