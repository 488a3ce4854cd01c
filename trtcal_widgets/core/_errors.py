"""The loop that compares two arrays, compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core._compile import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compare"]

_CHUNK = 4096


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
