"""The entropy search for many histograms that are alike, compiled by numba: exact, but most candidates are left early.

The divergence of a candidate is a sum with a part that is known at once (what it clips, its last level) and, of each
other level, a part that is never negative: how far the counts within the level are from equal. Summed from bin 0 on, a
candidate is left as soon as it is worse than the best one so far; of histograms that are alike, the pick of one is
a good first candidate of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.objectives import N_LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOG2_LEVELS = 7
_WIDEST = N_BINS // N_LEVELS
_ROW = N_BINS + 1
_BLOCK = 16
"""Levels that are summed before a candidate is compared with the best one so far."""

_AHEAD = 128
"""Terms of one width that are made at first; every further time they are doubled at least."""

_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
_MANTISSA = np.uint64(52)
_MAGIC = np.uint64(0x4330000000000000)
_TWO_52 = 2.0**52
"""``_MAGIC`` are its bits: a whole number below 2**52 put into them is that many more."""

_LN_2 = float(np.log(2.0))
_LARGEST = float(np.finfo(np.float64).max)

NEAR_TIE = 1e-9
"""Sums of prefix sums differ from the direct sum by less than 1e-11; candidates this close are looked at directly."""


class Scratch(NamedTuple):
    """Room for one search at a time.

    ``h``: the counts; ``mass``, ``log_mass``, ``occupied``: prefix sums of h, h ln h and [h > 0]; ``places``:
    the bins with h > 0. ``terms``: S ln(S/C)
    of the runs of w bins from bin a on at ``w * _ROW + a``, for each w as many as ``filled`` says. ``log_width``: the
    logarithms of whole numbers. ``known``: the part of each candidate's divergence that is known at once, ``values``
    the whole of those that were summed to the end. ``at_edge``, ``width``: mass before each candidate's last level,
    and the occupied bins in it. ``x``, ``m``, ``e``: room for logarithms, with their bits.
    """

    h: NDArray[np.float64]
    mass: NDArray[np.float64]
    log_mass: NDArray[np.float64]
    occupied: NDArray[np.int64]
    places: NDArray[np.int64]
    terms: NDArray[np.float64]
    filled: NDArray[np.int64]
    log_width: NDArray[np.float64]
    known: NDArray[np.float64]
    values: NDArray[np.float64]
    at_edge: NDArray[np.float64]
    width: NDArray[np.float64]
    logs: NDArray[np.float64]
    x: NDArray[np.float64]
    x_bits: NDArray[np.uint64]
    m: NDArray[np.float64]
    m_bits: NDArray[np.uint64]
    e: NDArray[np.float64]
    e_bits: NDArray[np.uint64]


def scratch() -> Scratch:
    """Return room for searches, one after the other."""
    x, m, e = np.ones(_ROW), np.ones(_ROW), np.ones(_ROW)
    return Scratch(
        h=np.zeros(N_BINS),
        mass=np.zeros(_ROW),
        log_mass=np.zeros(_ROW),
        occupied=np.zeros(_ROW, np.int64),
        places=np.zeros(_ROW, np.int64),
        terms=np.zeros((_WIDEST + 1) * _ROW),
        filled=np.zeros(_WIDEST + 1, np.int64),
        log_width=np.log(np.maximum(np.arange(_WIDEST + 1, dtype=np.float64), 1.0)),
        known=np.zeros(_ROW),
        values=np.zeros(_ROW),
        at_edge=np.zeros(_ROW),
        width=np.zeros(_ROW),
        logs=np.zeros(_ROW),
        x=x,
        x_bits=x.view(np.uint64),
        m=m,
        m_bits=m.view(np.uint64),
        e=e,
        e_bits=e.view(np.uint64),
    )


@compiled(error_model="numpy", fastmath={"contract"})
def _logarithms(room: Scratch, n: int) -> None:
    """Write the natural logarithms of ``room.x[:n]``, each at least 1, to ``room.logs``, to within an ulp or two.

    x = m 2^e with m between the roots of 1/2 and 2, ln m = 2 artanh((m - 1) / (m + 1)) by its series: no branch and no
    call, so that it runs in vector registers, 2.5 times as fast as the library's.
    """
    x_bits, m_bits, e_bits = room.x_bits, room.m_bits, room.e_bits
    for j in range(n):
        b = x_bits[j]
        power = (b - _ROOT_HALF) >> _MANTISSA
        e_bits[j] = power | _MAGIC
        m_bits[j] = b - (power << _MANTISSA)
    m, e, logs = room.m, room.e, room.logs
    for j in range(n):
        v = m[j]
        s = (v - 1.0) / (v + 1.0)
        z = s * s
        high = 1.0 / 11.0 + z * (1.0 / 13.0 + z * (1.0 / 15.0 + z * (1.0 / 17.0 + z * (1.0 / 19.0))))
        series = z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * high))))
        logs[j] = (e[j] - _TWO_52) * _LN_2 + 2.0 * (s + s * series)


@compiled(error_model="numpy")
def _fill(room: Scratch, w: int, upto: int) -> None:
    """Make the terms of runs of ``w`` bins that start before ``upto``."""
    start = room.filled[w]
    end = min(max(upto, 2 * start, _AHEAD), N_BINS - w + 1)
    n = end - start
    left, right = room.mass[start:end], room.mass[start + w : end + w]
    before, behind = room.occupied[start:end], room.occupied[start + w : end + w]
    x, logs, terms = room.x, room.logs, room.terms[w * _ROW + start : w * _ROW + end]
    for a in range(n):
        x[a] = max(right[a] - left[a], 1.0)
    _logarithms(room, n)
    if room.occupied[end + w - 1] - room.occupied[start] == end + w - 1 - start:  # no empty bin
        share = room.log_width[w]
        for a in range(n):
            terms[a] = (right[a] - left[a]) * (logs[a] - share)
    else:
        for a in range(n):
            terms[a] = room.log_width[np.uint64(behind[a] - before[a])]
        for a in range(n):
            terms[a] = (right[a] - left[a]) * (logs[a] - terms[a])
    room.filled[w] = end


@compiled(error_model="numpy")
def _prefix_sums(counts: NDArray[np.int64], room: Scratch) -> None:
    """Take the counts, bin 1's for bin 0, and make their prefix sums."""
    h, mass, log_mass, occupied, x, logs = room.h, room.mass, room.log_mass, room.occupied, room.x, room.logs
    for j in range(N_BINS):
        h[j] = np.float64(counts[j])
    h[0] = h[1]
    for j in range(N_BINS):
        x[j] = max(h[j], 1.0)
    _logarithms(room, N_BINS)
    for j in range(N_BINS):
        logs[j] *= h[j]
    places = room.places
    sum_of_h, sum_of_logs, filled = 0.0, 0.0, 0
    for j in range(N_BINS):
        sum_of_h += h[j]
        sum_of_logs += logs[j]
        places[filled] = j  # the next one overwrites it where the bin is empty
        filled += 1 if h[j] > 0.0 else 0
        mass[j + 1] = sum_of_h
        log_mass[j + 1] = sum_of_logs
        occupied[j + 1] = filled


@compiled(error_model="numpy")
def _first_parts(room: Scratch) -> None:
    """Write to ``room.known`` what is known of each candidate's divergence at once, times the number of values.

    Infinite where a candidate cannot be taken: see :func:`~trtcal_widgets.core.kernels.objectives.entropy_objective`.
    """
    total = room.mass[N_BINS]
    known, x, logs = room.known[N_LEVELS:], room.x, room.logs
    kept, last = room.mass[N_LEVELS:], room.h[N_LEVELS - 1 :]
    log_mass, occupied = room.log_mass[N_LEVELS - 1 :], room.occupied[N_LEVELS:]
    at_edge, width = room.at_edge, room.width
    n = N_BINS - N_LEVELS + 1
    for k in range(n):
        edge = np.uint64(((N_LEVELS - 1) * (k + N_LEVELS) + N_LEVELS - 1) >> _LOG2_LEVELS)
        at_edge[k] = room.mass[edge]
        width[k] = np.float64(max(occupied[k] - room.occupied[edge], 1))
    for k in range(n):
        x[k] = max(kept[k], 1.0)
    x[n] = total
    _logarithms(room, n + 1)
    log_total = logs[n]
    for k in range(n):
        known[k] = total * (logs[k] - log_total) + log_mass[k] - log_mass[k + 1]
    for k in range(n):
        x[k] = max(last[k] + (total - kept[k]), 1.0)
    _logarithms(room, n)
    for k in range(n):
        known[k] += (last[k] + (total - kept[k])) * logs[k]
    for k in range(n):
        x[k] = max((kept[k] - at_edge[k]) / width[k], 1.0)
    _logarithms(room, n)
    for k in range(n):
        known[k] -= (total - kept[k]) * logs[k]
    for k in range(n):
        if kept[k] <= 0.0 or (kept[k] < total and (last[k] <= 0.0 or occupied[k] == 1)):
            known[k] = np.inf


@compiled(error_model="numpy")
def _search(room: Scratch, hint: int) -> float:
    """Sum the candidates from the hint outwards, as long as they can be the best; return the smallest divergence.

    Times the number of values, as all of ``room.known`` and ``room.values``.
    """
    known, values, terms, log_mass, filled = room.known, room.values, room.terms, room.log_mass, room.filled
    near = 2.0 * NEAR_TIE * room.mass[N_BINS]
    best: float = _LARGEST
    limit = best
    for k in range(2 * (N_BINS - N_LEVELS) + 1):
        i = hint + ((k + 1) >> 1) * (1 if k & 1 else -1)
        if i < N_LEVELS or i > N_BINS or not known[i] <= limit:
            continue
        narrow = i >> _LOG2_LEVELS
        wide = narrow + (1 if i & (N_LEVELS - 1) else 0)
        left = np.uint32(0)
        position = np.uint32(N_LEVELS - 1)
        even, odd = 0.0, 0.0
        value = np.inf
        for block in range(N_LEVELS // _BLOCK):
            reach = ((block + 1) * _BLOCK * i + N_LEVELS - 1) >> _LOG2_LEVELS
            if filled[narrow] < reach:
                _fill(room, narrow, reach)
            if filled[wide] < reach:
                _fill(room, wide, reach)
            for _ in range(_BLOCK // 2):
                middle = np.uint32((position + i) >> _LOG2_LEVELS)
                position = np.uint32(position + 2 * i)
                right = np.uint32(position >> _LOG2_LEVELS)
                even += terms[np.uint32((middle - left) * _ROW + left)]
                odd += terms[np.uint32((right - middle) * _ROW + middle)]
                left = right
            value = known[i] + (log_mass[left] - (even + odd))
            if value > limit:
                break
        if value <= limit:
            values[i] = value
            best = min(best, value)
            limit = best + near
    return best


@compiled(error_model="numpy")
def entropy_pick(counts: NDArray[np.int64], hint: int, room: Scratch) -> int:
    """Return the candidate that the entropy search takes: the last i with the smallest divergence.

    Parameters
    ----------
    counts
        int64, shape (2048,), as they were counted: bin 0 takes bin 1's count here.
    hint
        A candidate, 128 to 2048, that may be good.
    room
        Made by :func:`scratch`; for one thread at a time.
    """
    _prefix_sums(counts, room)
    total = room.mass[N_BINS]
    if total <= 0.0:
        return N_BINS
    room.filled[:] = 0
    room.values[:] = np.inf
    _first_parts(room)
    best = _search(room, hint)
    return _last_smallest(room, best / total, total) if best < _LARGEST else N_BINS


@compiled(error_model="numpy")
def _plain_sum(room: Scratch, i: int) -> float:
    """Return a candidate's divergence, bit for bit that of :func:`.objectives.kl_divergence`.

    Sums of counts are whole numbers, and so the prefix sums give them exactly; empty bins are stepped over.
    """
    mass, occupied, places, h = room.mass, room.occupied, room.places, room.h
    total, kept = mass[N_BINS], mass[i]
    clipped = total - kept
    divergence = 0.0
    right = 0
    level_share = 0.0
    for k in range(occupied[i]):
        j = places[k]
        if j >= right:
            level = (N_LEVELS * j) // i
            left = (level * i + N_LEVELS - 1) >> _LOG2_LEVELS
            right = ((level + 1) * i + N_LEVELS - 1) >> _LOG2_LEVELS
            level_share = (mass[right] - mass[left]) / ((occupied[right] - occupied[left]) * kept)
        p = (h[j] + (clipped if j == i - 1 else 0.0)) / total
        divergence += p * np.log(p / level_share)
    return max(divergence, 0.0)


@compiled(error_model="numpy")
def _last_smallest(room: Scratch, best: float, total: float) -> int:
    """Return the last of the candidates with the smallest divergence by the direct sum, of those that are close."""
    limit = (max(best, 0.0) + NEAR_TIE) * total
    close = 0
    pick = N_BINS
    for i in range(N_LEVELS, N_BINS + 1):
        if room.values[i] <= limit:
            close += 1
            pick = i
    if close == 1:
        return pick
    smallest = np.inf
    for i in range(N_LEVELS, N_BINS + 1):
        if room.values[i] <= limit:
            exact = _plain_sum(room, i)
            if exact <= smallest:
                smallest = exact
                pick = i
    return pick
