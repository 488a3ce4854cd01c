"""What the core must agree with: naive loops written from the description of the algorithm, one value at a time.

Nothing here imports the package. Counting and the exact divergence use Python's integers and fractions; ties are broken
by the plain float64 sum, as TensorRT breaks them. The curve over all candidates is the same loop compiled, because it
is long.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
from numba import njit

BINS = 2048
LEVELS = 128
FIRST = 128


def bin_of(value, bin_range):
    """min(int(|x| * float32(2048 / R)), 2047), a float32 product."""
    return min(int(np.abs(np.float32(value)) * np.float32(2048.0 / bin_range)), BINS - 1)


def finite_values(batch):
    return [float(v) for v in np.asarray(batch, dtype=np.float32).ravel() if math.isfinite(v)]


def merge_pairs(counts):
    return [counts[2 * j] + counts[2 * j + 1] for j in range(BINS // 2)] + [0] * (BINS // 2)


def one_pass(batches, base=0.0):
    """Count batch after batch as TensorRT does; return (R, counts).

    R is the largest |x| of the first batch that has one; a batch that exceeds R doubles it and merges neighbours
    before any of its values is counted. Infinite values go to the last bin, but for those up to that first batch; where
    there are some, no later ones do.
    """
    found = left_out = False
    bin_range = base
    counts = [0] * BINS
    for batch in batches:
        values = finite_values(batch)
        largest = max((abs(v) for v in values), default=0.0)
        if bin_range == 0.0:
            bin_range = largest
        while largest > bin_range:
            bin_range *= 2.0
            counts = merge_pairs(counts)
        for v in values:
            counts[bin_of(v, bin_range) if bin_range else 0] += 1
        infs = int(np.isinf(np.asarray(batch, dtype=np.float32)).sum())
        if found and not left_out:
            counts[BINS - 1] += infs
        else:
            left_out = left_out or infs > 0
        found = found or largest > 0
    return bin_range, counts


@njit
def entropy_curve(counts):
    """KL(P || Q) for i = 128 .. 2048, arrays P and Q written out; ``counts`` (int64) with bin 0 untouched."""
    h = counts.copy()
    h[0] = h[1]
    curve = np.full(BINS - FIRST + 1, np.inf)
    for i in range(FIRST, BINS + 1):
        p = h[:i].astype(np.float64)
        p[i - 1] += h[i:].sum()
        mass = np.zeros(LEVELS, np.int64)
        occupied = np.zeros(LEVELS, np.int64)
        for j in range(i):
            if h[j]:
                mass[LEVELS * j // i] += h[j]
                occupied[LEVELS * j // i] += 1
        q = np.zeros(i)
        for j in range(i):
            if h[j]:
                q[j] = mass[LEVELS * j // i] / occupied[LEVELS * j // i]
        if p.sum() == 0.0 or q.sum() == 0.0:
            continue
        if occupied.sum() == 1 and h[i:].sum() > 0:
            continue
        p /= p.sum()
        q /= q.sum()
        divergence = 0.0
        for j in range(i):
            if p[j] > 0.0:
                divergence += p[j] * np.log(p[j] / q[j]) if q[j] > 0.0 else np.inf
        curve[i - FIRST] = divergence
    return curve


def exact_divergence(counts, i):
    """KL(P || Q) of one candidate: ratios of integers divided once, terms summed without rounding."""
    h = [int(c) for c in counts]
    h[0] = h[1]
    total = sum(h)
    kept = sum(h[:i])
    if total > kept and (h[i - 1] == 0 or sum(1 for c in h[:i] if c) == 1):
        return math.inf
    levels = {}
    for j in range(i):
        if h[j]:
            levels.setdefault(LEVELS * j // i, []).append(h[j])
    terms = []
    for j in range(i):
        if h[j]:
            p = h[j] + (total - kept if j == i - 1 else 0)
            level = levels[LEVELS * j // i]
            # P = p / total and Q = sum / number / kept
            terms.append(p / total * math.log((p * len(level) * kept) / (sum(level) * total)))
    return math.fsum(terms)


def plain_divergence(counts, i):
    """KL(P || Q) of one candidate as TensorRT adds it up: float64, term after term from bin 0 on, uncompensated."""
    h = [float(c) for c in counts]
    h[0] = h[1]
    total = sum(h)
    kept = sum(h[:i])
    if total > kept and (h[i - 1] == 0 or sum(1 for c in h[:i] if c) == 1):
        return math.inf
    levels = {}
    for j in range(i):
        if h[j]:
            levels.setdefault(LEVELS * j // i, []).append(h[j])
    divergence = 0.0
    for j in range(i):
        if h[j]:
            p = (h[j] + (total - kept if j == i - 1 else 0.0)) / total
            level = levels[LEVELS * j // i]
            divergence += p * math.log(p / (sum(level) / (len(level) * kept)))
    return max(divergence, 0.0)


def entropy_pick(counts):
    """The last i with the smallest divergence, summed plainly; 2048 where all are infinite.

    The compiled loop's rounding is far below 1e-9, so the smallest is among the candidates so close to its minimum.
    """
    curve = entropy_curve(np.asarray(counts, np.int64))
    if not math.isfinite(curve.min()):
        return BINS
    close = [int(i) + FIRST for i in np.flatnonzero(curve <= curve.min() + 1e-9)]
    plain = {i: plain_divergence(counts, i) for i in close}
    return max(i for i in close if plain[i] == min(plain.values()))


def entropy_amax(bin_range, pick):
    """float32(i + 0.5) * float32(R / 2048), rounded to float32."""
    return float(np.float32(np.float32(pick + 0.5) * np.float32(bin_range / 2048.0)))


def scale_hex(amax):
    """Hex of float32(amax) / float32(127), as a cache spells it."""
    return f"{struct.unpack('>I', struct.pack('>f', np.float32(amax) / np.float32(127)))[0]:x}"


def fake_quantize(values, amax):
    """Symmetric 8 bit with 127 steps in float64: round half to even, clip."""
    step = amax / 127.0
    return np.clip(np.rint(np.asarray(values, np.float64) / step), -127, 127) * step


def spread_noise(counts, zeros, amax):
    """Exact clipped mass, clipping noise and rounding noise of values spread evenly over bins of width 1.

    Sums over the values; ``amax`` in bins. The integral of (x - centre)^2 piece by piece, a piece being where a bin
    and a level overlap.
    """
    step = Fraction(amax) / 127
    mass = [int(c) for c in counts]
    mass[0] -= zeros
    beyond = clip = rounding = Fraction(0)
    for j, m in enumerate(mass):
        if not m:
            continue
        level = min(int(j / step + Fraction(1, 2)), 127)
        left = Fraction(j)
        while left < j + 1:
            edge = Fraction(amax) if level == 127 else (level + Fraction(1, 2)) * step
            right = min(edge, Fraction(j + 1)) if left < edge else Fraction(j + 1)
            centre = level * step
            part = m * ((right - centre) ** 3 - (left - centre) ** 3) / 3
            if left >= Fraction(amax):
                clip += part
                beyond += m * (right - left)
            else:
                rounding += part
            left = right
            level = min(level + 1, 127)
    return beyond, clip, rounding
