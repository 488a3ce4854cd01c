"""Cutting batches from a source as TensorRT takes them: whole ones, all of one size."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import one_of
from trtcal_widgets.common.memory import check_room
from trtcal_widgets.data.base import Batch
from trtcal_widgets.data.convert import common_length
from trtcal_widgets.data.samples import SampleAxis, count_samples
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Source

_registry = threading.Lock()
_locks: dict[int, AbstractContextManager[object]] = {}  # by identity: a source may compare equal to another
_others = threading.RLock()


def reading(source: Source) -> AbstractContextManager[object]:
    """Return the lock of a source, for a ``with`` block around its calls.

    It is the same for every plan and thread, and may be taken again by the thread that has it. Objects of a class that
    allows no weak references (``__slots__``) share one lock, since it would not be known when theirs can go.
    """
    key = id(source)
    with _registry:
        if key not in _locks:
            try:
                weakref.finalize(source, _locks.pop, key).atexit = False
            except TypeError:
                return _others
            _locks[key] = threading.RLock()
        return _locks[key]


class NoSuchBatchError(DataError, IndexError):
    """There is no batch at this position: the data ends before it."""


class BatchPlan:
    """The batches of a source, by position.

    It may be read from several threads: one at a time gets at a source, whatever plan it comes through.

    Parameters
    ----------
    source
        Where the samples come from; see :func:`trtcal_widgets.data.as_source`.
    batch_size
        Samples per batch. Needed unless the source's items are batches already: then None takes their size, and
        a number must be their size.
    last
        What becomes of samples that do not fill a batch:

        ``"drop"``
            They are left out, as TensorRT's calibrators need whole batches (:attr:`dropped` counts them).
        ``"pad"``
            The batch is filled up by repeating its own samples from its first one on. No minimum or maximum
            changes, but the repeated samples weigh more in the histograms.
        ``"keep"``
            The batch stays short (the model must take any batch size). Batches that the source made itself are
            all kept as they come, whatever their size.
    max_batches
        Use no more than this many.
    fixed
        The only batch size that the model takes, None for any: a short batch is then refused at once, with what can
        be done.

    Raises
    ------
    DataError
        If the source has no samples, or fewer than one batch.
    UsageError
        If an argument makes no sense.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int | None = None,
        *,
        last: Literal["drop", "pad", "keep"] = "drop",
        max_batches: int | None = None,
        fixed: int | None = None,
    ) -> None:
        one_of(last, ("drop", "pad", "keep"), "last")
        _check_count("batch_size", batch_size)
        _check_count("max_batches", max_batches)
        if batch_size is None and not source.prebatched:
            raise UsageError(
                f"batch_size is needed, such as batch_size=32: {source.describe()} does not come in batches"
            )
        self.source = source
        self.last = last
        self.max_batches = max_batches
        self._batch_size = batch_size
        self._inputs: tuple[str, ...] = ()  # of the first batch seen; every other must have the same
        self._axes: dict[str, int] | None = None  # of the samples, in the batch seen last; None: the first
        self._rule: SampleAxis = getattr(source, "sample_axis", "guess")
        self._is_fixed = fixed is not None and fixed == batch_size and self._rule in (0, "guess")
        self._sizes: dict[int, int] = {}  # samples per batch, where the source makes the batches
        self._refuse_too_few()

    @property
    def batch_size(self) -> int | None:
        """Samples per whole batch; None while the source's own size is not known."""
        return self._batch_size

    @property
    def n_batches(self) -> int | None:
        """How many batches there are; None while unknown.

        It may shrink while batches are loaded: an unreadable image is left out, or an iterable's last batch
        turns out to be short.
        """
        items = self.source.n_items()
        if items is None:
            return None
        if not self.source.prebatched:
            size = self._size()
            items = items // size if self.last == "drop" else -(-items // size)
        elif self._short_tail(items):
            items -= 1
        return items if self.max_batches is None else min(items, self.max_batches)

    @property
    def n_samples(self) -> int | None:
        """How many samples the batches hold, padding not counted; None while unknown."""
        batches, items = self.n_batches, self.source.n_items()
        if batches is None or items is None:
            return None
        if not self.source.prebatched:
            return min(batches * self._size(), items)
        return sum(self._sizes[i] for i in range(batches)) if self._sized(batches) else None

    @property
    def dropped(self) -> int:
        """Samples that are left out because they do not fill the last batch; 0 while unknown.

        Samples beyond ``max_batches`` were asked not to be used and are not counted.
        """
        items = self.source.n_items()
        if items is None or self.last != "drop":
            return 0
        if self.source.prebatched:
            short = self._short_tail(items) and (self.max_batches is None or items <= self.max_batches)
            return self._sizes[items - 1] if short else 0
        whole, rest = divmod(items, self._size())
        return rest if self.max_batches is None or whole < self.max_batches else 0

    @property
    def note(self) -> str:
        """What the user should know about left-out samples; empty where there are none."""
        if not self.dropped:
            return ""
        one = self.dropped == 1
        return (
            f"{self.dropped} sample{' is' if one else 's are'} left out: {'it does' if one else 'they do'} not fill "
            f"a batch of {self._batch_size}, and TensorRT takes whole batches only. last='pad' or last='keep' uses "
            f"{'it' if one else 'them'}."
        )

    def load(self, index: int) -> Batch:
        """Load the batch at ``index``, from 0.

        Raises
        ------
        NoSuchBatchError
            If the data ends before it.
        DataError
            If it cannot be read, has no samples, or its inputs do not fit each other or the other batches.
        """
        if index < 0:
            raise UsageError(f"batches are counted from 0; there is no batch {index}")
        if self.max_batches is not None and index >= self.max_batches:
            raise NoSuchBatchError(f"There is no batch {index}: max_batches is {self.max_batches}")
        with reading(self.source):
            return self._load_made(index) if self.source.prebatched else self._load_cut(index)

    def _load_cut(self, index: int) -> Batch:
        size = self._size()
        feeds = self.source.load(index * size, (index + 1) * size)
        found = self._check(index, feeds) if feeds else 0
        if found == 0 or (found < size and self.last == "drop"):
            self._refuse_too_few()
            raise NoSuchBatchError(f"There is no batch {index}: {self.source.describe()} ends before it")
        return Batch(index, self._filled(feeds, found, size), index * size, found, self._axes)

    def thumbnails(self, index: int, most: int | None = None) -> list[NDArray[np.uint8]]:
        """Return pictures of the batch's samples, uint8 [h,w,3]; empty where they are not images.

        Parameters
        ----------
        index
            The batch.
        most
            Return, and where that is possible read, no more than the first so many; None for all.
        """
        size = 1 if self.source.prebatched else self._size()
        start, stop = index * size, (index + 1) * size
        if most is not None and not self.source.prebatched:
            stop = min(stop, start + most)
        with reading(self.source):
            return list(self.source.thumbnails(start, stop))[:most]

    def __iter__(self) -> Iterator[Batch]:
        index = 0
        while True:
            try:
                batch = self.load(index)
            except NoSuchBatchError:
                return
            yield batch
            index += 1

    def _load_made(self, index: int) -> Batch:
        if self._batch_size is None and index > 0:
            self._load_made(0)  # the size is the first batch's: the one asked for may be the short last one
        feeds = self.source.load(index, index + 1)
        if not feeds:
            if index == 0:
                raise DataError(f"{self.source.describe()} gave no batch at all; an iterator may be used up already")
            raise NoSuchBatchError(f"There is no batch {index}: {self.source.describe()} ends before it")
        found = self._sizes[index] = self._check(index, feeds)
        if self._batch_size is None:
            self._batch_size = found
        size = self._size()
        if self.last != "keep" and found != size:
            self._refuse_size(index, found)
        first = sum(self._sizes.get(i, size) for i in range(index))
        return Batch(index, self._filled(feeds, found, size), first, found, self._axes)

    def _refuse_size(self, index: int, found: int) -> None:
        """Raise unless batch ``index`` may be padded: a short last batch is dropped, others are errors."""
        size = self._size()
        if index == 0:
            raise DataError(
                f"batch 0 holds {found} samples, but batch_size={size} was asked for, and these batches come made: "
                f"leave batch_size out, make batches of {size}, or pass last='keep'"
            )
        is_last = found < size and (self.last == "pad" or not self.source.load(index + 1, index + 2))
        if not is_last:
            raise DataError(
                f"batch {index} holds {found} samples, the batches before it {size}: TensorRT's calibrators take "
                "batches of one size. Make them equal, or pass last='keep' for ONNX Runtime alone"
            )
        if self.last == "drop":
            raise NoSuchBatchError(f"There is no whole batch {index}: {self.note or 'the last one is short'}")

    def _check(self, index: int, feeds: Mapping[str, NDArray[Any]]) -> int:
        """Return the number of samples in the batch, which every input must have."""
        for name, array in feeds.items():
            if array.ndim and not len(array) and len(feeds) == 1:
                which = f", input {name!r}" if name else ""
                raise DataError(f"batch {index}{which} holds no samples: its shape is {array.shape}")
        names = tuple(sorted(feeds))
        self._inputs = self._inputs or names
        if names != self._inputs:
            raise DataError(f"batch {index} has the inputs {list(names)}, the others have {list(self._inputs)}")
        if not self.source.prebatched and self._rule == "guess":
            return common_length(feeds, f"batch {index}")
        found, self._axes = count_samples(feeds, self._rule, f"batch {index}", self._batch_size)
        if self._rule == "guess":  # what the first batch says holds for all
            self._rule = self._axes or None
        return found

    def _filled(self, feeds: Mapping[str, NDArray[Any]], found: int, size: int) -> Mapping[str, NDArray[Any]]:
        if found >= size or self.last != "pad":
            return feeds
        if self._axes is not None and not self._axes:
            raise DataError(f"each feed of {self.source.describe()} is one sample, as it is: use batch_size=1")
        what = f"a batch of {size} samples (last='pad' repeats {found} to fill it)"
        one = sum(array.nbytes for array in feeds.values()) // found
        check_room(one * size, what, DataError, "lower batch_size")
        try:
            repeated = np.arange(size) % found
            axes = dict.fromkeys(feeds, 0) if self._axes is None else self._axes
            return {
                name: np.take(array, repeated, axes[name]) if name in axes else array for name, array in feeds.items()
            }
        except (MemoryError, ValueError):  # numpy: ValueError where the size cannot even be counted in bytes
            raise DataError(f"{what} does not fit in memory: lower batch_size") from None

    def _size(self) -> int:
        assert self._batch_size is not None
        return self._batch_size

    def _sized(self, batches: int) -> bool:
        return all(i in self._sizes for i in range(batches))

    def _short_tail(self, items: int) -> bool:
        """Whether the last of the source's own batches is known to be short and to be left out."""
        tail = self._sizes.get(items - 1)
        return self.last == "drop" and tail is not None and tail < self._size()

    def _refuse_too_few(self) -> None:
        items = self.source.n_items()
        if items == 0:
            raise DataError(f"{self.source.describe()} has no samples")
        if items is None or self.source.prebatched:
            return
        size = self._size()
        if self._is_fixed and self.last == "keep" and items % size and items // size < (self.max_batches or items):
            raise DataError(
                f"the model takes batches of {size} samples only, and the last batch of {self.source.describe()} has "
                f"{items % size}: pass last='pad' or 'drop'"
            )
        if self.last != "drop" or items >= size:
            return
        more = "pass last='pad'" if self._is_fixed else "pass last='pad' or 'keep'"
        less = "" if self._is_fixed else f"lower batch_size to {items} or less, "
        raise DataError(
            f"{self.source.describe()} has {items} sample{'s' if items > 1 else ''}, fewer than one batch of {size}"
            f"{', which the model fixes' if self._is_fixed else ''}: {less}add samples, or {more}"
        )


def _check_count(what: str, count: int | None) -> None:
    if count is not None and (isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1):
        raise UsageError(f"{what} must be a whole number of at least 1, not {count!r}")


class KeptBatches:
    """Some batches of a plan, counted anew from 0; each batch still says its place in the plan (``Batch.index``).

    ``left_out``: places in the plan, from 0, that are passed over. ``samples_out``: samples, by their place in the
    source, that are not fed: batches keep their size, as TensorRT wants it, and have others of their own samples twice
    instead; those that have no other are passed over. Raises UsageError if no batch is left.
    """

    def __init__(self, plan: BatchPlan, left_out: Iterable[int] = (), samples_out: Iterable[int] = ()) -> None:
        self.plan = plan
        self._samples_out = frozenset(samples_out)
        self.left_out = tuple(sorted({*left_out, *_emptied(plan, self._samples_out)}))
        if self.n_batches == 0:
            raise UsageError(
                f"all {len(self.left_out)} batches of {plan.source.describe()} are left out: include one at least"
            )

    @property
    def source(self) -> Source:
        """Where the samples come from."""
        return self.plan.source

    @property
    def batch_size(self) -> int | None:
        """Samples per whole batch; None while not known."""
        return self.plan.batch_size

    @property
    def dropped(self) -> int:
        """Samples that do not fill the plan's last batch; those of batches that are left out are not among them."""
        return self.plan.dropped

    @property
    def n_batches(self) -> int | None:
        """How many batches are kept; None while the plan does not know its own number."""
        n = self.plan.n_batches
        return None if n is None else n - sum(index < n for index in self.left_out)

    def load(self, position: int) -> Batch:
        """Load the kept batch number ``position``, from 0; see :meth:`BatchPlan.load`.

        Raises NoSuchBatchError if fewer are kept; DataError as :meth:`BatchPlan.load`.
        """
        kept: list[int] = []
        while not kept:
            places = (index for index in count() if index not in self.left_out)
            batch = self.plan.load(next(islice(places, position, None)))
            own, fed = batch.n_samples, batch.n_fed
            kept = [i for i in range(fed) if batch.first_sample + i % own not in self._samples_out]
            if not kept:  # batches that come made may have any size
                self.left_out = (*self.left_out, batch.index)
        return batch if len(kept) == fed else replace(batch, feeds=batch.only(np.resize(np.array(kept, np.intp), fed)))


def _emptied(plan: BatchPlan, samples_out: frozenset[int]) -> Iterator[int]:
    """Yield the batches that have no sample left, as far as it is known which ones each has."""
    size = plan.batch_size
    if not size or (plan.source.prebatched and plan.last == "keep"):
        return
    for batch in sorted({sample // size for sample in samples_out}):
        end = min((batch + 1) * size, plan.n_samples or (batch + 1) * size)
        if all(sample in samples_out for sample in range(batch * size, end)):
            yield batch
