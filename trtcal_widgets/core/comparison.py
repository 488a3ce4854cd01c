"""How far an INT8 tensor is from its FP32 twin: errors summed over any number of batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.counting import new_tables, where
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.kernels import differences as _errors
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class TensorComparison:
    """Sums over pairs of values (reference a, tested b); make one with :meth:`of`, add with ``+``.

    Attributes
    ----------
    n
        Pairs in which both values are finite; only they are in the sums.
    non_finite
        Pairs in which one is NaN or infinite.
    signal, tested
        Sums of a² and of b², in the tensor's unit squared.
    product
        Sum of a·b.
    noise
        Sum of (a - b)².
    absolute, signed
        Sums of |a - b| and of b - a.
    max_error
        Largest |a - b|.
    """

    n: int = 0
    non_finite: int = 0
    signal: float = 0.0
    tested: float = 0.0
    product: float = 0.0
    noise: float = 0.0
    absolute: float = 0.0
    signed: float = 0.0
    max_error: float = 0.0

    @classmethod
    def of(cls, reference: Any, tested: Any) -> TensorComparison:
        """Compare two arrays of one shape in one pass, in float32 with float64 sums.

        Raises
        ------
        UsageError
            If the shapes differ.
        """
        a, b = _paired(reference, tested)
        sums = np.zeros(8)
        non_finite = _errors.compare(a, b, sums)
        return cls(a.size - non_finite, non_finite, *(float(v) for v in sums[:7]))

    def __add__(self, other: TensorComparison) -> TensorComparison:
        """Return the comparison over both sets of pairs."""
        return TensorComparison(
            self.n + other.n,
            self.non_finite + other.non_finite,
            self.signal + other.signal,
            self.tested + other.tested,
            self.product + other.product,
            self.noise + other.noise,
            self.absolute + other.absolute,
            self.signed + other.signed,
            max(self.max_error, other.max_error),
        )

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise ratio in dB: inf without noise, nan without signal."""
        if self.n == 0 or (self.signal == 0.0 and self.noise == 0.0):
            return math.nan
        if self.noise == 0.0:
            return math.inf
        ratio = self.signal / self.noise
        return 10.0 * math.log10(ratio) if ratio > 0.0 else -math.inf

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two, -1 to 1; nan where one of them is all zero."""
        length = math.sqrt(self.signal) * math.sqrt(self.tested)
        return max(-1.0, min(1.0, self.product / length)) if length > 0.0 else math.nan

    @property
    def mean_error(self) -> float:
        """Mean of |a - b|, in the tensor's unit."""
        return self.absolute / self.n if self.n else math.nan

    @property
    def bias(self) -> float:
        """Mean of b - a, in the tensor's unit."""
        return self.signed / self.n if self.n else math.nan


class PairCounting:
    """Several pairs of arrays that are compared and counted together; as :class:`~.counting.Counting` counts arrays.

    ``pairs``: (reference, tested), of one shape; converted to float32 where they are not. ``bases``: the range that
    both histograms of a pair start from; None or 0: the largest finite |x| of the reference. Raises UsageError if the
    shapes of a pair differ, or a base is negative, not a number or beyond float32.
    """

    def __init__(self, pairs: Sequence[tuple[Any, Any]], bases: Sequence[float | None]) -> None:
        self._pairs = [_paired(reference, tested) for reference, tested in pairs]
        self._sizes = [a.size for a, _ in self._pairs]
        self._tables = new_tables(bases), new_tables(bases)
        self._sums = np.zeros((len(pairs), 8))
        self._left_out = np.zeros(len(pairs), np.int64)

    def run(self) -> PairCounting:
        """Compare and count, let go of the arrays, and return this object. For a thread: it does not hold the GIL."""
        addresses_a, sizes = where([a for a, _ in self._pairs])
        addresses_b, _ = where([b for _, b in self._pairs])
        _errors.count_pairs(addresses_a, addresses_b, sizes, *self._tables, self._sums, self._left_out)
        self._pairs.clear()
        return self

    def results(self) -> Iterator[tuple[TensorComparison, Histogram, Histogram]]:
        """Yield the comparison, the reference's histogram and the tested one's, pair by pair."""
        histograms = (Histogram.of_tables(tables) for tables in self._tables)
        sums = zip(self._sizes, self._left_out.tolist(), self._sums.tolist(), strict=True)
        for (size, left_out, values), reference, tested in zip(sums, *histograms, strict=True):
            yield TensorComparison(size - left_out, left_out, *values[:7]), reference, tested


def _paired(reference: Any, tested: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    a, b = np.asarray(reference), np.asarray(tested)
    if a.shape != b.shape:
        raise UsageError(f"arrays of different shapes cannot be compared: {a.shape} and {b.shape}")
    return _flat(a), _flat(b)


def _flat(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32).reshape(-1)


def histogram_kl(reference: Histogram, tested: Histogram) -> float:
    """Return KL(reference || tested) in nats between two histograms of |x| that started from one range.

    The tested counts are smoothed by half a count per bin, so that a bin that only the reference uses costs much
    but not everything.

    Raises
    ------
    UsageError
        If the histograms started from different ranges.
    """
    if reference.n_finite == 0 or tested.n_finite == 0:
        return math.nan
    longest = max(reference.doublings, tested.doublings)
    p = _counts_at(reference, longest)
    q = _counts_at(tested, longest) + 0.5
    p /= p.sum()
    q /= q.sum()
    used = p > 0
    return float(max(np.sum(p[used] * np.log(p[used] / q[used])), 0.0))


def _counts_at(histogram: Histogram, doublings: int) -> NDArray[np.float64]:
    """Return the counts over the range that is reached after that many doublings."""
    frame = Histogram(histogram.base, doublings, np.zeros(N_BINS, np.int64))
    return histogram.merge(frame).counts.astype(np.float64)
