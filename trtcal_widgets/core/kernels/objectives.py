"""The squared error of the quantiser for many thresholds, compiled by numba.

No kernel here lets the compiler reorder sums, so that the same histogram gives the same threshold on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.intrinsics import row_of, scratch, smaller, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_LEVELS = 128
"""Levels of one sign, 0 among them."""

_ROW = N_BINS + 1

_HALF_LEVELS = np.arange(_N_LEVELS) + 0.5


@compiled(inner=True, error_model="numpy")
def _sum_of_edges(
    step: float,
    count: int,
    q0: NDArray[np.float64],
    q1: NDArray[np.float64],
    q2: NDArray[np.float64],
    terms: NDArray[np.float64],
) -> float:
    """Return the sum of G((l + 1/2) step) for l = 0 .. count - 1, see :func:`quantization_noise`.

    Two loops with a buffer between them: the first, without a sum, vectorises as it stands.
    """
    for level in range(count):
        edge = _HALF_LEVELS[level] * step
        # Through int32, for which there is a conversion, to unsigned, which needs no care for negatives.
        j = np.uint32(np.int32(edge))
        terms[level] = q0[j] + edge * (q1[j] + edge * q2[j])
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    fours = count // 4 * 4
    for level in range(0, fours, 4):
        a += terms[level]
        b += terms[level + 1]
        c += terms[level + 2]
        d += terms[level + 3]
    for level in range(fours, count):
        a += terms[level]
    return (a + b) + (c + d)


@compiled(inner=True, error_model="numpy")
def _tails(mass: NDArray[np.float64], t: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]) -> None:
    """Write T, the mass beyond each bin edge, U, the integral of T from there on, and V, that of U; shape (2049,).

    Twice V(a) is the integral of (x - a)^2 beyond a. Only positive numbers are added, so that the noise of the few
    values beyond a high threshold is as exact as any other.
    """
    a, b, c = 0.0, 0.0, 0.0
    t[N_BINS], u[N_BINS], v[N_BINS] = a, b, c
    for k in range(N_BINS):
        j = N_BINS - 1 - k
        c = c + b + 0.5 * a + mass[j] * (1.0 / 6.0)
        b = b + a + 0.5 * mass[j]
        a = a + mass[j]
        t[j], u[j], v[j] = a, b, c


@compiled(inner=True, error_model="numpy")
def quantization_noise(
    amax: NDArray[np.float64],
    first: int,
    last: int,
    mass: NDArray[np.float64],
    m0: NDArray[np.float64],
    m1: NDArray[np.float64],
    m2: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> None:
    """Write (clipped mass, clipping noise, rounding noise) for each amax from ``first`` to ``last``, shape (k, 3).

    Lengths are in bins. ``mass`` is the histogram with an empty bin behind the last, shape (2049,); ``m0``, ``m1``
    and ``m2`` are its prefix moments at the bin edges, each bin's mass spread evenly over the bin, shape (2049,).
    No amax is NaN or beyond 2**52 bins.

    Noise is the sum of squared errors of the symmetric quantiser with 127 steps. Level l holds the values between
    the edges (l - 1/2) step and (l + 1/2) step; its share is the integral of (x - l step)^2. With G(e), the integral
    of m0 from 0 to e, summation by parts leaves one term at the end of the data and one at each edge below it:
    sum over all levels = integral of (x - centre)^2 - 2 step * sum of G(edge), ``centre`` being the last level's.
    """
    top = N_BINS
    while top > 0 and mass[top - 1] <= 0.0:
        top -= 1
    # Within bin j, G is q0[j] + q1[j] e + q2[j] e^2.
    q0, q1, q2 = scratch(_ROW, np.float64), scratch(_ROW, np.float64), scratch(_ROW, np.float64)
    below = 0.0
    for j in range(_ROW):
        q2[j] = 0.5 * mass[j]
        q1[j] = m0[j] - mass[j] * j
        q0[j] = below - j * (m0[j] - q2[j] * j)
        below += m0[j] + q2[j]
    t, u, v = scratch(_ROW, np.float64), scratch(_ROW, np.float64), scratch(_ROW, np.float64)
    _tails(mass, t, u, v)
    terms = scratch(_N_LEVELS, np.float64)
    for c in range(first, last):
        a = amax[c]
        noise[c, 0], noise[c, 1], noise[c, 2] = 0.0, 0.0, 0.0
        if a <= 0.0:
            noise[c, 0], noise[c, 1] = m0[N_BINS], m2[N_BINS]
            continue
        step = a / 127.0
        # The levels beyond the last occupied bin hold nothing.
        end = smaller(a, np.float64(top))
        levels = 127 if a <= top else whole(top / step + 0.5)
        j = whole(end)
        d = end - j
        h = mass[j] * d
        e0 = m0[j] + h
        e1 = m1[j] + h * (j + 0.5 * d)
        e2 = m2[j] + h * (j * (j + d) + d * d * (1.0 / 3.0))
        centre = levels * step
        to_centre = e2 - 2.0 * centre * e1 + centre * centre * e0
        if a < top:
            r = 1.0 - d
            noise[c, 0] = t[j + 1] + mass[j] * r
            noise[c, 1] = 2.0 * (v[j + 1] + r * (u[j + 1] + r * (0.5 * t[j + 1] + mass[j] * r * (1.0 / 6.0))))
        noise[c, 2] = to_centre - 2.0 * step * _sum_of_edges(step, levels, q0, q1, q2, terms)


@compiled(inner=True, error_model="numpy")
def moments_of(
    counts: NDArray[np.int64],
    zeros: int,
    mass: NDArray[np.float64],
    m0: NDArray[np.float64],
    m1: NDArray[np.float64],
    m2: NDArray[np.float64],
) -> bool:
    """Write mass per bin, without the zeros in bin 0, and its prefix moments; return whether values lie side by side.

    They are for :func:`quantization_noise`, shape (2049,) each.
    """
    for j in range(N_BINS):
        mass[j] = counts[j]
    mass[0] -= zeros
    mass[N_BINS] = 0.0
    a, b, c = 0.0, 0.0, 0.0
    m0[0], m1[0], m2[0] = a, b, c
    dense = mass[0] != 0.0
    for j in range(N_BINS):
        left, values = np.float64(j), mass[j]
        a += values
        b += values * (left + 0.5)
        c += values * (left * (left + 1.0) + 1.0 / 3.0)
        m0[j + 1], m1[j + 1], m2[j + 1] = a, b, c
        dense |= (values != 0.0) & (mass[j + 1] != 0.0)
    return bool(dense)


@compiled(error_model="numpy")
def noise_at(
    counts: NDArray[np.int64],
    zeros: NDArray[np.int64],
    amax: NDArray[np.float64],
    noise: NDArray[np.float64],
    dense: NDArray[np.bool_],
) -> None:
    """Write what :func:`quantization_noise` gives for some amax of each of many histograms; amax in bins.

    ``counts`` and ``zeros``: shapes (n, 2048) and (n,), the latter how many values of bin 0 are 0. ``amax`` and
    ``noise``: shapes (n k,) and (n k, 3), k of each histogram. ``dense``: shape (n,), written: whether two occupied
    bins are neighbours, or the first one is occupied, or none; else the histogram may tell the values themselves.
    """
    mass = scratch(_ROW, np.float64)
    m0, m1, m2 = scratch(_ROW, np.float64), scratch(_ROW, np.float64), scratch(_ROW, np.float64)
    each = amax.size // zeros.size
    for i in range(zeros.size):
        dense[i] = moments_of(row_of(counts, i), zeros[i], mass, m0, m1, m2) or m0[N_BINS] == 0.0
        quantization_noise(amax, i * each, (i + 1) * each, mass, m0, m1, m2, noise)
