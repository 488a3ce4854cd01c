"""Counting arrays: from values to histograms, without temporaries of the arrays' size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import number
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.kernels import adding as _adding
from trtcal_widgets.core.kernels import counting as _kernels
from trtcal_widgets.core.kernels import families as _many
from trtcal_widgets.core.kernels.counting import EDGE_SLOT, N_BINS, SMALLEST_RANGE
from trtcal_widgets.core.steps import NO_STEPS, step_tables
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.kernels.counting import Tables
    from trtcal_widgets.core.steps import Step, StepTables

__all__ = [
    "Counters",
    "Counting",
    "amax_of",
    "amax_of_all",
    "combine",
    "join_parts",
    "replay",
    "starting_ranges",
    "where",
]

_FLOAT32_MAX = float(np.finfo(np.float32).max)

_RANGE = "the range to start from"

_BLOCK = 1 << 16
"""Values that are converted to float32 at a time where the array is not contiguous float32 already."""


class Counters:
    """What the kernels count, for several arrays: one row of every table is one array's.

    Parameters
    ----------
    bases
        The range that each histogram starts from; None or 0: to be found.

    Raises
    ------
    UsageError
        If a base is negative, not a number or beyond float32.
    """

    def __init__(self, bases: Sequence[float | None]) -> None:
        n = len(bases)
        self.bases = starting_ranges(bases)
        self.doublings = np.zeros(n, np.int64)
        self.slots = np.zeros((n, N_BINS + 1), np.int64)
        self.tallies = np.zeros((n, 4), np.int64)
        self.moments = np.zeros((n, 4))
        self.moments[:, 0] = math.inf
        self.moments[:, 1] = -math.inf

    @property
    def tables(self) -> Tables:
        """The tables in the order in which the kernels take them."""
        return self.bases, self.doublings, self.slots, self.tallies, self.moments

    def add_blocks(self, i: int, x: NDArray[Any]) -> None:
        """Count an array that is not contiguous float32 into row ``i``, from its own range where it has none."""
        if self.bases[i] == 0.0:
            self.bases[i] = starting_ranges([amax_of(x)])[0]
        limit = float(self.bases[i]) or 1.0
        for block in _float32_blocks(x):
            grown = _kernels.accumulate(block, self.slots[i], limit, self.tallies[i], self.moments[i])
            self.doublings[i] += grown
            limit *= 2.0**grown

    def histograms(self) -> Iterator[Histogram]:
        """Yield the histogram of each row."""
        edges = self.slots[:, EDGE_SLOT].tolist()
        finite = self.slots.sum(axis=1).tolist()
        scalars = zip(
            self.bases.tolist(), self.doublings.tolist(), self.tallies.tolist(), self.moments.tolist(), strict=True
        )
        for i, (base, doublings, (zeros, nans, pos_infs, neg_infs), (low, high, total, squares)) in enumerate(scalars):
            counts = self.slots[i, :N_BINS].copy()
            counts[N_BINS - 1] += edges[i]
            yield Histogram(
                base=base,
                doublings=doublings,
                counts=counts,
                edge=edges[i],
                zeros=zeros,
                nans=nans,
                pos_infs=pos_infs,
                neg_infs=neg_infs,
                minimum=low + 0.0 if finite[i] else 0.0,  # -0.0 + 0.0 is 0.0
                maximum=high + 0.0 if finite[i] else 0.0,
                sum_parts=(total,),
                square_parts=(squares,),
            ).with_n_finite(finite[i])


class Counting:
    """Several arrays that are counted together, in three steps of which only the middle one takes long.

    That step, :meth:`run`, belongs in a thread: arrays of contiguous float32 are counted by one call that does not hold
    the GIL, so that many small ones keep no other thread waiting.

    Parameters
    ----------
    arrays
        Any shapes, any real dtypes; other than contiguous float32 they are converted to float32 block by block.
    bases
        The range that each histogram starts from, in the order of :meth:`histograms`; None or 0: the largest finite
        |x| of the tensor.
    steps
        For each array, how others are made of it that are counted as well; None for no others. Such an array is copied
        where it is not contiguous float32.

    Raises
    ------
    UsageError
        If a base is negative, not a number or beyond float32, or a dtype is not real.
    """

    def __init__(
        self,
        arrays: Sequence[Any],
        bases: Sequence[float | None],
        steps: Sequence[Sequence[Step]] | None = None,
    ) -> None:
        self._arrays, self._tables = _prepared(arrays, steps)
        self._counters = Counters(bases)

    def run(self) -> Counting:
        """Count, let go of the arrays, and return this object."""
        flat = [_as_vector(x) for x in self._arrays]
        addresses, sizes = where(flat)
        _many.accumulate_all(addresses, sizes, self._tables, self._counters.tables)
        for i, x in enumerate(flat):
            if x is None:
                self._counters.add_blocks(int(self._tables.starts[i]), self._arrays[i])
        self._arrays.clear()
        return self

    def histograms(self) -> Iterator[Histogram]:
        """Yield the histogram of each array that :meth:`run` counted, each followed by those of what is made of it."""
        return self._counters.histograms()


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
    xs, tables = _prepared(arrays, steps)
    flat = [_as_vector(x) for x in xs]
    largest = np.zeros(tables.parents.size, np.int32)
    _many.amax_all(*where(flat), tables, largest)
    for i, x in enumerate(xs):
        if flat[i] is None:
            blocks = _float32_blocks(x)
            bits = max((_kernels.finite_amax(block.view(np.int32)) for block in blocks), default=0)
            largest[tables.starts[i]] = bits
    return [float(amax) for amax in largest.view(np.float32)]


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


def starting_ranges(bases: Sequence[float | None]) -> NDArray[np.float64]:
    """Return the ranges that histograms start from: 0 where they are to be found, else float32 and not too short.

    Parameters
    ----------
    bases
        A range for each tensor; None is 0.

    Raises
    ------
    UsageError
        If one is no number, negative, NaN or beyond float32.
    """
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


def combine(histograms: Iterable[Histogram]) -> Histogram:
    """Merge any number of histograms of one base exactly; the result does not depend on their order.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=False, lift_earlier=False)


def join_parts(histograms: Iterable[Histogram]) -> Histogram:
    """Merge histograms of the parts of ONE array to what :meth:`Histogram.of` makes of the whole array.

    The range of a batch is known before its first value is counted, so a value at the upper edge of a part's range
    belongs one bin higher wherever another part had to double it.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=True)


def replay(histograms: Iterable[Histogram]) -> Histogram:
    """Merge per-batch histograms in their order, to the counts that one pass over the batches would have made.

    One pass puts a value that lies exactly at the upper edge of the range into the last bin, and it stays with
    that bin when a later batch doubles the range; had the range been doubled before, the value would be one bin
    higher. That is the only way in which the order of batches of one base shows, and it is kept here.

    Raises
    ------
    UsageError
        If they started from different ranges.
    """
    return _merged(list(histograms), lift_later=True, lift_earlier=False)


def _merged(parts: list[Histogram], *, lift_later: bool, lift_earlier: bool) -> Histogram:
    """Merge; lifting moves edge values of a shorter range to the next bin of the longer one.

    ``lift_later`` does so for histograms that come after the range has grown, ``lift_earlier`` for those before.
    """
    bases = {h.base for h in parts if h.base > 0}
    if len(bases) > 1:
        listed = ", ".join(repr(b) for b in sorted(bases)[:3])
        raise UsageError(
            f"histograms that started from different ranges ({listed}) cannot be merged: "
            "count the later ones with base= the first one's base"
        )
    if len(parts) < 2:
        return parts[0] if parts else Histogram.empty()
    counts, doublings, edge = _merged_counts(parts, lift_later=lift_later, lift_earlier=lift_earlier)
    n_finite = zeros = nans = pos_infs = neg_infs = 0
    minimum, maximum = math.inf, -math.inf
    for h in parts:
        if h.n_finite:
            n_finite += h.n_finite
            minimum, maximum = min(minimum, h.minimum), max(maximum, h.maximum)
        zeros += h.zeros
        nans += h.nans
        pos_infs += h.pos_infs
        neg_infs += h.neg_infs
    return Histogram(
        base=next(iter(bases), 0.0),
        doublings=doublings,
        counts=counts,
        edge=edge,
        zeros=zeros,
        nans=nans,
        pos_infs=pos_infs,
        neg_infs=neg_infs,
        minimum=minimum if n_finite else 0.0,
        maximum=maximum if n_finite else 0.0,
        sum_parts=_exact_sum(h.sum_parts for h in parts),
        square_parts=_exact_sum(h.square_parts for h in parts),
    ).with_n_finite(n_finite)


def _merged_counts(
    parts: list[Histogram], *, lift_later: bool, lift_earlier: bool
) -> tuple[NDArray[np.int64], int, int]:
    """Return the counts of all, how often their range has doubled, and the values at its upper edge."""
    first, *others = parts
    counts, doublings, edge = first.counts.copy(), first.doublings, first.edge
    for h in others:
        # A histogram without a base holds zeros only, which are in bin 0 of any range.
        own = h.doublings if h.base > 0 else doublings
        doublings, edge = _adding.add_counts(counts, doublings, edge, h.counts, own, h.edge, lift_later, lift_earlier)
    return counts, doublings, edge


def _exact_sum(parts: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Add floats without rounding: the result is a short tuple of floats whose exact sum is the exact sum."""
    values = [value for part in parts for value in part]
    expansion = [0.0] * len(values)
    n = 0
    for value in values:
        n = _adding.grow(expansion, n, value)
    return tuple(expansion[:n])
