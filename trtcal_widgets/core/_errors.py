"""The loop that compares two arrays, compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import carray  # type: ignore[attr-defined]  # it is public, and not in __all__

from trtcal_widgets.core._compile import compiled
from trtcal_widgets.core._kernels import N_BINS, accumulate, start_of_values
from trtcal_widgets.core._memory import float32_at, prefetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core._kernels import Tables

__all__ = ["compare", "count_pairs"]

_CHUNK = 4096

_BLOCK = 1 << 17
"""Pairs that are compared and then counted: they fit the second-level cache."""

_LINE = 16
"""float32 values in a cache line."""


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
        for line in range(start + _CHUNK, start + 2 * _CHUNK, _LINE):
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


@compiled()
def count_pair(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    i: int,
    counters_a: Tables,
    counters_b: Tables,
    sums: NDArray[np.float64],
) -> int:
    """Compare two arrays and count both, block by block: each value comes from memory once.

    The ranges of row ``i`` of both tables of counters must be known; the rest is as for :func:`compare`.
    """
    bases_a, doublings_a, slots_a, tallies_a, moments_a = counters_a
    bases_b, doublings_b, slots_b, tallies_b, moments_b = counters_b
    limit_a = bases_a[i] if bases_a[i] > 0.0 else 1.0
    limit_b = bases_b[i] if bases_b[i] > 0.0 else 1.0
    left_out = 0
    for start in range(0, a.size, _BLOCK):
        x = a[start : start + _BLOCK]
        y = b[start : start + _BLOCK]
        left_out += compare(x, y, sums)
        grown = accumulate(x, slots_a[i], limit_a, np.float32(N_BINS / limit_a), tallies_a[i], moments_a[i])
        doublings_a[i] += grown
        limit_a *= 2.0**grown
        grown = accumulate(y, slots_b[i], limit_b, np.float32(N_BINS / limit_b), tallies_b[i], moments_b[i])
        doublings_b[i] += grown
        limit_b *= 2.0**grown
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
        a = carray(float32_at(addresses_a[i]), sizes[i])
        b = carray(float32_at(addresses_b[i]), sizes[i])
        if counters_a[0][i] == 0.0:
            counters_a[0][i] = start_of_values(a)
        if counters_b[0][i] == 0.0:
            counters_b[0][i] = counters_a[0][i] if counters_a[0][i] > 0.0 else start_of_values(b)
        left_out[i] = count_pair(a, b, i, counters_a, counters_b, sums[i])
