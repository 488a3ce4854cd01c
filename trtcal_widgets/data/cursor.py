"""An iterable as numbered items: forward, and back by starting again where that is possible.

A generator that raised, or that was interrupted by the user, is finished for Python: asked again, it says that
it has no more. Taken at its word, a run would end early and look complete. So a failure is remembered here.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar

from trtcal_widgets.errors import DataError, UsageError

__all__ = ["Cursor"]

T = TypeVar("T")

_readers: weakref.WeakValueDictionary[int, Cursor[Any]] = weakref.WeakValueDictionary()
"""Identity of an iterator -> the cursor that reads it. Two would take each other's items without a word."""


class Cursor(Generic[T]):
    """Items of an iterable by position.

    Parameters
    ----------
    items
        Something to iterate over: once (an iterator), again and again (a list, a DataLoader), by position (an
        object with ``__len__`` and ``__getitem__``), or a function without arguments that returns one of these.
    what
        What an item is, for errors: ``"batch"`` or ``"sample"``.
    convert
        Makes of (item, position) what :meth:`take` returns; called as soon as the item is there, because many
        iterables fill the same buffer again for the next one.
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

        Raises
        ------
        DataError
            If the iterable raised, or if a one-shot iterator would have to go back.
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
