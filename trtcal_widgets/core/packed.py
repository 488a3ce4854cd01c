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
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RECORD", "Merging", "decode", "encode", "record_of"]

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
others; ``offset`` and ``length`` say where those are, ``itemsize`` of how many bytes each."""

_DOUBLINGS, _EDGE, _ZEROS, _NANS, _POS_INFS, _NEG_INFS, _FINITE, _PARTS = range(8)
_BASE, _MINIMUM, _MAXIMUM = range(3)

_ROOM = 8
"""Floats at first for each exact sum; of numbers that are alike few are needed."""


@compiled()
def _unpack(block: NDArray[np.uint8], at: int, itemsize: int, counts: NDArray[np.int64]) -> np.int64:
    """Write the packed counts behind bin 0, little-endian, and return the sum of all."""
    if itemsize <= 1:  # apart from the others, so that the loop vectorises
        for j in range(N_BINS - 1):
            counts[j + 1] = np.int64(block[at + j]) if itemsize else np.int64(0)
    elif itemsize == 2:
        for j in range(N_BINS - 1):
            counts[j + 1] = np.int64(block[at + 2 * j]) | np.int64(block[at + 2 * j + 1]) << 8
    else:
        for j in range(N_BINS - 1):
            value = np.int64(0)
            for k in range(itemsize):
                value |= np.int64(block[at + j * itemsize + k]) << (8 * k)
            counts[j + 1] = value
    total = np.int64(0)
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
) -> bool:
    """Add one batch, a record for each tensor; False where a tensor started from another range than before.

    Parameters
    ----------
    records, block, start
        The batch's records, the packed counts, and where in the file the block starts.
    lift
        Whether values at the upper edge of a shorter range go one bin higher: ``replay``.
    counts, numbers, extremes, expansions, lengths
        The sums so far, a row for each tensor.
    """
    added = np.empty(N_BINS, np.int64)
    for i in range(records.size):
        record = records[i]
        if record.present == 0:
            continue
        row, own = numbers[i], int(record.doublings)
        if record.base > 0.0:
            if extremes[i, _BASE] > 0.0 and extremes[i, _BASE] != record.base:
                return False
            extremes[i, _BASE] = record.base
        else:
            own = row[_DOUBLINGS]  # only zeros so far, which are in bin 0 of any range
        added[0] = record.first
        finite = _unpack(block, record.offset - start, record.itemsize, added)
        row[_DOUBLINGS], row[_EDGE] = add_counts(
            counts[i], row[_DOUBLINGS], row[_EDGE], added, own, record.edge, lift, False
        )
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
    return True


class Merging:
    """Sums over batches for some tensors.

    Parameters
    ----------
    n
        How many tensors.
    in_order
        Whether batches are replayed in their order, as one pass over them counts, or combined.
    """

    def __init__(self, n: int, *, in_order: bool) -> None:
        self._in_order = in_order
        self._counts = np.zeros((n, N_BINS), np.int64)
        self._numbers = np.zeros((n, 8), np.int64)
        self._extremes = np.tile(np.array([0.0, np.inf, -np.inf]), (n, 1))
        self._expansions = np.zeros((n, 2, _ROOM))
        self._lengths = np.zeros((n, 2), np.int64)

    def add(self, records: NDArray[np.void], block: bytes, start: int) -> bool:
        """Add a batch; False, and of no use any more, where a tensor started from another range than before.

        Parameters
        ----------
        records
            A record of the store for each tensor, shape (n,).
        block, start
            The part of the file that holds their counts, and where it starts.
        """
        room = self._expansions.shape[2]
        if int(self._lengths.max(initial=0)) == room:
            self._expansions = np.concatenate([self._expansions, np.zeros_like(self._expansions)], axis=2)
        return bool(
            _add_records(
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
        )

    def histogram(self, i: int) -> Histogram:
        """Return what a tensor has come to so far."""
        doublings, edge, zeros, nans, pos_infs, neg_infs, finite, parts = self._numbers[i].tolist()
        if not parts:
            return Histogram.empty()
        base, minimum, maximum = self._extremes[i].tolist()
        sums, squares = (self._expansions[i, k, : self._lengths[i, k]].tolist() for k in range(2))
        return Histogram(
            base=base,
            doublings=doublings,
            counts=self._counts[i].copy(),
            edge=edge,
            zeros=zeros,
            nans=nans,
            pos_infs=pos_infs,
            neg_infs=neg_infs,
            minimum=minimum if finite else 0.0,
            maximum=maximum if finite else 0.0,
            sum_parts=tuple(sums),
            square_parts=tuple(squares),
        ).with_n_finite(finite)


def encode(counts: NDArray[np.int64]) -> tuple[int, bytes]:
    """Pack the counts behind bin 0 into the smallest unsigned type that holds them; nothing where they are all 0."""
    largest = int(counts[1:].max(initial=0))
    itemsize = next(size for size in (0, 1, 2, 4, 8) if largest < 1 << (8 * size))
    return itemsize, counts[1:].astype(f"<u{itemsize}").tobytes() if itemsize else b""


def decode(block: bytes, itemsize: int, first: int) -> NDArray[np.int64]:
    """Return the counts that :func:`encode` packed."""
    counts = np.zeros(N_BINS, np.int64)
    counts[0] = first
    if itemsize:
        try:
            counts[1:] = np.frombuffer(block, f"<u{itemsize}", N_BINS - 1)
        except (ValueError, TypeError) as error:
            raise SessionError(f"the kept counts of a batch are damaged ({error})") from error
    return counts


def record_of(h: Histogram, itemsize: int, offset: int, length: int) -> tuple[float, ...]:
    """Return a histogram as a row of :data:`RECORD`, its counts ``length`` bytes from ``offset`` on."""
    return (
        1,
        itemsize,
        h.counts[0],
        h.doublings,
        h.base,
        h.minimum,
        h.maximum,
        h.total,
        h.sum_squares,
        h.edge,
        h.zeros,
        h.nans,
        h.pos_infs,
        h.neg_infs,
        offset,
        length,
    )
