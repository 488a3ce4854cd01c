"""Merged histograms of all tensors, which grow by a batch when they are asked for."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.packed import Merging

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.session.store import BatchStore

_TOGETHER = 128
"""Tensors that one thread merges in one go: their counts stay in the second-level cache."""


class _Kept(NamedTuple):
    """Sums over the first batches of some: who leaves out one of the last goes on from there."""

    batches: list[int]
    groups: list[Merging]


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
        self._kept = _Kept([], [])

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
        self._kept = _Kept([], [])

    def _bring_to(self, batches: list[int]) -> bool:
        """Add the batches that are not there yet; False where they cannot be added."""
        known, keep = len(self._batches), 0
        if not known or self._batches != batches[:known]:
            known = self._start_before(batches)
            keep = max(len(batches) - max(math.isqrt(len(batches)), 2), 0)
        new = batches[known:]
        self._batches = batches
        kept: list[Merging | None] = [None] * len(self._groups)

        def add(group: int) -> bool:
            rows = slice(group * _TOGETHER, (group + 1) * _TOGETHER)
            for n, i in enumerate(new, known):
                if n == keep > known:
                    kept[group] = self._groups[group].copy()
                if not self._groups[group].add(*self._store.batch(i, rows)):
                    return False
            return True

        if not new:
            return True
        with ThreadPoolExecutor(max(1, min(len(self._groups), available_cores()))) as pool:
            added = all(list(pool.map(add, range(len(self._groups)))))
        if added and keep > known:
            self._kept = _Kept(batches[:keep], [group for group in kept if group is not None])
        return added

    def _start_before(self, batches: list[int]) -> int:
        """Go back to what is kept, where that is of the first of these batches, or start anew; return of how many."""
        known = len(self._kept.batches)
        if known and self._kept.batches == batches[:known]:
            self._groups = [group.copy() for group in self._kept.groups]
            return known
        self._clear()
        n = len(self._store.index)
        sizes = [min(_TOGETHER, n - start) for start in range(0, n, _TOGETHER)]
        self._groups = [Merging(size, in_order=self._in_order) for size in sizes]
        return 0
