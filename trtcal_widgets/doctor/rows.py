"""In which order samples are taken into a small set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

_LEVELS = (0.5, 0.9, 0.99, 0.999, 0.9999)
"""Quantiles of all values beyond which each sample's share is compared: the tails decide thresholds."""


def features(parts: Sequence[Sequence[Histogram]], whole: Sequence[Histogram]) -> NDArray[np.float64]:
    """Return for each sample the share of its values beyond quantiles of all, over that of all; (samples, features)."""
    columns: list[NDArray[np.float64]] = []
    for histograms, all_ in zip(parts, whole, strict=True):
        below = np.cumsum(all_.counts) / max(all_.counts.sum(), 1)
        for level in _LEVELS:
            edge = int(np.searchsorted(below, level)) + 1
            beyond = np.array([h.n_beyond(edge * all_.bin_width) / max(h.n_finite, 1) for h in histograms])
            if beyond.mean() > 0:
                columns.append(np.minimum(beyond / beyond.mean(), 1e3))
    return np.stack(columns, axis=1) if columns else np.ones((len(parts[0]) if parts else 0, 1))


def herded(table: NDArray[np.float64]) -> list[int]:
    """Return all samples, each the one that brings the mean of those before and itself nearest to the mean of all."""
    scale = np.sqrt(table.var(axis=0) + 1.0)  # a feature that varies much is no more important for that
    x = table / scale
    target = x.mean(axis=0)
    square = (x**2).sum(axis=1)
    total = np.zeros(x.shape[1])
    left = np.ones(len(x), bool)
    order: list[int] = []
    for n in range(1, len(x) + 1):
        distance = square + 2.0 * (x @ (total - n * target))
        distance[~left] = np.inf
        k = int(np.argmin(distance))
        order.append(k)
        left[k] = False
        total += x[k]
    return order


def widest_first(parts: Sequence[Sequence[Histogram]], row: Sequence[int]) -> list[int]:
    """Return all samples: each time the one with the largest |x| of the tensor that lacks most, then the rest.

    What a tensor lacks is the ratio of its largest |x| over all samples to that over the samples taken.
    """
    amax = np.array([[h.amax for h in histograms] for histograms in parts])
    if not amax.size:
        return list(row)
    taken: list[int] = []
    reached = np.zeros(len(amax))
    whole = amax.max(axis=1)
    while (reached < whole).any():
        lacking = np.where(reached < whole, whole / np.maximum(reached, 1e-6 * whole), 0.0)
        taken.append(int(amax[int(lacking.argmax())].argmax()))
        reached = np.maximum(reached, amax[:, taken[-1]])
    return [*taken, *(k for k in row if k not in taken)]
