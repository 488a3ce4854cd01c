"""The two searches over all candidate thresholds, entropy and squared error, compiled by numba.

No kernel here lets the compiler reorder sums, so that the same histogram gives the same threshold on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_LEVELS = 128
"""Number of quantisation levels that the entropy search compares with: TensorRT's."""

_LOG2_LEVELS = 7


@compiled()
def _prefix_sums(
    h: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the prefix sums of h, [h > 0] and h ln h, each of length n + 1."""
    n = h.size
    mass = np.zeros(n + 1)
    occupied = np.zeros(n + 1, np.int64)
    log_mass = np.zeros(n + 1)
    for j in range(n):
        v = h[j]
        mass[j + 1] = mass[j] + v
        occupied[j + 1] = occupied[j] + (1 if v > 0.0 else 0)
        log_mass[j + 1] = log_mass[j] + (v * np.log(v) if v > 0.0 else 0.0)
    return mass, occupied, log_mass


@compiled()
def _level_terms(mass: NDArray[np.float64], occupied: NDArray[np.int64], widest: int) -> NDArray[np.float64]:
    """Return S ln(S / C) of every run of 1..widest bins: ``terms[w, a]`` for bins a .. a+w-1.

    The search over 1,921 candidates looks at 245,888 levels, but they are only 32,768 different runs.
    """
    n = mass.size - 1
    log_width = np.zeros(widest + 1)
    for c in range(1, widest + 1):
        log_width[c] = np.log(float(c))
    terms = np.zeros((widest + 1, n + 1))
    for w in range(1, widest + 1):
        for a in range(n - w + 1):
            s = mass[a + w] - mass[a]
            if s > 0.0:
                terms[w, a] = s * (np.log(s) - log_width[occupied[a + w] - occupied[a]])
    return terms


@compiled()
def _sum_of_levels(terms: NDArray[np.float64], row: int, i: int) -> float:
    """Return the sum over the 128 levels of candidate i; ``terms`` flat, in rows of ``row``.

    Two chains, so that no addition waits for the one before it; unsigned indices, which need no care for negatives.
    """
    even = 0.0
    odd = 0.0
    left = 0
    position = N_LEVELS - 1
    for _ in range(N_LEVELS // 2):
        middle = (position + i) >> _LOG2_LEVELS
        position += 2 * i
        right = position >> _LOG2_LEVELS
        even += terms[np.uint32((middle - left) * row + left)]
        odd += terms[np.uint32((right - middle) * row + middle)]
        left = right
    return even + odd


@compiled()
def entropy_objective(h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return KL(P_i || Q_i) for the candidates i = 128 .. 2048, from prefix sums.

    ``h`` are the counts, shape (2048,), with bin 0 already replaced. The value is infinite where the candidate
    keeps nothing, where the bin that takes the clipped counts was empty, and where a candidate that clips keeps one
    non-empty bin alone: its divergence would be 0, but TensorRT 8.6.0 never takes it (seen in 88 of 1,000 rows).
    """
    n = h.size
    mass, occupied, log_mass = _prefix_sums(h)
    total = mass[n]
    objective = np.full(n - N_LEVELS + 1, np.inf)
    if total <= 0.0:
        return objective
    terms = _level_terms(mass, occupied, n // N_LEVELS).reshape(-1)
    log_total = np.log(total)
    for i in range(N_LEVELS, n + 1):
        kept = mass[i]
        clipped = total - kept
        last = h[i - 1]
        if kept <= 0.0 or (clipped > 0.0 and (last <= 0.0 or occupied[i] == 1)):
            continue
        edge = ((N_LEVELS - 1) * i + N_LEVELS - 1) >> _LOG2_LEVELS
        p_last = last + clipped
        value = log_mass[i - 1] - _sum_of_levels(terms, n + 1, i)
        if p_last > 0.0:
            value += p_last * np.log(p_last)
        if clipped > 0.0:
            spread = (kept - mass[edge]) / (occupied[i] - occupied[edge])
            value -= clipped * np.log(spread)
        # A divergence is never negative; where P equals Q, rounding leaves about 1e-14 of either sign.
        objective[i - N_LEVELS] = max(value / total - log_total + np.log(kept), 0.0)
    return objective


@compiled()
def kl_divergence(h: NDArray[np.float64], i: int) -> float:
    """Return KL(P_i || Q_i) of one candidate by the direct sum, term by term from bin 0 on, in float64.

    The plain sum is TensorRT's, and so its rounding decides where candidates are equal but for the order of their
    terms: of 124 rows with such ties that TensorRT 8.6.0 wrote it picks all, a compensated or exact sum 123.
    """
    total = 0.0
    kept = 0.0
    for j in range(h.size):
        total += h[j]
        if j < i:
            kept += h[j]
    clipped = total - kept
    divergence = 0.0
    left = 0
    for level in range(N_LEVELS):
        right = ((level + 1) * i + N_LEVELS - 1) >> _LOG2_LEVELS
        mass = 0.0
        occupied = 0
        for j in range(left, right):
            mass += h[j]
            occupied += 1 if h[j] > 0.0 else 0
        for j in range(left, right):
            p = h[j] + (clipped if j == i - 1 else 0.0)
            if p > 0.0:
                if h[j] <= 0.0:
                    return np.inf
                # Each rounded once, so that equal fractions are equal numbers and their logarithm is 0.
                p /= total
                divergence += p * np.log(p / (mass / (occupied * kept)))
        left = right
    return max(divergence, 0.0)


@compiled()
def _sum_of_edges(
    step: float,
    count: int,
    half_levels: NDArray[np.float64],
    q0: NDArray[np.float64],
    q1: NDArray[np.float64],
    q2: NDArray[np.float64],
    terms: NDArray[np.float64],
) -> float:
    """Return the sum of G((l + 1/2) step) for l = 0 .. count - 1, see :func:`quantization_noise`.

    Two loops with a buffer between them: the first, without a sum, vectorises as it stands.
    """
    for level in range(count):
        edge = half_levels[level] * step
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


@compiled()
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
    half_levels = np.linspace(0.5, N_LEVELS - 0.5, N_LEVELS)
    terms = np.empty(N_LEVELS)
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
        result[c, 2] = to_centre - 2.0 * step * _sum_of_edges(step, levels, half_levels, q0, q1, q2, terms)
    return result
