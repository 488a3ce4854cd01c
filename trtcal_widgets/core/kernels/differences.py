"""The loop that compares two arrays, compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import LINE, accumulate, start_of_values
from trtcal_widgets.core.kernels.intrinsics import float32_at, prefetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.kernels.counting import Tables

_CHUNK = 4096

_BLOCK = 1 << 17
"""Pairs that are compared and then counted: they fit the second-level cache."""


@compiled(fastmath={"reassoc", "contract"})
def _add_finite(a: NDArray[np.float32], b: NDArray[np.float32], sums: NDArray[np.float64]) -> bool:
    """Add a chunk to the sums if all of it is finite; else leave them and return False."""
    signal = tested = product = noise = absolute = signed = 0.0
    for j in range(a.size):
        x = np.float64(a[j])
        y = np.float64(b[j])
        d = y - x
        signal += x * x
        tested += y * y
        product += x * y
        noise += d * d
        absolute += abs(d)
        signed += d
    # A float32 squared fits a float64: these are finite exactly when all values are.
    if not (np.isfinite(signal) and np.isfinite(tested)):
        return False
    sums[0] += signal
    sums[1] += tested
    sums[2] += product
    sums[3] += noise
    sums[4] += absolute
    sums[5] += signed
    return True


@compiled()
def _largest_difference(
    a: NDArray[np.float32], b: NDArray[np.float32], difference: NDArray[np.float32], bits: NDArray[np.int32]
) -> None:
    """Put the bit pattern of the largest |a - b| of finite values in front of ``bits``.

    ``bits`` is the memory of ``difference``: magnitudes order like their bit patterns, and the largest integer is
    found in vector registers.
    """
    for j in range(a.size):
        difference[j] = np.abs(b[j] - a[j])
    largest = np.int32(0)
    for j in range(a.size):
        largest = max(largest, bits[j])
    bits[0] = largest


@compiled()
def compare(a: NDArray[np.float32], b: NDArray[np.float32], sums: NDArray[np.float64]) -> int:
    """Add a², b², ab, (a-b)², |a-b| and b-a to ``sums[:6]``, keep the largest |a-b| in ``sums[6]``.

    Pairs with a value that is not finite are left out; their number is returned.
    """
    left_out = 0
    difference = np.empty(_CHUNK, np.float32)
    bits = difference.view(np.int32)
    kept_a = np.empty(_CHUNK, np.float32)
    kept_b = np.empty(_CHUNK, np.float32)
    for start in range(0, a.size, _CHUNK):
        x = a[start : start + _CHUNK]
        y = b[start : start + _CHUNK]
        for line in range(start + _CHUNK, start + 2 * _CHUNK, LINE):
            prefetch(a, line)
            prefetch(b, line)
        if not _add_finite(x, y, sums):
            n = 0
            for j in range(x.size):
                if np.isfinite(x[j]) and np.isfinite(y[j]):
                    kept_a[n] = x[j]
                    kept_b[n] = y[j]
                    n += 1
            left_out += x.size - n
            x = kept_a[:n]
            y = kept_b[:n]
            _add_finite(x, y, sums)
        if x.size:
            _largest_difference(x, y, difference, bits)
            sums[6] = max(sums[6], np.float64(difference[0]))
    return left_out


@compiled(fastmath={"reassoc", "contract"})
def _differences(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[float, float]:
    """Return the sums of (a-b)² and of |a-b|."""
    noise = absolute = 0.0
    for j in range(a.size):
        d = np.float64(b[j]) - np.float64(a[j])
        noise += d * d
        absolute += abs(d)
    return noise, absolute


@compiled()
def _add_differences(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    sums: NDArray[np.float64],
    difference: NDArray[np.float32],
    bits: NDArray[np.int32],
) -> float:
    """Add to ``sums[3]``, ``sums[4]`` and ``sums[6]`` what :func:`compare` adds, for finite values; return (a-b)²."""
    squares = 0.0
    for start in range(0, a.size, _CHUNK):
        x = a[start : start + _CHUNK]
        y = b[start : start + _CHUNK]
        noise, absolute = _differences(x, y)
        _largest_difference(x, y, difference, bits)
        squares += noise
        sums[4] += absolute
        sums[6] = max(sums[6], np.float64(difference[0]))
    sums[3] += squares
    return squares


@compiled()
def _count_block(
    x: NDArray[np.float32], i: int, counters: Tables, limit: float, moments: NDArray[np.float64]
) -> tuple[float, int]:
    """Count a block into row ``i``; write its own sums to ``moments``, return the range and its values not finite."""
    tally = counters.tallies[i]
    before = tally[1] + tally[2] + tally[3]
    moments[0] = np.inf
    moments[1] = -np.inf
    moments[2] = 0.0
    moments[3] = 0.0
    grown = accumulate(x, counters.slots[i], limit, tally, moments)
    counters.doublings[i] += grown
    row = counters.moments[i]
    row[0] = min(row[0], moments[0])
    row[1] = max(row[1], moments[1])
    row[2] += moments[2]
    row[3] += moments[3]
    return limit * 2.0**grown, tally[1] + tally[2] + tally[3] - before


@compiled()
def count_pair(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    i: int,
    counters_a: Tables,
    counters_b: Tables,
    sums: NDArray[np.float64],
) -> int:
    """Compare two arrays and count both, block by block: each value comes from memory once, and is added up once.

    The ranges of row ``i`` of both tables of counters must be known; the rest is as for :func:`compare`. Of finite
    values the sum of a·b is half of the sums of a² and b² less that of (a-b)²; nothing of note is lost, because it is
    no difference of large numbers unless it is itself small beside them.
    """
    limit_a = counters_a.bases[i] if counters_a.bases[i] > 0.0 else 1.0
    limit_b = counters_b.bases[i] if counters_b.bases[i] > 0.0 else 1.0
    of_a = np.empty(4)
    of_b = np.empty(4)
    difference = np.empty(_CHUNK, np.float32)
    bits = difference.view(np.int32)
    left_out = 0
    for start in range(0, a.size, _BLOCK):
        x = a[start : start + _BLOCK]
        y = b[start : start + _BLOCK]
        limit_a, odd_a = _count_block(x, i, counters_a, limit_a, of_a)
        limit_b, odd_b = _count_block(y, i, counters_b, limit_b, of_b)
        if odd_a + odd_b > 0:
            left_out += compare(x, y, sums)
            continue
        noise = _add_differences(x, y, sums, difference, bits)
        sums[0] += of_a[3]
        sums[1] += of_b[3]
        sums[2] += (of_a[3] + of_b[3] - noise) / 2.0
        sums[5] += of_b[2] - of_a[2]
    return left_out


@compiled()
def count_pairs(
    addresses_a: NDArray[np.uint64],
    addresses_b: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    counters_a: Tables,
    counters_b: Tables,
    sums: NDArray[np.float64],
    left_out: NDArray[np.int64],
) -> None:
    """Do :func:`count_pair` for several pairs in one call, which holds no GIL.

    A range that is not known is that of the first array, for both; or that of the second where the first has none.
    """
    for i in range(sizes.size):
        a = float32_at(addresses_a[i], sizes[i])
        b = float32_at(addresses_b[i], sizes[i])
        if counters_a.bases[i] == 0.0:
            counters_a.bases[i] = start_of_values(a)
        if counters_b.bases[i] == 0.0:
            counters_b.bases[i] = counters_a.bases[i] if counters_a.bases[i] > 0.0 else start_of_values(b)
        left_out[i] = count_pair(a, b, i, counters_a, counters_b, sums[i])
