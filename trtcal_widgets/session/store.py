"""The histograms of every batch, kept in temporary files so that memory does not grow with batches.

Per batch and tensor there is one fixed-size record (extremes, tallies, where the counts are) in one file and one block
of counts in another: any subset of the batches can be combined again without running the model.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.packed import RECORD, Merging, encode, histogram_of, plausible, record_of
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram

NO_BASES: Mapping[str, float] = MappingProxyType({})
"""No range is known yet."""

_COPY = 1 << 20


class Batch(NamedTuple):
    """A recorded batch and what belongs to it, besides its records.

    Attributes
    ----------
    end
        Where its counts end in the file.
    bases
        Tensor -> the range R that its histograms start from, in this batch and in those that follow.
    n_samples
        Samples in all batches so far.
    """

    end: int
    bases: Mapping[str, float]
    n_samples: int


class Packed(NamedTuple):
    """The histograms of one batch as they are kept, for a store of the same tensors.

    Attributes
    ----------
    records
        :data:`~trtcal_widgets.core.packed.RECORD`, shape (tensors,); offsets are from the start of ``block``.
    block
        The counts.
    """

    records: NDArray[np.void]
    block: bytes


def pack(index: Mapping[str, int], histograms: Iterable[tuple[str, Histogram]]) -> Packed:
    """Pack each (name, histogram) when it comes, so that a stream of them goes on meanwhile.

    ``index``: tensor -> its place among the records; others are left out (inner tensors that a session of an older
    version does not know).
    """
    records = np.zeros(len(index), RECORD)
    blocks = []
    end = 0
    for name, histogram in histograms:
        if name in index:
            itemsize, block = encode(histogram.counts)
            records[index[name]] = record_of(histogram, itemsize, end, len(block))
            blocks.append(block)
            end += len(block)
    return Packed(records, b"".join(blocks))


class BatchStore:
    """Per-batch histograms, appended whole batches at a time.

    A batch is there once it is in one list, with all that belongs to it: what an interrupt leaves half done is not.

    ``names``: the tensors, in an order that does not change.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(names)}
        self._before = Batch(0, NO_BASES, 0)
        self._batches: list[Batch] = []
        self._file = _Spool()
        self._records = _Spool()

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    @property
    def last(self) -> Batch:
        """The newest batch; before the first one what that starts from."""
        return self._batches[-1] if self._batches else self._before

    @property
    def bases(self) -> Mapping[str, float]:
        """The ranges that histograms start from, as far as they are known."""
        return self.last.bases

    def start_from(self, ranges: Mapping[str, float]) -> None:
        """Have the histograms of the first batch start from these ranges."""
        self._before = self._before._replace(bases=ranges)

    def append(self, histograms: Iterable[tuple[str, Histogram]], n_samples: int = 0) -> None:
        """Add one batch of (name, histogram); either all of it is added or nothing.

        Raises SessionError if the temporary file cannot grow (a full disk).
        """
        self.append_packed(pack(self.index, histograms), n_samples)

    def append_packed(self, packed: Packed, n_samples: int = 0) -> None:
        """Add one batch that was packed, here or elsewhere; as :meth:`append`."""
        before = self.last
        records = packed.records.copy()
        records["offset"] += before.end
        try:
            self._file.write(before.end, packed.block)
            self._records.write(len(self) * records.nbytes, records.tobytes())
        except OSError as error:
            raise SessionError(
                f"batch {len(self)} could not be kept in the temporary folder {tempfile.gettempdir()}: {error}. "
                "Free some space or set TMPDIR to another folder; the batches before it are kept"
            ) from error
        ranges = zip(self.index, records["base"].tolist(), strict=True)
        found = {name: base for name, base in ranges if base > 0 and name not in before.bases}
        bases = {**before.bases, **found} if found else before.bases
        end = before.end + len(packed.block)
        self._batches.append(Batch(end, bases, before.n_samples + n_samples))

    def _read(self, batch: int, first: int, n: int) -> NDArray[np.void]:
        """Return the records of neighbouring tensors in one batch."""
        if batch >= len(self._batches):
            raise IndexError(batch)
        place = (batch * len(self.index) + first) * RECORD.itemsize
        # Writable, as the kernels are compiled for.
        return np.frombuffer(bytearray(self._records.read(place, n * RECORD.itemsize)), RECORD)

    def get(self, batch: int, name: str) -> Histogram | None:
        """Return one tensor's histogram in one batch; None where the batch did not have the tensor."""
        record = self._read(batch, self.index[name], 1)[0]
        if not record["present"]:
            return None
        return histogram_of(record, self._file.read(int(record["offset"]), int(record["length"])))

    def batch(self, batch: int, rows: slice) -> tuple[NDArray[np.void], bytes, int]:
        """Return neighbouring tensors' records of one batch, the part of the file with their counts, and its start."""
        first, stop, _ = rows.indices(len(self.index))
        records = self._read(batch, first, stop - first)
        kept = records[records["length"] > 0]
        if not len(kept):
            return records, b"", 0
        start = int(kept["offset"].min())
        return records, self._file.read(start, int((kept["offset"] + kept["length"]).max()) - start), start

    def packed(self, batch: int) -> Packed:
        """Return one batch as :meth:`append_packed` takes it."""
        records, block, start = self.batch(batch, slice(None))
        records["offset"] = np.where(records["length"] > 0, records["offset"] - start, 0)
        return Packed(records, block)

    def amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each batch, shape (batches,); nan where it has no values."""
        rows = [self._read(batch, self.index[name], 1)[0] for batch in range(len(self))]
        values = [max(float(r["maximum"]), -float(r["minimum"])) if r["present"] else np.nan for r in rows]
        return np.array(values, np.float64)

    def close(self) -> None:
        """Delete the temporary files."""
        self._file.close()
        self._records.close()

    def records(self) -> Iterator[NDArray[np.void]]:
        """Yield the records of each batch, shape (tensors,), for saving."""
        return (self._read(batch, 0, len(self.index)) for batch in range(len(self)))

    def blocks(self) -> Iterator[bytes]:
        """Yield the file's content, for saving."""
        end = self.last.end
        for start in range(0, end, _COPY):
            yield self._file.read(start, min(_COPY, end - start))

    def restore(
        self, records: NDArray[np.void], blocks: IO[bytes], bases: Mapping[str, float] = NO_BASES, n_samples: int = 0
    ) -> None:
        """Fill an empty store with what :meth:`records` and :meth:`blocks` gave, and what else belongs to it.

        Raises SessionError if they do not fit each other.
        """
        end = 0
        while piece := blocks.read(_COPY):
            self._file.write(end, piece)
            end += len(piece)
        if records.dtype != RECORD or records.shape[1:] != (len(self.index),):
            raise SessionError("the saved histograms do not fit their index: the file is damaged")
        inside = (records["offset"] >= 0) & (records["length"] >= 0) & (records["offset"] <= end - records["length"])
        if not bool((inside & plausible(records)).all()):
            raise SessionError("the saved histograms do not fit their index: the file is damaged")
        self.start_from(bases)
        for i, row in enumerate(records):
            self._records.write(i * row.nbytes, row.tobytes())
        self._batches = [Batch(end, bases, n_samples) for _ in records]


class _Spool:
    """A temporary file that is read and written at positions, by several threads."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="trtcal-", buffering=0)  # noqa: SIM115 - closed by close()
        # A notebook drops sessions without closing them: the file goes with the store, without a warning.
        self.close = weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def write(self, start: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if sys.platform == "win32":
                with self._lock:
                    self._file.seek(start)
                    n = self._file.write(view)
            else:
                n = os.pwrite(self._file.fileno(), view, start)
            view, start = view[n:], start + n

    def read(self, start: int, length: int) -> bytes:
        pieces = []
        while length > 0:
            if sys.platform == "win32":
                with self._lock:
                    self._file.seek(start)
                    piece = self._file.read(length)
            else:
                piece = os.pread(self._file.fileno(), length, start)
            if not piece:
                break
            pieces.append(piece)
            start, length = start + len(piece), length - len(piece)
        return b"".join(pieces)


_TOGETHER = 128
"""Tensors that one thread merges in one go: their counts stay in the second-level cache."""


class Totals:
    """What replaying or combining batches makes of every tensor of a store.

    The result is that of merging what the store's :meth:`~trtcal_widgets.session.store.BatchStore.get` returns, in less
    than a tenth of the time.

    ``in_order``: whether batches are replayed in their order, as one pass over them counts, or combined.
    """

    def __init__(self, store: BatchStore, *, in_order: bool) -> None:
        self._store = store
        self._in_order = in_order
        self._lock = threading.Lock()
        self._batches: list[int] = []
        self._groups: list[Merging] = []

    def missing(self, batches: Sequence[int]) -> int | None:
        """Return how many batches would be added to what is there; None where that is of other batches."""
        with self._lock:
            known = len(self._batches)
            return len(batches) - known if known and self._batches == list(batches[:known]) else None

    def take(self, names: Iterable[str], batches: Sequence[int]) -> dict[str, Histogram] | None:
        """Return the histograms of some tensors over some batches, adding to what is there or starting anew.

        None where histograms of a tensor started from different ranges: whoever merges them one by one hears of it.
        """
        with self._lock:
            try:
                whole = self._bring_to(list(batches))
            except BaseException:
                self._clear()  # a group may have a batch that others lack
                raise
            if not whole:
                self._clear()
                return None
            found = {}
            for name in names:
                group, row = divmod(self._store.index[name], _TOGETHER)
                found[name] = self._groups[group].histogram(row)
            return found

    def _clear(self) -> None:
        self._batches = []
        self._groups = []

    def _bring_to(self, batches: list[int]) -> bool:
        """Add the batches that are not there yet; False where they cannot be added."""
        known = len(self._batches)
        if not known or self._batches != batches[:known]:
            self._clear()
            known, n = 0, len(self._store.index)
            sizes = [min(_TOGETHER, n - start) for start in range(0, n, _TOGETHER)]
            self._groups = [Merging(size, in_order=self._in_order) for size in sizes]
        new = batches[known:]
        self._batches = batches

        def add(group: int) -> bool:
            rows = slice(group * _TOGETHER, (group + 1) * _TOGETHER)
            return all(self._groups[group].add(*self._store.batch(i, rows)) for i in new)

        if not new:
            return True
        with ThreadPoolExecutor(max(1, min(len(self._groups), available_cores()))) as pool:
            return all(list(pool.map(add, range(len(self._groups)))))
