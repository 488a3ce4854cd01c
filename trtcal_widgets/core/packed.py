"""Merging the kept histograms of many tensors at once, to what merging them one by one makes of them.

:func:`~trtcal_widgets.core.counting.replay` and :func:`~trtcal_widgets.core.counting.combine` need a Python object for
every batch of every tensor. The kernel here reads records and packed counts as they lie in the store, without the GIL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.kernels.adding import add_counts, grow_expansion
from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import N_BINS
from trtcal_widgets.core.kernels.intrinsics import whole
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORD = np.dtype(
    [
        ("present", "u1"),
        ("itemsize", "u1"),
        ("first", "<i8"),
        ("doublings", "<i4"),
        ("base", "<f8"),
        ("minimum", "<f8"),
        ("maximum", "<f8"),
        ("sum", "<f8"),
        ("sum_squares", "<f8"),
        ("edge", "<i8"),
        ("zeros", "<i8"),
        ("nans", "<i8"),
        ("pos_infs", "<i8"),
        ("neg_infs", "<i8"),
        ("offset", "<i8"),
        ("length", "<i8"),
    ]
)
"""One tensor in one batch. ``first`` is the count of bin 0, which holds the zeros and is often far larger than the
others; ``offset`` and ``length`` say where those are. ``itemsize`` says how: :data:`GROUPED`, or that many bytes each
(where a count has more than 32 bits, and in files of the first layout)."""

GROUPED = 255
"""Groups of 32 bins, each with the bits that its largest count needs: a byte with the number of groups up to the last
one in use, a byte with the width of each, and then their counts bit behind bit, the lowest first. A group is a whole
number of 32-bit words, and the counts of a few hundred values take a few hundred bytes."""

_GROUP = 32
_GROUPS = N_BINS // _GROUP
_WIDEST = 32
_LONGEST = 1 + _GROUPS + 4 * _WIDEST * _GROUPS

_DAMAGED = "the kept counts of a batch are damaged: record the session anew"

_NOTHING, _ONE, _WORD, _BYTE = (np.uint64(number) for number in (0, 1, 32, 255))
"""Named, because kernels would compile a call for each that is made there."""

_DOUBLINGS, _EDGE, _ZEROS, _NANS, _POS_INFS, _NEG_INFS, _FINITE, _PARTS, _CLAMPED = range(9)
_BASE, _MINIMUM, _MAXIMUM = range(3)

_ADDED, _OTHER_RANGE, _BAD_COUNTS = range(3)

_LARGEST = float(np.finfo(np.float32).max)
_MOST_DOUBLINGS = 277
"""From float32's smallest number to its largest."""

_ROOM = 8
"""Floats at first for each exact sum; of numbers that are alike few are needed."""


@compiled()
def _pack(counts: NDArray[np.int64], block: NDArray[np.uint8]) -> int:
    """Write the counts behind bin 0 as :data:`GROUPED` and return how many bytes that takes: 0 where they are all 0.

    -1 where one of them has more than 32 bits.
    """
    used = 0
    for g in range(_GROUPS):
        bits = 0
        for j in range(g * _GROUP if g else 1, (g + 1) * _GROUP):
            bits |= counts[j]
        width = 0
        while bits >> width:
            width += 1
        if width > _WIDEST:
            return -1
        block[g + 1] = width
        if width:
            used = g + 1
    block[0] = used
    at = used + 1 if used else 0
    for g in range(used):
        width, waiting, word = whole(block[g + 1]), 0, _NOTHING
        for j in range(_GROUP if width else 0):
            value = counts[g * _GROUP + j] if g + j > 0 else 0
            word |= np.uint64(value) << np.uint64(waiting)
            waiting += width
            if waiting >= 32:
                for k in range(4):
                    block[at + k] = (word >> np.uint64(8 * k)) & _BYTE
                at += 4
                word >>= _WORD
                waiting -= 32
    return at


@compiled(inner=True, error_model="numpy")
def _unpack_groups(block: NDArray[np.uint8], counts: NDArray[np.int64]) -> bool:
    """Write counts that :func:`_pack` packed; False where the block cannot be right."""
    for j in range(N_BINS):
        counts[j] = 0
    used = whole(block[0])
    if used > _GROUPS or block.size <= used:
        return False
    at = used + 1
    for g in range(used):
        width, ready, word = whole(block[g + 1]), 0, _NOTHING
        if width > _WIDEST or block.size - at < 4 * width:
            return False
        digits = np.uint64(width)
        mask = (_ONE << digits) - _ONE
        for j in range(_GROUP if width else 0):
            if ready < width:
                for k in range(4):
                    word |= np.uint64(block[at + k]) << np.uint64(ready + 8 * k)
                at += 4
                ready += 32
            counts[g * _GROUP + j] = word & mask
            word >>= digits
            ready -= width
    return bool(at == block.size)


@compiled()
def _unpack(block: NDArray[np.uint8], itemsize: int, first: int, counts: NDArray[np.int64]) -> int:
    """Write packed counts, ``first`` in bin 0, and return the sum of all; -1 where the block cannot be right."""
    if block.size == 0:
        for j in range(N_BINS):
            counts[j] = 0
    elif itemsize == GROUPED:
        if not _unpack_groups(block, counts):
            return -1
    elif block.size != itemsize * (N_BINS - 1):
        return -1
    else:
        for j in range(N_BINS - 1):
            value = 0
            for k in range(itemsize):
                value |= whole(block[j * itemsize + k]) << (8 * k)
            counts[j + 1] = value
    counts[0] = first
    total = 0
    for j in range(N_BINS):
        total += counts[j]
    return total


@compiled()
def _add_records(
    records: NDArray[np.void],
    block: NDArray[np.uint8],
    start: int,
    lift: bool,
    counts: NDArray[np.int64],
    numbers: NDArray[np.int64],
    extremes: NDArray[np.float64],
    expansions: NDArray[np.float64],
    lengths: NDArray[np.int64],
) -> int:
    """Add one batch, a record for each tensor; return :data:`_ADDED` or why it cannot be added.

    ``records``, ``block``, ``start``: the batch's records, the packed counts, and where in the file the block starts.
    ``lift``: whether values at the upper edge of a shorter range go one bin higher, and infinite ones behind the
    batch that sets the range into the last bin: ``replay``. ``counts``, ``numbers``, ``extremes``, ``expansions``,
    ``lengths``: the sums so far, a row for each tensor.
    """
    added = np.empty(N_BINS, np.int64)
    for i in range(records.size):
        record = records[i]
        if record.present == 0:
            continue
        row, own = numbers[i], int(record.doublings)
        has_range = extremes[i, _BASE] > 0.0 and max(extremes[i, _MAXIMUM], -extremes[i, _MINIMUM]) > 0.0
        clamp = lift and has_range and row[_POS_INFS] + row[_NEG_INFS] == row[_CLAMPED]
        if record.base > 0.0:
            if extremes[i, _BASE] > 0.0 and extremes[i, _BASE] != record.base:
                return _OTHER_RANGE
            extremes[i, _BASE] = record.base
        else:
            own = row[_DOUBLINGS]  # only zeros so far, which are in bin 0 of any range
        at = record.offset - start
        finite = _unpack(block[at : at + record.length], int(record.itemsize), record.first, added)
        if finite < 0:
            return _BAD_COUNTS
        row[_DOUBLINGS], row[_EDGE] = add_counts(
            counts[i], row[_DOUBLINGS], row[_EDGE], added, own, record.edge, lift, False
        )
        if clamp:
            infs = record.pos_infs + record.neg_infs
            counts[i, N_BINS - 1] += infs
            row[_CLAMPED] += infs
        if finite:
            extremes[i, _MINIMUM] = min(extremes[i, _MINIMUM], record.minimum)
            extremes[i, _MAXIMUM] = max(extremes[i, _MAXIMUM], record.maximum)
        row[_ZEROS] += record.zeros
        row[_NANS] += record.nans
        row[_POS_INFS] += record.pos_infs
        row[_NEG_INFS] += record.neg_infs
        row[_FINITE] += finite
        row[_PARTS] += 1
        lengths[i, 0] = grow_expansion(expansions[i, 0], lengths[i, 0], record.sum)
        lengths[i, 1] = grow_expansion(expansions[i, 1], lengths[i, 1], record.sum_squares)
    return _ADDED


class Merging:
    """Sums over batches for some tensors.

    ``in_order``: whether batches are replayed in their order, as one pass over them counts, or combined.
    """

    def __init__(self, n: int, *, in_order: bool) -> None:
        self._in_order = in_order
        self._counts = np.zeros((n, N_BINS), np.int64)
        self._numbers = np.zeros((n, 9), np.int64)
        self._extremes = np.tile(np.array([0.0, np.inf, -np.inf]), (n, 1))
        self._expansions = np.zeros((n, 2, _ROOM))
        self._lengths = np.zeros((n, 2), np.int64)

    def add(self, records: NDArray[np.void], block: bytes, start: int) -> bool:
        """Add a batch; False, and of no use any more, where a tensor started from another range than before.

        ``records``: a record of the store for each tensor, shape (n,). ``block`` and ``start``: the part of the file
        that holds their counts, and where it starts. Raises SessionError if the counts are damaged.
        """
        room = self._expansions.shape[2]
        if int(self._lengths.max(initial=0)) == room:
            self._expansions = np.concatenate([self._expansions, np.zeros_like(self._expansions)], axis=2)
        outcome = _add_records(
            records,
            np.frombuffer(block, np.uint8),
            start,
            self._in_order,
            self._counts,
            self._numbers,
            self._extremes,
            self._expansions,
            self._lengths,
        )
        if outcome == _BAD_COUNTS:
            raise SessionError(_DAMAGED)
        return bool(outcome == _ADDED)

    def copy(self) -> Merging:
        """Return sums that go on from these, which stay as they are."""
        made = Merging(0, in_order=self._in_order)
        for name in ("_counts", "_numbers", "_extremes", "_expansions", "_lengths"):
            setattr(made, name, getattr(self, name).copy())
        return made

    def histogram(self, i: int) -> Histogram:
        """Return what a tensor has come to so far."""
        doublings, edge, *tallies, finite, parts, clamped = self._numbers[i].tolist()
        if not parts:
            return Histogram.empty()
        base, *extremes = self._extremes[i].tolist()
        sums, squares = (tuple(self._expansions[i, k, : self._lengths[i, k]].tolist()) for k in range(2))
        counts = self._counts[i].copy()
        return Histogram.assemble(base, doublings, counts, edge, tallies, extremes, sums, squares, finite, clamped)


def encode(counts: NDArray[np.int64]) -> tuple[int, bytes]:
    """Pack the counts behind bin 0; nothing where they are all 0. Return how they are packed, and the bytes."""
    block = np.empty(_LONGEST, np.uint8)
    length = _pack(counts, block)
    return (8, counts[1:].astype("<u8").tobytes()) if length < 0 else (GROUPED, block[:length].tobytes())


def record_of(h: Histogram, itemsize: int, offset: int, length: int) -> tuple[float, ...]:
    """Return a histogram as a row of :data:`RECORD`, its packed counts ``length`` bytes from ``offset`` on."""
    moments = (h.base, h.minimum, h.maximum, h.total, h.sum_squares)
    tallies = (h.edge, h.zeros, h.nans, h.pos_infs, h.neg_infs)
    return (1, itemsize, h.counts[0], h.doublings, *moments, *tallies, offset, length)


_LARGEST_SUM = 1e100


def plausible(records: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return for each record whether a histogram can have its numbers: nothing negative, and ranges within float32."""
    counts = [records[name] >= 0 for name in ("first", "edge", "zeros", "nans", "pos_infs", "neg_infs", "doublings")]
    with np.errstate(all="ignore"):
        ranges = [np.abs(records[name]) <= _LARGEST for name in ("base", "minimum", "maximum")]
        known = (records["base"] >= 0) & (records["doublings"] <= _MOST_DOUBLINGS)
        squares = records["sum_squares"]  # 2**63 values of float32 cannot reach 1e100
        sums = [np.abs(records["sum"]) <= _LARGEST_SUM, (squares >= 0) & (squares <= _LARGEST_SUM)]
    return np.asarray(np.logical_and.reduce([*counts, *ranges, *sums, known]), np.bool_)


def histogram_of(record: np.void, block: bytes) -> Histogram:
    """Return the histogram of a record and its packed counts.

    Raises SessionError if they do not fit each other.
    """
    (_, itemsize, first, doublings, base, *extremes, total, squares, edge, zeros, nans, pos_infs, neg_infs, _, _) = (
        record.tolist()
    )
    counts = np.empty(N_BINS, np.int64)
    finite = _unpack(np.frombuffer(block, np.uint8), itemsize, first, counts)
    if finite < 0:
        raise SessionError(_DAMAGED)
    tallies = (zeros, nans, pos_infs, neg_infs)
    return Histogram.assemble(base, doublings, counts, edge, tallies, extremes, (total,), (squares,), finite)
