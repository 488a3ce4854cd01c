"""Batches (or samples) from anything that can be iterated over: lists, generators, a torch DataLoader."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.data.convert import describe_array, ready, to_array
from trtcal_widgets.data.samples import SampleAxis, along_samples, checked_axis
from trtcal_widgets.data.thumbnails import fed_thumbnails
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_readers: weakref.WeakValueDictionary[int, Cursor[Any]] = weakref.WeakValueDictionary()
"""Identity of an iterator -> the cursor that reads it. Two would take each other's items without a word."""


class Cursor(Generic[T]):
    """Items of an iterable by position.

    ``items``: something to iterate over once (an iterator), again and again (a list, a DataLoader), by position (an
    object with ``__len__`` and ``__getitem__``), or a function without arguments that returns one of these. ``what``
    an item is, for errors. ``convert`` makes of (item, position) what :meth:`take` returns, as soon as the item is
    there: many iterables fill the same buffer again for the next one.
    """

    def __init__(self, items: Any, what: Literal["batch", "sample"], convert: Callable[[Any, int], T]) -> None:
        self._items = items
        self._convert = convert
        self._what = what
        self._open = _opener(items)
        self.one_shot = isinstance(items, Iterator)
        self._iterator: Iterator[Any] | None = None
        self._position = 0  # of the item that the iterator gives next
        self._seen = 0  # the most items that were ever got
        self._held: tuple[int, list[T]] = (0, [])
        self._length: int | None = None
        self._failure: BaseException | None = None

    @property
    def length(self) -> int | None:
        """How many items there are: counted once the end was met, before that what ``len`` says, or None."""
        if self._length is not None:
            return self._length
        try:
            return max(len(self._items), self._seen)
        except (TypeError, AttributeError, NotImplementedError):
            return None

    def has_taken_from(self, iterator: object) -> bool:
        """Whether this cursor reads that very iterator and has taken items from it."""
        return self._iterator is iterator and self._seen > 0

    def take(self, start: int, stop: int) -> list[T]:
        """Return items ``start`` to ``stop`` (exclusive); fewer at the end.

        What was taken last is held, so that it can be taken again from a one-shot iterator too.

        Raises DataError if the iterable raised, or if a one-shot iterator would have to go back.
        """
        if self._length is not None:
            stop = min(stop, self._length)
        first, held = self._held
        known = held[start - first : stop - first] if first <= start < first + len(held) else []
        fresh = self._read(start + len(known), stop)
        if fresh:
            self._held = (start, known + fresh)
        return known + fresh

    def _read(self, start: int, stop: int) -> list[T]:
        if start >= stop:
            return []
        self._go_to(start)
        items: list[T] = []
        while self._position < stop and self._advance(items):
            pass
        return items

    def _go_to(self, start: int) -> None:
        if self._iterator is None or start < self._position or _readers.get(id(self._iterator)) is not self:
            self._restart(start)
        while self._position < start and self._advance(None):
            pass

    def _restart(self, start: int) -> None:
        self._refuse_shared(start)
        started = self._iterator is not None or self._failure is not None
        if self.one_shot and self._failure is not None:
            raise DataError(
                f"{self._what} {start} cannot be had: the iterator stopped at {self._what} {self._position} with "
                f"{type(self._failure).__name__}: {self._failure}. {_AGAIN}"
            ) from self._failure
        if self.one_shot and started:
            raise DataError(
                f"{self._what} {start} has gone by: the iterator gives each {self._what} once and is at "
                f"{self._what} {self._position}. {_AGAIN}"
            )
        self._failure = None
        self._position = 0
        try:
            self._iterator = self._open()
        except Exception as error:
            raise DataError(f"the iterable of {_PLURAL[self._what]} could not be started: {error!r}") from error
        _readers[id(self._iterator)] = self  # a DataLoader with workers of its own starts the same iterator anew

    def _refuse_shared(self, start: int) -> None:
        """Raise if another source has begun to read a one-shot iterator."""
        other = _readers.get(id(self._items)) if self.one_shot else None
        if other is not None and other is not self and other.has_taken_from(self._items):
            raise DataError(
                f"{self._what} {start} cannot be had: another source reads the same iterator, and what one takes the "
                f"other never gets. Make one source of it (IterableBatches) and pass that to both. {_AGAIN}"
            )

    def _advance(self, into: list[T] | None) -> bool:
        """Append the next item, or skip it; False at the end."""
        assert self._iterator is not None
        try:
            item = next(self._iterator)
        except StopIteration:
            self._ended()
            return False
        except Exception as error:
            self._fail(error)
            raise DataError(
                f"{self._what} {self._position}: the iterable raised {type(error).__name__}: {error}"
            ) from error
        except BaseException as error:  # an interrupt finishes a generator as well
            self._fail(error)
            raise
        self._position += 1
        self._seen = max(self._seen, self._position)
        if into is not None:
            into.append(self._convert(item, self._position - 1))
        return True

    def _fail(self, error: BaseException) -> None:
        self._iterator = None
        self._failure = error

    def _ended(self) -> None:
        if self._position < self._seen:
            raise DataError(
                f"the iterable gave {self._seen} {_PLURAL[self._what]} before but ended after {self._position} this "
                f"time. {_AGAIN}"
            )
        self._length = self._position


_PLURAL = {"batch": "batches", "sample": "samples"}
_AGAIN = (
    "To go back or read twice, give something that starts anew each time and gives the same: a list, a DataLoader "
    "with shuffle=False, or a function without arguments that returns a fresh iterator"
)


def _opener(items: Any) -> Callable[[], Iterator[Any]]:
    if isinstance(items, Iterable):
        return lambda: iter(items)
    if hasattr(items, "__getitem__") and hasattr(items, "__len__"):  # a map-style dataset
        return lambda: (items[position] for position in range(len(items)))
    if callable(items):
        return lambda: iter(items())
    raise UsageError(
        f"an object of type {type(items).__name__} cannot be iterated over; give a list of batches, a DataLoader, "
        "a generator, or a function without arguments that returns one"
    )


_THUMBNAILS_PER_ITEM = 8
_ITEMS_WITH_THUMBNAILS = 1024


class IterableBatches:
    """Batches from an iterable of arrays, of dicts, or of tuples.

    Parameters
    ----------
    iterable
        Gives batches: an array or tensor for a model with one input; a mapping of input name to array; or a
        tuple or list of arrays, such as the ``(images, labels)`` of a DataLoader. It may be an iterator (a
        generator, say), which can be read once only; something that can be iterated over again; or a function
        without arguments that returns either.
    names
        Which model inputs the elements are. For tuples: one name per element, ``None`` for an element that is
        not fed; elements beyond the last name are not fed either, so ``names=("data",)`` feeds the images of
        ``(images, labels)``. For mappings: the keys to feed, all others being left out. For bare arrays: the one
        name.
    pick
        Feed only this element, by position in a tuple or by key in a mapping, to a model with one input:
        ``pick=0`` takes the images of ``(images, labels)``.
    items
        ``"batches"``: the first axis of every array is the batch. ``"samples"``: an item is one sample, and
        batches are stacked from them.
    sample_axis
        Where the samples of a batch are: an axis (1 for time-major sequences), a dict of input name -> axis, None for
        an input that has none (a sampling rate, a size); or None: each feed is one sample. ``"guess"``: the first
        axis, where it is as long in all inputs that have one; where not, it is that of the inputs that hold
        ``batch_size`` there, or the feed is one sample.

    Raises
    ------
    UsageError
        If it cannot be iterated over or the arguments contradict each other.

    Notes
    -----
    Read in order, an iterable is gone through once and one batch is held at a time. Going back starts it again
    and skips forward; what comes then must be what came the first time, so a DataLoader needs ``shuffle=False``
    (it is checked, since two passes over different data would give thresholds that belong to neither). An
    iterator cannot start again and says so. Thumbnails exist for what was loaded.

    Examples
    --------
    >>> source = IterableBatches([np.zeros((8, 3, 32, 32), np.float32)] * 4)
    >>> source.describe()
    'IterableBatches of a list, 4 batches'
    """

    def __init__(
        self,
        iterable: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        names: Sequence[str | None] | None = None,
        pick: int | str | None = None,
        items: Literal["batches", "samples"] = "batches",
        sample_axis: SampleAxis = "guess",
    ) -> None:
        if items not in ("batches", "samples"):
            raise UsageError(f"items must be 'batches' or 'samples', not {items!r}")
        if names is not None and pick is not None:
            raise UsageError("give names= or pick=, not both: pick feeds one element to the model's only input")
        _check_names(names)
        self.prebatched = items == "batches"
        self.in_order = True  # going back is a new start, or cannot be had
        self._kind = type(iterable).__name__
        self._names = None if names is None else tuple(names)
        self._pick = pick
        self.sample_axis = checked_axis(sample_axis) if self.prebatched else "guess"  # samples are stacked on the first
        self._what: Literal["batch", "sample"] = "batch" if self.prebatched else "sample"
        self._cursor = Cursor(iterable, self._what, self._feeds)
        self._checksums: dict[int, int] = {}
        self._thumbnails: dict[int, list[NDArray[np.uint8]]] = {}

    def describe(self) -> str:
        """Return one line: what is iterated over, how many items, and whether it can be read once only."""
        length = self._cursor.length
        count = f"{'an unknown number of' if length is None else length} {self._what}"
        plural = "" if length == 1 else "es" if self.prebatched else "s"
        once = ", can be read once" if self._cursor.one_shot else ""
        return f"IterableBatches of a {self._kind}, {count}{plural}{once}"

    def n_items(self) -> int | None:
        """Return how many batches (or samples) there are; None until the end was seen, if ``len`` fails."""
        return self._cursor.length

    def load(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return batch ``start`` (``stop`` is ``start + 1``), or samples ``start`` to ``stop``, stacked.

        Raises
        ------
        DataError
            If an item cannot be fed, the iterable raised, an iterator would have to go back, or an item is not
            what it was when it was read before.
        """
        if self.prebatched and stop != start + 1:
            raise UsageError("batches come one at a time: load(i, i + 1)")
        items = self._cursor.take(start, stop)
        if not items:
            return {}
        for i, feeds in enumerate(items):
            self._remember(start + i, feeds)
        if self.prebatched:
            return {name: ready(array) for name, array in items[0].items()}
        return {name: self._stack(name, items, start) for name in items[0]}

    def thumbnails(self, start: int, stop: int) -> list[NDArray[np.uint8]]:
        """Return pictures of what was loaded (at most 8 per batch, the last 1,024 items); nothing is read anew."""
        return [picture for i in range(start, stop) for picture in self._thumbnails.get(i, ())]

    def _feeds(self, item: Any, index: int) -> dict[str, NDArray[Any]]:
        where = f"{self._what} {index}"
        chosen = _choose(item, self._names, self._pick, where)
        made: dict[str, NDArray[Any]] = {}
        for name, value in chosen.items():
            label = f"{where}, input {name!r}" if name else where
            # One number (a length, a sampling rate) may be a sample, or an input beside others.
            array = to_array(value, label, least_axes=int(self.prebatched and len(chosen) == 1 and not name))
            made[name] = array if self.prebatched else array.copy()
        return made

    def _stack(self, name: str, items: list[dict[str, NDArray[Any]]], start: int) -> NDArray[Any]:
        first = items[0][name]
        for i, feeds in enumerate(items):
            found = feeds.get(name)
            if found is None or found.shape != first.shape or found.dtype != first.dtype:
                described = "nothing" if found is None else describe_array(found)
                raise DataError(
                    f"sample {start + i} has {described} for input {name!r}, but sample {start} has "
                    f"{describe_array(first)}: samples of one batch must be alike; resize or pad them"
                )
        return ready(np.stack([feeds[name] for feeds in items]))

    def _remember(self, index: int, feeds: dict[str, NDArray[Any]]) -> None:
        checksum = 0
        for array in feeds.values():
            checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, checksum)
        if self._checksums.setdefault(index, checksum) != checksum:
            raise DataError(
                f"{self._what} {index} is not what it was when it was read before: the iterable shuffles or "
                "augments at random. Make it give the same each time (a DataLoader with shuffle=False)"
            )
        if index not in self._thumbnails:
            batch = feeds if self.prebatched else {name: array[None] for name, array in feeds.items()}
            shown = along_samples(batch, self.sample_axis, f"batch {index}").items()
            self._thumbnails[index] = fed_thumbnails({n: a[:_THUMBNAILS_PER_ITEM] for n, a in shown if a.ndim})
            if len(self._thumbnails) > _ITEMS_WITH_THUMBNAILS:
                del self._thumbnails[next(iter(self._thumbnails))]


def _check_names(names: Sequence[str | None] | None) -> None:
    if isinstance(names, str):
        raise UsageError(f"names must be a sequence of input names: names=({names!r},)")
    if names is None:
        return
    if not isinstance(names, Sequence):
        raise UsageError(f"names is a tuple of input names, not {kind_of(names)}")
    fed = [name for name in names if name is not None]
    if not fed or not all(isinstance(name, str) for name in fed) or len(set(fed)) < len(fed):
        raise UsageError(f"names must hold different input names, and None for what is not fed, not {names!r}")


def _choose(item: Any, names: tuple[str | None, ...] | None, pick: int | str | None, where: str) -> dict[str, Any]:
    """Return which part of ``item`` is fed to which input."""
    if isinstance(item, Mapping):
        return _choose_from_mapping(item, names, pick, where)
    if isinstance(item, (tuple, list)):
        return _choose_from_tuple(item, names, pick, where)
    if pick is not None:
        raise DataError(f"{where} is a {type(item).__name__}, neither tuple nor mapping: leave pick={pick!r} out")
    if names is None:
        return {ONLY_INPUT: item}
    if len(names) != 1 or names[0] is None:
        raise DataError(f"{where} is one {type(item).__name__}, but names={names!r} is not one name")
    return {names[0]: item}


def _choose_from_mapping(
    item: Mapping[Any, Any], names: tuple[str | None, ...] | None, pick: int | str | None, where: str
) -> dict[str, Any]:
    wanted = tuple(item) if names is None else tuple(name for name in names if name is not None)
    if pick is not None:
        wanted = (pick,)
    if not wanted:
        raise DataError(f"{where} is an empty mapping; it must hold an array for every model input")
    for key in wanted:
        if key not in item:
            have = ", ".join(map(repr, item)) or "nothing"
            raise DataError(f"{where} has no {key!r}: it holds {have}")
        if not isinstance(key, str):
            raise DataError(f"{where} has the key {key!r}; keys must be names of model inputs")
    if pick is not None:
        return {ONLY_INPUT: item[pick]}
    return {str(key): item[key] for key in wanted}


def _choose_from_tuple(
    item: Sequence[Any], names: tuple[str | None, ...] | None, pick: int | str | None, where: str
) -> dict[str, Any]:
    if pick is not None:
        if not isinstance(pick, int) or not -len(item) <= pick < len(item):
            raise DataError(f"{where} is a {type(item).__name__} of {len(item)}: pick={pick!r} is not in it")
        return {ONLY_INPUT: item[pick]}
    if names is None:
        if len(item) == 1:
            return {ONLY_INPUT: item[0]}
        parts = ", ".join(_describe(part) for part in item)
        raise DataError(
            f"{where} is a {type(item).__name__} of {len(item)} ({parts}): say which of them are fed. For (images, "
            "labels) pick=0 feeds the first to the model's only input, names=('input',) feeds it by name; "
            "names=('a', None, 'b') feeds the first and the third"
        )
    if len(names) > len(item):
        raise DataError(f"{where} is a {type(item).__name__} of {len(item)}, fewer than names={names!r}")
    return {name: part for name, part in zip(names, item, strict=False) if name is not None}


def _describe(part: Any) -> str:
    shape, dtype = getattr(part, "shape", None), getattr(part, "dtype", None)
    return type(part).__name__ if shape is None else f"{dtype}[{','.join(map(str, shape))}]"
