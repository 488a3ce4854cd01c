"""The loops that numpy cannot run without temporaries, compiled by numba.

All kernels release the GIL, so that a thread pool over tensors uses every core, and are cached on disk, so
that a second start does not compile again. Floating-point results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "EDGE_SLOT",
    "N_BINS",
    "accumulate",
    "entropy_objective",
    "finite_amax",
    "kl_divergence",
    "quantization_noise",
]

N_BINS = 2048
"""Number of histogram bins: TensorRT's."""

EDGE_SLOT = N_BINS
"""Slot behind the last bin, for values at the upper edge itself (int(|x| * factor) == 2048)."""

N_LEVELS = 128
"""Number of quantisation levels that the entropy search compares with: TensorRT's."""

_CHUNK = 2048
"""Values per pass: small enough that the second look at them finds them in the first-level cache."""

_FLUSH_AFTER = 1 << 30
"""Values after which 32-bit counters are emptied, long before one could overflow."""

_INF_BITS = np.int32(0x7F800000)
_MAGNITUDE = np.int32(0x7FFFFFFF)


@njit(nogil=True, cache=True)
def finite_amax(bits: NDArray[np.int32]) -> np.int32:
    """Return the bit pattern of the largest finite |x| of float32 values given as their bit patterns.

    Magnitudes of IEEE-754 numbers compare like their bit patterns, which vectorises and needs no care for NaN.
    """
    best = np.int32(0)
    n = bits.size
    start = 0
    while start < n:
        stop = min(start + _CHUNK, n)
        chunk_best = np.int32(0)
        for j in range(start, stop):
            chunk_best = max(chunk_best, bits[j] & _MAGNITUDE)
        if chunk_best >= _INF_BITS:
            for j in range(start, stop):
                magnitude = bits[j] & _MAGNITUDE
                if magnitude < _INF_BITS:
                    best = max(best, magnitude)
        else:
            best = max(best, chunk_best)
        start = stop
    return best


@njit(nogil=True, cache=True)
def _fold_pairs(slots: NDArray[np.int64]) -> None:
    """Double the range in place: bins 2j and 2j+1 become bin j, the edge becomes bin 1024."""
    half = N_BINS // 2
    for j in range(half):
        slots[j] = slots[2 * j] + slots[2 * j + 1]
    slots[half] = slots[EDGE_SLOT]
    for j in range(half + 1, N_BINS + 1):
        slots[j] = 0


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _sums(x: NDArray[np.float32]) -> tuple[float, float, int]:
    """Return sum, sum of squares and number of zeros of a chunk.

    A float32 squared fits a float64, so the second is finite exactly when all values are. The zeros are counted
    in float32, exact for a chunk, because that keeps the loop in vector registers.
    """
    total = 0.0
    squares = 0.0
    zeros = np.float32(0)
    for j in range(x.size):
        v = np.float64(x[j])
        total += v
        squares += v * v
        zeros += np.float32(1) if x[j] == np.float32(0) else np.float32(0)
    return total, squares, int(zeros)


@njit(nogil=True, cache=True)
def _extremes(bits: NDArray[np.int32], unsigned: NDArray[np.uint32], out: NDArray[np.int32]) -> None:
    """Write the bit patterns of the smallest and the largest of some finite values to ``out``.

    Bit patterns of positive floats order like signed integers, those of negative floats like unsigned ones, the
    largest being the most negative. Integer reductions vectorise; float ones, with NaN to mind, do not.
    """
    high = bits[0]
    low = unsigned[0]
    for j in range(bits.size):
        high = max(high, bits[j])
        low = max(low, unsigned[j])
    if high < 0:
        nearest = unsigned[0]
        for j in range(unsigned.size):
            nearest = min(nearest, unsigned[j])
        high = np.int32(nearest)
    out[1] = high
    if low <= np.uint32(_MAGNITUDE):
        least = bits[0]
        for j in range(bits.size):
            least = min(least, bits[j])
        out[0] = least
    else:
        out[0] = np.int32(low)


@njit(nogil=True, cache=True)
def _drop_non_finite(x: NDArray[np.float32], kept: NDArray[np.float32], tally: NDArray[np.int64]) -> int:
    """Copy the finite values to the front of ``kept``, count the others, return how many were kept."""
    n = 0
    for j in range(x.size):
        v = x[j]
        if np.isnan(v):
            tally[1] += 1
        elif v == np.inf:
            tally[2] += 1
        elif v == -np.inf:
            tally[3] += 1
        else:
            kept[n] = v
            n += 1
    return n


@njit(nogil=True, cache=True)
def _flush(counters: NDArray[np.int32], slots: NDArray[np.int64]) -> None:
    """Add 32-bit counters to the slots and clear them."""
    for j in range(counters.size):
        slots[j] += counters[j]
        counters[j] = 0


@njit(nogil=True, cache=True)
def accumulate(
    x: NDArray[np.float32],
    slots: NDArray[np.int64],
    limit: float,
    factor: np.float32,
    tally: NDArray[np.int64],
    moments: NDArray[np.float64],
) -> int:
    """Add float32 values to a histogram in one pass and return how often its range had to double.

    Parameters
    ----------
    x
        The values, contiguous, shape (n,).
    slots
        2048 bins and the edge slot; changed in place.
    limit, factor
        The range R (> 0) and float32(2048 / R) at the start.
    tally
        zeros, NaN, +inf, -inf; added to.
    moments
        min, max, sum, sum of squares of the finite values; updated.
    """
    doublings = 0
    unflushed = 0
    even = np.zeros(N_BINS + 1, np.int32)
    odd = np.zeros(N_BINS + 1, np.int32)
    finite = np.empty(_CHUNK, np.float32)
    index = np.empty(_CHUNK, np.int32)
    extreme_bits = np.empty(2, np.int32)
    extremes = extreme_bits.view(np.float32)
    for start in range(0, x.size, _CHUNK):
        chunk = x[start : start + _CHUNK]
        total, squares, zeros = _sums(chunk)
        if not np.isfinite(squares):
            chunk = finite[: _drop_non_finite(chunk, finite, tally)]
            if chunk.size == 0:
                continue
            total, squares, zeros = _sums(chunk)
        _extremes(chunk.view(np.int32), chunk.view(np.uint32), extreme_bits)
        low = np.float64(extremes[0])
        high = np.float64(extremes[1])
        amax = max(-low, high)
        unflushed += chunk.size
        if amax > limit or unflushed > _FLUSH_AFTER:
            _flush(even, slots)
            _flush(odd, slots)
            unflushed = chunk.size
        while amax > limit:
            _fold_pairs(slots)
            limit *= 2.0
            factor *= np.float32(0.5)
            doublings += 1
        # Two loops: the first one vectorises, and the second is then unrolled. Twice as fast as one.
        for j in range(chunk.size):
            index[j] = np.int32(np.abs(chunk[j]) * factor)
        # Two sets of counters: where neighbours are equal (zeros after a ReLU), an increment does not have to wait
        # for the one before it.
        pairs = chunk.size // 2 * 2
        for j in range(0, pairs, 2):
            even[np.uint32(index[j])] += 1
            odd[np.uint32(index[j + 1])] += 1
        if pairs < chunk.size:
            even[np.uint32(index[pairs])] += 1
        tally[0] += zeros
        moments[0] = min(moments[0], low)
        moments[1] = max(moments[1], high)
        moments[2] += total
        moments[3] += squares
    _flush(even, slots)
    _flush(odd, slots)
    return doublings


@njit(nogil=True, cache=True)
def _prefix_sums(
    h: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the prefix sums of h, [h > 0] and h ln h, each of length n + 1."""
    n = h.size
    mass = np.zeros(n + 1)
    occupied = np.zeros(n + 1, np.int64)
    log_mass = np.zeros(n + 1)
    for j in range(n):
        v = h[j]
        mass[j + 1] = mass[j] + v
        occupied[j + 1] = occupied[j] + (1 if v > 0.0 else 0)
        log_mass[j + 1] = log_mass[j] + (v * np.log(v) if v > 0.0 else 0.0)
    return mass, occupied, log_mass


@njit(nogil=True, cache=True)
def _level_terms(mass: NDArray[np.float64], occupied: NDArray[np.int64], widest: int) -> NDArray[np.float64]:
    """Return S ln(S / C) of every run of 1..widest bins: ``terms[w, a]`` for bins a .. a+w-1.

    The search over 1,921 candidates looks at 245,888 levels, but they are only 32,768 different runs.
    """
    n = mass.size - 1
    log_width = np.zeros(widest + 1)
    for c in range(1, widest + 1):
        log_width[c] = np.log(float(c))
    terms = np.zeros((widest + 1, n + 1))
    for w in range(1, widest + 1):
        for a in range(n - w + 1):
            s = mass[a + w] - mass[a]
            if s > 0.0:
                terms[w, a] = s * (np.log(s) - log_width[occupied[a + w] - occupied[a]])
    return terms


@njit(nogil=True, cache=True)
def entropy_objective(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return KL(P_i || Q_i) for the candidates i = 128 .. 2048, from prefix sums.

    ``h`` are the counts, shape (2048,), with bin 0 already replaced. The value is infinite where the candidate
    keeps nothing, or where the bin that takes the clipped counts was empty.
    """
    n = h.size
    widest = n // N_LEVELS
    mass, occupied, log_mass = _prefix_sums(h)
    terms = _level_terms(mass, occupied, widest)
    total = mass[n]
    objective = np.full(n - N_LEVELS + 1, np.inf)
    if total <= 0.0:
        return objective
    log_total = np.log(total)
    for i in range(N_LEVELS, n + 1):
        kept = mass[i]
        clipped = total - kept
        last = h[i - 1]
        if kept <= 0.0 or (last <= 0.0 and clipped > 0.0):
            continue
        levels = 0.0
        left = 0
        position = N_LEVELS - 1
        for _ in range(N_LEVELS):
            position += i
            right = position // N_LEVELS
            levels += terms[right - left, left]
            left = right
        edge = ((N_LEVELS - 1) * i + N_LEVELS - 1) // N_LEVELS
        p_last = last + clipped
        value = log_mass[i - 1] - levels
        if p_last > 0.0:
            value += p_last * np.log(p_last)
        if clipped > 0.0:
            spread = (kept - mass[edge]) / (occupied[i] - occupied[edge])
            value -= clipped * np.log(spread)
        objective[i - N_LEVELS] = value / total - log_total + np.log(kept)
    return objective


@njit(nogil=True, cache=True)
def kl_divergence(h: NDArray[np.float64], i: int) -> float:
    """Return KL(P_i || Q_i) of one candidate by the direct sum: exact where P equals Q, so that ties are ties."""
    total = 0.0
    kept = 0.0
    for j in range(h.size):
        total += h[j]
        if j < i:
            kept += h[j]
    clipped = total - kept
    divergence = 0.0
    left = 0
    for level in range(N_LEVELS):
        right = ((level + 1) * i + N_LEVELS - 1) // N_LEVELS
        mass = 0.0
        occupied = 0
        for j in range(left, right):
            mass += h[j]
            occupied += 1 if h[j] > 0.0 else 0
        for j in range(left, right):
            p = h[j] + (clipped if j == i - 1 else 0.0)
            if p > 0.0:
                if h[j] <= 0.0:
                    return np.inf
                q = mass / occupied / kept
                p /= total
                divergence += p * np.log(p / q)
        left = right
    return divergence


@njit(nogil=True, cache=True)
def quantization_noise(
    amax: NDArray[np.float64],
    mass: NDArray[np.float64],
    m0: NDArray[np.float64],
    m1: NDArray[np.float64],
    m2: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (clipped mass, clipping noise, rounding noise) for each amax, shape (k, 3).

    Lengths are in bins. ``mass`` is the histogram, shape (2048,); ``m0``, ``m1`` and ``m2`` are its prefix moments
    at the bin edges, shape (2049,), each bin's mass spread evenly over the bin. Noise is the sum of squared errors
    of the symmetric quantiser with 127 steps; each level's share is the exact integral over its interval.
    """
    n = mass.size
    result = np.zeros((amax.size, 3))
    for c in range(amax.size):
        a = amax[c]
        if a <= 0.0:
            result[c, 0] = m0[n]
            result[c, 1] = m2[n]
            continue
        step = a / 127.0
        rounding = 0.0
        b0, b1, b2 = 0.0, 0.0, 0.0
        for level in range(128):
            upper = a if level == 127 else (level + 0.5) * step
            j = int(upper)
            if j >= n:
                e0, e1, e2 = m0[n], m1[n], m2[n]
            else:
                d = upper - j
                h = mass[j] * d
                e0 = m0[j] + h
                e1 = m1[j] + h * (j + 0.5 * d)
                e2 = m2[j] + h * (j * (j + d) + d * d * (1.0 / 3.0))
            centre = level * step
            rounding += (e2 - b2) - 2.0 * centre * (e1 - b1) + centre * centre * (e0 - b0)
            b0, b1, b2 = e0, e1, e2
        result[c, 0] = m0[n] - b0
        result[c, 1] = (m2[n] - b2) - 2.0 * a * (m1[n] - b1) + a * a * (m0[n] - b0)
        result[c, 2] = rounding
    return result
