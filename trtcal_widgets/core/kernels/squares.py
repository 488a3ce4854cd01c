"""The candidate with the least squared error, compiled by numba: exact, but most candidates are left early.

The noise of a candidate is what it clips, known at once, and the squared errors within each of its levels, which are
never negative: summed from level 0 on, a candidate is left as soon as the sum is beyond the noise of a good one. What
is left is compared by :func:`~trtcal_widgets.core.kernels.objectives.quantization_noise`, bit for bit as a curve is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.objectives import moments_of, quantization_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST = 128
"""The smallest candidate."""

_BLOCK = 32
"""Levels that are summed before a candidate is compared with the best one so far."""

_STRIDE = 64
"""Candidates this far apart are looked at first: one that is nearly as good as the best shortens the rest."""

_AROUND = 6
"""Candidates to either side of the last pick that are looked at first: 1, 4, 9, … away."""

_LAST_EDGE = 127
"""Edges between the levels of a candidate."""

_ROUNDING = 1e-11
"""Share of the sum of squares that adding up in another order may change by: far more than it does."""


@compiled(inner=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def _left_over(
    bin_width: float,
    width: float,
    amax: float,
    limit: float,
    mass: NDArray[np.float64],
    moments: NDArray[np.float64],
    g: NDArray[np.float64],
    places: NDArray[np.int64],
) -> int:
    """Write the candidates whose noise, times the number of values, may be no more than ``limit``; return how many.

    ``limit`` is in bins; ``g``: the coefficients of G, as ``quantization_noise`` has them, shape (2049, 3).
    """
    n0, n1, n2 = moments[0, N_BINS], moments[1, N_BINS], moments[2, N_BINS]
    some = 0
    for i in range(_FIRST, N_BINS + 1):
        tried = (i + 0.5) * bin_width
        a = tried / width
        step = a / 127.0
        above = limit
        of_edges = 0.0
        for level in range(0, _LAST_EDGE, _BLOCK):  # at first what is clipped, then the levels below ``level``
            if level:
                end, centre = (level + 0.5) * step, level * step
                for k in range(level - _BLOCK, level):
                    edge = (k + 0.5) * step
                    bin_of = np.uint32(np.int32(edge))
                    of_edges += g[bin_of, 0] + edge * (g[bin_of, 1] + edge * g[bin_of, 2])
            else:
                end = centre = min(a, float(N_BINS))
            j = np.uint32(np.int32(end))
            d = end - j
            h = mass[j] * d
            e0 = moments[0, j] + h
            e1 = moments[1, j] + h * (j + 0.5 * d)
            e2 = moments[2, j] + h * (j * (j + d) + d * d * (1.0 / 3.0))
            if level:
                left = above - (e2 - 2.0 * centre * e1 + centre * centre * e0 - 2.0 * step * of_edges)
            elif tried < amax:
                above -= (n2 - e2) - 2.0 * a * (n1 - e1) + a * a * (n0 - e0)
                left = above
            else:
                left = above
            if left < 0.0 or (level + _BLOCK + 0.5) * step >= N_BINS:
                break
        if left >= 0.0:
            places[some] = i
            some += 1
    return some


@compiled(inner=True, error_model="numpy")
def _prepare(
    counts: NDArray[np.int64],
    zeros: int,
    mass: NDArray[np.float64],
    moments: NDArray[np.float64],
    g: NDArray[np.float64],
) -> bool:
    """Write mass per bin, its prefix moments, and G's coefficients; return whether values lie side by side."""
    dense = moments_of(counts, zeros, mass, moments[0], moments[1], moments[2])
    below = 0.0
    for j in range(N_BINS):
        left, m0, half = np.float64(j), moments[0, j], 0.5 * mass[j]
        g[j, 0], g[j, 1], g[j, 2] = below - left * (m0 - half * left), m0 - mass[j] * left, half
        below += m0 + half
    return dense


@compiled(inner=True, error_model="numpy")
def _exactly(
    places: NDArray[np.int64], width: float, mass: NDArray[np.float64], moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return clipping and rounding noise of some candidates, times the number of values, in bins."""
    bin_width = np.float64(np.float32(width))
    in_bins = np.empty(places.size)
    for k in range(places.size):
        in_bins[k] = (places[k] + 0.5) * bin_width / width
    noise = np.empty((places.size, 3))
    quantization_noise(in_bins, 0, places.size, mass, moments[0], moments[1], moments[2], noise)
    return noise


@compiled(inner=True, error_model="numpy")
def _good_limit(
    hint: int, width: float, mass: NDArray[np.float64], moments: NDArray[np.float64], places: NDArray[np.int64]
) -> float:
    """Return the noise of the best of a few candidates, some of them around the hint."""
    some = (N_BINS - _FIRST) // _STRIDE + 1
    for k in range(some):
        places[k] = _FIRST + k * _STRIDE
    for k in range(-_AROUND, _AROUND + 1):
        places[some] = min(max(hint + k * abs(k), _FIRST), N_BINS)
        some += 1
    noise = _exactly(places[:some], width, mass, moments)
    limit = np.inf
    for k in range(some):
        limit = min(limit, noise[k, 1] + noise[k, 2])
    return float(limit)


@compiled(error_model="numpy")
def least_noise(
    counts: NDArray[np.int64],
    zeros: NDArray[np.int64],
    amax: NDArray[np.float64],
    ranges: NDArray[np.float64],
    picks: NDArray[np.int64],
) -> None:
    """Write for each row of counts the first candidate with the least clipping plus rounding noise.

    ``zeros``, ``amax``, ``ranges``, ``picks``: shape (rows,): how many values of bin 0 are 0, the largest finite |x|,
    and R, in the tensor's unit. 2048 where there is no range; -1 where no two occupied bins are neighbours, nor is the
    first one occupied: the histogram may then tell the values themselves.
    """
    mass, moments, g = np.zeros(N_BINS + 1), np.zeros((3, N_BINS + 1)), np.zeros((N_BINS + 1, 3))
    places = np.empty(N_BINS - _FIRST + 1, np.int64)
    guess = 0.0
    for d in range(picks.size):
        picks[d] = N_BINS
        if ranges[d] == 0.0 or amax[d] == 0.0:
            continue
        if not _prepare(counts[d], zeros[d], mass, moments, g):
            picks[d] = -1
            continue
        width = ranges[d] / N_BINS
        bin_width = np.float64(np.float32(width))
        hint = min(max(int(guess / width), _FIRST), N_BINS)
        limit = _good_limit(hint, width, mass, moments, places) + _ROUNDING * moments[2, N_BINS]
        some = _left_over(bin_width, width, amax[d], limit, mass, moments, g, places)
        noise = _exactly(places[:some], width, mass, moments)
        n = counts[d].sum()
        best = np.inf
        for k in range(some):
            clipped = max(noise[k, 1], 0.0) if (places[k] + 0.5) * bin_width < amax[d] else 0.0
            value = clipped / n * (width * width) + max(noise[k, 2], 0.0) / n * (width * width)
            if value < best:
                best = value
                picks[d] = places[k]
        guess = (picks[d] + 0.5) * width
