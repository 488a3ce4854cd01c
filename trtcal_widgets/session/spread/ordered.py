"""Batches given out to workers, a bounded number at a time, and what comes back in the order of the batches.

A worker that is lost costs nothing but time: what it had is given out again.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.errors import SessionError, TrtcalError, UsageError
from trtcal_widgets.session.spread.pools import is_loss
from trtcal_widgets.session.spread.work import Job, Outcome, Task, Token, forget, work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from trtcal_widgets.session.spread.pools import Pool

_LOSSES = 3
"""How often workers may be lost in a row before it is taken for the work's fault."""

_LOOK = 0.1
"""Seconds after which a wait looks whether it was cancelled."""

_LONG = 5.0
"""Seconds after which a wait is long enough to ask why."""

_HERE = uuid.uuid4().hex
_NUMBERS = count(1)

_running: set[Token] = set()
"""The runs that go on in this process."""


class _Given(NamedTuple):
    """A task that was given out, and how many losses had been met by then: several are one where they come together."""

    task: Task
    losses: int


class Ordered:
    """Gives tasks out and hands their outcomes back in the tasks' order.

    ``pool``, ``job``: who works, on what. ``check``: called often; raises where the run was cancelled. ``say``: is told
    why nothing comes, where that lasts, and "" when something does.
    """

    def __init__(self, pool: Pool, job: Job, check: Callable[[], None], say: Callable[[str], None]) -> None:
        self._pool = pool
        self.job = job
        self._check = check
        self._say = say
        self._token = Token(f"{_HERE}-{os.getpid()}", next(_NUMBERS))
        _running.add(self._token)
        self._told = 0  # tasks that were sent with the job
        self._met = 0  # losses
        self._in_a_row = 0
        self._given: dict[Future[Any], _Given] = {}
        self._done: dict[int, Outcome | TrtcalError] = {}

    def results(self, tasks: Iterator[Task | Exception]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with its outcome, in order.

        No more tasks are taken than twice the workers and two, counted from the one that is waited for: memory does
        not grow with their number. What is raised for a task is raised when those before it were yielded; so is an
        error among the tasks.
        """
        waiting: deque[Task | Exception] = deque()
        more = True
        try:
            while True:
                while more and len(waiting) < 2 * self._pool.workers + 2 and not self._is_there(waiting):
                    self._check()
                    more = self._add(waiting, next(tasks, None))
                if not waiting:
                    return
                first = waiting.popleft()
                if isinstance(first, Exception):
                    raise first
                yield first, self._outcome(first)
        finally:
            self._drop()

    def again(self, task: Task) -> Outcome:
        """Have a task done now, in place of one whose outcome is not wanted, and return what comes of it."""
        self._give(task)
        return self._outcome(task)

    def close(self) -> None:
        """Take back what is given out and let go of the model, where this process worked on it.

        Other processes keep theirs until their next job.
        """
        self._drop()
        _running.discard(self._token)
        forget(self._token)

    def _drop(self) -> None:
        self._pool.forget(list(self._given))
        self._given.clear()
        self._done.clear()

    def _add(self, waiting: deque[Task | Exception], task: Task | Exception | None) -> bool:
        """Give a task out and have it waited for; False where none comes behind it."""
        if task is None:
            return False
        waiting.append(task)
        if isinstance(task, Exception):
            return False
        self._give(task)
        return not isinstance(self._done.get(task.place), TrtcalError)

    def _is_there(self, waiting: deque[Task | Exception]) -> bool:
        """Whether the first outcome can be had without waiting; nothing else is given out before it is."""
        if not waiting:
            return False
        first = waiting[0]
        if not isinstance(first, Exception) and first.place not in self._done:
            self._gather(0)
        return isinstance(first, Exception) or first.place in self._done

    def _outcome(self, task: Task) -> Outcome:
        """Wait for a task, and take in what else comes meanwhile."""
        self._check()
        since = time.monotonic()
        while task.place not in self._done:
            self._check()
            if self._gather(_LOOK):
                continue
            self._pool.check()
            if time.monotonic() - since > _LONG:
                self._say(self._pool.trouble())
                since = time.monotonic()
        self._say("")
        found = self._done.pop(task.place)
        if isinstance(found, TrtcalError):
            raise found
        found.raise_error()
        return found

    def _gather(self, seconds: float) -> bool:
        """Take in what is there, or comes within so many seconds; False where nothing does."""
        ready, _ = wait(list(self._given), timeout=seconds, return_when=FIRST_COMPLETED)
        for future in ready:
            if future in self._given:  # all are given out anew where one is lost
                self._take(future)
        return bool(ready)

    def _give(self, task: Task, *, with_job: bool = False) -> None:
        # At first nobody knows the job; a worker that comes later asks for it.
        first = self._told < 2 * self._pool.workers + 2
        self._told += first
        job = self.job if first or with_job else None
        try:
            future = self._pool.submit(work, self._token, job, task._replace(running=frozenset(_running)))
        except BrokenExecutor as error:
            self._give_anew(_Given(task, self._met), error)
            return
        except Exception as error:  # noqa: BLE001 - it is raised when it is the task's turn
            self._done[task.place] = error if isinstance(error, TrtcalError) else _not_carried(task, error)
            return
        self._given[future] = _Given(task, self._met)

    def _take(self, future: Future[Any]) -> None:
        given = self._given.pop(future)
        place = given.task.place
        try:
            outcome = future.result()
        except Exception as error:  # noqa: BLE001 - it is raised when it is the task's turn
            if is_loss(error):
                self._give_anew(given, error)
                return
            outcome = _not_carried(given.task, error)
        if isinstance(outcome, Outcome) and outcome.needs_job:
            self._give(given.task, with_job=True)
            return
        if not isinstance(outcome, Outcome | TrtcalError):
            outcome = UsageError(f"the executor returned {type(outcome).__name__} in place of a batch's outcome")
        self._in_a_row = 0
        self._done[place] = outcome

    def _give_anew(self, given: _Given, error: Exception) -> None:
        """Give out again what a lost worker had; where its whole executor is broken, all there is, in another one."""
        lost = [given.task]
        if given.losses == self._met:  # else it was lost together with one that was met before
            self._met += 1
            self._in_a_row += 1
        broken = isinstance(error, BrokenExecutor)
        if broken:
            lost += [other.task for other in self._given.values()]
            self._given.clear()
        lost.sort(key=lambda task: task.place)
        if self._in_a_row > _LOSSES:
            raise SessionError(
                f"workers were lost {self._in_a_row} times in a row, the last time with batch {lost[0].place} "
                f"({error}). Is their memory full? Use fewer workers or a smaller batch_size. What was recorded is "
                'kept (in Python: a script that starts processes needs its `if __name__ == "__main__":`)'
            ) from error
        if broken:
            self._pool.renew()
            self._told = 0
        for task in lost:
            self._give(task, with_job=True)


def _not_carried(task: Task, error: Exception) -> UsageError:
    made = UsageError(
        f"batch {task.place} could not be given to a worker or what it made could not come back "
        f"({type(error).__name__}: {error}). Model runner and data source must be such that pickle takes them; those "
        "of this package for ONNX Runtime are"
    )
    made.__cause__ = error
    return made
