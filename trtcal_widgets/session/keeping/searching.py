"""Thresholds of many tensors at once; an entropy search begins where the last one of the tensor ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.histogram import N_BINS
from trtcal_widgets.core.searching import entropy_picks, quantile_places
from trtcal_widgets.core.thresholds import FIRST_CANDIDATE, entropy_amax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.core.histogram import Histogram


def entropy_thresholds(histograms: Sequence[Histogram], like: Sequence[float]) -> list[float]:
    """Return what entropy picks for each histogram.

    ``like``: thresholds that may be close, in the tensors' units; 0: none is known. They change the time alone.
    """
    if not histograms:
        return []
    hints = [_candidate(h, amax) for h, amax in zip(histograms, like, strict=True)]
    picks = entropy_picks(np.stack([h.counts for h in histograms]), np.array(hints, np.int64)).tolist()
    return [entropy_amax(h, pick) for h, pick in zip(histograms, picks, strict=True)]


def _candidate(histogram: Histogram, amax: float) -> int:
    if not (amax > 0.0 and histogram.range > 0.0):
        return N_BINS
    return min(max(int(min(amax / histogram.range, 1.0) * N_BINS), FIRST_CANDIDATE), N_BINS)


def percentiles(histograms: Sequence[Histogram], share: float) -> list[float]:
    """Return the |x| that ``share`` of the values of each histogram do not exceed, as a percentile is picked."""
    if not histograms:
        return []
    wanted = np.array([share * h.n_finite for h in histograms])
    places = quantile_places(np.stack([h.counts for h in histograms]), wanted)
    ranges, largest = (np.array(column) for column in zip(*((h.range, h.amax) for h in histograms), strict=True))
    amax = np.where(wanted > 0, np.minimum(places * ranges / N_BINS, largest), largest)
    found: list[float] = amax.astype(np.float32).tolist()
    return found
