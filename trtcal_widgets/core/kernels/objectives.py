"""The squared error of the quantiser for many thresholds, compiled by numba.

No kernel here lets the compiler reorder sums, so that the same histogram gives the same threshold on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_LEVELS = 128
"""Levels of one sign, 0 among them."""

_HALF_LEVELS = np.arange(_N_LEVELS) + 0.5


@compiled(inner=True)
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
    whole = count // 4 * 4
    for level in range(0, whole, 4):
        a += terms[level]
        b += terms[level + 1]
        c += terms[level + 2]
        d += terms[level + 3]
    for level in range(whole, count):
        a += terms[level]
    return (a + b) + (c + d)


@compiled(inner=True)
def _tails(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return T, the mass beyond each bin edge, U, the integral of T from there on, and V, that of U; shape (n + 1, 3).

    Twice V(a) is the integral of (x - a)^2 beyond a. Only positive numbers are added, so that the noise of the few
    values beyond a high threshold is as exact as any other.
    """
    n = mass.size - 1
    tails = np.zeros((n + 1, 3))
    for j in range(n - 1, -1, -1):
        t, u, v = tails[j + 1]
        tails[j, 0] = t + mass[j]
        tails[j, 1] = u + t + 0.5 * mass[j]
        tails[j, 2] = v + u + 0.5 * t + mass[j] * (1.0 / 6.0)
    return tails


@compiled()
def quantization_noise(
    amax: NDArray[np.float64],
    mass: NDArray[np.float64],
    m0: NDArray[np.float64],
    m1: NDArray[np.float64],
    m2: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (clipped mass, clipping noise, rounding noise) for each amax, shape (k, 3).

    Lengths are in bins. ``mass`` is the histogram with an empty bin behind the last, shape (n + 1,); ``m0``, ``m1``
    and ``m2`` are its prefix moments at the bin edges, each bin's mass spread evenly over the bin, shape (n + 1,).
    No amax is NaN or beyond 2**52 bins.

    Noise is the sum of squared errors of the symmetric quantiser with 127 steps. Level l holds the values between
    the edges (l - 1/2) step and (l + 1/2) step; its share is the integral of (x - l step)^2. With G(e), the integral
    of m0 from 0 to e, summation by parts leaves one term at the end of the data and one at each edge below it:
    sum over all levels = integral of (x - centre)^2 - 2 step * sum of G(edge), ``centre`` being the last level's.
    """
    n = mass.size - 1
    top = n
    while top > 0 and mass[top - 1] <= 0.0:
        top -= 1
    # Within bin j, G is q0[j] + q1[j] e + q2[j] e^2.
    q0 = np.empty(n + 1)
    q1 = np.empty(n + 1)
    q2 = np.empty(n + 1)
    below = 0.0
    for j in range(n + 1):
        q2[j] = 0.5 * mass[j]
        q1[j] = m0[j] - mass[j] * j
        q0[j] = below - j * (m0[j] - q2[j] * j)
        below += m0[j] + q2[j]
    tails = _tails(mass)
    terms = np.empty(_N_LEVELS)
    result = np.zeros((amax.size, 3))
    for c in range(amax.size):
        a = amax[c]
        if a <= 0.0:
            result[c, 0] = m0[n]
            result[c, 1] = m2[n]
            continue
        step = a / 127.0
        # The levels beyond the last occupied bin hold nothing.
        end = min(a, float(top))
        levels = 127 if a <= top else int(top / step + 0.5)
        j = int(end)
        d = end - j
        h = mass[j] * d
        e0 = m0[j] + h
        e1 = m1[j] + h * (j + 0.5 * d)
        e2 = m2[j] + h * (j * (j + d) + d * d * (1.0 / 3.0))
        centre = levels * step
        to_centre = e2 - 2.0 * centre * e1 + centre * centre * e0
        if a < top:
            t, u, v = tails[j + 1]
            r = 1.0 - d
            result[c, 0] = t + mass[j] * r
            result[c, 1] = 2.0 * (v + r * (u + r * (0.5 * t + mass[j] * r * (1.0 / 6.0))))
        result[c, 2] = to_centre - 2.0 * step * _sum_of_edges(step, levels, q0, q1, q2, terms)
    return result


@compiled(inner=True)
def moments_of(counts: NDArray[np.int64], zeros: int, mass: NDArray[np.float64], moments: NDArray[np.float64]) -> bool:
    """Write mass per bin, without the zeros in bin 0, and its prefix moments; return whether values lie side by side.

    ``mass``, ``moments``: for :func:`quantization_noise`, shapes (n + 1,) and (3, n + 1); their ends stay as they are.
    """
    n = counts.size
    for j in range(n):
        mass[j] = counts[j]
    mass[0] -= zeros
    m0, m1, m2 = 0.0, 0.0, 0.0
    dense = mass[0] != 0.0
    for j in range(n):
        left = np.float64(j)
        m0 += mass[j]
        m1 += mass[j] * (left + 0.5)
        m2 += mass[j] * (left * (left + 1.0) + 1.0 / 3.0)
        moments[0, j + 1], moments[1, j + 1], moments[2, j + 1] = m0, m1, m2
        dense = dense or (mass[j] != 0.0 and mass[j + 1] != 0.0)
    return bool(dense)


@compiled()
def noise_at(
    counts: NDArray[np.int64], zeros: NDArray[np.int64], amax: NDArray[np.float64], noise: NDArray[np.float64]
) -> None:
    """Write what :func:`quantization_noise` gives for one amax of each of many histograms, shape (n, 3); amax in bins.

    ``zeros``: how many values of bin 0 are 0. NaN where no two occupied bins are neighbours, nor is the first one
    occupied: the histogram may then tell the values themselves.
    """
    n = counts.shape[1]
    mass = np.zeros(n + 1)
    moments = np.zeros((3, n + 1))
    for i in range(amax.size):
        dense = moments_of(counts[i], zeros[i], mass, moments)
        if dense or moments[0, n] == 0.0:
            found = quantization_noise(amax[i : i + 1], mass, moments[0], moments[1], moments[2])
            for k in range(3):  # noise[i] = found[0] would compile the text of an error for other sizes: 3 s
                noise[i, k] = found[0, k]
        else:
            noise[i] = np.nan
