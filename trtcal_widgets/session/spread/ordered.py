"""Batches given out to workers, a bounded number at a time, and what comes back in the order of the batches.

A worker that is lost costs nothing but time: what it had is given out again.
"""

from __future__ import annotations

import uuid
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import SessionError, TrtcalError, UsageError
from trtcal_widgets.session.spread.pools import forget, is_loss
from trtcal_widgets.session.spread.work import Job, Outcome, Task, work
from trtcal_widgets.session.spread.work import forget as leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from trtcal_widgets.session.spread.pools import Pool

_LOSSES = 3
"""How often workers may be lost in a row before it is taken for the work's fault."""

_LOOK = 0.1
"""Seconds after which a wait looks whether it was cancelled."""


class Ordered:
    """Gives tasks out and hands their outcomes back in the tasks' order.

    ``pool``, ``job``: who works, on what. ``check``: called often; raises where the run was cancelled.
    """

    def __init__(self, pool: Pool, job: Job, check: Callable[[], None]) -> None:
        self._pool = pool
        self.job = job
        self._check = check
        self._token = uuid.uuid4().hex
        self._told = 0  # tasks that were sent with the job
        self._losses = 0
        self._given: dict[Future[Any], Task] = {}
        self._done: dict[int, Outcome] = {}

    def results(self, tasks: Iterator[Task | TrtcalError]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with its outcome, in order.

        No more tasks are taken than twice the workers and two, counted from the one that is waited for: memory does
        not grow with their number. What is raised for a task is raised when those before it were yielded; so is an
        error among the tasks.
        """
        waiting: list[Task | TrtcalError] = []
        more = True
        try:
            while True:
                while more and len(waiting) < 2 * self._pool.workers + 2:
                    task = next(tasks, None)
                    if task is None:
                        more = False
                        break
                    waiting.append(task)
                    if isinstance(task, TrtcalError):
                        more = False
                    else:
                        self._give(task)
                if not waiting:
                    return
                first = waiting.pop(0)
                if isinstance(first, TrtcalError):
                    raise first
                yield first, self._outcome(first)
        finally:
            forget(list(self._given))
            self._given.clear()
            self._done.clear()

    def again(self, task: Task) -> Outcome:
        """Have a task done now, in place of one whose outcome is not wanted, and return what comes of it."""
        self._give(task)
        return self._outcome(task)

    def close(self) -> None:
        """Let go of the model, where this process worked on it; other processes keep theirs until their next job."""
        leave(self._token)

    def _outcome(self, task: Task) -> Outcome:
        """Wait for a task, and take in what else comes meanwhile."""
        self._check()
        while task.place not in self._done:
            self._check()
            ready, _ = wait(list(self._given), timeout=_LOOK, return_when=FIRST_COMPLETED)
            for future in ready:
                if future in self._given:  # all are given out anew where one is lost
                    self._take(future)
        found = self._done.pop(task.place)
        found.raise_error()
        return found

    def _give(self, task: Task, *, with_job: bool = False) -> None:
        # At first nobody knows the job; a worker that comes later asks for it.
        first = self._told < 2 * self._pool.workers + 2
        self._told += first
        try:
            future = self._pool.submit(work, self._token, self.job if first or with_job else None, task)
        except BrokenExecutor as error:
            self._give_all_anew([task], error)
            return
        self._given[future] = task

    def _take(self, future: Future[Any]) -> None:
        task = self._given.pop(future)
        try:
            outcome = future.result()
        except Exception as error:
            if is_loss(error):
                self._give_all_anew([task], error)
                return
            raise UsageError(
                f"batch {task.place} could not be given to a worker or what it made could not come back "
                f"({type(error).__name__}: {error}). Model runner and data source must be such that pickle takes them; "
                "those of this package for ONNX Runtime are"
            ) from error
        if not isinstance(outcome, Outcome):
            raise UsageError(f"the executor returned {type(outcome).__name__} in place of a batch's outcome")
        if outcome.needs_job:
            self._give(task, with_job=True)
            return
        self._losses = 0
        self._done[task.place] = outcome

    def _give_all_anew(self, lost: list[Task], error: Exception) -> None:
        """Give out again what a lost worker had; where its whole executor is broken, in another one."""
        self._losses += 1
        broken = isinstance(error, BrokenExecutor)
        if broken:
            lost = [*lost, *self._given.values()]
            self._given.clear()
        lost = sorted(lost, key=lambda task: task.place)
        if self._losses > _LOSSES:
            raise SessionError(
                f"workers were lost {self._losses} times in a row, the last time with batch {lost[0].place} ({error}). "
                "Is their memory full? Use fewer workers or a smaller batch_size. If this script starts processes, it "
                'needs its `if __name__ == "__main__":`. What was recorded is kept'
            ) from error
        if broken:
            self._pool.renew()
            self._told = 0
        for task in lost:
            self._give(task, with_job=True)
