"""The slow work of an explorer: model runs and replays, one at a time, in an executor."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.kit.boundary import Marshal

__all__ = ["Runs"]

_REPLAY_PAUSE = 0.15
"""Seconds between batches when those that are recorded already are played."""


class Runs:
    """Starts and stops slow work.

    Parameters
    ----------
    session
        What is run.
    executor, marshal
        Where work takes place, and how its end comes back to the main thread.
    on_end
        Called in the main thread with what went wrong, or None. Not called for work of an older generation.
    """

    def __init__(
        self,
        session: CalibrationSession,
        executor: Executor,
        marshal: Marshal,
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._session = session
        self._executor = executor
        self._marshal = marshal
        self._on_end = on_end
        self._generation = 0
        self._stop = threading.Event()
        self._stepping = False
        self._steps_wanted = 0
        self.running = False

    def start(self, work: Callable[[], object]) -> None:
        """Run something slow, unless something runs already."""
        if self.running:
            return
        self.running = True
        self._stop.clear()
        self._generation += 1
        generation = self._generation
        future: Future[object] = self._executor.submit(work)
        future.add_done_callback(lambda done: self._marshal(lambda: self._ended(generation, done)))

    def _ended(self, generation: int, future: Future[object]) -> None:
        if generation != self._generation:
            return
        self.running = False
        error = None if future.cancelled() else future.exception()
        again = self._stepping and self._steps_wanted > 0 and error is None and not self._stop.is_set()
        self._stepping = False
        self._on_end(error)
        if again and self._session.status.phase != "finished":
            wanted = self._steps_wanted
            self.step()
            self._steps_wanted = wanted - 1

    def step(self) -> None:
        """Count one more batch; asked again while that one runs, one more after it, so that no key press is lost."""
        if self.running:
            self._steps_wanted += self._stepping
            return
        self._stepping, self._steps_wanted = True, 0
        self.start(self._session.step)

    def play(self) -> None:
        """Count batch after batch; those that are recorded already at a speed that can be followed."""
        session = self._session
        while session.state.position < session.status.recorded:
            if self._stop.is_set():
                return
            session.step()
            self._stop.wait(_REPLAY_PAUSE)
        if session.plan is not None and not self._stop.is_set():
            session.run()

    def cancel(self) -> None:
        """Stop after the present batch."""
        self._stop.set()
        self._steps_wanted = 0
        self._session.cancel()

    def close(self) -> None:
        """Stop what runs, and hear no more of it."""
        self._generation += 1
        if self.running:
            self.cancel()
