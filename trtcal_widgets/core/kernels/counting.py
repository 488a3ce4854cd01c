"""The hot loop: counting values, which numpy cannot do without temporaries, compiled by numba.

The kernels release the GIL, so that a thread pool over tensors uses every core. Counts and extremes are exact; the
sums depend in their last bits on how wide this machine's vector registers are, but not on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.intrinsics import larger, part, prefetch, row_of, scratch, seen_as, smaller, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_BINS = 2048
"""Number of histogram bins: TensorRT's."""

EDGE_SLOT = N_BINS
"""Slot behind the last bin, for values at the upper edge itself (int(|x| * factor) == 2048)."""

SMALLEST_RANGE = 2.0**-116
"""No range is shorter: float32(2048 / R), which every value is multiplied by, must be finite. About 1.2e-35."""


class Tables(NamedTuple):
    """What is counted of several tensors, a row for each.

    Attributes
    ----------
    bases
        float64, shape (n,): the ranges that the histograms start from; 0: to be found.
    doublings
        int64, shape (n,): how often they had to double.
    slots
        int64, shape (n, 2049): the bins and :data:`EDGE_SLOT`.
    tallies
        int64, shape (n, 4): zeros, NaN, +inf, -inf.
    moments
        float64, shape (n, 4): minimum, maximum, sum and sum of squares of the finite values.
    """

    bases: NDArray[np.float64]
    doublings: NDArray[np.int64]
    slots: NDArray[np.int64]
    tallies: NDArray[np.int64]
    moments: NDArray[np.float64]


_CHUNK = 2048
"""Values per pass: small enough that the second look at them finds them in the first-level cache."""

_AHEAD = 2 * _CHUNK
"""How far ahead values are asked for, so that they come from memory while others are counted: 1.6 times as fast."""

LINE = 16
"""float32 values in a cache line."""

_FLUSH_AFTER = 1 << 30
"""Values after which 32-bit counters are emptied, long before one could overflow."""

INF_BITS = np.int32(0x7F800000)
"""The bits of infinity. Those of a finite magnitude are smaller, those of a NaN larger."""

_SMALLEST_NORMAL = np.int32(0x00800000)
_MAGNITUDE = np.int32(0x7FFFFFFF)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@compiled(inner=True)
def magnitude_of(bits: NDArray[np.int32]) -> np.int32:
    """Return the bits of the largest |x| of float32 values given by theirs; from INF_BITS on, one is not finite.

    Magnitudes of IEEE-754 numbers compare like their bit patterns, which vectorises and needs no care for NaN.
    """
    best = np.int32(0)
    for j in range(bits.size):
        best = larger(best, np.int32(bits[j] & _MAGNITUDE))  # & makes an int64 of them
    return best


@compiled()
def finite_amax(bits: NDArray[np.int32]) -> np.int32:
    """Return the bit pattern of the largest finite |x| of float32 values given as their bit patterns."""
    best = np.int32(0)
    for start in range(0, bits.size, _CHUNK):
        chunk = part(bits, start, smaller(start + _CHUNK, bits.size))
        for line in range(0, chunk.size, LINE):
            prefetch(bits, start + _AHEAD + line)
        chunk_best = magnitude_of(chunk)
        if chunk_best >= INF_BITS:
            chunk_best = np.int32(0)
            for j in range(chunk.size):
                magnitude = np.int32(chunk[j] & _MAGNITUDE)
                if magnitude < INF_BITS:
                    chunk_best = larger(chunk_best, magnitude)
        best = larger(best, chunk_best)
    return best


@compiled(inner=True)
def start_of(largest: np.int32) -> float:
    """Return the range that a histogram starts from, given the bits of the largest finite |x|.

    0 where that is 0 or denormal: to TensorRT denormals are zeros (run on 8.6.0).
    """
    bits = scratch(1, np.int32)
    bits[0] = largest
    amax = np.float64(seen_as(bits, np.float32)[0])
    return larger(amax, SMALLEST_RANGE) if largest >= _SMALLEST_NORMAL else 0.0


@compiled()
def start_of_values(x: NDArray[np.float32]) -> float:
    """Return the range that a histogram of contiguous values starts from: their largest finite |x|; 0 for none."""
    return start_of(finite_amax(seen_as(x, np.int32)))


@compiled(inner=True)
def _fold_pairs(slots: NDArray[np.int64]) -> None:
    """Double the range in place: bins 2j and 2j+1 become bin j, the edge becomes bin 1024."""
    half = N_BINS // 2
    for j in range(half):
        slots[j] = slots[2 * j] + slots[2 * j + 1]
    slots[half] = slots[EDGE_SLOT]
    for j in range(half + 1, N_BINS + 1):
        slots[j] = 0


@compiled(inner=True, fastmath={"reassoc", "contract"})
def _sums(x: NDArray[np.float32]) -> tuple[float, float]:
    """Return sum and sum of squares of a chunk. A float32 squared fits a float64: it is finite where all values are."""
    total = 0.0
    squares = 0.0
    for j in range(x.size):
        v = np.float64(x[j])
        total += v
        squares += v * v
    return total, squares


@compiled(inner=True, fastmath={"reassoc", "contract"})
def _zeros(x: NDArray[np.float32]) -> int:
    """Return the number of zeros of a chunk.

    Counted in float32, exact for a chunk, and apart from the sums: both loops then fill their vector registers.
    """
    zeros = np.float32(0)
    for j in range(x.size):
        zeros += np.float32(1) if x[j] == np.float32(0) else np.float32(0)
    return whole(zeros)


@compiled(inner=True)
def _extremes(bits: NDArray[np.int32], unsigned: NDArray[np.uint32], out: NDArray[np.int32]) -> None:
    """Write the bit patterns of the smallest and the largest of some finite values to ``out``.

    Bit patterns of positive floats order like signed integers, those of negative floats like unsigned ones, the
    largest being the most negative. Integer reductions vectorise; float ones, with NaN to mind, do not.
    """
    high = bits[0]
    low = unsigned[0]
    for j in range(bits.size):
        high = larger(high, bits[j])
        low = larger(low, unsigned[j])
    if high < 0:
        nearest = unsigned[0]
        for j in range(unsigned.size):
            nearest = smaller(nearest, unsigned[j])
        high = np.int32(nearest)
    out[1] = high
    if low <= np.uint32(_MAGNITUDE):
        least = bits[0]
        for j in range(bits.size):
            least = smaller(least, bits[j])
        out[0] = least
    else:
        out[0] = np.int32(low)


@compiled(inner=True, error_model="numpy")
def _sample_of(x: NDArray[np.float32], first: int, per: int, extremes: NDArray[np.float32]) -> int:
    """Return the sample that a chunk belongs to; -1 where nobody asks (``per`` is 0) or where it has several.

    Then their extremes are updated here, one by one. Value number ``first`` of the tensor is ``x[0]``.
    """
    if per == 0:
        return -1
    sample, left = first // per, per - first % per
    if left >= x.size:
        return sample
    for j in range(x.size):
        if left == 0:
            sample, left = sample + 1, per
        left -= 1
        v = x[j]
        if v - v == 0.0:  # neither NaN nor infinite
            extremes[sample, 0] = smaller(extremes[sample, 0], v)
            extremes[sample, 1] = larger(extremes[sample, 1], v)
    return -1


@compiled(inner=True)
def _widen(extremes: NDArray[np.float32], sample: int, low_and_high: NDArray[np.float32]) -> None:
    """Add smallest and largest value of a chunk to those of its sample; -1: of none."""
    if sample >= 0:
        extremes[sample, 0] = smaller(extremes[sample, 0], low_and_high[0])
        extremes[sample, 1] = larger(extremes[sample, 1], low_and_high[1])


def new_extremes(rows: int, samples: int) -> NDArray[np.float32]:
    """Return smallest and largest of no values: float32, shape (rows, samples, 2), infinite."""
    extremes = np.empty((rows, samples, 2), np.float32)
    extremes[:, :, 0], extremes[:, :, 1] = np.inf, -np.inf
    return extremes


@compiled(inner=True)
def _drop_non_finite(x: NDArray[np.float32], kept: NDArray[np.float32], tally: NDArray[np.int64]) -> int:
    """Copy the finite values to the front of ``kept``, count the others, return how many were kept."""
    n = 0
    for j in range(x.size):
        v = x[j]
        if v != v:  # noqa: PLR0124 - NaN; numpy's function takes longer to compile
            tally[1] += 1
        elif v == np.inf:
            tally[2] += 1
        elif v == -np.inf:
            tally[3] += 1
        else:
            kept[n] = v
            n += 1
    return n


def new_counters(n: int) -> NDArray[np.int32]:
    """Return 32-bit counters of ``n`` histograms, shape (n, 4, 2049).

    Four sets: where neighbours are equal (zeros after a ReLU, a background), an increment does not have to wait for the
    one before it. They and a chunk still fit the first-level cache.
    """
    return np.zeros((n, 4, N_BINS + 1), np.int32)


@compiled(inner=True)
def flush(counters: NDArray[np.int32], slots: NDArray[np.int64]) -> None:
    """Add all sets of 32-bit counters, shape (4, 2049), to the slots and clear them."""
    for k in range(counters.shape[0]):
        for j in range(slots.size):
            slots[j] += counters[k, j]
            counters[k, j] = 0


@compiled(inner=True, error_model="numpy")
def count(
    x: NDArray[np.float32],
    counters: NDArray[np.int32],
    unflushed: int,
    slots: NDArray[np.int64],
    limit: float,
    tally: NDArray[np.int64],
    moments: NDArray[np.float64],
    first: int,
    per: int,
    extremes: NDArray[np.float32],
) -> tuple[int, int]:
    """Count float32 values in one pass; return how often the range had to double, and the values in the counters.

    Parameters
    ----------
    x
        The values, contiguous, shape (n,).
    counters, unflushed
        Of this histogram, shape (4, 2049), and how many values are in them; :func:`flush` them at the end.
    slots
        2048 bins and the edge slot; changed in place.
    limit
        The range R (> 0) at the start.
    tally
        zeros, NaN, +inf, -inf; added to.
    moments
        min, max, sum, sum of squares of the finite values; updated.
    first, per, extremes
        Which of the tensor's values ``x[0]`` is, how many of them are a sample (0: nobody asks), and smallest and
        largest finite value of each sample, shape (samples, 2); updated.
    """
    doublings = 0
    factor = np.float32(N_BINS / limit)
    one_set, second, third, fourth = row_of(counters, 0), row_of(counters, 1), row_of(counters, 2), row_of(counters, 3)
    # Made here, so that the compiler knows that nothing else is at these addresses: a quarter of the time.
    finite = scratch(_CHUNK, np.float32)
    index = scratch(_CHUNK, np.int32)
    pairs = seen_as(index, np.uint64)
    extreme_bits = scratch(2, np.int32)
    low_and_high = seen_as(extreme_bits, np.float32)
    for start in range(0, x.size, _CHUNK):
        chunk = part(x, start, smaller(start + _CHUNK, x.size))
        sample = _sample_of(chunk, first + start, per, extremes)
        total, squares = _sums(chunk)
        if squares - squares != 0.0:  # not finite
            chunk = part(finite, 0, _drop_non_finite(chunk, finite, tally))
            if chunk.size == 0:
                continue
            total, squares = _sums(chunk)
        _extremes(seen_as(chunk, np.int32), seen_as(chunk, np.uint32), extreme_bits)
        low = np.float64(low_and_high[0])
        high = np.float64(low_and_high[1])
        amax = larger(-low, high)
        _widen(extremes, sample, low_and_high)
        unflushed += chunk.size
        if amax > limit or unflushed > _FLUSH_AFTER:
            flush(counters, slots)
            unflushed = chunk.size
        while amax > limit:
            _fold_pairs(slots)
            limit *= 2.0
            factor *= np.float32(0.5)
            doublings += 1
        # Two loops: the first one vectorises, and the second is then unrolled. Twice as fast as one.
        for j in range(chunk.size):
            index[j] = np.int32(abs(chunk[j]) * factor)
        # Two bins at a time: the loads are a good part of the work.
        rest = chunk.size - (chunk.size & (LINE - 1))
        for line in range(0, rest, LINE):
            prefetch(x, start + _AHEAD + line)
            for j in range(line // 2, (line + LINE) // 2, 2):
                one, other = pairs[j], pairs[j + 1]
                one_set[one & _LOW_HALF] += 1
                second[one >> _HALF] += 1
                third[other & _LOW_HALF] += 1
                fourth[other >> _HALF] += 1
        for j in range(rest, chunk.size):
            one_set[np.uint32(index[j])] += 1
        tally[0] += _zeros(chunk)
        moments[0] = smaller(moments[0], low)
        moments[1] = larger(moments[1], high)
        moments[2] += total
        moments[3] += squares
    return doublings, unflushed


@compiled()
def accumulate(
    x: NDArray[np.float32],
    slots: NDArray[np.int64],
    limit: float,
    tally: NDArray[np.int64],
    moments: NDArray[np.float64],
) -> int:
    """Add float32 values to a histogram and return how often its range had to double; see :func:`count`."""
    counters = np.zeros((4, N_BINS + 1), np.int32)
    doublings, _ = count(x, counters, 0, slots, limit, tally, moments, 0, 0, np.empty((0, 2), np.float32))
    flush(counters, slots)
    return doublings
