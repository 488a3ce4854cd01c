"""Picks of many draws of a tensor's batches: what other batches, or another order of them, would have given."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, Histogram, combine, replay
from trtcal_widgets.core.kernels.counting import SMALLEST_RANGE
from trtcal_widgets.core.kernels.resampling import draw_picks, fold, rebin
from trtcal_widgets.core.searching import room
from trtcal_widgets.core.thresholds import Method, threshold
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Resampling", "rebinned"]

_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
_MOST_FOLDED = 512
"""Rows of 2,048 counts, 16 KB each, that are kept so that draws are sums of them."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Resampling:
    """Thresholds of any draws of a tensor's batches.

    Parameters
    ----------
    histograms
        One per batch, of one base.
    in_order
        Whether they were counted in TensorRT's one pass, the first one first; else over a range that was known before.

    Raises
    ------
    UsageError
        If they started from different ranges, or there is none.
    """

    def __init__(self, histograms: Sequence[Histogram], *, in_order: bool) -> None:
        bases = {h.base for h in histograms if h.base > 0}
        if len(bases) > 1 or not histograms:
            raise UsageError(f"draws are made of histograms of one base, at least one, not of {len(bases)} bases")
        self._histograms = tuple(histograms)
        self._in_order = in_order
        self._base = next(iter(bases), 0.0)
        self._counts = np.stack([h.counts for h in histograms])
        numbers = [(h.doublings, h.edge, h.infs, h.zeros) for h in histograms]
        self._numbers = [np.ascontiguousarray(column, np.int64) for column in zip(*numbers, strict=True)]
        self.amax = np.array([h.amax for h in histograms], np.float64)
        """Largest finite |x| of each batch, float64, shape (batches,); 0 where there is no range."""
        self.amax.setflags(write=False)

    @cached_property
    def _folded(self) -> NDArray[np.int64]:
        """Each batch over every range that a draw may have, where that takes little room; else nothing."""
        doublings = np.where(self.amax > 0, self._numbers[0], 0)
        times = int(doublings.max()) + 1
        if times > _MOST_FOLDED // len(doublings):
            return np.zeros((0, 0, N_BINS), np.int64)
        folded = np.zeros((len(doublings), times, N_BINS), np.int64)
        fold(self._counts, doublings, folded)
        return folded

    def picks(
        self, draws: NDArray[np.int64], method: Method, *, one_pass: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the threshold and the range R of each draw.

        Two passes: exactly what :func:`~trtcal_widgets.core.thresholds.threshold` picks for the combined histograms.
        One pass: what it picks for the replayed ones where the range starts from the same value; elsewhere R is exact,
        and the counts are those of :func:`rebinned`.

        Parameters
        ----------
        draws
            int64, shape (draws, k): batches in their order, none twice, each row ended by -1 where it has fewer than k.
        method
            Which threshold. All but entropy and minmax are searched one by one.
        one_pass
            Whether the range starts from the first batch of a draw, as TensorRT's does.

        Returns
        -------
        tuple
            amax (float32 values) and R, float64, shape (draws,); 0 where a draw has no value but zeros.
        """
        if method.kind == "entropy":
            return self._entropy(draws, one_pass=one_pass)
        if method.kind == "minmax":
            return self._minmax(draws, one_pass=one_pass)
        histograms = [self._merged([int(b) for b in draw if b >= 0], one_pass=one_pass) for draw in draws]
        amax = [threshold(h, method) for h in histograms]
        return np.array(amax, np.float64), np.array([h.range for h in histograms], np.float64)

    def _entropy(self, draws: NDArray[np.int64], *, one_pass: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ranges, found = np.zeros(len(draws)), np.zeros(len(draws), np.int64)
        draws = np.ascontiguousarray(draws, np.int64)
        doublings, edges, infs, zeros = self._numbers
        draw_picks(
            self._counts,
            self._folded,
            doublings,
            edges,
            infs,
            zeros,
            self.amax,
            self._base,
            draws,
            one_pass,
            self._in_order,
            room(),
            ranges,
            found,
        )
        with np.errstate(over="ignore"):
            widths = (ranges / N_BINS).astype(np.float32)
            amax = (found + np.float64(0.5)).astype(np.float32) * widths
        return np.minimum(amax.astype(np.float64), _FLOAT32_MAX), ranges

    def _minmax(self, draws: NDArray[np.int64], *, one_pass: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take the largest of the batches' maxima; the range follows from them as well."""
        found = np.where(draws >= 0, self.amax[draws], 0.0)
        largest = found.max(axis=1)
        if one_pass:
            sets = found >= _SMALLEST_NORMAL
            start = np.maximum(np.take_along_axis(found, sets.argmax(axis=1)[:, None], 1)[:, 0], SMALLEST_RANGE)
            start[~sets.any(axis=1)] = self._base
            while (short := start < largest).any():
                start[short] *= 2.0
            ranges = start
        else:
            grown = np.where((draws >= 0) & (found > 0), self._numbers[0][draws], 0).max(axis=1)
            ranges = np.ldexp(self._base, grown)
        return largest.astype(np.float32).astype(np.float64), np.where(largest > 0, ranges, 0.0)

    def _merged(self, draw: Sequence[int], *, one_pass: bool) -> Histogram:
        parts = [self._histograms[b] for b in draw]
        start = next((max(h.amax, SMALLEST_RANGE) for h in parts if h.amax >= _SMALLEST_NORMAL), 0.0)
        if one_pass and self._in_order and start in (0.0, self._base):
            return replay(parts)
        merged = combine(parts)
        return rebinned(merged, start) if one_pass and start > 0 else merged


def rebinned(histogram: Histogram, base: float) -> Histogram:
    """Return an estimate of the histogram that a range starting from ``base`` would have given.

    The values of a bin are taken as evenly spread over it (the last one's up to the largest value), exact zeros stay 0;
    counts stay whole. All that is no count is exact: range, extremes, sums.

    Raises
    ------
    UsageError
        If the base is not positive.
    """
    if not base > 0:
        raise UsageError(f"a range to start from is greater than 0, not {base}")
    if histogram.amax == 0.0:
        return histogram
    doublings, reach = 0, base
    while reach < histogram.amax:
        doublings, reach = doublings + 1, reach * 2.0
    counts = np.zeros(N_BINS, np.int64)
    in_bins = N_BINS / histogram.range
    rebin(histogram.counts, histogram.zeros, histogram.amax * in_bins, reach / histogram.range, counts)
    extremes, sums = (histogram.minimum, histogram.maximum), (histogram.sum_parts, histogram.square_parts)
    return Histogram.assemble(
        base, doublings, counts, 0, histogram.tallies, extremes, *sums, histogram.n_finite, histogram.clamped
    )
