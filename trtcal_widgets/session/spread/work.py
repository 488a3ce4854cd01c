"""What happens in a worker: the model is loaded once, batches are counted, and what was counted goes back packed.

Nothing raised here goes through an executor, which could not carry every exception: it is part of the outcome.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets import errors
from trtcal_widgets.data.plan import BatchPlan, NoSuchBatchError
from trtcal_widgets.errors import SessionError, TrtcalError
from trtcal_widgets.session.keeping.sample_facts import facts_of
from trtcal_widgets.session.store import Packed, pack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch, Source
    from trtcal_widgets.runners.base import Runner


@dataclass(frozen=True)
class Job:
    """What a worker has to know once.

    Attributes
    ----------
    runner
        Runs the model. Sent to another process it is a description, and loads the model there.
    names
        The tensors, in the order of records.
    sha256, runner_name
        Of the model and of what runs it, where the run was started: anything else would give other numbers.
    source
        Where workers read their batches themselves; None where batches are sent to them.
    plan
        How batches are cut from it.
    process
        Where the run was started.
    own
        Whether, in that process, the runner is the session's own, which is not for a run to close.
    """

    runner: Runner
    names: tuple[str, ...]
    sha256: str
    runner_name: str
    source: Source | None
    plan: Mapping[str, Any]
    process: int
    own: bool


class Token(NamedTuple):
    """What a run is known by: a text for the process that it was started in, and its number there."""

    process: str
    run: int


class Task(NamedTuple):
    """One batch to work on.

    ``place``: the batch's, in the plan. ``bases``: the ranges that histograms start from, float64, shape (tensors,),
    nan where none is known; None: find the largest |x| of every tensor instead of counting. ``batch``: what is fed;
    None where the worker reads it. ``running``: the runs that go on in the process that this one was started in.
    """

    place: int
    bases: NDArray[np.float64] | None
    batch: Batch | None
    running: frozenset[Token] = frozenset()


class Outcome(NamedTuple):
    """What came of a task: one of the fields, or none of them where the data end before the batch.

    ``counted``, ``ranges``: the histograms; or the largest |x| of every tensor, shape (tensors,), nan where the batch
    lacks it. ``n_samples``: in the batch. ``needs_job``: whether the worker does not know the job yet. ``error``: class
    and text of what was raised.
    """

    counted: Packed | None = None
    ranges: NDArray[np.float64] | None = None
    n_samples: int = 0
    needs_job: bool = False
    error: tuple[str, str] | None = None

    def raise_error(self) -> None:
        """Raise what the worker raised."""
        if self.error is not None:
            name, text = self.error
            raise _error(name, text)


def _error(name: str, text: str) -> TrtcalError:
    kind = getattr(errors, name, SessionError)
    made = kind(text)
    return made if isinstance(made, TrtcalError) else SessionError(text)


class _Known:
    """A job that this process has loaded."""

    def __init__(self, job: Job) -> None:
        self.index = {name: i for i, name in enumerate(job.names)}
        self.lock = threading.Lock()
        self.used = time.monotonic()
        self.closed = False
        self._stays_open = job.own and job.process == os.getpid()
        self.plan = None if job.source is None else BatchPlan(job.source, **job.plan)
        self.runner = job.runner
        found = self.runner.graph.sha256
        if found != job.sha256:
            raise SessionError(
                f"a worker found another model at this path (sha256 {found[:12]}…, not {job.sha256[:12]}…): "
                "all machines need the same file"
            )
        if self.runner.name != job.runner_name:
            raise SessionError(
                f"a worker runs the model with {self.runner.name}, this session with {job.runner_name}: install the "
                "same version on all machines, or the result would not be that of one"
            )
        self.runner.__enter__()

    def close(self) -> None:
        """Let go of the model, when the batch at hand is counted."""
        with self.lock:
            self.closed = True
            if not self._stays_open:
                self.runner.__exit__(None, None, None)


_loading = threading.Lock()
_known: dict[Token, _Known] = {}
_over: deque[Token] = deque(maxlen=1000)
"""Runs that ended in this process: what is still on its way to a thread must not load a model again."""

_inherited: list[object] = []

_IDLE = 60.0
"""Seconds after which a model is let go of where nobody says whether its run goes on."""


def _forget_parents() -> None:
    """Begin anew in a process that was forked, where neither locks nor models of the parent are of use."""
    global _loading  # noqa: PLW0603 - another thread of the parent may have it
    _inherited.append(dict(_known))  # freed, ONNX Runtime would wait for threads that are not there
    _known.clear()
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def work(token: Token, job: Job | None, task: Task) -> Outcome:
    """Count one batch. ``token`` names the job; ``job`` may be left out where the process knows it already."""
    if job is not None and job.process != os.getpid():
        _leave_interrupts_to_parent()
    try:
        known = _load(token, job, task.running)
        if known is None:
            return Outcome(needs_job=True)
        batch = task.batch
        if batch is None:
            assert known.plan is not None
            batch = known.plan.load(task.place)
        with known.lock:  # threads share one model
            return Outcome(needs_job=True) if known.closed else _count(known, batch, task.bases)
    except NoSuchBatchError:
        return Outcome()
    except TrtcalError as error:
        name = type(error).__name__
        return Outcome(error=(name if name in errors.__all__ else "SessionError", str(error)))
    except MemoryError:
        return Outcome(error=("SessionError", "a worker's memory is full: use fewer workers or a smaller batch_size"))
    except Exception:  # noqa: BLE001 - it is raised where the run was started
        return Outcome(error=("SessionError", f"a worker failed:\n{traceback.format_exc()}"))


def _leave_interrupts_to_parent() -> None:
    """Have Ctrl-C stop the run where it was started: it reaches all processes of a terminal or notebook."""
    if multiprocessing.parent_process() is not None:
        with contextlib.suppress(ValueError):  # another thread than the main one
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _load(token: Token, job: Job | None, running: frozenset[Token]) -> _Known | None:
    """Return a job, loaded; None where it would have to be told. Those of runs that are over are let go of."""
    with _loading:
        if token in _known:
            _known[token].used = time.monotonic()
            return _known[token]
        if job is None or token in _over:
            return None
        for other in [other for other in _known if _has_ended(other, token, running)]:
            _known.pop(other).close()
        _known[token] = _Known(job)
        return _known[token]


def _has_ended(other: Token, token: Token, running: frozenset[Token]) -> bool:
    if other.process == token.process:  # one that began after the task was given out is not among those either
        return other not in running and other.run < max((one.run for one in running), default=0)
    return time.monotonic() - _known[other].used > _IDLE


def forget(token: Token) -> None:
    """Let go of a job in this process: when this returns, no thread of it works on the job any more."""
    with _loading:
        _over.append(token)
        known = _known.pop(token, None)
    if known is not None:
        known.close()


def _count(known: _Known, batch: Batch, bases: NDArray[np.float64] | None) -> Outcome:
    index = known.index
    if bases is None:
        ranges = np.full(len(index), np.nan)
        for name, amax in known.runner.ranges(batch.feeds):
            if name in index:
                ranges[index[name]] = amax
        return Outcome(ranges=ranges, n_samples=batch.n_samples)
    starts = {name: float(bases[i]) for name, i in index.items() if not np.isnan(bases[i])}
    counted = known.runner.histograms(batch.feeds, starts)
    rounded = ((name, histogram.rounded()) for name, histogram in counted)
    packed = pack(index, rounded, batch, facts_of(batch))
    return Outcome(counted=packed, n_samples=batch.n_samples)
