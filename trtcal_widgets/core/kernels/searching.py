"""The entropy search, compiled by numba: exact, but most candidates are left early.

The divergence of a candidate is a sum with a part that is known at once (what it clips, its last level) and, of each
other level, a part that is never negative: how far the counts within the level are from equal. Summed from bin 0 on, a
candidate is left as soon as it is worse than the best one so far; of histograms that are alike, the pick of one is
a good first candidate of the next. Which of several nearly equal ones is taken is decided by the direct sum, which no
machine reorders, so that the same histogram gives the same threshold everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.intrinsics import bits_of, float_of, larger, part, row_of, smaller

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_LEVELS = 128
"""Number of quantisation levels that the search compares with: TensorRT's."""

_LOG2_LEVELS = 7
_WIDEST = N_BINS // N_LEVELS
_ROW = N_BINS + 1
_BLOCK = 32
"""Levels that are summed before a candidate is compared with the best one so far."""

_STRIDE = 64
"""Candidates this far apart are looked at first: one that is nearly as good as the best shortens the rest."""

_FEW = 1 + (N_BINS - N_LEVELS) // _STRIDE

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

    ``h``: the counts; ``mass``, ``log_mass``, ``occupied``: prefix sums of h, h ln h and [h > 0]; ``places``: the bins
    with h > 0. ``terms``: S ln(S/C) of the runs of w bins from bin a on at ``w * 2049 + a``, for each w as many as
    ``filled`` says; ``runs``: where those of the 128 levels of each candidate are, shape (1921, 128). ``known``: the
    part of each candidate's divergence that is known at once, ``values`` the whole of those that were summed to the
    end. ``x``, ``logs``: room for logarithms, three rows.
    """

    h: NDArray[np.float64]
    mass: NDArray[np.float64]
    log_mass: NDArray[np.float64]
    occupied: NDArray[np.int64]
    places: NDArray[np.int64]
    terms: NDArray[np.float64]
    filled: NDArray[np.int64]
    runs: NDArray[np.uint16]
    known: NDArray[np.float64]
    values: NDArray[np.float64]
    x: NDArray[np.float64]
    logs: NDArray[np.float64]


def scratch() -> Scratch:
    """Return room for searches, one after the other."""
    return Scratch(
        h=np.zeros(N_BINS),
        mass=np.zeros(_ROW),
        log_mass=np.zeros(_ROW),
        occupied=np.zeros(_ROW, np.int64),
        places=np.zeros(_ROW, np.int64),
        terms=np.zeros((_WIDEST + 1) * _ROW),
        filled=np.zeros(_WIDEST + 1, np.int64),
        runs=_RUNS,
        known=np.zeros(_ROW),
        values=np.zeros(_ROW),
        x=np.ones(3 * _ROW),
        logs=np.zeros(3 * _ROW),
    )


def _runs() -> NDArray[np.uint16]:
    i = np.arange(N_LEVELS, N_BINS + 1)[:, None]
    edges = (np.arange(N_LEVELS + 1) * i + N_LEVELS - 1) >> _LOG2_LEVELS
    return np.asarray(np.diff(edges, axis=1) * _ROW + edges[:, :-1], np.uint16)


_RUNS = _runs()


@compiled(inner=True, error_model="numpy", fastmath={"contract"})
def _logarithms(x: NDArray[np.float64], logs: NDArray[np.float64]) -> None:
    """Write the natural logarithms of numbers, each at least 1, to an ulp or two.

    x = m 2^e with m between the roots of 1/2 and 2, ln m = 2 artanh((m - 1) / (m + 1)) by its series: no branch and no
    call, so that it runs in vector registers, several times as fast as the library's.
    """
    for j in range(x.size):
        bits = bits_of(x[j])
        power = (bits - _ROOT_HALF) >> _MANTISSA
        e = float_of(power | _MAGIC) - _TWO_52
        m = float_of(bits - (power << _MANTISSA))
        s = (m - 1.0) / (m + 1.0)
        z = s * s
        high = 1.0 / 11.0 + z * (1.0 / 13.0 + z * (1.0 / 15.0 + z * (1.0 / 17.0 + z * (1.0 / 19.0))))
        series = z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * high))))
        logs[j] = e * _LN_2 + 2.0 * (s + s * series)


@compiled(inner=True, error_model="numpy")
def _fill(room: Scratch, w: int, upto: int) -> None:
    """Make the terms of runs of ``w`` bins that start before ``upto``."""
    filled, occupied, mass = room.filled, room.occupied, room.mass
    start = filled[w]
    end = smaller(larger(larger(upto, 2 * start), _AHEAD), N_BINS - w + 1)
    n = end - start
    left, right = part(mass, start, end), part(mass, start + w, end + w)
    before, behind = part(occupied, start, end), part(occupied, start + w, end + w)
    x, logs, terms = part(room.x, 0, n), part(room.logs, 0, n), part(room.terms, w * _ROW + start, w * _ROW + end)
    for a in range(n):
        share = float_of(np.uint64(behind[a] - before[a]) | _MAGIC) - _TWO_52
        x[a] = larger(right[a] - left[a], 1.0) / larger(share, 1.0)
    _logarithms(x, logs)
    for a in range(n):
        terms[a] = (right[a] - left[a]) * logs[a]
    filled[w] = end


@compiled(inner=True, error_model="numpy")
def prefix_sums(counts: NDArray[np.int64], room: Scratch) -> None:
    """Take the counts, bin 1's for bin 0, and make their prefix sums."""
    h, mass, log_mass = room.h, room.mass, room.log_mass
    x, logs = part(room.x, 0, N_BINS), part(room.logs, 0, N_BINS)
    for j in range(N_BINS):
        h[j] = np.float64(counts[j])
    h[0] = h[1]
    for j in range(N_BINS):
        x[j] = larger(h[j], 1.0)
    _logarithms(x, logs)
    for j in range(N_BINS):
        logs[j] *= h[j]
    occupied, places = room.occupied, room.places
    sum_of_h, sum_of_logs, filled = 0.0, 0.0, 0
    for j in range(N_BINS):
        sum_of_h += h[j]
        sum_of_logs += logs[j]
        places[filled] = j  # the next one overwrites it where the bin is empty
        filled += 1 if h[j] > 0.0 else 0
        mass[j + 1] = sum_of_h
        log_mass[j + 1] = sum_of_logs
        occupied[j + 1] = filled


@compiled(inner=True, error_model="numpy")
def _first_parts(room: Scratch) -> None:
    """Write what is known of each candidate's divergence at once, times the number of values.

    Infinite where a candidate cannot be taken: it keeps nothing, or the bin that takes the clipped counts was empty, or
    it clips and keeps one non-empty bin alone: its divergence would be 0, but TensorRT 8.6.0 never takes it (seen in 88
    of 1,000 rows).
    """
    mass, occupied = room.mass, room.occupied
    known, log_mass = part(room.known, N_LEVELS, _ROW), part(room.log_mass, N_LEVELS - 1, _ROW)
    kept, above = part(mass, N_LEVELS, _ROW), part(occupied, N_LEVELS, _ROW)
    last = part(room.h, N_LEVELS - 1, N_BINS)
    total = mass[N_BINS]
    n = N_BINS - N_LEVELS + 1
    x_kept, x_last, x_level = part(room.x, 0, _ROW), part(room.x, _ROW, 2 * _ROW), part(room.x, 2 * _ROW, 3 * _ROW)
    for k in range(n):
        edge = np.uint64(((N_LEVELS - 1) * (k + N_LEVELS) + N_LEVELS - 1) >> _LOG2_LEVELS)
        width = np.float64(larger(above[k] - occupied[edge], 1))
        x_level[k] = larger((kept[k] - mass[edge]) / width, 1.0)
    for k in range(n):
        x_kept[k] = larger(kept[k], 1.0)
        x_last[k] = larger(last[k] + (total - kept[k]), 1.0)
    x_kept[n] = total
    _logarithms(room.x, room.logs)
    log_kept, log_last = part(room.logs, 0, _ROW), part(room.logs, _ROW, 2 * _ROW)
    log_level = part(room.logs, 2 * _ROW, 3 * _ROW)
    log_total = log_kept[n]
    for k in range(n):
        clipped = total - kept[k]
        of_all = total * (log_kept[k] - log_total) + (log_mass[k] - log_mass[k + 1])
        known[k] = of_all + (last[k] + clipped) * log_last[k] - clipped * log_level[k]
    for k in range(n):
        if kept[k] <= 0.0 or (kept[k] < total and (last[k] <= 0.0 or above[k] == 1)):
            known[k] = np.inf


@compiled(inner=True, error_model="numpy")
def _nth(k: int, hint: int, start: int) -> int:
    """Return the k-th candidate to look at: the hint, the first few, then all from ``start`` outwards."""
    if k < _FEW:
        return hint if k == 0 else N_LEVELS + k * _STRIDE - _STRIDE // 2
    beyond = k - _FEW
    return start + ((beyond + 1) >> 1) * (1 if beyond & 1 else -1)


@compiled(inner=True, error_model="numpy")
def _search(room: Scratch, hint: int, whole: bool) -> float:
    """Sum the candidates, first a few, then from the best of them outwards, as long as they can be the best.

    Return the smallest divergence, times the number of values, as all that is known of candidates. ``whole``: sum all.
    """
    known, values, log_mass = room.known, room.values, room.log_mass
    terms, filled, runs = room.terms, room.filled, room.runs
    near = 2.0 * NEAR_TIE * room.mass[N_BINS]
    best: float = _LARGEST
    limit = best
    start = hint
    for k in range(_FEW + 2 * (N_BINS - N_LEVELS) + 1):
        i = _nth(k, hint, start)
        if i < N_LEVELS or i > N_BINS or not known[i] <= limit:
            continue
        narrow = i >> _LOG2_LEVELS
        wide = narrow + (1 if i & (N_LEVELS - 1) else 0)
        row = i - N_LEVELS
        of_levels = 0.0
        value = np.inf
        for block in range(0, N_LEVELS, _BLOCK):
            reach = ((block + _BLOCK) * i + N_LEVELS - 1) >> _LOG2_LEVELS
            for w in range(narrow, wide + 1):
                if filled[w] < reach:
                    _fill(room, w, reach)
            a, b, c, d = 0.0, 0.0, 0.0, 0.0  # four chains, so that no addition waits for the one before it
            for level in range(block, block + _BLOCK, 4):
                a += terms[runs[row, level]]
                b += terms[runs[row, level + 1]]
                c += terms[runs[row, level + 2]]
                d += terms[runs[row, level + 3]]
            of_levels += (a + b) + (c + d)
            value = known[i] + (log_mass[reach] - of_levels)
            if value > limit:
                break
        if value <= limit:
            values[i] = value
            if value < best:
                best = value
                limit = _LARGEST if whole else best + near
                start = i if k < _FEW else start
    return best


@compiled(inner=True, error_model="numpy")
def plain_sum(room: Scratch, i: int) -> float:
    """Return a candidate's divergence by the direct sum, term by term from bin 0 on; behind :func:`prefix_sums`.

    The plain sum is TensorRT's, and so its rounding decides where candidates are equal but for the order of their
    terms: of 124 rows with such ties that TensorRT 8.6.0 wrote it picks all, a compensated or exact sum 123. Sums of
    counts are whole numbers, and so the prefix sums give them exactly; empty bins are stepped over.
    """
    mass, h, occupied, places = room.mass, room.h, room.occupied, room.places
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
        # Each rounded once, so that equal fractions are equal numbers and their logarithm is 0.
        p = (h[j] + (clipped if j == i - 1 else 0.0)) / total
        divergence += p * np.log(p / level_share)
    return float(larger(divergence, 0.0))


@compiled(inner=True, error_model="numpy")
def _last_smallest(room: Scratch, best: float, total: float) -> int:
    """Return the last of the candidates with the smallest divergence by the direct sum, of those that are close."""
    values = room.values
    limit = (larger(best, 0.0) + NEAR_TIE) * total
    close = 0
    pick = N_BINS
    for i in range(N_LEVELS, N_BINS + 1):
        if values[i] <= limit:
            close += 1
            pick = i
    if close == 1:
        return pick
    smallest = np.inf
    for i in range(N_LEVELS, N_BINS + 1):
        if values[i] <= limit:
            exact = plain_sum(room, i)
            if exact <= smallest:
                smallest = exact
                pick = i
    return pick


@compiled(inline="always", error_model="numpy")
def entropy_pick(counts: NDArray[np.int64], hint: int, room: Scratch, whole: bool) -> int:
    """Return the candidate that the entropy search takes: the last i with the smallest divergence.

    ``counts``: shape (2048,), as they were counted. ``hint``: a candidate, 128 to 2048, that may be good. ``room``:
    made by :func:`scratch`, for one thread at a time. ``whole``: whether each candidate is summed to its end.
    """
    values, filled = room.values, room.filled
    for j in range(_ROW):
        values[j] = np.inf
    prefix_sums(counts, room)
    total = room.mass[N_BINS]
    if total <= 0.0:
        return N_BINS
    for w in range(_WIDEST + 1):
        filled[w] = 0
    _first_parts(room)
    best = _search(room, hint, whole)
    return _last_smallest(room, best / total, total) if best < _LARGEST else N_BINS


@compiled(error_model="numpy")
def entropy_picks(
    counts: NDArray[np.int64],
    hints: NDArray[np.int64],
    room: Scratch,
    picks: NDArray[np.int64],
    objective: NDArray[np.float64],
) -> None:
    """Write what :func:`entropy_pick` picks for each row of counts.

    ``hints`` and ``picks``: shape (rows,). ``objective``: shape (rows, 1921), where the divergence of all candidates is
    wanted, infinite where one cannot be taken; else (0, 1921).
    """
    for row in range(picks.size):
        whole = row < objective.shape[0]
        picks[row] = entropy_pick(row_of(counts, row), hints[row], room, whole)
        if whole:
            total = larger(room.mass[N_BINS], 1.0)
            for k in range(N_BINS - N_LEVELS + 1):
                # A divergence is never negative; where P equals Q, rounding leaves about 1e-14 of either sign.
                objective[row, k] = larger(room.values[N_LEVELS + k] / total, 0.0)
