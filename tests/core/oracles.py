"""What the core must agree with: naive loops written from the description of the algorithm, one value at a time.

Nothing here imports the package. Integers are Python's and ratios of counts are divided once, so that a tie of the
description is a tie here; sums are ``math.fsum``.
"""

from __future__ import annotations

import math
import struct

import numpy as np

BINS = 2048
LEVELS = 128
FIRST = 128


def float32(value):
    return np.float32(value)


def bin_of(value, bin_range):
    """min(int(|x| * float32(2048 / R)), 2047), a float32 product."""
    return min(int(np.abs(np.float32(value)) * np.float32(2048.0 / bin_range)), BINS - 1)


def one_pass(batches, base=None):
    """Count batch after batch as TensorRT does; return (R, counts).

    R is the largest |x| of the first batch that has one; a batch that exceeds R doubles it and merges neighbours
    before any of its values is counted.
    """
    bin_range = base or 0.0
    counts = [0] * BINS
    for batch in batches:
        values = [float(v) for v in np.asarray(batch, dtype=np.float32).ravel() if math.isfinite(v)]
        largest = max((abs(v) for v in values), default=0.0)
        if bin_range == 0.0:
            bin_range = largest
        while largest > bin_range:
            bin_range *= 2.0
            counts = [counts[2 * j] + counts[2 * j + 1] for j in range(BINS // 2)] + [0] * (BINS // 2)
        for v in values:
            counts[bin_of(v, bin_range) if bin_range else 0] += 1
    return bin_range, counts


def entropy_curve(counts):
    """KL(P_i || Q_i) for i = 128 .. 2048, by the definition; ``counts`` with bin 0 untouched."""
    h = [int(c) for c in counts]
    h[0] = h[1]
    total = sum(h)
    return [_divergence(h, total, i) for i in range(FIRST, BINS + 1)]


def _divergence(h, total, i):
    kept = sum(h[:i])
    if total == 0 or kept == 0:
        return math.inf
    level_sum = [0] * LEVELS
    level_count = [0] * LEVELS
    for j in range(i):
        if h[j]:
            level_sum[LEVELS * j // i] += h[j]
            level_count[LEVELS * j // i] += 1
    terms = []
    for j in range(i):
        p = h[j] + (total - kept if j == i - 1 else 0)
        if p == 0:
            continue
        if h[j] == 0:
            return math.inf
        level = LEVELS * j // i
        # P = p / total, Q = level_sum / level_count / kept; the ratio is divided once.
        ratio = (p * level_count[level] * kept) / (level_sum[level] * total)
        terms.append(p / total * math.log(ratio))
    return math.fsum(terms)


def last_minimum(curve):
    smallest = min(curve)
    return max(i for i, value in enumerate(curve) if value == smallest) + FIRST


def entropy_amax(bin_range, pick):
    """float32(i + 0.5) * float32(R / 2048), rounded to float32."""
    return float(np.float32(np.float32(pick + 0.5) * np.float32(bin_range / 2048.0)))


def scale_hex(amax):
    """Hex of float32(amax) / float32(127), as a cache spells it."""
    return f"{struct.unpack('>I', struct.pack('>f', np.float32(amax) / np.float32(127)))[0]:x}"


def quantize_one(value, amax):
    """Symmetric 8 bit with 127 steps: round half to even, clip; float64."""
    step = amax / 127.0
    return float(np.clip(np.rint(value / step), -127, 127)) * step


def spread_noise(counts, zeros, width, amax, per_bin=400):
    """Mean squared errors (clipping, rounding) of |x| spread evenly over its bins, by the midpoint rule."""
    mass = np.asarray(counts, np.float64).copy()
    mass[0] -= zeros
    offsets = (np.arange(per_bin) + 0.5) / per_bin
    clip = rounding = 0.0
    step = amax / 127.0
    for j in np.flatnonzero(mass):
        x = (j + offsets) * width
        error = (x - np.minimum(np.rint(x / step), 127) * step) ** 2
        clip += mass[j] * float(error[x > amax].sum()) / per_bin
        rounding += mass[j] * float(error[x <= amax].sum()) / per_bin
    n = max(float(np.sum(counts)), 1.0)
    return clip / n, rounding / n
