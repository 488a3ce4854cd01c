"""Discrete values whose histogram tells them exactly: pixels, whole numbers, masks, one-hot rows.

A histogram counts values in bins. Where each occupied bin stands alone, what is known besides (the largest value, the
sum, the sum of squares) may leave one possibility: very few values, or multiples of one number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.histogram import N_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

_TIGHT = 1e-6
"""Values are float32: a sum of squares follows from them to a tenth of this."""

_SUMMED = 1e-10
"""What adding up many float64 leaves open, as a share of the sum."""

_SEEN = 1e-5
"""Share of a sum below which what is not the largest value shows too little in it."""

_ENDLESS = 1e300
"""A threshold from which on everything is rounded to 0."""

_AT_A_TIME = 16 * 1024
"""Pairs of a threshold and a value that are looked at in one go: they stay in the second-level cache."""

_SUMMED_IN_ORDER = 8
"""NumPy adds fewer numbers than these one after the other, along whichever axis."""

_LOOKED_AROUND = 16
"""Thresholds around which a search looks closer."""

_MOST_TRIED = 1 << 20
"""Thresholds between bins, times values, that are tried at most at first."""

_CHANCE = 4e-3
"""How often a sum comes out right by chance where values are known to a bin only."""

_DOUBT = 1e-3
"""Multiples are taken for the values where bins and sums would be so by chance less often than this."""


class Discrete(NamedTuple):
    """Distinct |x| that are not 0, float64, in the tensor's unit, in order; and how many values each of them has."""

    values: NDArray[np.float64]
    counts: NDArray[np.float64]


def alone_share(h: Histogram) -> float:
    """Return the share of the values, zeros left out, that lie in bins beside which nothing lies."""
    mass = _mass(h)
    occupied = mass > 0
    alone = occupied & ~np.append(False, occupied[:-1]) & ~np.append(occupied[1:], False)
    return float(mass[alone].sum() / mass.sum()) if occupied.any() else 0.0


def discrete_values(h: Histogram) -> Discrete | None:
    """Return the values of a histogram that tells them; None for most histograms.

    Each occupied bin must stand alone. The smallest and the largest value are known, and one more follows from the sum
    of squares. Others are taken for multiples of one number where bins and sums would hardly be so by chance.
    """
    mass = _mass(h)
    bins = np.flatnonzero(mass)
    if not len(bins) or not (h.amax > 0.0 < h.sum_squares) or h.clamped or (np.diff(bins) < 2).any():
        return None
    if bins[0] == 0:  # whatever is small against the range is in it
        return None
    counts = mass[bins]
    width = h.range / N_BINS
    for find in (_few, _multiples):
        values = find(h, bins, counts)
        if values is not None and np.array_equal(np.minimum((values / width).astype(np.int64), N_BINS - 1), bins):
            return Discrete(values, counts)
    return None


def _mass(h: Histogram) -> NDArray[np.float64]:
    mass = h.counts.astype(np.float64)
    mass[0] -= h.zeros
    return mass


def _one_sign(h: Histogram) -> bool:
    return h.minimum >= 0.0 or h.maximum <= 0.0


def _few(h: Histogram, bins: NDArray[np.intp], counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the values where all but one are the smallest and the largest, which are known.

    The sum of squares tells the one that is left; a sum must then be left to try it by.
    """
    ends = sorted({abs(h.minimum), abs(h.maximum)} - {0.0})
    places = [min(int(end * N_BINS / h.range), N_BINS - 1) for end in ends]
    values = np.full(len(bins), np.nan)
    for end, place in zip(ends, places, strict=True):
        values[bins == place] = end
    unknown = np.isnan(values)
    if len(set(places)) < len(places) or unknown.sum() > int(_one_sign(h)):
        return None
    if unknown.any():
        squares = h.sum_squares - float((counts * values**2)[~unknown].sum())
        values[unknown] = math.sqrt(max(squares, 0.0) / float(counts[unknown][0]))
    return values if _adds_up(h, values, counts) else None


def _adds_up(h: Histogram, values: NDArray[np.float64], counts: NDArray[np.float64]) -> bool:
    """Whether values have the sum of squares that is known, and the sum where they have one sign."""
    for wanted, power in [(h.sum_squares, 2)] + ([(abs(h.total), 1)] if _one_sign(h) else []):
        parts = counts * values**power
        rest = float(parts[:-1].sum())  # the largest value is exact
        if abs(float(parts.sum()) - wanted) > _TIGHT * rest + _SUMMED * wanted or 0.0 < rest < _SEEN * wanted:
            return False
    return True


def _multiples(h: Histogram, bins: NDArray[np.intp], counts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return multiples of the largest value's parts that lie in the occupied bins and add up as the values do."""
    width = h.range / N_BINS
    n_bins = h.amax / width
    parts = np.arange(1, int(n_bins / 2) + 1, dtype=np.float64)
    fits = np.ones(len(parts), np.bool_)
    for some in np.array_split(bins, max(1, len(bins) // 32)):  # most parts go with the first few bins
        step = h.amax / width / parts[fits]
        multiple = np.floor((some[:, None] + 1) / step * (1 + 1e-7))
        fits[fits] = ((multiple * step * (1 + 1e-7) >= some[:, None]) & (multiple >= 1)).all(axis=0)
    for n in parts[fits]:
        if n * (n / n_bins) ** (len(bins) - 1) * _CHANCE ** (1 + _one_sign(h)) > _DOUBT:
            return None  # more parts are likelier still to fit by chance
        values = np.asarray(np.round((bins + 0.5) * width * n / h.amax) * h.amax / n)
        if _adds_up(h, values, counts):
            return values
    return None


def exact_noise(found: Discrete, amax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many values are clipped, and the squared errors of the clipped and of the others, shape (k, 3).

    ``amax``: thresholds, shape (k,), in the tensor's unit; 0 clips everything.
    """
    result = np.empty((amax.size, 3))
    axis = 0 if len(found.values) < _SUMMED_IN_ORDER else 1
    values, counts = (x[:, None] if axis == 0 else x for x in found)
    many = max(1, _AT_A_TIME // max(len(found.values), 1))
    for start in range(0, amax.size, many):
        limit = np.minimum(amax[start : start + many], _ENDLESS)
        limit = limit if axis == 0 else limit[:, None]
        errors, beyond = _squared_errors(values, counts, limit), values > limit
        clipped = errors * beyond
        result[start : start + many, 0] = (counts * beyond).sum(axis=axis)
        result[start : start + many, 1] = clipped.sum(axis=axis)
        result[start : start + many, 2] = np.subtract(errors, clipped, out=errors).sum(axis=axis)
    return result


def _squared_errors(
    values: NDArray[np.float64], counts: NDArray[np.float64], limit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared errors of values times their counts, of any shapes that go together; no limit is endless."""
    step = limit / 127.0
    with np.errstate(all="ignore"):  # a step of 0 clips everything, to 0
        errors = values / step
        np.minimum(np.rint(errors, out=errors), 127.0, out=errors)
        errors *= step
    np.square(np.subtract(values, errors, out=errors), out=errors)
    errors *= counts
    return errors


def best_between(found: Discrete, h: Histogram, candidates: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """Return the threshold with the least error of many beside the candidates, looking ever closer at the best.

    ``candidates``: thresholds in the middle of each bin from some bin on, and one behind the last bin, shape (k,);
    ``noise``: their :func:`exact_noise` per value, shape (k, 3). No threshold is above the largest value.
    """
    steps = max(1, min(32, _MOST_TRIED // (len(found.values) * N_BINS)))
    first = N_BINS + 1 - len(candidates)
    amax = min(float(candidates[_total(noise).argmin()]), h.amax)
    places = _worth_trying(found, h, noise, steps) / steps
    for closer in (1.0 / steps, 1.0 / (32 * steps), 0.0):
        ends = np.array([amax, h.amax], np.float32).astype(np.float64)
        tried = np.concatenate((_thresholds_at(places, h), ends))
        errors = _errors_at(found, h, tried)
        order = np.argsort(errors, kind="stable")[:_LOOKED_AROUND]
        amax = float(tried[errors == errors[order[0]]].max())
        places = (tried[order][:, None] / h.bin_width + np.linspace(-closer, closer, 65)).reshape(-1)
        places = places[places >= first]
    return amax


def _worth_trying(found: Discrete, h: Histogram, noise: NDArray[np.float64], steps: int) -> NDArray[np.intp]:
    """Return the places, in parts of a bin, but for those that cannot be among the best few.

    The lower a threshold is, the more is clipped: none that is below a candidate is among the best few where this
    candidate clips more than some few cost. Above the largest value all are that value, and so a few are enough.
    """
    first = N_BINS + 1 - len(noise)
    few = np.argpartition(_total(noise), _LOOKED_AROUND)[:_LOOKED_AROUND] + first
    limit = _errors_at(found, h, _thresholds_at((few * steps + steps // 2) / steps, h)).max()
    n_worse = int((noise[:, 1] > limit).sum())
    start = (first + n_worse - 1) * steps + steps // 2 if n_worse else first * steps
    end = int(h.amax / h.bin_width * steps) + 2 + _LOOKED_AROUND
    return np.arange(start, min(end, (N_BINS + 1) * steps))


def _thresholds_at(places: NDArray[np.float64], h: Histogram) -> NDArray[np.float64]:
    """Return the thresholds at places that are in bins, as float32 holds them; none is above the largest value."""
    return np.minimum(places * h.bin_width, h.amax).astype(np.float32).astype(np.float64)


def _errors_at(found: Discrete, h: Histogram, amax: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squared error of each threshold."""
    if len(found.values) < _SUMMED_IN_ORDER:
        return _total(exact_noise(found, amax) / h.n_finite)
    distinct, back = np.unique(amax, return_inverse=True)  # many are equal as float32
    return _total(exact_noise(found, distinct) / h.n_finite)[back]


def _total(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(noise[:, 1] + noise[:, 2])
