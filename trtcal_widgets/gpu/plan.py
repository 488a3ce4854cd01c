"""How the work of one call is cut up for the GPU: pure numpy, no device needed.

The layouts are those of the structs in ``histogram.cu``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROW = 2052
"""Counters per row: 2048 bins, the edge, NaN and infinities together, and padding to whole 16-byte vectors."""

KINDS = {"float32": 0, "float16": 1, "bfloat16": 2}
"""dtype name -> the number that the kernels know it by."""

_ITEM_SIZE = np.array([4, 2, 2])

SEGMENT = np.dtype([("ptr", "u8"), ("n", "u8"), ("slot", "i4"), ("kind", "i4"), ("first", "i4"), ("last", "i4")])
ITEM = np.dtype([(name, "i4") for name in ("slot", "first", "last", "from", "to", "column", "columns", "items")])
PART = np.dtype(
    [("sum", "f8"), ("squares", "f8")]
    + [(name, "u4") for name in ("zeros", "pos_infs", "neg_infs")]
    + [("lo", "f4"), ("hi", "f4"), ("k", "i4")]
)
STATE = np.dtype(
    [("sum", "f8"), ("squares", "f8")]
    + [(name, "u8") for name in ("zeros", "nans", "pos_infs", "neg_infs")]
    + [("lo", "f4"), ("hi", "f4"), ("base", "f4"), ("k", "i4")]
    + [(name, "i4") for name in ("current", "done", "filled", "unused")]
)

_SEGMENT_COST = 192 * 1024
"""What starting and ending a segment costs, as bytes that could have been read in that time."""

_LEAST_PER_BLOCK = 16 * 1024
"""Bytes below which another block does not pay."""

_CUT = 1024
"""Tensors are cut at multiples of this many elements, which keeps vectors aligned."""

_EVEN_CUT = 128
"""The same for the cuts of a single array."""

_LONGEST = 1 << 30
"""Elements in one segment at most: its counters have 32 bits."""

_ROWS_AT_ONCE = 16
"""Rows that one block of ``finish`` adds up."""

_COLUMNS_AT_ONCE = 512
"""Columns of them, where there are many rows: as many as the block has threads."""


class DeviceArray(NamedTuple):
    """A dense array on the device, as its address and size.

    Attributes
    ----------
    slot
        Number of the tensor whose histogram it belongs to.
    ptr
        Device address; a multiple of the element size.
    n
        Number of elements.
    dtype
        ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    """

    slot: int
    ptr: int
    n: int
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Plan:
    """Which block counts what.

    ``segments``: :data:`SEGMENT`, sorted by slot: consecutive elements of one array each. ``first_of_block``: uint32,
    shape (blocks + 1,): block b has the segments first_of_block[b] .. first_of_block[b + 1]. ``items``: :data:`ITEM`:
    which rows each block of ``finish`` adds up.
    """

    segments: NDArray[np.void]
    first_of_block: NDArray[np.uint32]
    items: NDArray[np.void]
    share: int = 0
    """Elements of each block but the last, where there is one array: then a block knows its segment without a table."""

    @property
    def heads(self) -> NDArray[np.void]:
        """The first segment of each block, which saves the block a look-up."""
        first = np.minimum(self.first_of_block[:-1], self.segments.size - 1)
        return self.segments[first]

    @property
    def longest(self) -> int:
        """Elements of the longest segment."""
        return int(self.segments["n"].max(initial=0))

    @property
    def n_blocks(self) -> int:
        """Number of blocks of the counting kernel."""
        return self.first_of_block.size - 1


def make_plan(arrays: Sequence[DeviceArray], n_slots: int, n_blocks: int) -> Plan:
    """Cut arrays into segments of about equal work for the blocks.

    ``arrays``: in any order; several may have the same slot. Empty ones are left out. ``n_slots``: number of tensors;
    slots count from 0. ``n_blocks``: number of blocks that run at once; fewer are used where there is little to do.
    Raises UsageError if a slot, pointer, size or dtype cannot be right.
    """
    slot, ptr, n, kind = _columns(arrays, n_slots)
    size = _ITEM_SIZE[kind]
    cost = n * size + _SEGMENT_COST
    if n.size == 1:
        return _plan_of_one(slot, ptr, n, kind, n_blocks)
    total = int(cost.sum())
    n_useful = max(n.size, -(-int((n * size).sum()) // _LEAST_PER_BLOCK))
    n_blocks = max(1, min(n_blocks, n_useful), -(-int(n.sum()) // _LONGEST))

    # Every block's share ends at a multiple of total / n_blocks: in which array is that, and how far in?
    ends = np.cumsum(cost)
    share = np.arange(1, n_blocks) * total // n_blocks
    where = np.searchsorted(ends, share, side="right")
    into = (share - (ends - cost)[where] - _SEGMENT_COST) // size[where]
    into = np.clip(into // _CUT * _CUT, 0, n[where])

    # A position in the arrays laid end to end identifies a cut.
    start_of = np.concatenate([[0], np.cumsum(n)])
    cuts = start_of[where] + into
    starts = np.unique(np.concatenate([start_of[:-1], cuts[cuts < start_of[-1]]]))
    array = np.searchsorted(start_of, starts, side="right") - 1
    segments = np.zeros(starts.size, SEGMENT)
    segments["ptr"] = ptr[array] + ((starts - start_of[array]) * size[array]).astype(np.uint64)
    segments["n"] = np.diff(np.append(starts, start_of[-1]))
    segments["slot"] = slot[array]
    segments["kind"] = kind[array]
    block = np.searchsorted(cuts, starts, side="right")
    first_of_block = np.searchsorted(block, np.arange(n_blocks + 1)).astype(np.uint32)
    return Plan(segments, first_of_block, _items(segments))


def _plan_of_one(
    slot: NDArray[np.int64], ptr: NDArray[np.uint64], n: NDArray[np.int64], kind: NDArray[np.int64], n_blocks: int
) -> Plan:
    """Cut one array into equal segments, one for each block."""
    size, total = int(_ITEM_SIZE[kind[0]]), int(n[0])
    n_blocks = max(1, min(n_blocks, -(-total * size // _LEAST_PER_BLOCK)), -(-total // _LONGEST))
    share = -(-total // n_blocks)
    share = -(-share // _EVEN_CUT) * _EVEN_CUT
    starts = np.arange(0, total, share)
    segments = np.zeros(starts.size, SEGMENT)
    segments["ptr"] = ptr[0] + (starts * size).astype(np.uint64)
    segments["n"] = np.minimum(share, total - starts)
    segments["slot"] = slot[0]
    segments["kind"] = kind[0]
    return Plan(segments, np.arange(starts.size + 1, dtype=np.uint32), _items(segments), share)


def _columns(
    arrays: Sequence[DeviceArray], n_slots: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Check the arrays and return slot, ptr, n and kind of those with elements, sorted by slot."""
    for a in arrays:
        if a.dtype not in KINDS:
            raise UsageError(f"histograms on the GPU count {', '.join(KINDS)}, not {a.dtype} (tensor {a.slot})")
    slot = np.array([a.slot for a in arrays], np.int64)
    ptr = np.array([a.ptr for a in arrays], np.uint64)
    n = np.array([a.n for a in arrays], np.int64)
    kind = np.array([KINDS[a.dtype] for a in arrays], np.int64)
    bad = np.flatnonzero((slot < 0) | (slot >= n_slots))
    if bad.size:
        raise UsageError(f"there is no tensor {slot[bad[0]]}: these are histograms of {n_slots}")
    if (n < 0).any():
        raise UsageError("an array cannot have a negative number of elements")
    used = n > 0
    bad = np.flatnonzero(used & ((ptr % _ITEM_SIZE[kind].astype(np.uint64) != 0) | (ptr == 0)))
    if bad.size:
        raise UsageError(
            f"the address {int(ptr[bad[0]]):#x} of tensor {slot[bad[0]]} is not that of {arrays[bad[0]].dtype} values"
        )
    order = np.flatnonzero(used)
    order = order[np.argsort(slot[order], kind="stable")]
    return slot[order], ptr[order], n[order], kind[order]


def _items(segments: NDArray[np.void]) -> NDArray[np.void]:
    """Fill in each segment's first and last, and return the work of ``finish``.

    A tensor of few rows is one block's work; one of many is cut by rows and columns.
    """
    slots, first, count = np.unique(segments["slot"], return_index=True, return_counts=True)
    last = first + count
    segments["first"] = np.repeat(first, count)
    segments["last"] = np.repeat(last, count)
    width = np.where(count > _ROWS_AT_ONCE, _COLUMNS_AT_ONCE, ROW)
    by_columns = -(-ROW // width)
    per_slot = -(-count // _ROWS_AT_ONCE) * by_columns
    group = np.repeat(np.arange(slots.size), per_slot)
    nth = np.arange(group.size) - np.repeat(np.cumsum(per_slot) - per_slot, per_slot)
    items = np.zeros(group.size, ITEM)
    items["slot"] = slots[group]
    items["first"] = first[group]
    items["last"] = last[group]
    items["from"] = first[group] + nth // by_columns[group] * _ROWS_AT_ONCE
    items["to"] = np.minimum(items["from"] + _ROWS_AT_ONCE, items["last"])
    items["column"] = nth % by_columns[group] * width[group]
    items["columns"] = width[group]
    items["items"] = per_slot[group]
    return items


_COLUMNS = ("base", "k", "zeros", "nans", "pos_infs", "neg_infs", "lo", "hi", "sum", "squares")
"""The fields of a tensor's state that its histogram has."""


def read_histograms(states: NDArray[np.void], rows: NDArray[np.int64]) -> list[Histogram]:
    """Build histograms from what the device has of them.

    ``states``: :data:`~trtcal_widgets.gpu.plan.STATE`, shape (n,). ``rows``: int64, shape (n, ROW): the counters. They
    are copied.
    """
    # One copy for all, and views of it: one by one they take several times as long.
    counts = rows[:, :N_BINS].copy()
    edges = rows[:, N_BINS].copy()
    counts[:, -1] += edges
    counts.setflags(write=False)
    columns = [states[name].tolist() for name in _COLUMNS]
    return [
        Histogram.assemble(base, k, row, edge, tallies, (lo, hi), (total,), (squares,))
        for row, edge, base, k, *tallies, lo, hi, total, squares in zip(counts, edges.tolist(), *columns, strict=True)
    ]
