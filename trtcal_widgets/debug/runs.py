"""Running versions of a model batch by batch, and keeping their tensors where there is room."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.core.comparison import PairCounting, TensorComparison
from trtcal_widgets.core.histogram import replay
from trtcal_widgets.errors import CancelledError, ModelError
from trtcal_widgets.model.ort import failure, open_session
from trtcal_widgets.model.tap import with_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.core.histogram import Histogram


class Control:
    """Progress and cancelling of one long piece of work.

    Parameters
    ----------
    progress
        Called with (done, total, what): units done, units in all, and words for people.
    """

    def __init__(self, progress: Callable[[int, int, str], None] | None = None) -> None:
        self._progress = progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop the work at its next step; may be called from another thread."""
        self._cancelled.set()

    def report(self, done: int, total: int, what: str) -> None:
        """Tell how far the work is.

        Raises
        ------
        CancelledError
            If it was cancelled.
        """
        if self._cancelled.is_set():
            raise CancelledError(f"{what}: cancelled after {done} of {total}")
        if self._progress is not None:
            self._progress(done, total, what)


_NONE: Mapping[str, str] = MappingProxyType({})


class TappedModel:
    """A model in ONNX Runtime of which chosen tensors are seen.

    ``optimization``: ``"off"`` for Q/DQ models: rounding is then exactly Q/DQ's, and no INT8 kernel of this CPU
    replaces it. ``as_float32``: tensors that NumPy cannot have, with the names that their copies get.
    ``arena``: see :func:`~trtcal_widgets.model.ort.open_session`.
    """

    def __init__(
        self,
        proto: ModelProto,
        folder: Path,
        names: Sequence[str],
        *,
        name: str,
        threads: int,
        optimization: str = "off",
        as_float32: Mapping[str, str] = _NONE,
        arena: bool = True,
    ) -> None:
        self._names = list(names)
        self._name = name
        present = {info.name for info in proto.graph.output}
        stored = {tensor.name for tensor in proto.graph.initializer}
        self._fed = {info.name for info in proto.graph.input} - stored  # before IR 4 weights are listed as inputs too
        self._copies = {n: copy for n, copy in as_float32.items() if n not in self._fed}
        extra = [n for n in self._names if n not in present and n not in self._fed and n not in self._copies]
        self._session = open_session(
            with_outputs(proto, extra, as_float32=self._copies),
            folder,
            name=name,
            threads=threads,
            optimization=optimization,
            arena=arena,
        )

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the tensors for one batch; inputs among them come back as they were fed."""
        import onnxruntime as ort

        options = ort.RunOptions()
        options.log_severity_level = 4
        asked = [n for n in self._names if n not in self._fed]
        try:
            read = [self._copies.get(n, n) for n in asked]
            values = self._session.run(read, {n: feeds[n] for n in self._fed}, options) if asked else []
        except Exception as error:
            where, why = failure(error)
            raise ModelError(f"{self._name}: {where} failed: {why}") from error
        found = dict(zip(asked, values, strict=True))
        return {n: feeds[n] if n in self._fed else found[n] for n in self._names}


class TensorStore:
    """Tensors of every batch in a temporary file, as long as they fit a budget.

    ``budget``: bytes; beyond it, and where the disk is full or takes no file, the store gives up (:attr:`complete` is
    False) and frees what it holds: what is not kept is computed again.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._index: dict[tuple[int, str], tuple[int, np.dtype[Any], tuple[int, ...]]] = {}
        self._end = 0
        self.complete = True
        self._file: Any = io.BytesIO()
        try:
            self._file = tempfile.TemporaryFile(prefix="trtcal-")  # noqa: SIM115 - closed with the store
        except OSError:
            self.complete = False
        self._close = weakref.finalize(self, self._file.close)

    def keep(self, batch: int, tensors: Iterable[tuple[str, NDArray[Any]]]) -> None:
        """Keep the tensors of a batch, unless that would exceed the budget or the disk."""
        try:
            for name, array in tensors:
                if not self.complete or array.dtype == object or self._end + array.nbytes > self._budget:
                    self.close()
                    return
                flat = np.ascontiguousarray(array)
                self._file.seek(self._end, os.SEEK_SET)
                self._file.write(flat.tobytes())
                self._index[batch, name] = (self._end, flat.dtype, flat.shape)
                self._end += flat.nbytes
            if self.complete:
                self._file.flush()  # a full disk is heard of now, not when the tensors are read
        except OSError:
            self.close()

    def holds(self, names: Iterable[str], batches: int) -> bool:
        """Whether all of these tensors are here for that many batches."""
        return self.complete and all((i, name) in self._index for name in names for i in range(batches))

    def get(self, batch: int, name: str) -> NDArray[Any]:
        """Return one tensor of one batch."""
        offset, dtype, shape = self._index[batch, name]
        self._file.seek(offset, os.SEEK_SET)
        return np.frombuffer(self._file.read(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)

    def close(self) -> None:
        """Give up, and delete the file."""
        self.complete = False
        self._index.clear()
        with suppress(OSError):  # what was not written yet cannot be
            self._close()


def batched(sizes: Sequence[int], budget: int) -> Iterator[slice]:
    """Yield slices of consecutive items whose sizes together stay within a budget, at least one item each."""
    start, total = 0, 0
    for i, size in enumerate(sizes):
        if i > start and total + size > budget:
            yield slice(start, i)
            start, total = i, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


_TOGETHER = 1 << 20
"""Values that one thread compares in one go."""


@dataclass
class PairSums:
    """What is summed up for one tensor."""

    comparison: TensorComparison = field(default_factory=TensorComparison)
    reference: list[Histogram] = field(default_factory=list)
    tested: list[Histogram] = field(default_factory=list)

    @property
    def base(self) -> float | None:
        """The range that the next histograms start from; None: their own."""
        seen = [h.base for h in (*self.reference, *self.tested) if h.base > 0]
        return seen[0] if seen else None

    def add(self, comparison: TensorComparison, here: Histogram, there: Histogram) -> None:
        """Add a batch: the comparison, the reference's histogram and the tested one's."""
        self.comparison += comparison
        self.reference = [replay([*self.reference, here])]
        self.tested = [replay([*self.tested, there])]


def add_batch(
    sums: Mapping[str, PairSums],
    reference: dict[str, NDArray[Any]],
    quantized: dict[str, NDArray[Any]],
    pool: Executor,
) -> None:
    """Add a batch's tensors to the sums, some in one go, and drop them."""

    def work(names: list[str]) -> tuple[list[str], PairCounting]:
        pairs = [(reference.pop(n), quantized.pop(n)) for n in names]
        return names, PairCounting(pairs, [sums[n].base for n in names]).run()

    groups: list[list[str]] = []
    n_values = _TOGETHER
    for name in sums:
        if n_values >= _TOGETHER:
            groups.append([])
            n_values = 0
        groups[-1].append(name)
        n_values += reference[name].size
    for names, counted in pool.map(work, groups):
        for name, found in zip(names, counted.results(), strict=True):
            sums[name].add(*found)
