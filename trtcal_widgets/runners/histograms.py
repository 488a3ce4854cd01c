"""Histograms of a stream of tensors, counted by threads while the stream goes on."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.core.histogram import Histogram, join_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray

__all__ = ["available_cores", "stream_histograms"]

_PART = 1 << 19
"""Values from which on a tensor is counted in parts, so that one large tensor keeps every core busy."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pending(NamedTuple):
    name: str
    parts: list[Future[Histogram]]

    def result(self) -> tuple[str, Histogram]:
        return self.name, join_parts(part.result() for part in self.parts)


def stream_histograms(
    stream: Iterable[tuple[str, NDArray[np.generic]]],
    bases: Mapping[str, float],
    executor: Executor,
    workers: int,
) -> Iterator[tuple[str, Histogram]]:
    """Count each array of a stream and drop it.

    Parameters
    ----------
    stream
        (name, array) pairs. At most ``4 * workers`` arrays are held at a time.
    bases
        Name -> range R to start from; a missing one (or 0) starts from the array's own largest finite |x|.
    executor
        Runs the counting; its kernels release the GIL, so threads do.
    workers
        How many it runs at a time.

    Yields
    ------
    (name, Histogram)
        In the order of the stream.
    """
    pending: deque[_Pending] = deque()
    try:
        for name, array in stream:
            pending.append(_submit(name, array, bases.get(name, 0.0), executor, workers))
            del array  # the counting threads hold the only reference now
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for left in pending:
            for part in left.parts:
                part.cancel()


def _submit(name: str, array: NDArray[np.generic], base: float, executor: Executor, workers: int) -> _Pending:
    parts = min(workers, array.size // _PART)
    if parts < 2 or not base or not array.flags.c_contiguous:
        return _Pending(name, [executor.submit(Histogram.of, array, base or None)])
    pieces = np.array_split(array.reshape(-1), parts)
    # Joined, the parts have the counts that the whole array has.
    return _Pending(name, [executor.submit(Histogram.of, piece, base) for piece in pieces])
