"""Merging histograms: of any batches, of batches in their order, of the parts of one array."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.core import _adding
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["combine", "join_parts", "replay"]


def combine(histograms: Iterable[Histogram]) -> Histogram:
    """Merge any number of histograms of one base exactly; the result does not depend on their order.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=False, lift_earlier=False)


def join_parts(histograms: Iterable[Histogram]) -> Histogram:
    """Merge histograms of the parts of ONE array to what :meth:`Histogram.of` makes of the whole array.

    The range of a batch is known before its first value is counted, so a value at the upper edge of a part's range
    belongs one bin higher wherever another part had to double it.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=True)


def replay(histograms: Iterable[Histogram]) -> Histogram:
    """Merge per-batch histograms in their order, to the counts that one pass over the batches would have made.

    One pass puts a value that lies exactly at the upper edge of the range into the last bin, and it stays with
    that bin when a later batch doubles the range; had the range been doubled before, the value would be one bin
    higher. That is the only way in which the order of batches of one base shows, and it is kept here.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=False)


def _merged(parts: list[Histogram], *, lift_later: bool, lift_earlier: bool) -> Histogram:
    """Merge; lifting moves edge values of a shorter range to the next bin of the longer one.

    ``lift_later`` does so for histograms that come after the range has grown, ``lift_earlier`` for those before.
    """
    bases = {h.base for h in parts if h.base > 0}
    if len(bases) > 1:
        listed = ", ".join(repr(b) for b in sorted(bases)[:3])
        raise UsageError(
            f"histograms that started from different ranges ({listed}) cannot be merged: "
            "count the later ones with base= the first one's base"
        )
    if len(parts) < 2:
        return parts[0] if parts else Histogram.empty()
    counts, doublings, edge = _merged_counts(parts, lift_later=lift_later, lift_earlier=lift_earlier)
    n_finite = zeros = nans = pos_infs = neg_infs = 0
    minimum, maximum = math.inf, -math.inf
    for h in parts:
        if h.n_finite:
            n_finite += h.n_finite
            minimum, maximum = min(minimum, h.minimum), max(maximum, h.maximum)
        zeros += h.zeros
        nans += h.nans
        pos_infs += h.pos_infs
        neg_infs += h.neg_infs
    return Histogram(
        base=next(iter(bases), 0.0),
        doublings=doublings,
        counts=counts,
        edge=edge,
        zeros=zeros,
        nans=nans,
        pos_infs=pos_infs,
        neg_infs=neg_infs,
        minimum=minimum if n_finite else 0.0,
        maximum=maximum if n_finite else 0.0,
        sum_parts=_exact_sum(h.sum_parts for h in parts),
        square_parts=_exact_sum(h.square_parts for h in parts),
    ).with_n_finite(n_finite)


def _merged_counts(
    parts: list[Histogram], *, lift_later: bool, lift_earlier: bool
) -> tuple[NDArray[np.int64], int, int]:
    """Return the counts of all, how often their range has doubled, and the values at its upper edge."""
    first, *others = parts
    counts, doublings, edge = first.counts.copy(), first.doublings, first.edge
    for h in others:
        # A histogram without a base holds zeros only, which are in bin 0 of any range.
        own = h.doublings if h.base > 0 else doublings
        doublings, edge = _adding.add_counts(counts, doublings, edge, h.counts, own, h.edge, lift_later, lift_earlier)
    return counts, doublings, edge


def _exact_sum(parts: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Add floats without rounding: the result is a short tuple of floats whose exact sum is the exact sum."""
    values = [value for part in parts for value in part]
    expansion = [0.0] * len(values)
    n = 0
    for value in values:
        n = _adding.grow(expansion, n, value)
    return tuple(expansion[:n])
