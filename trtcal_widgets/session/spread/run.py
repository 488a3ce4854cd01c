"""A session's run over a pool of workers, to the same bits as in one process.

A tensor's histogram starts from the range that the first batch gives it. So the first batch is counted alone, and its
ranges go to all; a tensor that is all zeros there gets its range from the first batch that has another value: batches
behind that one which were counted meanwhile, from ranges of their own, are counted again.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.data.plan import NoSuchBatchError
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.session.keeping.sample_facts import samples_of
from trtcal_widgets.session.spread.ordered import Ordered
from trtcal_widgets.session.spread.work import Job, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.spread.pools import Pool
    from trtcal_widgets.session.store import BatchStore, Packed


class SpreadRun:
    """Records batches that workers count.

    ``runner``, ``plan``, ``store``: as for :class:`~trtcal_widgets.session.recorder.Recorder`. ``ahead``: batches that
    were read and not recorded, by place; a run that ends early leaves its own there where they cannot be read again.
    ``pool``: the workers. ``check``, ``say``: as for :class:`~trtcal_widgets.session.spread.ordered.Ordered`.
    """

    def __init__(
        self,
        runner: Runner,
        plan: BatchPlan,
        store: BatchStore,
        ahead: dict[int, Batch],
        pool: Pool,
        check: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._ahead = ahead
        self._reads_once = bool(getattr(plan.source, "in_order", False))
        self._store = store
        self._ordered = Ordered(pool, _job(runner, plan, store, pool), check, say)
        self._sends = self._ordered.job.source is None

    def close(self) -> None:
        """End the run: what was given out and is not back is let go of."""
        self._ordered.close()

    def find_ranges(self, ranged: Callable[[int], None]) -> dict[str, float]:
        """Return the largest |x| of every tensor that has one, over all batches; ``ranged`` is told how many are done.

        Raises DataError if there is no batch.
        """
        names = tuple(self._store.index)
        ranges = np.zeros(len(names))
        n = 0
        ranged(0)
        for _, outcome in self._ordered.results(self._tasks(0, None, counting=False)):
            if outcome.ranges is None:
                break
            n += 1
            ranges = np.fmax(ranges, outcome.ranges)
            ranged(n)
        if n == 0:
            raise DataError(f"{self._plan.source.describe()} gave no batch")
        return {name: float(amax) for name, amax in zip(names, ranges, strict=True) if amax > 0}

    def record(self, until: int | None) -> Iterator[None]:
        """Append batches to the store, up to so many, and yield after each."""
        first = len(self._store)
        if not self._store.bases and (until is None or first < until):
            yield from self._append(self._tasks(first, first + 1))
            if len(self._store) == first:
                return
        yield from self._append(self._tasks(len(self._store), until))

    def _append(self, tasks: Iterator[Task | Exception]) -> Iterator[None]:
        for task, outcome in self._ordered.results(tasks):
            packed, n_samples = outcome.counted, outcome.n_samples
            if packed is not None:
                packed = self._from_known_ranges(task, packed)
                if packed is None:
                    packed = self._ordered.again(task._replace(bases=self._bases())).counted
            if packed is None:
                return
            told = samples_of(self._plan.source, self._store.last.n_samples, n_samples)
            self._store.append_packed(packed, n_samples, told)
            self._ahead.pop(task.place, None)
            yield

    def _from_known_ranges(self, task: Task, packed: Packed) -> Packed | None:
        """Return a batch as counted from the ranges known by now; None where it has to be counted again.

        That is where a tensor started from a range of its own, and a batch before has given it another one meanwhile.
        Zeros alone are in bin 0 of any range: where there is nothing else, the range is written in.
        """
        assert task.bases is not None
        records, known = packed.records, self._bases()
        late = np.isnan(task.bases) & ~np.isnan(known) & (records["present"] != 0)
        if not late.any():
            return packed
        others = late & (records["base"] > 0)
        if (records["base"][others] != known[others]).any():
            return None
        records = records.copy()  # what came from afar may be read-only
        records["base"][late] = known[late]
        return packed._replace(records=records)

    def _bases(self) -> NDArray[np.float64]:
        bases: Mapping[str, float] = self._store.bases
        return np.array([bases.get(name, np.nan) for name in self._store.index])

    def _tasks(self, first: int, until: int | None, *, counting: bool = True) -> Iterator[Task | Exception]:
        """Yield what is to be done for batch after batch; what is wrong with one in its place."""
        n_batches = self._plan.n_batches
        for index in count(first):
            if (until is not None and index >= until) or (n_batches is not None and index >= n_batches):
                return
            batch: Batch | None = None
            if self._sends:
                try:
                    batch = self._ahead.get(index) or self._plan.load(index)
                except NoSuchBatchError:
                    return
                except Exception as error:  # noqa: BLE001 - it is raised when the batches before it are recorded
                    yield error
                    return
                if counting and self._reads_once:
                    self._ahead[index] = batch
                n_batches = self._plan.n_batches  # it may shrink while batches are read
            yield Task(index, self._bases() if counting else None, batch)


def _job(runner: Runner, plan: BatchPlan, store: BatchStore, pool: Pool) -> Job:
    """Describe the run to workers."""
    remade = None if pool.in_this_process else getattr(runner, "one_of", None)
    if remade is not None:
        runner = remade(pool.workers)
    elif not pool.in_this_process and type(runner).__module__.startswith("trtcal_widgets."):
        raise UsageError(
            f"{type(runner).__name__} works in this process alone: leave executor= out, or calibrate with ONNX Runtime"
        )
    source = plan.source
    readable = not source.prebatched and bool(getattr(source, "readable_anywhere", False))
    return Job(
        runner=runner,
        names=tuple(store.index),
        sha256=runner.graph.sha256,
        runner_name=runner.name,
        source=source if readable and not pool.in_this_process else None,
        plan={"batch_size": plan.batch_size, "last": plan.last, "max_batches": plan.max_batches},
        process=os.getpid(),
        own=remade is None,
    )
