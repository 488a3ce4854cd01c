"""The histograms of every batch, kept in a temporary file so that memory does not grow with batches.

Per batch and tensor there is one fixed-size record (extremes, tallies, where the counts are) in memory and one block of
counts in the file: any subset of the batches can be combined again without running the model.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["RECORD", "BatchStore"]

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
            itemsize, block = _encode(histogram.counts)
            records[self.index[name]] = _record(histogram, itemsize, end, len(block))
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
            counts=_decode(block, int(record["itemsize"]), int(record["first"])),
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


def _encode(counts: NDArray[np.int64]) -> tuple[int, bytes]:
    """Pack the counts behind bin 0 into the smallest unsigned type that holds them; nothing where they are all 0."""
    largest = int(counts[1:].max(initial=0))
    itemsize = next(size for size in (0, 1, 2, 4, 8) if largest < 1 << (8 * size))
    return itemsize, counts[1:].astype(f"<u{itemsize}").tobytes() if itemsize else b""


def _decode(block: bytes, itemsize: int, first: int) -> NDArray[np.int64]:
    counts = np.zeros(N_BINS, np.int64)
    counts[0] = first
    if itemsize:
        try:
            counts[1:] = np.frombuffer(block, f"<u{itemsize}", N_BINS - 1)
        except (ValueError, TypeError) as error:
            raise SessionError(f"the kept counts of a batch are damaged ({error})") from error
    return counts


def _record(h: Histogram, itemsize: int, offset: int, length: int) -> tuple[float, ...]:
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
