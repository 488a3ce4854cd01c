"""Counts of many draws of a tensor's batches in one call, and picks of many, compiled by numba; no GIL is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.adding import add_counts, copy_counts
from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS, SMALLEST_RANGE
from trtcal_widgets.core.kernels.searching import entropy_pick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.kernels.searching import Scratch

_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
"""Smaller values are zeros to TensorRT and set no range."""


@compiled()
def fold(counts: NDArray[np.int64], doublings: NDArray[np.int64], folded: NDArray[np.int64]) -> None:
    """Write the counts of batches over ranges that have doubled 0, 1, … times; 0 where a batch's own is longer.

    ``folded``: zeros, shape (batches, times, 2048); ``doublings``: of each batch, 0 where it has no range.
    """
    for b in range(counts.shape[0]):
        for j in range(N_BINS):
            folded[b, doublings[b], j] = counts[b, j]
        for grown in range(doublings[b] + 1, folded.shape[1]):
            for j in range(N_BINS // 2):
                folded[b, grown, j] = folded[b, grown - 1, 2 * j] + folded[b, grown - 1, 2 * j + 1]


@compiled()
def _add_folded_draw(
    folded: NDArray[np.int64],
    doublings: NDArray[np.int64],
    amax: NDArray[np.float64],
    draw: NDArray[np.int64],
    total: NDArray[np.int64],
) -> int:
    """Do what :func:`merge_draw` does for batches in whatever order, from what :func:`fold` made of them."""
    grown = 0
    for k in range(draw.size):
        if draw[k] >= 0 and amax[draw[k]] > 0.0:
            grown = max(grown, doublings[draw[k]])
    total[:] = 0
    for k in range(draw.size):
        b = draw[k]
        if b < 0:
            break
        for j in range(N_BINS):
            total[j] += folded[b, grown, j]
    return grown


@compiled()
def merge_draw(
    counts: NDArray[np.int64],
    folded: NDArray[np.int64],
    doublings: NDArray[np.int64],
    edges: NDArray[np.int64],
    infs: NDArray[np.int64],
    amax: NDArray[np.float64],
    draw: NDArray[np.int64],
    in_order: bool,
    total: NDArray[np.int64],
) -> int:
    """Write the counts of some batches of one base to ``total``; return how often their range has doubled.

    As :func:`~trtcal_widgets.core.histogram.replay` does with ``in_order``, and else ``combine``. ``draw``: the
    batches, ended by -1. ``amax``: largest |x| of each batch, 0 where it has no range. ``folded``: what :func:`fold`
    made of the counts, or nothing, shape (0, 0, 2048).
    """
    if folded.size and not in_order:
        return _add_folded_draw(folded, doublings, amax, draw, total)
    total[:] = 0
    grown, edge, largest, waiting = 0, 0, 0.0, 0
    for k in range(draw.size):
        b = draw[k]
        if b < 0:
            break
        clamp = in_order and largest > 0.0 and waiting == 0
        own = doublings[b] if amax[b] > 0.0 else grown
        grown, edge = add_counts(total, grown, edge, counts[b], own, edges[b], in_order, False)
        if clamp:
            total[N_BINS - 1] += infs[b]
        else:
            waiting += infs[b]
        largest = max(largest, amax[b])
    return grown


@compiled(error_model="numpy")
def rebin(counts: NDArray[np.int64], zeros: int, end: float, width: float, made: NDArray[np.int64]) -> None:
    """Write the counts over bins of another width, as if values lay evenly within each bin.

    Whole counts: those up to an edge are rounded, so that a value that stands alone stays whole.

    ``zeros``: how many values of bin 0 are 0 and stay there. ``end``: the largest |x| and ``width``: the new bins'
    width, both in old bins.
    """
    j = 0
    below = 0.0  # values in the bins before j
    before = 0.0
    for k in range(N_BINS):
        edge = (k + 1) * width
        while j < N_BINS and j + 1.0 <= edge:
            below += counts[j] - (zeros if j == 0 else 0)
            j += 1
        inside = 0.0
        if j < N_BINS:
            span = min(max(end - j, 1e-9), 1.0)
            inside = (counts[j] - (zeros if j == 0 else 0)) * min((edge - j) / span, 1.0)
        upto = np.floor(below + inside + 0.5)
        made[k] = np.int64(upto - before)
        before = upto
    rest = 0.0
    while j < N_BINS:
        rest += counts[j] - (zeros if j == 0 else 0)
        j += 1
    made[N_BINS - 1] += np.int64(np.floor(below + rest + 0.5) - before)
    made[0] += zeros


@compiled()
def _first_range(amax: NDArray[np.float64], draw: NDArray[np.int64]) -> tuple[float, float]:
    """Return the range from which one pass over a draw starts, and the largest |x|; 0 where there is none."""
    start, largest = 0.0, 0.0
    for k in range(draw.size):
        if draw[k] < 0:
            break
        if start == 0.0 and amax[draw[k]] >= _SMALLEST_NORMAL:
            start = max(amax[draw[k]], SMALLEST_RANGE)
        largest = max(largest, amax[draw[k]])
    return start, largest


@compiled(error_model="numpy")
def draw_counts(
    counts: NDArray[np.int64],
    folded: NDArray[np.int64],
    doublings: NDArray[np.int64],
    edges: NDArray[np.int64],
    infs: NDArray[np.int64],
    zeros: NDArray[np.int64],
    amax: NDArray[np.float64],
    base: float,
    draws: NDArray[np.int64],
    one_pass: bool,
    recorded_in_order: bool,
    ranges: NDArray[np.float64],
    found: NDArray[np.int64],
) -> None:
    """Write the range R and the counts of each draw of batches.

    ``counts`` (batches, 2048), ``doublings``, ``edges``, ``infs``, ``zeros``, ``amax`` (batches,): the recorded
    histograms, which started from ``base``; ``folded``: see :func:`merge_draw`. ``draws`` (draws, batches): each ended
    by -1. ``one_pass``: whether the range starts from each draw's first batch, and the recorded counts are moved to
    those bins; ``recorded_in_order``: whether the recorded ones are TensorRT's where the range starts from ``base``. R
    is 0 where there is no value but 0, and the counts are then left as they are. ``found``: shape (draws, 2048).
    """
    total = np.empty(N_BINS, np.int64)
    everything = np.empty(N_BINS, np.int64)
    of_all = -1
    for d in range(draws.shape[0]):
        draw = draws[d]
        start, largest = _first_range(amax, draw)
        ranges[d] = 0.0
        if largest == 0.0:
            continue
        same = not one_pass or start == 0.0 or (recorded_in_order and start == base)
        in_order = one_pass and same
        every = draw[draw.size - 1] >= 0 and draw.size == amax.size and not in_order
        if every and of_all >= 0:  # all batches, in whatever order: merged once
            copy_counts(everything, total)
            grown = of_all
        else:
            grown = merge_draw(counts, folded, doublings, edges, infs, amax, draw, in_order, total)
            if every:
                copy_counts(total, everything)
                of_all = grown
        reach = base * 2.0**grown
        ranges[d] = reach
        if same:
            copy_counts(total, found[d])
            continue
        while start < largest:
            start *= 2.0
        ranges[d] = start
        nothing = 0
        for k in range(draw.size):
            if draw[k] < 0:
                break
            nothing += int(zeros[draw[k]])
        rebin(total, nothing, largest / reach * N_BINS, start / reach, found[d])


@compiled(error_model="numpy")
def entropy_of_draws(
    counts: NDArray[np.int64], ranges: NDArray[np.float64], room: Scratch, picks: NDArray[np.int64]
) -> None:
    """Write the entropy search's candidate for each row of counts, each search beginning at the pick of the last."""
    guess = 0.0
    for d in range(ranges.size):
        picks[d] = N_BINS
        if ranges[d] == 0.0:
            continue
        hint = N_BINS
        if guess > 0.0:
            hint = min(max(int(guess / ranges[d] * N_BINS), 128), N_BINS)
        picks[d] = entropy_pick(counts[d], hint, room, False)
        guess = (picks[d] + 0.5) * ranges[d] / N_BINS


@compiled(error_model="numpy")
def quantiles(counts: NDArray[np.int64], wanted: NDArray[np.float64], places: NDArray[np.float64]) -> None:
    """Write where the running sum of each row's counts comes to a number, in bins, linear within the bin.

    ``wanted``: shape (rows,), at most the sum of the row.
    """
    for d in range(wanted.size):
        below = 0
        places[d] = N_BINS
        for j in range(N_BINS):
            if below + counts[d, j] >= wanted[d]:
                inside = (wanted[d] - below) / counts[d, j] if counts[d, j] else 0.0
                places[d] = j + inside
                break
            below += counts[d, j]
