"""Adding counts whose ranges have doubled differently often, and floats without rounding; compiled by numba."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.intrinsics import part, scratch, smaller

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = N_BINS.bit_length() - 1
"""Doublings after which everything is in bin 0."""


@compiled(inner=True)
def copy_counts(counts: NDArray[np.int64], into: NDArray[np.int64]) -> None:
    """Copy counts; ``into[:] = counts`` would compile the text of an error for other sizes as well: 2 s."""
    for j in range(N_BINS):
        into[j] = counts[j]


@compiled(inner=True)
def _add_folded(total: NDArray[np.int64], counts: NDArray[np.int64], doublings: int, edge: int) -> None:
    """Add counts to others whose range is 2**doublings times as long.

    ``edge`` of the last bin go one bin higher than the rest of it, where the longer range has one.
    """
    if doublings == 0:
        for j in range(N_BINS):
            total[j] += counts[j]
        return
    shift = smaller(doublings, _BITS)
    for j in range(N_BINS >> shift):
        value = 0
        for k in range(j << shift, (j + 1) << shift):
            value += counts[k]
        total[j] += value
    if doublings <= _BITS:
        last = (N_BINS - 1) >> shift
        total[last] -= edge
        total[last + 1] += edge


@compiled()
def add_counts(
    total: NDArray[np.int64],
    doublings: int,
    edge: int,
    counts: NDArray[np.int64],
    own: int,
    own_edge: int,
    lift_later: bool,
    lift_earlier: bool,
) -> tuple[int, int]:
    """Add counts whose range has doubled ``own`` times to others of the same base; return doublings and edge of all.

    Lifting moves the edge values of the shorter range to the next bin of the longer one: ``lift_later`` those of the
    counts that are added, ``lift_earlier`` those of the total.
    """
    counts = part(counts, 0, N_BINS)
    if own > doublings:
        shorter = scratch(N_BINS, np.int64)
        copy_counts(total, shorter)
        copy_counts(counts, total)
        _add_folded(total, shorter, own - doublings, edge if lift_earlier else 0)
        return own, own_edge
    _add_folded(total, counts, doublings - own, own_edge if lift_later else 0)
    return doublings, edge + own_edge if own == doublings else edge


def grow(expansion: list[float] | NDArray[np.float64], n: int, value: float) -> int:
    """Add a float to an expansion of ``n`` floats without rounding, in place; return how many they are now.

    For few floats Python itself is quicker than a call of what is compiled.

    Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997: the exact sum
    of an expansion is that of all that was added to it.
    """
    kept = 0
    carry = value
    for k in range(n):
        term = expansion[k]
        high = carry + term
        virtual = high - carry
        low = (carry - (high - virtual)) + (term - virtual)
        if low != 0.0:
            expansion[kept] = low
            kept += 1
        carry = high
    expansion[kept] = carry
    return kept + 1


grow_expansion = compiled()(grow)
