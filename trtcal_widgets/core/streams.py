"""Histograms of a stream of tensors, counted by threads while the stream goes on."""

from __future__ import annotations

from collections import defaultdict, deque
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from trtcal_widgets.core.counting import NO_SAMPLES, Counting, Place, amax_of_all
from trtcal_widgets.core.histogram import Histogram, join_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray

    from trtcal_widgets.core.steps import Step

_Result = TypeVar("_Result")

_PART = 1 << 21
"""Values that one thread counts in one go, about 2 ms of work. A larger array is counted in parts, so that it keeps
every core busy; smaller ones are counted together."""

_MOST = 64
"""Arrays that are counted in one go."""

NO_FAMILIES: Mapping[str, Family] = MappingProxyType({})
"""Every tensor is read."""


class Family(NamedTuple):
    """Tensors that are made of another one value by value, so that nobody has to read them.

    ``names``: their names. ``steps``: how they are made of the other one, a step for each.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...]


_NO_FAMILY = Family((), ())


class _Piece(NamedTuple):
    """An array, or a part of one, and what is made of it."""

    names: tuple[str, ...]
    array: NDArray[np.generic]
    bases: tuple[float | None, ...]
    steps: tuple[Step, ...]
    last: bool
    place: Place = NO_SAMPLES


def stream_histograms(
    stream: Iterable[tuple[str, NDArray[np.generic]]],
    bases: Mapping[str, float],
    executor: Executor,
    workers: int,
    families: Mapping[str, Family] = NO_FAMILIES,
    samples: int = 0,
) -> Iterator[tuple[str, Histogram]]:
    """Count each array of a stream and drop it.

    Parameters
    ----------
    stream
        (name, array) pairs. They are held until some 2 million values or 64 arrays are together to be counted in
        one go; at most ``4 * workers`` such groups are held at a time.
    bases
        Name -> range R to start from; a missing one (or 0) starts from the array's own largest finite |x|.
    executor
        Runs the counting; its kernels release the GIL, so threads do.
    workers
        How many it runs at a time.
    families
        Name of an array -> tensors to count that are made of it; see :mod:`trtcal_widgets.core.steps`.
    samples
        How many samples the batch has: arrays whose first axis is so long get the extremes of each. 0: nobody asks.

    Yields
    ------
    (name, Histogram)
        In the order of the stream, each array followed by what is made of it.
    """
    parts: defaultdict[str, list[Histogram]] = defaultdict(list)
    groups = _groups(stream, bases, workers, families, samples)
    for name, last, histogram in _pipelined(groups, lambda pieces: _counting(pieces, samples), executor, workers):
        parts[name].append(histogram)
        if last:
            # Joined, the parts have the counts that the whole array has.
            yield name, join_parts(parts.pop(name))


def stream_amax(
    stream: Iterable[tuple[str, NDArray[np.generic]]],
    executor: Executor,
    workers: int,
    families: Mapping[str, Family] = NO_FAMILIES,
) -> Iterator[tuple[str, float]]:
    """Yield (name, largest finite |x|) of each array of a stream, and drop it; as :func:`stream_histograms` does.

    That of what is made of an array is NaN where engines may differ; see
    :func:`~trtcal_widgets.core.counting.amax_of_all`.
    """
    for name, _, amax in _pipelined(_groups(stream, {}, workers, families), _measuring, executor, workers):
        yield name, amax


def _counting(pieces: Sequence[_Piece], samples: int) -> Callable[[], Iterable[Histogram]]:
    counting = Counting(
        [p.array for p in pieces],
        [base for p in pieces for base in p.bases],
        [p.steps for p in pieces],
        [p.place for p in pieces],
        samples,
    )
    return lambda: list(Histogram.of_counting(counting))  # a generator would count in the thread that reads it


def _measuring(pieces: Sequence[_Piece]) -> Callable[[], Iterable[float]]:
    arrays, steps = [p.array for p in pieces], [p.steps for p in pieces]
    return lambda: amax_of_all(arrays, steps)


def _pipelined(
    groups: Iterable[list[_Piece]],
    prepare: Callable[[Sequence[_Piece]], Callable[[], Iterable[_Result]]],
    executor: Executor,
    workers: int,
) -> Iterator[tuple[str, bool, _Result]]:
    """Have each group worked on by a thread; yield (name, whether it is its last piece, result) in their order."""
    pending: deque[tuple[list[tuple[str, bool]], Future[Iterable[_Result]]]] = deque()

    def first_done() -> Iterator[tuple[str, bool, _Result]]:
        names, future = pending.popleft()
        for (name, last), result in zip(names, future.result(), strict=True):
            yield name, last, result

    try:
        for group in groups:
            names = [(name, p.last) for p in group for name in p.names]
            pending.append((names, executor.submit(prepare(group))))
            group.clear()  # the thread holds the only references now
            if len(pending) >= 4 * workers:
                yield from first_done()
        while pending:
            yield from first_done()
    finally:
        for _, left in pending:
            left.cancel()


def _groups(
    stream: Iterable[tuple[str, NDArray[np.generic]]],
    bases: Mapping[str, float],
    workers: int,
    families: Mapping[str, Family],
    samples: int = 0,
) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    n_values = 0
    for name, array in stream:
        for piece in _pieces(name, array, bases, workers, families.get(name, _NO_FAMILY), samples):
            group.append(piece)
            n_values += piece.array.size * len(piece.names)
            if n_values >= _PART or len(group) >= _MOST:
                yield group
                group, n_values = [], 0
        del array, piece
    if group:
        yield group


def _pieces(
    name: str, array: NDArray[np.generic], bases: Mapping[str, float], workers: int, family: Family, samples: int
) -> list[_Piece]:
    names = (name, *family.names)
    per = _values_per_sample(array, samples)
    starts = tuple(bases.get(n) for n in names)
    parts = min(workers, array.size * len(names) // _PART)
    if parts < 2 or not all(starts) or not array.flags.c_contiguous:
        return [_Piece(names, array, starts, family.steps, last=True, place=(per, 0))]
    made, first = [], 0
    for i, piece in enumerate(np.array_split(array.reshape(-1), parts)):
        made.append(_Piece(names, piece, starts, family.steps, last=i == parts - 1, place=(per, first)))
        first += piece.size
    return made


def _values_per_sample(array: NDArray[np.generic], samples: int) -> int:
    """Return how many values in a row, as they lie in memory, are a sample; 0 where samples do not lie one by one."""
    if not samples or not array.ndim or len(array) != samples or not array.size:
        return 0
    outermost = samples == 1 or abs(array.strides[0]) >= max(map(abs, array.strides))
    return array.size // samples if outermost else 0
