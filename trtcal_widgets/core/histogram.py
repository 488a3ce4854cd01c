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

from trtcal_widgets.core.counting import Counting
from trtcal_widgets.core.kernels import adding as _adding
from trtcal_widgets.core.kernels.counting import EDGE_SLOT, N_BINS, SMALLEST_RANGE
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.kernels.counting import Tables

__all__ = ["N_BINS", "SMALLEST_RANGE", "Histogram", "bin_factor", "combine", "join_parts", "replay"]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of |x| with everything that calibration asks about a tensor. Immutable; make it with :meth:`of`.

    Attributes
    ----------
    base
        The range R that the histogram started from, in the tensor's unit: 0 while only zeros (and denormals, which
        are zeros to TensorRT) were seen, otherwise at least :data:`SMALLEST_RANGE`.
    doublings
        How often R has doubled since: the bins cover [0, base * 2**doublings).
    counts
        int64, shape (2048,), read-only. Only finite values are in it, and the ``clamped`` ones.
    edge
        How many of the values in the last bin lie at its upper edge (int(|x| * 2048 / R) == 2048). They belong to
        the next bin once the range is doubled, which makes merging exact; see :func:`replay`.
    zeros, nans, pos_infs, neg_infs
        How many values were exactly 0, NaN, +inf, -inf. Zeros are in bin 0; NaN are in no bin.
    minimum, maximum
        Smallest and largest finite value; 0 where there is none.
    sum_parts, square_parts
        Floats whose exact sum is the sum of the values and of their squares; see :attr:`total`, :attr:`sum_squares`.
    clamped
        How many of the infinite values :func:`replay` put into the last bin.
    samples
        Smallest and largest finite value of each sample, float32, shape (samples, 2), NaN where it has none; None where
        it is not known. Merged histograms have none, but for the parts of one array.
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
    clamped: int = 0
    samples: NDArray[np.float32] | None = field(default=None, repr=False)

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
        return next(cls.of_tables(Counting([array], [base]).run()))

    @classmethod
    def of_counting(cls, counting: Counting) -> Iterator[Histogram]:
        """Count, and yield the histogram of each row with the extremes of its samples."""
        made = list(cls.of_tables(counting.run()))
        for histogram, extremes in zip(made, counting.extremes(), strict=True):
            yield histogram if extremes is None else replace(histogram, samples=extremes)

    @classmethod
    def of_tables(cls, tables: Tables) -> Iterator[Histogram]:
        """Yield the histogram of each row that was counted."""
        edges = tables.slots[:, EDGE_SLOT].tolist()
        finite = tables.slots.sum(axis=1).tolist()
        rows = zip(tables.bases.tolist(), tables.doublings.tolist(), tables.tallies, tables.moments, strict=True)
        for i, (base, doublings, tallies, moments) in enumerate(rows):
            counts = tables.slots[i, :N_BINS].copy()
            counts[N_BINS - 1] += edges[i]
            low, high, total, squares = moments.tolist()
            yield cls.assemble(
                base, doublings, counts, edges[i], tallies.tolist(), (low, high), (total,), (squares,), finite[i]
            )

    @classmethod
    def assemble(
        cls,
        base: float,
        doublings: int,
        counts: NDArray[np.int64],
        edge: int,
        tallies: Sequence[int],
        extremes: Sequence[float],
        sums: tuple[float, ...],
        squares: tuple[float, ...],
        n_finite: int | None = None,
        clamped: int = 0,
    ) -> Histogram:
        """Put a histogram together from what was counted; everything that counts, merges or reads ends here.

        Parameters
        ----------
        base, doublings, counts, edge, sums, squares, clamped
            The attributes.
        tallies
            zeros, nans, pos_infs, neg_infs.
        extremes
            Minimum and maximum; the minimum is the larger one where there is no finite value.
        n_finite
            The number of finite values where it is known: adding them up is a good part of a merge's time.
        """
        zeros, nans, pos_infs, neg_infs = tallies
        low, high = extremes
        low, high = (low + 0.0, high + 0.0) if low <= high else (0.0, 0.0)  # -0.0 + 0.0 is 0.0
        made = cls(base, doublings, counts, edge, zeros, nans, pos_infs, neg_infs, low, high, sums, squares, clamped)
        if n_finite is not None:
            made.__dict__["n_finite"] = n_finite
        return made

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
        """Number of finite values: the sum of the counts, less the clamped ones."""
        return int(self.counts.sum()) - self.clamped

    @property
    def tallies(self) -> tuple[int, int, int, int]:
        """Numbers of zeros, NaN, +inf and -inf."""
        return self.zeros, self.nans, self.pos_infs, self.neg_infs

    @property
    def infs(self) -> int:
        """Number of infinite values of either sign."""
        return self.pos_infs + self.neg_infs

    @property
    def has_infinite_range(self) -> bool:
        """Whether TensorRT's R is infinite: the first batch with a value that is not 0 has an infinite one.

        Of batches that were counted one by one and replayed in their order.
        """
        return self.infs > self.clamped

    @property
    def n_values(self) -> int:
        """Number of values seen, NaN and infinities included."""
        return self.n_finite + self.nans + self.infs

    @property
    def amax(self) -> float:
        """Largest finite |x|; 0 where there is no range, because all are 0 or denormal."""
        return max(self.maximum, -self.minimum) if self.base > 0.0 else 0.0

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

    def n_beyond(self, amax: float) -> int:
        """Return how many values lie beyond a threshold, to the bin in which it is; infinite ones are beyond any.

        ``amax``: in the tensor's unit, 0 or more.
        """
        first = math.ceil(amax / self.bin_width) if self.range else N_BINS
        return int(self.counts[first:].sum()) + self.infs - self.clamped

    def rounded(self) -> Histogram:
        """Return the same histogram with each sum rounded to one float, as files keep it."""
        if len(self.sum_parts) <= 1 and len(self.square_parts) <= 1:
            return self
        made = replace(self, sum_parts=(self.total,), square_parts=(self.sum_squares,))
        made.__dict__["n_finite"] = self.n_finite
        return made

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
    parts = list(histograms)
    made = _merged(parts, lift_later=True, lift_earlier=True)
    found = [part.samples for part in parts if part.samples is not None]
    if len(found) < len(parts) or made is parts[0]:
        return made
    lows, highs = (np.stack([extremes[:, k] for extremes in found]) for k in range(2))
    return replace(made, samples=np.stack([np.fmin.reduce(lows), np.fmax.reduce(highs)], axis=1))


def replay(histograms: Iterable[Histogram]) -> Histogram:
    """Merge per-batch histograms in their order, to the counts that one pass over the batches would have made.

    One pass puts a value that lies exactly at the upper edge of the range into the last bin, and it stays with
    that bin when a later batch doubles the range; had the range been doubled before, the value would be one bin
    higher. It puts infinite values into the last bin as well, but for those of the batch that sets the range: where
    that has some, TensorRT's range is infinite, ours is not, and infinite values are left out.

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
    if len(parts) < 2:
        return parts[0] if parts else Histogram.empty()
    counts, doublings, edge, clamped = _merged_counts(parts, lift_later=lift_later, lift_earlier=lift_earlier)
    tallies = [sum(h.tallies[k] for h in parts) for k in range(4)]
    filled = [h for h in parts if h.n_finite]
    extremes = min((h.minimum for h in filled), default=math.inf), max((h.maximum for h in filled), default=-math.inf)
    return Histogram.assemble(
        next(iter(bases), 0.0),
        doublings,
        counts,
        edge,
        tallies,
        extremes,
        _exact_sum(h.sum_parts for h in parts),
        _exact_sum(h.square_parts for h in parts),
        sum(h.n_finite for h in filled),
        clamped,
    )


def _merged_counts(
    parts: list[Histogram], *, lift_later: bool, lift_earlier: bool
) -> tuple[NDArray[np.int64], int, int, int]:
    """Return the counts of all, how often their range has doubled, the values at its upper edge, the clamped ones."""
    first, *others = parts
    counts, doublings, edge = first.counts.copy(), first.doublings, first.edge
    amax, infs, clamped = first.amax, first.infs, first.clamped
    in_order = lift_later and not lift_earlier
    for h in others:
        # A histogram without a base holds zeros only, which are in bin 0 of any range.
        own = h.doublings if h.base > 0 else doublings
        doublings, edge = _adding.add_counts(counts, doublings, edge, h.counts, own, h.edge, lift_later, lift_earlier)
        if in_order and amax > 0 and infs == clamped:
            counts[N_BINS - 1] += h.infs - h.clamped
            clamped += h.infs
        else:
            clamped += h.clamped
        amax, infs = max(amax, h.amax), infs + h.infs
    return counts, doublings, edge, clamped


def _exact_sum(parts: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Add floats without rounding: the result is a short tuple of floats whose exact sum is the exact sum."""
    values = [value for part in parts for value in part]
    expansion = [0.0] * len(values)
    n = 0
    for value in values:
        n = _adding.grow(expansion, n, value)
    return tuple(expansion[:n])
