"""One slow piece of work at a time, its progress and its end, in a frozen state that subscribers hear of."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.words import count_of, some_of
from trtcal_widgets.debug.runs import Control
from trtcal_widgets.errors import CancelledError, TrtcalError
from trtcal_widgets.model.plan import PrecisionPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trtcal_widgets.core.comparison import TensorComparison
    from trtcal_widgets.core.thresholds import Method
    from trtcal_widgets.debug.hazards.finding import Hazard
    from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail
    from trtcal_widgets.debug.search import SearchResult
    from trtcal_widgets.debug.tuning.results import TuneResult
    from trtcal_widgets.runners.evaluation import Score
    from trtcal_widgets.session import CalibrationSession, Choice

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
        self._slow = threading.RLock()  # its end is told before it is given up, and who hears of it may go on
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
        self._tell(self._changed(**change))

    def _changed(self, **change: Any) -> frozenset[str]:
        """Make the next state, and return what it changes."""
        with self._lock:
            change["can_undo"], change["can_redo"] = bool(self._past), bool(self._future)
            changed = frozenset(name for name, value in change.items() if value is not getattr(self._state, name))
            if changed:
                self._state = replace(self._state, **change, revision=self._state.revision + 1)
        return changed

    def _tell(self, changed: frozenset[str]) -> None:
        """Tell subscribers what changed, without the lock: they may wait for who holds it."""
        for subscriber in tuple(self._subscribers) if changed else ():
            subscriber(changed)

    def cancel(self) -> None:
        """Stop the work that is under way at its next step; may be called from another thread."""
        with self._lock:
            control = self._control
            if control is None:
                return
            control.cancel()
            running = self._state.phase == "running"
            changed = self._changed(message="Stopping at the next step …") if running else frozenset[str]()
        self._tell(changed)

    @contextmanager
    def _working(self, work: str) -> Iterator[Control]:
        """Hold the place of the one slow piece of work, tell how far it is, and how it ended."""
        with self._slow:
            clock = _Clock()
            control = Control(lambda done, total, what: self._progress(clock, done, total, what))
            self._control = control
            self._commit(phase="running", work=work, done=0, total=0, what="", seconds_left=None, message="")
            end: dict[str, Any] = {"phase": "finished", "message": ""}
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
                with self._lock:  # who cancels now finds nothing to stop, or is heard before the end is told
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


Phase = Literal["ready", "running", "finished", "cancelled", "failed"]

_NAMED = 3


@dataclass(frozen=True)
class Trial:
    """What a threshold of one method would make of the outputs.

    ``method``: as :class:`~trtcal_widgets.core.thresholds.Method` reads it: ``"percentile:99.9"``. ``amax``: what the
    method picks for the tensor, in its unit. ``score``: with that threshold and the plan of the moment.
    """

    method: str
    amax: float
    score: Score


NO_TRIALS: Mapping[str, tuple[Trial, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class Basis:
    """What the scales follow from: results that were made with another basis are out of date."""

    position: int
    excluded: frozenset[int]
    method: Method
    choices: Mapping[str, Choice]


def basis_of(session: CalibrationSession) -> Basis:
    """Return what the session's scales follow from now."""
    state = session.state
    return Basis(state.position, state.excluded, state.method, MappingProxyType(dict(state.choices)))


def differences(session: CalibrationSession, then: Basis) -> tuple[str, ...]:
    """Return in words what is not as it was; empty where the scales are the same."""
    now = basis_of(session)
    found = []
    if then.position != now.position:
        was = "was" if then.position == 1 else "were"
        found.append(f"{count_of(now.position, 'batch is', 'batches are')} counted, {then.position:,} {was}")
    if then.excluded != now.excluded:
        found.append("other batches are left out")
    if then.method != now.method:
        found.append(f"the method for all is {now.method.label}, it was {then.method.label}")
    leaders = [n for n in {**then.choices, **now.choices} if then.choices.get(n) != now.choices.get(n)]
    moved = [name for leader in leaders for name in session.group(leader)]
    if moved:
        found.append(f"another threshold for {some_of(moved, _NAMED, str)}")
    return tuple(found)


@dataclass(frozen=True, eq=False)
class DebugState:
    """Where the work stands and what it found. Every change makes a new one.

    Attributes
    ----------
    phase
        ``ready`` before the first run; then as the last piece of work ended, or ``running``.
    work
        Which piece: ``run``, ``plan``, ``search``, ``trial`` or ``tune``; empty before the first.
    done, total, what, seconds_left
        Its progress: units, words, and an estimate where one can be made.
    message
        How it ended, and what to do now: plain text, the traceback of a failed ``evaluate`` included.
    comparison, ranking, hazards
        Results of a run; None until it got so far. The ranking has the worst layer first.
    target
        Share of FP32's value that a plan is to reach, 0 to 1.
    plan, planned
        The plan of the moment, and the score with it; None while it is not known.
    planned_tensors
        Tensor -> its errors with the plan: everything in front of it in INT8 but for what the plan keeps. None where
        there is no plan, and while it is not known.
    trials
        Tensor -> what other methods would give, with the plan of the moment; of another plan nothing is shown.
    details
        Tensor -> a closer look, for the tensors that were looked at last.
    search
        What the last search came to.
    tuned
        What tuning found.
    stale
        Why the results are out of date, in words; empty where they are not.
    can_undo, can_redo
        Whether there is a plan before or after this one.
    revision
        Grows with every change.
    """

    phase: Phase = "ready"
    work: str = ""
    done: int = 0
    total: int = 0
    what: str = ""
    seconds_left: float | None = None
    message: str = ""
    comparison: ComparisonResult | None = None
    ranking: tuple[LayerResult, ...] | None = None
    hazards: tuple[Hazard, ...] | None = None
    target: float = 0.99
    plan: PrecisionPlan = field(default_factory=PrecisionPlan)
    planned: Score | None = None
    planned_tensors: Mapping[str, TensorComparison] | None = None
    trials: Mapping[str, tuple[Trial, ...]] = field(default_factory=lambda: NO_TRIALS)
    details: Mapping[str, TensorDetail] = field(default_factory=lambda: MappingProxyType({}))
    search: SearchResult | None = None
    tuned: TuneResult | None = None
    stale: tuple[str, ...] = ()
    can_undo: bool = False
    can_redo: bool = False
    revision: int = 0
