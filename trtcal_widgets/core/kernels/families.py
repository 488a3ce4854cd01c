"""Kernels for many arrays at once: one call that holds no GIL, so that small arrays keep no other thread waiting.

Tensors that follow from an array value by value are made of it a block at a time, which stays in the caches: nobody has
to write them to memory and to read them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.counting import (
    INF_BITS,
    N_BINS,
    Tables,
    count,
    finite_amax,
    flush,
    magnitude_of,
    new_counters,
)
from trtcal_widgets.core.kernels.intrinsics import float32_at, larger, part, row_of, seen_as, smaller
from trtcal_widgets.core.steps import StepKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.steps import StepTables

_BLOCK = 1 << 15
"""Values that are made at a time: 128 KB for each tensor of a family. A multiple of the chunk of the counting kernel,
so that sums are added in the order in which a whole array's are."""

_ADD = int(StepKind.ADD)
_SUBTRACT_FROM = int(StepKind.SUBTRACT_FROM)
_MULTIPLY = int(StepKind.MULTIPLY)
_DIVIDE = int(StepKind.DIVIDE)
_CLIP = int(StepKind.CLIP)
_ADD_TENSORS = int(StepKind.ADD_TENSORS)
_SUBTRACT_TENSORS = int(StepKind.SUBTRACT_TENSORS)
_MULTIPLY_TENSORS = int(StepKind.MULTIPLY_TENSORS)


@compiled(inner=True, error_model="numpy")
def _make(  # noqa: C901 - a loop for each kind: numpy's functions would take three times as long to compile
    kind: int, first: np.float32, second: np.float32, x: NDArray[np.float32], made: NDArray[np.float32]
) -> None:
    """Write what a step makes of some values."""
    if kind == _ADD:
        for j in range(x.size):
            made[j] = x[j] + first
    elif kind == _SUBTRACT_FROM:
        for j in range(x.size):
            made[j] = first - x[j]
    elif kind == _MULTIPLY:
        for j in range(x.size):
            made[j] = x[j] * first
    elif kind == _DIVIDE:
        for j in range(x.size):
            made[j] = x[j] / first
    elif kind == _CLIP:
        for j in range(x.size):
            made[j] = smaller(larger(x[j], first), second)
    else:
        for j in range(x.size):  # made[:] = x would compile the text of an error for other sizes: 2 s
            made[j] = x[j]


@compiled(inner=True)
def _make_of_two(kind: int, x: NDArray[np.float32], y: NDArray[np.float32], made: NDArray[np.float32]) -> None:
    """Write what a step makes of the values of two tensors."""
    if kind == _ADD_TENSORS:
        for j in range(x.size):
            made[j] = x[j] + y[j]
    elif kind == _SUBTRACT_TENSORS:
        for j in range(x.size):
            made[j] = x[j] - y[j]
    elif kind == _MULTIPLY_TENSORS:
        for j in range(x.size):
            made[j] = x[j] * y[j]


@compiled(inner=True)
def _block_of(
    k: int,
    parent: int,
    other: int,
    kind: int,
    first: np.float32,
    second: np.float32,
    x: NDArray[np.float32],
    blocks: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return what step ``k`` of a family makes of a block of its array.

    Row k of ``blocks`` is what step k makes: asked for in their order, each finds what it is made of.
    """
    made = part(row_of(blocks, k), 0, x.size)
    source = part(row_of(blocks, parent), 0, x.size) if parent else x
    if kind >= _ADD_TENSORS:
        _make_of_two(kind, source, part(row_of(blocks, other), 0, x.size) if other else x, made)
    else:
        _make(kind, first, second, source, made)
    return made


@compiled(error_model="numpy")
def look_through(
    addresses: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
    parents: NDArray[np.int64],
    kinds: NDArray[np.int64],
    constants: NDArray[np.float32],
    others: NDArray[np.int64],
    seek: bool,
    largest: NDArray[np.int32],
    finite: NDArray[np.bool_],
    limits: NDArray[np.float64],
    doublings: NDArray[np.int64],
    slots: NDArray[np.int64],
    tallies: NDArray[np.int64],
    moments: NDArray[np.float64],
    places: NDArray[np.int64],
    extremes: NDArray[np.float32],
    blocks: NDArray[np.float32],
    counters: NDArray[np.int32],
    unflushed: NDArray[np.int64],
) -> None:
    """Find the largest |x| of several arrays and of what is made of them, or count them.

    One kernel for both, and one function on purpose: what it calls is optimised again with it, so that every level of
    calls, and every kernel that makes tensors of others, costs a second or two in a first run. And what it is given is
    not put into tuples, each of which takes as long to compile as a loop.

    ``starts`` to ``others``: the steps; see ``StepTables``. ``doublings`` to ``moments``: what is counted; see
    ``Tables``. ``limits``: the range R (> 0) of each row, doubled with it. ``blocks``, ``counters`` and ``unflushed``
    are room for the longest family: of the last two every value is 0, before and after.
    """
    for i in range(addresses.size):
        x = float32_at(addresses[i], sizes[i])
        first, last = starts[i], starts[i + 1]
        alone = last == first + 1  # an array alone is gone through as it lies in memory, in one go
        size = x.size if alone else _BLOCK
        for start in range(0, x.size, larger(size, 1)):
            block = part(x, start, smaller(start + size, x.size))
            for row in range(first, last):
                k = row - first
                values = block
                if k:
                    a, b = constants[row, 0], constants[row, 1]
                    values = _block_of(k, parents[row], others[row], kinds[row], a, b, block, blocks)
                if seek:
                    bits = seen_as(values, np.int32)
                    best = INF_BITS if alone else magnitude_of(bits)
                    if best >= INF_BITS:
                        finite[i] = alone  # of an array alone it is not asked
                        best = finite_amax(bits)
                    largest[row] = larger(largest[row], best)
                    continue
                grown, unflushed[k] = count(
                    values,
                    row_of(counters, k),
                    unflushed[k],
                    row_of(slots, row),
                    limits[row],
                    row_of(tallies, row),
                    row_of(moments, row),
                    places[i, 1] + start,
                    places[i, 0],
                    row_of(extremes, row),
                )
                doublings[row] += grown
                for _ in range(grown):
                    limits[row] *= 2.0
        if not seek:
            for k in range(last - first):
                flush(row_of(counters, k), row_of(slots, first + k))
                unflushed[k] = 0


_NO_COUNTS = np.zeros((0, N_BINS + 1), np.int64)
_NO_TABLES = np.zeros(0), np.zeros(0, np.int64), _NO_COUNTS, np.zeros((0, 4), np.int64), np.zeros((0, 4))
_NO_PLACES = np.zeros((0, 2), np.int64)
_NO_EXTREMES = np.zeros((0, 0, 2), np.float32)
_NO_LARGEST, _NO_FINITE = np.zeros(0, np.int32), np.zeros(0, np.bool_)
_NO_BLOCKS, _NO_COUNTERS, _NOT_FLUSHED = np.zeros((0, 0), np.float32), new_counters(0), np.zeros(0, np.int64)


def _longest(sizes: NDArray[np.int64], steps: StepTables) -> tuple[int, NDArray[np.float32]]:
    """Return how many rows an array has at most, and room for what is made of a block of any of them."""
    if steps.parents.size == sizes.size:
        return 1, _NO_BLOCKS
    rows = np.diff(steps.starts)
    most = int(rows.max())
    return most, np.empty((most, min(_BLOCK, sizes[rows > 1].max())), np.float32)


def amax_all(
    addresses: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    steps: StepTables,
    largest: NDArray[np.int32],
    finite: NDArray[np.bool_],
) -> None:
    """Write the bits of the largest finite |x| of several arrays and of what is made of them.

    ``addresses`` and ``sizes``: of contiguous float32 arrays, shape (n,). They stay alive until this returns.
    ``largest``: shape (rows,), written. ``finite``: shape (n,), written: whether all values of an array and of what is
    made of it are finite; true for an array of which nothing is made.
    """
    largest[:], finite[:] = 0, True
    room = _longest(sizes, steps)[1], _NO_COUNTERS, _NOT_FLUSHED
    look_through(addresses, sizes, *steps, True, largest, finite, *_NO_TABLES, _NO_PLACES, _NO_EXTREMES, *room)


def accumulate_all(
    addresses: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    steps: StepTables,
    tables: Tables,
    places: NDArray[np.int64],
    extremes: NDArray[np.float32],
) -> None:
    """Count several arrays and what is made of them.

    ``addresses`` and ``sizes``: of contiguous float32 arrays, shape (n,). They stay alive until this returns.
    ``tables``: of nothing yet, a row for each tensor. The ranges to start from are there, and 0 where there is nothing
    but zeros. ``places``: shape (n, 2), values per sample of each array (0: it has no samples) and which of
    the whole tensor's values is its first. ``extremes``: of each row's samples, shape (rows, samples, 2); added to.
    """
    most, blocks = _longest(sizes, steps)
    room: Any = blocks, new_counters(most), np.zeros(most, np.int64)
    # With nothing but zeros (and NaN, inf) any range counts them the same way: all in bin 0.
    limits = np.where(tables.bases > 0.0, tables.bases, 1.0)
    look_through(addresses, sizes, *steps, False, _NO_LARGEST, _NO_FINITE, limits, *tables[1:], places, extremes, *room)
