"""Kernels for many arrays at once: one call that holds no GIL, so that small arrays keep no other thread waiting.

Tensors that follow from an array value by value are made of it a block at a time, which stays in the caches: nobody has
to write them to memory and to read them again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import carray  # type: ignore[attr-defined]  # it is public, and not in __all__

from trtcal_widgets.core.kernels.compiling import compiled, float32_at, seen_as
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
    kind: int, constants: NDArray[np.float32], x: NDArray[np.float32], made: NDArray[np.float32]
) -> None:
    """Write what a step makes of some values."""
    first, second = constants[0], constants[1]
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
            made[j] = min(max(x[j], first), second)
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
    row: int, first: int, x: NDArray[np.float32], steps: StepTables, blocks: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return a tensor of a family for a block of its array: the block itself, or what the row's step makes of it.

    Row k of ``blocks`` is what step k makes: asked for in their order, each finds what it is made of.
    """
    if row == first:
        return x
    parent, other, kind = steps.parents[row], steps.others[row], steps.kinds[row]
    made = blocks[row - first, : x.size]
    source = blocks[parent, : x.size] if parent else x
    if kind >= _ADD_TENSORS:
        _make_of_two(kind, source, blocks[other, : x.size] if other else x, made)
    else:
        _make(kind, steps.constants[row], source, made)
    return made


@compiled()
def look_through(
    addresses: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    steps: StepTables,
    seek: bool,
    largest: NDArray[np.int32],
    finite: NDArray[np.bool_],
    tables: Tables,
    places: NDArray[np.int64],
    extremes: NDArray[np.float32],
) -> None:
    """Find the largest |x| of several arrays and of what is made of them, or count them.

    One kernel for both, and one function on purpose: what it calls is optimised again with it, so that every level of
    calls, and every kernel that makes tensors of others, costs a second or two in a first run.
    """
    bases, doublings = tables.bases, tables.doublings
    for i in range(addresses.size):
        x = carray(float32_at(addresses[i]), sizes[i])
        first, last = steps.starts[i], steps.starts[i + 1]
        alone = last == first + 1  # an array alone is gone through as it lies in memory, in one go
        size = x.size if alone else min(_BLOCK, x.size)
        blocks = np.empty((last - first, 0 if alone else size), np.float32)
        counters = new_counters(0 if seek else last - first)
        unflushed = np.zeros(last - first, np.int64)
        for start in range(0, x.size, max(size, 1)):
            block = x[start : start + size]
            for row in range(first, last):
                values = _block_of(row, first, block, steps, blocks)
                if seek:
                    bits = seen_as(values, np.int32)
                    best = INF_BITS if alone else magnitude_of(bits)
                    if best >= INF_BITS:
                        finite[i] = alone  # of an array alone it is not asked
                        best = finite_amax(bits)
                    largest[row] = max(largest[row], best)
                    continue
                # With nothing but zeros (and NaN, inf) any range counts them the same way: all in bin 0.
                limit = math.ldexp(bases[row] if bases[row] > 0.0 else 1.0, doublings[row])
                k = row - first
                grown, unflushed[k] = count(
                    values,
                    counters[k],
                    unflushed[k],
                    tables.slots[row],
                    limit,
                    tables.tallies[row],
                    tables.moments[row],
                    places[i, 1] + start,
                    places[i, 0],
                    extremes[row],
                )
                doublings[row] += grown
        for k in range(counters.shape[0]):
            flush(counters[k], tables.slots[first + k])


_NO_COUNTS = np.zeros((0, N_BINS + 1), np.int64)
_NO_TABLES = Tables(np.zeros(0), np.zeros(0, np.int64), _NO_COUNTS, np.zeros((0, 4), np.int64), np.zeros((0, 4)))
_NO_PLACES = np.zeros((0, 2), np.int64)
_NO_EXTREMES = np.zeros((0, 0, 2), np.float32)
_NOT_SOUGHT = np.zeros(0, np.int32), np.zeros(0, np.bool_)


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
    look_through(addresses, sizes, steps, True, largest, finite, _NO_TABLES, _NO_PLACES, _NO_EXTREMES)


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
    ``tables``: what is counted, a row for each tensor; added to. The ranges to start from are there, and 0 where there
    is nothing but zeros. ``places``: shape (n, 2), values per sample of each array (0: it has no samples) and which of
    the whole tensor's values is its first. ``extremes``: of each row's samples, shape (rows, samples, 2); added to.
    """
    look_through(addresses, sizes, steps, False, *_NOT_SOUGHT, tables, places, extremes)
