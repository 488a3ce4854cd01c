"""Counting arrays: from values to the tables that histograms are made of, without temporaries of the arrays' size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import number
from trtcal_widgets.core.kernels import counting as _kernels
from trtcal_widgets.core.kernels import families as _many
from trtcal_widgets.core.kernels.counting import N_BINS, SMALLEST_RANGE, Tables, new_extremes
from trtcal_widgets.core.steps import NO_STEPS, StepKind, step_tables
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.steps import Step, StepTables

_FLOAT32_MAX = float(np.finfo(np.float32).max)

Place = tuple[int, int]
"""How many values of an array are a sample, and which of the whole tensor's values is its first."""

NO_SAMPLES: Place = (0, 0)

_RANGE = "the range to start from"

_BLOCK = 1 << 16
"""Values that are converted to float32 at a time where the array is not contiguous float32 already."""


def new_tables(bases: Sequence[float | None]) -> Tables:
    """Return tables for the kernels in which nothing is counted yet; see :func:`starting_ranges` for ``bases``."""
    n = len(bases)
    moments = np.tile(np.array([math.inf, -math.inf, 0.0, 0.0]), (n, 1))
    slots, tallies = np.zeros((n, N_BINS + 1), np.int64), np.zeros((n, 4), np.int64)
    return Tables(starting_ranges(bases, n), np.zeros(n, np.int64), slots, tallies, moments)


def _add_blocks(tables: Tables, i: int, x: NDArray[Any]) -> None:
    """Count an array that is not contiguous float32 into row ``i``, from its own range where it has none."""
    if tables.bases[i] == 0.0:
        tables.bases[i] = _starts(np.array([amax_of(x)], np.float32))[0]
    limit = float(tables.bases[i]) or 1.0
    for block in _float32_blocks(x):
        grown = _kernels.accumulate(block, tables.slots[i], limit, tables.tallies[i], tables.moments[i])
        tables.doublings[i] += grown
        limit *= 2.0**grown


class Counting:
    """Several arrays that are counted together, in two steps of which only the second takes long.

    That step, :meth:`run`, belongs in a thread: arrays of contiguous float32 are counted by one call that does not hold
    the GIL, so that many small ones keep no other thread waiting.

    ``arrays``: any shapes, any real dtypes; other than contiguous float32 they are converted to float32 block by block.
    ``bases``: the range that each histogram starts from: of each array, followed by those of what is made of it; None
    or 0: the largest finite |x| of the tensor. ``steps``: for each array, how others are made of it that are counted as
    well; None for no others. Such an array is copied where it is not contiguous float32. ``places``, ``samples``: for
    each array how many of its values are a sample and which of its tensor's values is its first; none for arrays of
    which nobody asks for :meth:`extremes`. How many samples the tensors have. Raises UsageError if a base is negative,
    not a number or beyond float32, or a dtype is not real.
    """

    def __init__(
        self,
        arrays: Sequence[Any],
        bases: Sequence[float | None],
        steps: Sequence[Sequence[Step]] | None = None,
        places: Sequence[Place] = (),
        samples: int = 0,
    ) -> None:
        self._arrays, self._steps = _prepared(arrays, steps)
        self._tables = new_tables(bases)
        self._places = np.array(list(places) or [NO_SAMPLES] * len(arrays), np.int64).reshape(-1, 2)
        self._extremes = new_extremes(len(bases), samples if self._places[:, 0].any() else 0)

    def extremes(self) -> Iterator[NDArray[np.float32] | None]:
        """Yield, for each row, smallest and largest finite value of each sample, shape (samples, 2); None: unknown."""
        of_array = np.repeat(np.arange(len(self._places)), np.diff(self._steps.starts))
        found = np.where(self._extremes[..., :1] > self._extremes[..., 1:], np.float32(np.nan), self._extremes)
        yield from (found[row] if self._places[i, 0] else None for row, i in enumerate(of_array))

    def run(self) -> Tables:
        """Count, let go of the arrays, and return what was counted, in the order of ``bases``."""
        flat = [_as_vector(x) for x in self._arrays]
        addresses, sizes = where(flat)
        unknown = self._tables.bases == 0.0
        if unknown.any():
            sought = np.logical_or.reduceat(unknown, self._steps.starts[:-1])
            largest, _ = _largest(addresses, np.where(sought, sizes, 0), self._steps)
            self._tables.bases[unknown] = _starts(largest)[unknown]
        _many.accumulate_all(addresses, sizes, self._steps, self._tables, self._places, self._extremes)
        for i, x in enumerate(flat):
            if x is None:
                row = int(self._steps.starts[i])
                _add_blocks(self._tables, row, self._arrays[i])
                if self._places[i, 0]:
                    self._add_extremes(row, self._arrays[i])
        self._arrays.clear()
        return self._tables

    def _add_extremes(self, row: int, x: NDArray[Any]) -> None:
        """Find the extremes of an array that is not contiguous float32, sample by sample."""
        for sample, values in enumerate(x):
            for block in _float32_blocks(np.asarray(values)):
                finite = block[np.isfinite(block)]
                low, high = self._extremes[row, sample]
                self._extremes[row, sample] = finite.min(initial=low), finite.max(initial=high)


def amax_of(array: Any) -> float:
    """Return the largest finite |x| of an array as float32 sees it; 0 where there is none.

    Parameters
    ----------
    array
        Any shape, any real dtype. No temporary of its size is made.

    Raises
    ------
    UsageError
        If the dtype is not real.
    """
    return amax_of_all([array])[0]


def amax_of_all(arrays: Sequence[Any], steps: Sequence[Sequence[Step]] | None = None) -> list[float]:
    """Return :func:`amax_of` of several arrays, found by one call that does not hold the GIL.

    Each is followed by that of what ``steps`` make of it: NaN where something is clipped that is not finite all along,
    so that engines may differ.
    """
    xs, made = _prepared(arrays, steps)
    flat = [_as_vector(x) for x in xs]
    largest, finite = _largest(*where(flat), made)
    for i, x in enumerate(xs):
        first, last = made.starts[i], made.starts[i + 1]
        if flat[i] is None:
            blocks = _float32_blocks(x)
            bits = max((_kernels.finite_amax(block.view(np.int32)) for block in blocks), default=0)
            largest[first] = np.int32(bits).view(np.float32)
        if not finite[i] and np.any(made.kinds[first + 1 : last] == StepKind.CLIP):
            largest[first + 1 : last] = np.nan
    return [float(amax) for amax in largest]


def _largest(
    addresses: NDArray[np.uint64], sizes: NDArray[np.int64], steps: StepTables
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the largest finite |x| of arrays and what is made of them, and whether all values of each are finite."""
    largest, finite = np.zeros(steps.parents.size, np.int32), np.empty(sizes.size, np.bool_)
    _many.amax_all(addresses, sizes, steps, largest, finite)
    return largest.view(np.float32), finite


def _starts(largest: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the ranges that histograms start from, given their largest finite |x|; see ``start_of`` of the kernels."""
    normal = largest >= np.finfo(np.float32).smallest_normal
    return np.where(normal, np.maximum(largest.astype(np.float64), SMALLEST_RANGE), 0.0)


def _prepared(arrays: Sequence[Any], steps: Sequence[Sequence[Step]] | None) -> tuple[list[NDArray[Any]], StepTables]:
    """Return arrays that can be counted, and the tables of their steps."""
    families = steps or [NO_STEPS] * len(arrays)
    xs = [_real_array(array) for array in arrays]
    for i, made in enumerate(families):
        if made and _as_vector(xs[i]) is None:
            xs[i] = np.ascontiguousarray(xs[i], np.float32)
    return xs, step_tables(families)


def where(vectors: Sequence[NDArray[np.float32] | None]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return addresses and sizes for the kernels; an array that is counted in another way has size 0."""
    addresses = [0 if x is None else x.__array_interface__["data"][0] for x in vectors]
    return np.array(addresses, np.uint64), np.array([0 if x is None else x.size for x in vectors], np.int64)


def starting_ranges(bases: Sequence[float | None] | None, n: int) -> NDArray[np.float64]:
    """Return the ranges that ``n`` histograms start from: 0 where they are to be found, else float32 and not too short.

    ``bases``: a range for each tensor; None is 0. Raises UsageError if there is not one range per tensor, or one is no
    number, negative, NaN or beyond float32.
    """
    if bases is None:
        return np.zeros(n)
    if len(bases) != n:
        raise UsageError(f"{len(bases)} bases were given for {n} tensors")
    given = [0.0 if b is None else b if type(b) is float else number(b, _RANGE) for b in bases]
    values = np.array(given, np.float64)
    bad = np.flatnonzero(~((values >= 0) & (values <= _FLOAT32_MAX)))
    if bad.size:
        raise UsageError(f"{_RANGE} must be from 0 to {_FLOAT32_MAX:.8g} (float32), not {given[bad[0]]}")
    rounded = values.astype(np.float32).astype(np.float64)
    return np.where(values > 0, np.maximum(rounded, SMALLEST_RANGE), 0.0)


def _real_array(array: Any) -> NDArray[Any]:
    x = np.asarray(array)
    # The small floats of ml_dtypes (bfloat16, float8) are of kind V, "void", as records are.
    if x.dtype.kind not in "fiub" and not (x.dtype.kind == "V" and np.can_cast(x.dtype, np.float32)):
        raise UsageError(f"a histogram needs real numbers, not dtype {x.dtype}")
    return x


def _as_vector(x: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return the values as they lie in memory, in whatever order; None where they are not float32 without gaps."""
    if x.dtype != np.float32 or not x.flags.aligned:
        return None
    if not x.flags.c_contiguous:
        x = _by_stride(x)
    return x.reshape(-1) if x.flags.c_contiguous else None


def _by_stride(x: NDArray[Any]) -> NDArray[Any]:
    """Return a view with the axes in their order in memory: NHWC seen as NCHW lies there without gaps too."""
    return x.transpose(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))


def _float32_blocks(x: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """Yield the values as contiguous float32 blocks, in any order, without a temporary of the array's size."""
    vector = _as_vector(x)
    if vector is not None:
        if x.size:
            yield vector
        return
    for block in _raw_blocks(_by_stride(x)):
        with np.errstate(all="ignore"):
            converted = block.astype(np.float32)
        yield converted


def _raw_blocks(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all values in pieces of bounded size, shape (n,), of the array's own dtype."""
    if x.flags.c_contiguous:
        flat = x.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK]
        return
    with np.nditer(x, flags=["external_loop", "buffered"], op_flags=["readonly"], buffersize=_BLOCK) as pieces:
        yield from pieces
