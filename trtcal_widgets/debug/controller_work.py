"""One slow piece of work at a time, its progress and its end, in a frozen state that subscribers hear of."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.debug.runs import Control
from trtcal_widgets.errors import CancelledError, TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trtcal_widgets.debug.controller_state import DebugState
    from trtcal_widgets.model.plan import PrecisionPlan

__all__ = ["Worker"]

_TELL_EVERY = 0.1
"""Seconds between two messages about progress."""


class Worker:
    """The state, its one writer, and the place where slow work is done; see :class:`~.controller.AccuracyDebugging`."""

    def __init__(self, state: DebugState) -> None:
        self._state = state
        self._past: list[PrecisionPlan] = []
        self._future: list[PrecisionPlan] = []
        self._subscribers: list[Callable[[frozenset[str]], None]] = []
        self._lock = threading.RLock()
        self._slow = threading.Lock()
        self._control: Control | None = None
        self._superseded: Control | None = None

    @property
    def state(self) -> DebugState:
        """Where the work stands and what it found: frozen."""
        return self._state

    def subscribe(self, callback: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Have ``callback(changed)`` called once per change, with names of fields of :class:`DebugState`.

        Calls may come from the thread that works. Returns a function that ends the subscription.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _commit(self, **change: Any) -> None:
        with self._lock:
            change["can_undo"], change["can_redo"] = bool(self._past), bool(self._future)
            changed = {name for name, value in change.items() if value is not getattr(self._state, name)}
            if changed:
                self._state = replace(self._state, **change, revision=self._state.revision + 1)
        if changed:
            for subscriber in tuple(self._subscribers):
                subscriber(frozenset(changed))

    def cancel(self) -> None:
        """Stop the work that is under way at its next step; may be called from another thread."""
        control = self._control
        if control is not None:
            control.cancel()

    @contextmanager
    def _working(self, work: str) -> Iterator[Control]:
        """Hold the place of the one slow piece of work, tell how far it is, and how it ended."""
        with self._slow:
            clock = _Clock()
            control = Control(lambda done, total, what: self._progress(clock, done, total, what))
            self._control = control
            self._commit(phase="running", work=work, done=0, total=0, what="", seconds_left=None, message="")
            end: dict[str, Any] = {"phase": "finished"}
            try:
                yield control
            except CancelledError as error:
                if control is self._superseded:
                    return
                end = {"phase": "cancelled", "message": f"{error}. What was complete before is kept."}
                raise
            except TrtcalError as error:
                end = {"phase": "failed", "message": str(error)}
                raise
            except Exception as error:
                end = {"phase": "failed", "message": f"{type(error).__name__}: {error}"}
                raise
            finally:
                self._control = self._superseded = None
                self._commit(**end, seconds_left=None)

    def _progress(self, clock: _Clock, done: int, total: int, what: str) -> None:
        if clock.is_time(what, done == total):
            self._commit(done=done, total=total, what=what, seconds_left=clock.left(done, total))


class _Clock:
    """Estimates from the part that is done, and keeps progress messages few."""

    def __init__(self) -> None:
        self._what = ""
        self._began = self._told = 0.0

    def is_time(self, what: str, last: bool) -> bool:
        """Whether to tell now: a new stage, its end, or some time after the last message."""
        now = time.monotonic()
        new = what != self._what
        if new:
            self._what, self._began = what, now
        if not (new or last or now - self._told >= _TELL_EVERY):
            return False
        self._told = now
        return True

    def left(self, done: int, total: int) -> float | None:
        """Seconds until this stage is done."""
        return (time.monotonic() - self._began) / done * (total - done) if 0 < done <= total else None
