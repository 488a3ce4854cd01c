"""Histograms of tensors that are on the GPU, without bringing them to the host.

Counts, edge, zeros, NaN, infinities, extremes and doublings are those of :meth:`Histogram.of
<trtcal_widgets.core.histogram.Histogram.of>`, exactly; sums agree to the rounding of a float64.

>>> with open_memory() as memory, GpuHistograms(2, memory=memory) as histograms:      # doctest: +SKIP
...     histograms.add([DeviceArray(0, ptr, n, "float32"), DeviceArray(1, other, m, "float16")])
...     first, second = histograms.fetch()
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.closing import Closing
from trtcal_widgets.core.counting import starting_ranges
from trtcal_widgets.errors import UsageError
from trtcal_widgets.gpu.arrays import borrow
from trtcal_widgets.gpu.code import TUNING, Tuning, load_kernels
from trtcal_widgets.gpu.memory import DeviceBuffer, DeviceMemory, PinnedBuffer, checked_memory, open_memory
from trtcal_widgets.gpu.plan import (
    KINDS,
    PART,
    ROW,
    SEGMENT,
    STATE,
    DeviceArray,
    Plan,
    make_plan,
    read_histograms,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trtcal_widgets.core.histogram import Histogram

__all__ = ["DeviceArray", "GpuHistograms", "histogram_of"]

_LEAST_ROWS = 4096
"""Rows of counters, 8 kB each, that are allocated at first."""

_MOST_PER_ROW = (1 << 32) - 1
"""Values after which a row of 32-bit counters must be emptied."""

_PLANS = 1024
"""Lists of arrays whose plans are kept, about 20 kB each: a runner uses the same buffers for every batch."""


def histogram_of(
    array: Any, base: float | None = None, *, memory: DeviceMemory | None = None, stream: int = 0
) -> Histogram:
    """Count one array that is on the GPU.

    Parameters
    ----------
    array
        Anything with ``__dlpack__`` or ``__cuda_array_interface__``: float32, float16 or bfloat16, any shape, dense.
    base
        The range to start from; None or 0: the largest finite |x| of the array.
    memory
        The device's memory; None: that of the array's device, opened once per process.
    stream
        Handle of the stream to work on; the array's producer is made to wait for.

    Returns
    -------
    Histogram
        What ``Histogram.of`` returns for the same values.

    Raises
    ------
    UsageError
        If the array cannot be counted, or the base is negative or not finite.
    """
    borrowed = borrow(array, stream)
    memory = checked_memory(memory)
    if memory is None:
        memory = _memory_of(borrowed.device or 0)
    if borrowed.device not in (None, memory.device.index):
        raise UsageError(
            f"the array is on device {borrowed.device}, the memory that was given is {memory.device.index}'s"
        )
    with GpuHistograms(1, [base], memory=memory, stream=stream) as histograms:
        histograms.add([DeviceArray(0, borrowed.ptr, borrowed.n, borrowed.dtype)])
        return histograms.fetch()[0]


@cache
def _memory_of(device: int) -> DeviceMemory:
    """Open a device for :func:`histogram_of`, which would otherwise load the kernels with every call."""
    return open_memory(device=device)


class GpuHistograms(Closing):
    """The histograms of many tensors, kept on the device.

    Everything runs on one stream, in order; only :meth:`fetch` waits for it. Arrays that are added must stay as they
    are until then, or until later work of that stream overwrites them.

    Parameters
    ----------
    n_tensors
        Number of tensors; their slots count from 0.
    bases
        The range that each starts from. None, or 0 for one of them: the largest finite |x| of the first array
        that is added to it and has one, at the price of reading that array twice.
    memory
        The device's memory; None: opened, and closed by :meth:`close`.
    stream
        Handle of the stream to work on; 0 is the default stream.
    tuning
        How the kernels are compiled.
    """

    def __init__(
        self,
        n_tensors: int,
        bases: Sequence[float | None] | None = None,
        *,
        memory: DeviceMemory | None = None,
        stream: int = 0,
        tuning: Tuning = TUNING,
    ) -> None:
        if n_tensors < 0:
            raise UsageError(f"there cannot be {n_tensors} tensors")
        given = checked_memory(memory)
        self._owns_memory = given is None
        self._memory = given or open_memory()
        self._n = n_tensors
        self._stream = stream
        self._plans: OrderedDict[tuple[DeviceArray, ...], _Planned] = OrderedDict()
        self._pending: dict[_Planned, _Pending] = {}
        self._rows = self._rows_used = 0
        self._buffers: dict[str, DeviceBuffer] = {}
        self._pinned: PinnedBuffer | None = None
        self._closed = False
        try:
            self._kernels = load_kernels(self._memory, tuning)
            self.reset(bases)
        except BaseException:
            self.close()
            raise

    def reset(self, bases: Sequence[float | None] | None = None) -> None:
        """Empty all histograms and give them the ranges to start from, as the constructor does.

        Raises
        ------
        UsageError
            If there is not one base per tensor, or one is negative or not finite.
        """
        self._check_open()
        ranges = starting_ranges(bases, self._n).astype(np.float32)
        self._all_known = bool(ranges.all())
        self._forget_pending()
        if self._n == 0:
            return
        table = self._buffer("bases", ranges.nbytes)
        states = self._buffer("states", self._n * STATE.itemsize)
        tables = self._buffer("tables", self._n * 2 * ROW * 8)
        # The copy does not wait for the stream, which may still read the last ranges.
        self._memory.synchronize(self._stream)
        self._memory.upload(table, ranges)
        with self._memory.current() as driver:
            addresses = (table.ptr, states.ptr, tables.ptr)
            self._kernels.launch(driver, "reset", self._n, addresses, self._stream)

    def add(self, arrays: Sequence[DeviceArray]) -> None:
        """Count arrays, of however different sizes, in one launch; returns before it is done.

        Several arrays of one slot, in one call or in several, give the histogram of all of them together: the same
        as that of one array with all their elements.

        Raises
        ------
        UsageError
            If a slot, pointer, size or dtype cannot be right.
        OutOfDeviceMemoryError
            If there is no room for the counters (8 kB for each tensor and block).
        """
        self._check_open()
        wanted = tuple(a for a in arrays if a.n)
        if not wanted:
            return
        planned = self._planned(wanted)
        first_row, fresh = self._claim_rows(planned)
        rows = self._buffers["rows"].ptr + first_row * ROW * 4
        parts = self._buffers["parts"].ptr + first_row * PART.itemsize
        maxima = self._buffers["maxima"].ptr + first_row * 4
        work = (planned.segments, planned.first_of_block, self._buffers["states"].ptr, maxima)
        n_blocks = planned.plan.n_blocks
        with self._memory.current() as driver:
            if not self._all_known:
                self._kernels.launch(driver, "measure", n_blocks, work, self._stream)
            a = wanted[0]  # the kernel looks at it only where it is the only one
            one = (a.ptr, a.n, planned.plan.share, a.slot, KINDS[a.dtype])
            arguments = (*one, planned.heads, *work, rows, parts, fresh)
            self._kernels.launch(driver, "count", n_blocks, arguments, self._stream)

    def fetch(self) -> list[Histogram]:
        """Wait for the stream and return the histograms so far, one per slot; they stay on the device too."""
        self._check_open()
        if self._n == 0:
            return []
        self._settle()
        states, tables = self._buffers["states"], self._buffers["tables"]
        counts = self._buffer("counts", self._n * ROW * 8)
        if self._pinned is None:
            self._pinned = self._memory.alloc_pinned(counts.nbytes + states.nbytes)
        on_host = self._pinned.view((self._n, ROW), np.int64)
        states_on_host = self._pinned.view((self._n,), STATE, counts.nbytes)
        with self._memory.current() as driver:
            addresses = (states.ptr, tables.ptr, counts.ptr)
            self._kernels.launch(driver, "gather", self._n, addresses, self._stream)
        self._memory.download(counts, on_host, stream=self._stream)
        self._memory.download(states, states_on_host, stream=self._stream)
        self._memory.synchronize(self._stream)
        return read_histograms(states_on_host, on_host)

    def close(self) -> None:
        """Free the device memory; a second call does nothing."""
        self._closed = True
        if not self._memory.closed:
            self._memory.synchronize(self._stream)
            for buffer in [*self._buffers.values(), *(p.table for p in self._plans.values())]:
                buffer.free()
            if self._pinned is not None:
                self._pinned.free()
            if self._owns_memory:
                self._memory.close()
        self._buffers.clear()
        self._plans.clear()
        self._forget_pending()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("these histograms have been closed: make a new GpuHistograms")

    def _buffer(self, name: str, nbytes: int) -> DeviceBuffer:
        """Return a buffer of this object's own that is large enough; what it held is lost if it grows."""
        had = self._buffers.get(name)
        if had is not None and had.nbytes >= nbytes:
            return had
        if had is not None:
            self._memory.synchronize(self._stream)
            self._buffers.pop(name).free()  # before the next one, which may find no room
        self._buffers[name] = self._memory.alloc(nbytes)
        return self._buffers[name]

    def _planned(self, arrays: tuple[DeviceArray, ...]) -> _Planned:
        """Return the plan for these arrays, on the device; the last few are kept."""
        found = self._plans.get(arrays)
        if found is not None:
            self._plans.move_to_end(arrays)
            return found
        plan = make_plan(arrays, self._n, self._kernels.n_blocks)
        if len(self._plans) >= _PLANS:
            self._settle()
            self._memory.synchronize(self._stream)
            self._plans.popitem(last=False)[1].table.free()
        pieces = (plan.segments, plan.heads, plan.first_of_block, plan.items)
        packed = np.concatenate([p.view(np.uint8) for p in pieces])
        table = self._memory.alloc(packed.nbytes)
        self._memory.upload(table, packed)
        self._plans[arrays] = _Planned(plan, table)
        return self._plans[arrays]

    def _claim_rows(self, planned: _Planned) -> tuple[int, bool]:
        """Return the first of the rows that a plan counts into, and whether they hold nothing yet."""
        n_rows, longest = planned.plan.segments.size, planned.plan.longest
        pending = self._pending.get(planned)
        if pending is not None and pending.longest + longest <= _MOST_PER_ROW:
            pending.longest += longest
            return pending.first_row, False
        if pending is not None or self._rows_used + n_rows > self._rows:
            self._settle()
        if n_rows > self._rows:
            wanted, self._rows = max(n_rows, _LEAST_ROWS), 0  # none are there until all have room
            for name, size in (("rows", ROW * 4), ("parts", PART.itemsize), ("maxima", 4)):
                self._buffer(name, wanted * size)
            self._rows = wanted
        self._pending[planned] = _Pending(self._rows_used, longest)
        self._rows_used += n_rows
        return self._pending[planned].first_row, True

    def _settle(self) -> None:
        """Add the rows of everything that was counted to its tensors' counts."""
        states, tables = self._buffers["states"].ptr, self._buffers["tables"].ptr
        with self._memory.current() as driver:
            for planned, pending in self._pending.items():
                rows = self._buffers["rows"].ptr + pending.first_row * ROW * 4
                parts = self._buffers["parts"].ptr + pending.first_row * PART.itemsize
                arguments = (planned.items, rows, parts, states, tables)
                n_blocks = planned.plan.items.size
                self._kernels.launch(driver, "finish", n_blocks, arguments, self._stream)
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._rows_used = 0


class NamedHistograms:
    """The histograms of batch after batch by tensors' names: made anew only where a batch has other tensors."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._made: GpuHistograms | None = None

    def start(
        self, names: tuple[str, ...], bases: Mapping[str, float], memory: DeviceMemory, stream: int = 0
    ) -> GpuHistograms:
        """Return empty histograms, a slot for each name in their order, that start from the ranges known of them."""
        ranges = [bases.get(name) or None for name in names]
        if self._made is not None and names == self._names:
            self._made.reset(ranges)
            return self._made
        self.close()
        self._made = GpuHistograms(len(names), ranges, memory=memory, stream=stream)
        self._names = names
        return self._made

    def close(self) -> None:
        """Free the device memory; a second call does nothing."""
        made, self._made = self._made, None
        if made is not None:
            made.close()


@dataclass(eq=False)
class _Planned:
    """A plan and where it lies on the device."""

    plan: Plan
    table: DeviceBuffer

    @property
    def segments(self) -> int:
        return self.table.ptr

    @property
    def heads(self) -> int:
        return self.segments + self.plan.segments.nbytes

    @property
    def first_of_block(self) -> int:
        return self.heads + self.plan.n_blocks * SEGMENT.itemsize

    @property
    def items(self) -> int:
        return self.first_of_block + self.plan.first_of_block.nbytes


@dataclass
class _Pending:
    """The rows of a plan that are not in its tensors' counts yet."""

    first_row: int
    longest: int  # elements counted by the row that counted most
