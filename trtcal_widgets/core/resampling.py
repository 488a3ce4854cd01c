"""Picks of many draws of a tensor's batches: what other batches, or another order of them, would have given."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, Histogram, combine, replay
from trtcal_widgets.core.kernels.counting import SMALLEST_RANGE
from trtcal_widgets.core.kernels.resampling import draw_counts, entropy_of_draws, fold, rebin
from trtcal_widgets.core.kernels.squares import least_noise
from trtcal_widgets.core.legacy import legacy_places
from trtcal_widgets.core.searching import quantile_places, room
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


_MSE = Method("mse")


class _Drawn(NamedTuple):
    """What draws come to, a row for each: counts, shape (draws, 2048), R, the largest finite |x|, numbers of values.

    Counts are left at 0 where there is no value but zeros.
    """

    counts: NDArray[np.int64]
    ranges: NDArray[np.float64]
    amax: NDArray[np.float64]
    zeros: NDArray[np.int64]
    finite: NDArray[np.int64]
    nans: NDArray[np.int64]


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
        numbers = [(h.doublings, h.edge, h.infs, h.zeros, h.n_finite, h.nans) for h in histograms]
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
            Which threshold.
        one_pass
            Whether the range starts from the first batch of a draw, as TensorRT's does.

        Returns
        -------
        tuple
            amax (float32 values) and R, float64, shape (draws,); 0 where a draw has no value but zeros.
        """
        draws = np.ascontiguousarray(draws, np.int64)
        if method.kind == "minmax":
            return self._minmax(draws, one_pass=one_pass)
        drawn = self._drawn(draws, one_pass=one_pass)
        if method.kind == "mse":
            return self._mse(draws, drawn, one_pass=one_pass), drawn.ranges
        of_drawn = {"entropy": _entropy, "percentile": _percentile, "legacy": _legacy}[method.kind]
        return of_drawn(drawn, method), drawn.ranges

    def _mse(self, draws: NDArray[np.int64], drawn: _Drawn, *, one_pass: bool) -> NDArray[np.float64]:
        found = np.empty(len(draws), np.int64)
        least_noise(drawn.counts, drawn.zeros, drawn.amax, drawn.ranges, found)
        amax = _float32(np.minimum(_amax_of_picks(np.maximum(found, 0), drawn.ranges), drawn.amax))
        for row in np.flatnonzero(found < 0):  # the values themselves may be known
            parts = [int(b) for b in draws[row] if b >= 0]
            amax[row] = threshold(self._merged(parts, one_pass=one_pass), _MSE)
        return amax

    def _drawn(self, draws: NDArray[np.int64], *, one_pass: bool) -> _Drawn:
        """Return what the draws come to."""
        ranges, counts = np.zeros(len(draws)), np.zeros((len(draws), N_BINS), np.int64)
        doublings, edges, infs, zeros = self._numbers[:4]
        draw_counts(
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
            ranges,
            counts,
        )
        sums = (np.where(draws >= 0, column[draws], 0).sum(axis=1) for column in self._numbers[3:])
        return _Drawn(counts, ranges, np.where(draws >= 0, self.amax[draws], 0.0).max(axis=1), *sums)

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


def _float32(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.astype(np.float32).astype(np.float64)


def _amax_of_picks(picks: NDArray[np.int64], ranges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the thresholds of candidates, each step rounded as TensorRT does; 0 without a range."""
    with np.errstate(over="ignore"):
        amax = (picks + np.float64(0.5)).astype(np.float32) * (ranges / N_BINS).astype(np.float32)
    return np.minimum(amax.astype(np.float64), _FLOAT32_MAX)


def _entropy(drawn: _Drawn, _method: Method) -> NDArray[np.float64]:
    found = np.empty(len(drawn.counts), np.int64)
    entropy_of_draws(drawn.counts, drawn.ranges, room(), found)
    return _amax_of_picks(found, drawn.ranges)


def _percentile(drawn: _Drawn, method: Method) -> NDArray[np.float64]:
    if method.share >= 1.0:
        return _float32(drawn.amax)
    places = quantile_places(drawn.counts, np.asarray(method.share * drawn.finite, np.float64))
    return _float32(np.minimum(places * drawn.ranges / N_BINS, drawn.amax))


def _legacy(drawn: _Drawn, method: Method) -> NDArray[np.float64]:
    counts = drawn.counts
    counts[:, 0] += drawn.nans
    amax = np.zeros(len(counts))
    widths = drawn.ranges / N_BINS
    rows = np.flatnonzero(drawn.amax > 0)
    limits = np.minimum(2.0 * drawn.amax[rows], _FLOAT32_MAX) / widths[rows]
    bins, ends = legacy_places(counts[rows], *method.legacy, limits)
    with np.errstate(over="ignore"):
        edges = (bins + 1).astype(np.float32) * widths[rows].astype(np.float32)
        lines = ends * drawn.ranges[rows] / N_BINS
    amax[rows] = np.minimum(np.where(np.isnan(ends), edges.astype(np.float64), lines), _FLOAT32_MAX)
    return _float32(amax)


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
