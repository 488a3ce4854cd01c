"""The histograms of every batch, kept in a temporary file so that memory does not grow with batches.

Per batch and tensor there is one fixed-size record (extremes, tallies, where the counts are) in memory and one block of
counts in the file: any subset of the batches can be combined again without running the model.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.packed import RECORD, Merging, decode, encode, record_of
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray


__all__ = ["BatchStore", "Totals"]

_COPY = 1 << 20


class BatchStore:
    """Per-batch histograms, appended whole batches at a time.

    Parameters
    ----------
    names
        The tensors, in an order that does not change.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(names)}
        self._records: list[NDArray[np.void]] = []
        self._file: BinaryIO = tempfile.TemporaryFile(prefix="trtcal-")  # noqa: SIM115 - closed by close()
        self._end = 0
        # A notebook drops sessions without closing them: the file goes with the store, without a warning.
        self._close = weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._records)

    def append(self, histograms: Iterable[tuple[str, Histogram]]) -> None:
        """Add one batch of (name, histogram); either all of it is added or nothing.

        Each histogram is packed when it comes, so that a stream of them goes on meanwhile.

        Raises
        ------
        SessionError
            If the temporary file cannot grow (a full disk).
        """
        records = np.zeros(len(self.index), RECORD)
        blocks = []
        end = self._end
        for name, histogram in histograms:
            itemsize, block = encode(histogram.counts)
            records[self.index[name]] = record_of(histogram, itemsize, end, len(block))
            blocks.append(block)
            end += len(block)
        with self._lock:
            try:
                self._file.seek(self._end)
                self._file.write(b"".join(blocks))
                self._file.flush()
            except OSError as error:
                raise SessionError(
                    f"batch {len(self)} could not be kept in the temporary folder {tempfile.gettempdir()}: {error}. "
                    "Free some space or set TMPDIR to another folder; the batches before it are kept"
                ) from error
            self._end = end
            self._records.append(records)

    def get(self, batch: int, name: str) -> Histogram | None:
        """Return one tensor's histogram in one batch; None where the batch did not have the tensor."""
        record = self._records[batch][self.index[name]]
        if not record["present"]:
            return None
        block = self._read(int(record["offset"]), int(record["length"]))
        return Histogram(
            base=float(record["base"]),
            doublings=int(record["doublings"]),
            counts=decode(block, int(record["itemsize"]), int(record["first"])),
            edge=int(record["edge"]),
            zeros=int(record["zeros"]),
            nans=int(record["nans"]),
            pos_infs=int(record["pos_infs"]),
            neg_infs=int(record["neg_infs"]),
            minimum=float(record["minimum"]),
            maximum=float(record["maximum"]),
            sum_parts=(float(record["sum"]),),
            square_parts=(float(record["sum_squares"]),),
        )

    def batch(self, batch: int, rows: slice) -> tuple[NDArray[np.void], bytes, int]:
        """Return neighbouring tensors' records of one batch, the part of the file with their counts, and its start."""
        records = self._records[batch][rows]
        kept = records[records["length"] > 0]
        if not len(kept):
            return records, b"", 0
        start = int(kept["offset"].min())
        return records, self._read(start, int((kept["offset"] + kept["length"]).max()) - start), start

    def _read(self, start: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(start)
            return self._file.read(length)

    def amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each batch, shape (batches,); nan where it has no values."""
        i = self.index[name]
        values = [
            max(float(r[i]["maximum"]), -float(r[i]["minimum"])) if r[i]["present"] else np.nan for r in self._records
        ]
        return np.array(values, np.float64)

    def close(self) -> None:
        """Delete the temporary file."""
        self._close()

    def records(self) -> NDArray[np.void]:
        """Return all records, shape (batches, tensors)."""
        if not self._records:
            return np.zeros((0, len(self.index)), RECORD)
        return np.stack(self._records)

    def blocks(self) -> Iterator[bytes]:
        """Yield the file's content, for saving."""
        position = 0
        while position < self._end:
            with self._lock:
                self._file.seek(position)
                piece = self._file.read(min(_COPY, self._end - position))
            position += len(piece)
            yield piece

    def restore(self, records: NDArray[np.void], blocks: BinaryIO) -> None:
        """Fill an empty store with what :meth:`records` and :meth:`blocks` gave.

        Raises
        ------
        SessionError
            If they do not fit each other.
        """
        while piece := blocks.read(_COPY):
            self._file.write(piece)
            self._end += len(piece)
        self._file.flush()
        inside = (records["offset"] >= 0) & (records["length"] >= 0)
        inside &= records["offset"] + records["length"] <= self._end
        if records.dtype != RECORD or records.shape[1:] != (len(self.index),) or not bool(inside.all()):
            raise SessionError("the saved histograms do not fit their index: the file is damaged")
        self._records = list(records)


_TOGETHER = 128
"""Tensors that one thread merges in one go: their counts stay in the second-level cache."""


class Totals:
    """What replaying or combining batches makes of every tensor of a store.

    The result is that of merging what the store's :meth:`~trtcal_widgets.session.store.BatchStore.get` returns, in less
    than a tenth of the time.

    Parameters
    ----------
    store
        Per-batch histograms.
    in_order
        Whether batches are replayed in their order, as one pass over them counts, or combined.
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
