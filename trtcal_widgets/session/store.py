"""The histograms of every batch, kept in temporary files so that memory does not grow with batches.

Per batch and tensor there is one fixed-size record (extremes, tallies, where the counts are) in one file and one block
of counts in another: any subset of the batches can be combined again without running the model.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.packed import RECORD, encode, histogram_of, plausible, record_of
from trtcal_widgets.errors import SessionError
from trtcal_widgets.session.keeping.sample_facts import FACTS
from trtcal_widgets.session.keeping.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data.base import Batch as FedBatch
    from trtcal_widgets.session.keeping.sample_facts import Sample

NO_BASES: Mapping[str, float] = MappingProxyType({})
"""No range is known yet."""

_COPY = 1 << 20

NO_FACTS: NDArray[np.void] = np.zeros(0, FACTS)
"""Nothing is known of the samples."""

_MISFIT = "the saved histograms do not fit their index: the file is damaged"


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
    extremes
        Where in the file smallest and largest value of its samples are, float32, shape (tensors, own samples, 2); -1
        where they are not known.
    facts
        :data:`~trtcal_widgets.session.keeping.sample_facts.FACTS`, shape (own samples,), or (0,).
    told
        What the source says of its samples.
    """

    end: int
    bases: Mapping[str, float]
    n_samples: int
    extremes: int = -1
    facts: NDArray[np.void] = NO_FACTS
    told: tuple[Sample, ...] = ()


class Without(NamedTuple):
    """A batch without some of its samples: which batch, their places in it, its records, where its counts end."""

    batch: int
    samples: frozenset[int]
    records: NDArray[np.void]
    end: int


class SavedSamples(NamedTuple):
    """What a file says of a batch's samples: how many they are, and what a :class:`Batch` has of them."""

    n: int
    extremes: int
    facts: NDArray[np.void]
    told: tuple[Sample, ...]


class Packed(NamedTuple):
    """The histograms of one batch as they are kept, for a store of the same tensors.

    ``records``: :data:`~trtcal_widgets.core.packed.RECORD`, shape (tensors,); offsets are from the start of ``block``.
    ``block``: the counts. ``extremes``: smallest and largest value of each sample, float32, shape (tensors, samples,
    2), NaN where a tensor has no finite value or no samples; None where it is not known of any tensor. ``facts``: as of
    a :class:`Batch`.
    """

    records: NDArray[np.void]
    block: bytes
    extremes: NDArray[np.float32] | None = None
    facts: NDArray[np.void] = NO_FACTS


def pack(
    index: Mapping[str, int],
    histograms: Iterable[tuple[str, Histogram]],
    fed: FedBatch | None = None,
    facts: NDArray[np.void] = NO_FACTS,
) -> Packed:
    """Pack each (name, histogram) when it comes, so that a stream of them goes on meanwhile.

    ``index``: tensor -> its place among the records; others are left out (inner tensors that a session of an older
    version does not know). ``fed``: what they were counted in; None: nothing is to be known of its samples.
    """
    records = np.zeros(len(index), RECORD)
    blocks = []
    end = 0
    n_samples = 0 if fed is None else fed.n_samples
    shared = frozenset() if fed is None else fed.shared
    extremes: NDArray[np.float32] | None = None
    for name, histogram in histograms:
        if name in index:
            own = None if fed is None else _by_sample(histogram, fed, is_shared=name in shared)
            if own is not None:
                if extremes is None:
                    extremes = np.full((len(index), n_samples, 2), np.nan, np.float32)
                extremes[index[name]] = own
            itemsize, block = encode(histogram.counts)
            records[index[name]] = record_of(histogram, itemsize, end, len(block))
            blocks.append(block)
            end += len(block)
    return Packed(records, b"".join(blocks), extremes, facts)


def _by_sample(histogram: Histogram, fed: FedBatch, *, is_shared: bool) -> NDArray[np.float32] | None:
    """Return the extremes of each sample, float32, shape (samples, 2); None where they are not known."""
    n, found = fed.n_samples, histogram.samples
    if is_shared or n == 1:
        extremes = (histogram.minimum, histogram.maximum) if histogram.n_finite else (np.nan, np.nan)
        return np.array([extremes] * n, np.float32)
    is_known = found is not None and len(found) >= n and fed.samples_first
    return found[:n] if found is not None and is_known else None  # what follows is padding


class BatchStore:
    """Per-batch histograms, appended whole batches at a time.

    A batch is there once it is in one list, with all that belongs to it: what an interrupt leaves half done is not.

    ``names``: the tensors, in an order that does not change.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.index: Mapping[str, int] = {name: i for i, name in enumerate(names)}
        self._before = Batch(0, NO_BASES, 0)
        self._batches: list[Batch] = []
        self._without: list[Without] = []
        self._file = Spool()
        self._records = Spool()

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

    def append(self, histograms: Iterable[tuple[str, Histogram]]) -> None:
        """Add one batch of (name, histogram), of whose samples nothing is known; all of it is added or nothing.

        Raises SessionError if the temporary file cannot grow (a full disk).
        """
        self.append_packed(pack(self.index, histograms))

    def append_packed(self, packed: Packed, n_samples: int = 0, told: tuple[Sample, ...] = ()) -> None:
        """Add one batch that was packed, here or elsewhere; as :meth:`append`. ``told``: of its samples."""
        before = self.last
        records, extremes, end = self._written(packed, f"batch {len(self)}", place=len(self))
        ranges = zip(self.index, records["base"].tolist(), strict=True)
        found = {name: base for name, base in ranges if base > 0 and name not in before.bases}
        bases = {**before.bases, **found} if found else before.bases
        self._batches.append(Batch(end, bases, before.n_samples + n_samples, extremes, packed.facts, told))

    def _written(self, packed: Packed, what: str, place: int | None = None) -> tuple[NDArray[np.void], int, int]:
        """Write what was packed behind all else; return its records, where its extremes are, and the end.

        ``place``: the batch's among the records in their file; None: its records stay in memory.
        """
        start = max(self.last.end, self._without[-1].end if self._without else 0)
        records = packed.records.copy()
        records["offset"] += start
        extremes = b"" if packed.extremes is None else packed.extremes.tobytes()
        try:
            self._file.write(start, packed.block + extremes)
            if place is not None:
                self._records.write(place * records.nbytes, records.tobytes())
        except OSError as error:
            raise SessionError(
                f"{what} could not be kept in the temporary folder {tempfile.gettempdir()}: {error}. "
                "Free some space or set TMPDIR to another folder; the batches before it are kept"
            ) from error
        behind = start + len(packed.block)
        return records, behind if extremes else -1, behind + len(extremes)

    def append_without(self, batch: int, samples: frozenset[int], packed: Packed) -> None:
        """Keep a batch as it is without some of its samples, given by their places in the batch."""
        records, _, end = self._written(packed, f"batch {batch} without some of its samples")
        self._without.append(Without(batch, samples, records, end))

    def keys(self, batches: Iterable[int], samples_out: Collection[int]) -> tuple[int, ...]:
        """Return batches without some samples (numbered through all) as :meth:`get` and :meth:`batch` take them.

        Raises SessionError where it was never counted what a batch is without them.
        """
        if not samples_out:
            return tuple(batches)
        kept = {(one.batch, one.samples): -place - 1 for place, one in enumerate(self._without)}
        left_out = sorted(samples_out)
        keys = []
        for batch in batches:
            own = self.samples_in(batch)
            first, behind = bisect_left(left_out, own.start), bisect_left(left_out, own.stop)
            out = frozenset(i - own.start for i in left_out[first:behind])
            if out and len(out) < len(own) and (batch, out) not in kept:
                raise SessionError(
                    f"batch {batch} was never counted without samples {sorted(out)}: leave them out anew"
                )
            if len(out) < len(own) or not len(own):
                keys.append(kept[batch, out] if out else batch)
        return tuple(keys)

    def samples_in(self, batch: int) -> range:
        """Return which samples are in a batch, numbered through all batches."""
        start = self._batches[batch - 1].n_samples if batch > 0 else 0
        return range(start, self._batches[batch].n_samples)

    def extremes(self, name: str) -> NDArray[np.float32]:
        """Return smallest and largest finite value of each recorded sample, shape (samples, 2); NaN: not known."""
        found = np.full((self.last.n_samples, 2), np.nan, np.float32)
        for batch in range(len(self)):
            own = self.samples_in(batch)
            data = self._extremes_of(batch, self.index[name], 1)
            if data is not None:
                found[own.start : own.stop] = data[0]
        return found

    def _extremes_of(self, batch: int, row: int, n: int) -> NDArray[np.float32] | None:
        """Return the extremes of neighbouring tensors in a batch, shape (tensors, samples, 2), where they are known."""
        own, at = self.samples_in(batch), self._batches[batch].extremes
        if at < 0 or not len(own):
            return None
        size = len(own) * 8
        return np.frombuffer(self._file.read(at + row * size, n * size), np.float32).reshape(n, len(own), 2)

    def recorded(self) -> tuple[Batch, ...]:
        """Return what belongs to each recorded batch."""
        return tuple(self._batches)

    def without(self) -> tuple[Without, ...]:
        """Return the batches that were counted without some samples."""
        return tuple(self._without)

    def _read(self, batch: int, first: int, n: int) -> NDArray[np.void]:
        """Return the records of neighbouring tensors in one batch; see :meth:`keys` for ``batch``."""
        if batch < 0:
            return self._without[-batch - 1].records[first : first + n].copy()
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
        """Return one batch as :meth:`append_packed` takes it; see :meth:`keys` for ``batch``."""
        records, block, start = self.batch(batch, slice(None))
        records["offset"] = np.where(records["length"] > 0, records["offset"] - start, 0)
        if batch < 0:
            return Packed(records, block)
        return Packed(records, block, self._extremes_of(batch, 0, len(self.index)), self._batches[batch].facts)

    def append_store(self, other: BatchStore) -> None:
        """Add the batches of another store of the same tensors, and what they are without some of their samples."""
        shift = len(self)
        for batch, one in enumerate(other.recorded()):
            self.append_packed(other.packed(batch), len(other.samples_in(batch)), one.told)
        for place, kept in enumerate(other.without()):
            self.append_without(shift + kept.batch, kept.samples, other.packed(-place - 1))

    def amax(self, name: str, batches: Iterable[int] | None = None) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each batch, shape (batches,); nan where it has no values.

        ``batches``: as :meth:`get` takes them; None: all.
        """
        wanted = range(len(self)) if batches is None else batches
        rows = [self._read(batch, self.index[name], 1)[0] for batch in wanted]
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
        end = max(self.last.end, self._without[-1].end if self._without else 0)
        for start in range(0, end, _COPY):
            yield self._file.read(start, min(_COPY, end - start))

    def restore(
        self,
        records: NDArray[np.void],
        blocks: IO[bytes],
        bases: Mapping[str, float] = NO_BASES,
        n_samples: int = 0,
        samples: Sequence[SavedSamples] | None = None,
    ) -> None:
        """Fill an empty store with what :meth:`records` and :meth:`blocks` gave, and what else belongs to it.

        ``samples``: of each batch; None: only how many there are in all is known. Raises SessionError if they do not
        fit each other.
        """
        end = 0
        while piece := blocks.read(_COPY):
            self._file.write(end, piece)
            end += len(piece)
        self._check_records(records, end)
        self.start_from(bases)
        for i, row in enumerate(records):
            self._records.write(i * row.nbytes, row.tobytes())
        if samples is None:
            self._batches = [Batch(end, bases, n_samples) for _ in records]
            return
        total, batches = 0, []
        for _, own in zip(records, samples, strict=True):
            total += own.n
            if not -1 <= own.extremes <= max(end - len(self.index) * own.n * 8, -1):
                raise SessionError(_MISFIT)
            batches.append(Batch(end, bases, total, own.extremes, own.facts, own.told))
        self._batches = batches

    def restore_without(self, batch: int, samples: frozenset[int], records: NDArray[np.void]) -> None:
        """Take a batch without some samples that a file has; its counts are among those restored before."""
        end = self.last.end
        self._check_records(records[np.newaxis], end)
        if not (0 <= batch < len(self._batches) and samples < set(range(len(self.samples_in(batch))))):
            raise SessionError(_MISFIT)
        self._without.append(Without(batch, samples, records, end))

    def _check_records(self, records: NDArray[np.void], end: int) -> None:
        if records.dtype != RECORD or records.shape[1:] != (len(self.index),):
            raise SessionError(_MISFIT)
        inside = (records["offset"] >= 0) & (records["length"] >= 0) & (records["offset"] <= end - records["length"])
        if not bool((inside & plausible(records)).all()):
            raise SessionError(_MISFIT)
