"""The session: the only mutable state, and the only writer of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.core.scales import scale_of_amax
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import CancelledError, SessionError, UsageError
from trtcal_widgets.model.graph import ModelGraph, TensorKind
from trtcal_widgets.session.history import DECISIONS, History
from trtcal_widgets.session.numbers import Numbers
from trtcal_widgets.session.recorder import Recorder, as_runner, no_recorder
from trtcal_widgets.session.state import Choice, Phase, RunStatus, SessionState, TensorRow, Trace
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.cache import CalibrationCache
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.core.thresholds import ThresholdCurve
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner

__all__ = ["CalibrationSession"]

Subscriber = Callable[[frozenset[str]], None]

_ALGORITHMS = {"entropy": "EntropyCalibration2", "minmax": "MinMaxCalibration"}


@dataclass(frozen=True)
class Parts:
    """What a session is made of, for the modules of this package.

    Attributes
    ----------
    store
        Histograms of every batch.
    constants
        Histograms of constants and weights.
    numbers
        What follows from them.
    bases
        Ranges that the recorded histograms started from, in a loaded session.
    """

    store: BatchStore
    constants: dict[str, Histogram]
    numbers: Numbers
    bases: dict[str, float] = field(default_factory=dict)


class CalibrationSession:
    """A model, its calibration data, what was recorded so far and what the user chose.

    Every change of the user's intent goes through :meth:`update`, which makes a new frozen :attr:`state` and tells
    the subscribers once. Histograms of every batch are kept, so that going back, leaving a batch out or trying
    another method never runs the model again. An interrupted run keeps the last whole batch.

    Parameters
    ----------
    model
        Path of an ONNX file, or a :class:`~trtcal_widgets.runners.base.Runner`.
    source
        The calibration data: a source of :mod:`trtcal_widgets.data`, or anything that
        :func:`~trtcal_widgets.data.as_source` takes (an array, a folder of images, a DataLoader, …).
    batch_size
        Samples per batch; None for data that comes in batches.
    last
        What becomes of samples that do not fill a batch: ``"drop"`` (TensorRT's way), ``"pad"`` or ``"keep"``.
    max_batches
        Use no more than this many.
    range_mode
        ``"tensorrt"``: one pass, ranges grow by doubling from the first batch, as TensorRT's do. ``"two-pass"``: the
        range of every tensor is found first, and the result does not depend on batch order or size.
    method
        For every tensor that the user does not choose for: see :class:`~trtcal_widgets.core.thresholds.Method`.
    threads, providers
        For ONNX Runtime, where ``model`` is a path.

    Raises
    ------
    ModelError, DataError, UsageError
        If the model or the data cannot be used; the message says why and what to do.

    Examples
    --------
    >>> from trtcal_widgets import CalibrationSession, sample
    >>> session = CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50)
    >>> session.run()
    >>> session.to_cache().hex("data")
    '3c008912'
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Runner,
        source: Any,
        *,
        batch_size: int | None = None,
        last: Literal["drop", "pad", "keep"] = "drop",
        max_batches: int | None = None,
        range_mode: Literal["tensorrt", "two-pass"] = "tensorrt",
        method: str | Method = "entropy",
        threads: int | None = None,
        providers: Sequence[Any] | None = None,
    ) -> None:
        from trtcal_widgets.data import as_source
        from trtcal_widgets.data.plan import BatchPlan

        if range_mode not in ("tensorrt", "two-pass"):
            raise UsageError(f"range_mode is 'tensorrt' or 'two-pass', not {range_mode!r}")
        runner = as_runner(model, threads=threads, providers=providers)
        plan = BatchPlan(as_source(source), batch_size, last=last, max_batches=max_batches)
        self._set_up(runner.graph, range_mode, SessionState(method=Method.parse(method)))
        two_pass = range_mode == "two-pass"
        self._attach(Recorder(runner, plan, self.parts.store, two_pass=two_pass, on_range_pass=self._range_pass))

    def _set_up(self, graph: ModelGraph, range_mode: str, state: SessionState) -> None:
        """Make the parts that a recorded and a loaded session have in common."""
        if not graph.calibrated:
            raise SessionError(f"{graph.name} has no floating-point tensor to calibrate")
        self.graph = graph
        self.range_mode = range_mode
        self.runner_name = ""
        self.source_text = ""
        self.plan_options: Mapping[str, Any] = MappingProxyType({})
        store = BatchStore(graph.float_tensors)
        constants: dict[str, Histogram] = {}
        self.parts = Parts(store, constants, Numbers(graph, store, constants, in_order=range_mode == "tensorrt"))
        self.recorder: Recorder | None = None
        self._history = History()
        self._state = replace(state, selected=state.selected or graph.calibrated[0])
        self._status = RunStatus()
        self._subscribers: list[Subscriber] = []
        self._lock = threading.RLock()
        self._busy = threading.Lock()
        self._cancelled = threading.Event()

    def _attach(self, recorder: Recorder) -> None:
        plan = recorder.plan
        self.recorder = recorder
        self.runner_name = recorder.runner.name
        self.source_text = plan.source.describe()
        self.plan_options = MappingProxyType(
            {"batch_size": plan.batch_size, "last": plan.last, "max_batches": plan.max_batches}
        )
        self._status = self._status_now()

    def restore(self, graph: ModelGraph, facts: Mapping[str, Any], state: SessionState) -> None:
        """Set a new object up from a saved file, before its histograms; for :mod:`~.persist` only."""
        self._set_up(graph, facts["range_mode"], state)
        self.runner_name = facts["runner"]
        self.source_text = facts["source"]
        self.plan_options = MappingProxyType(dict(facts["plan"]))

    def restored(self, status: RunStatus, bases: Mapping[str, float]) -> None:
        """Say that the histograms are there; for :mod:`~.persist` only."""
        self._status = status
        self.parts.bases.update(bases)
        self._state = replace(self._state, **self._checked(_intent_of(self._state)))
        self.parts.numbers.show(self._state.position, self._state.excluded)

    def adopt(self, fresh: CalibrationSession) -> None:
        """Take another session's model and data over, to record behind what is here; for :mod:`~.persist` only."""
        assert fresh.recorder is not None
        recorder = fresh.recorder.with_store(self.parts.store, self._range_pass)
        recorder.resume(self.parts.bases, self._status.n_samples)
        self._attach(recorder)

    # ---- facts ------------------------------------------------------------------------------------------------

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all floating-point tensors in graph order: inputs, activations, constants and weights."""
        return self.graph.float_tensors

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Names of the tensors that have a row in TensorRT's cache: all but the weights."""
        return self.graph.calibrated

    @property
    def plan(self) -> BatchPlan | None:
        """The batches; None for a session that was loaded without data."""
        return self.recorder.plan if self.recorder else None

    @property
    def state(self) -> SessionState:
        """The user's intent: frozen; change it with :meth:`update` or the methods that call it."""
        return self._state

    @property
    def status(self) -> RunStatus:
        """How the run through the batches stands."""
        return self._status

    # ---- the one writer ---------------------------------------------------------------------------------------

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Have ``callback(changed)`` called once per change, with the names of what changed.

        The names are fields of :class:`SessionState`, ``status``, and ``data`` where histograms changed. Calls may
        come from the thread that runs the batches. Returns a function that ends the subscription.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def update(self, **change: Any) -> None:
        """Change the intent: any of position, excluded, method, choices, selected. Subscribers hear of it once.

        Raises
        ------
        UsageError
            If a value does not fit: a batch that is not recorded, a tensor that the model does not have.
        """
        self._commit(self._checked(change))

    def _commit(self, change: Mapping[str, Any], status: RunStatus | None = None, *, remember: bool = True) -> None:
        with self._lock:
            changed = {name for name, value in change.items() if value != getattr(self._state, name)}
            if changed:
                if remember and changed.intersection(DECISIONS):
                    self._history.remember(self._state)
                self._state = replace(self._state, **change, revision=self._state.revision + 1)
            if changed & {"position", "excluded"}:
                self.parts.numbers.show(self._state.position, self._state.excluded)
                changed.add("data")
            if status is not None and status != self._status:
                self._status = status
                changed.add("status")
        if changed:
            for subscriber in tuple(self._subscribers):
                subscriber(frozenset(changed))

    def _checked(self, change: Mapping[str, Any]) -> dict[str, Any]:
        checked = dict(change)
        for name, value in change.items():
            if name == "position":
                if not 0 <= value <= len(self.parts.store):
                    raise UsageError(f"{value} batches cannot be counted: {len(self.parts.store)} are recorded")
            elif name == "excluded":
                checked[name] = frozenset(value)
                known = self._status.n_batches or max(checked[name], default=0) + 1
                if any(not 0 <= i < known for i in checked[name]):
                    raise UsageError(f"batches are numbered 0 to {known - 1}; {sorted(checked[name])} does not fit")
            elif name == "method":
                checked[name] = Method.parse(value)
            elif name == "choices":
                checked[name] = MappingProxyType({self._leader(key): choice for key, choice in value.items()})
            elif name == "selected":
                self._known(value)
            else:
                raise UsageError(f"a session has no {name!r} to change")
        return checked

    def _known(self, name: str) -> str:
        if not self.graph.tensor(name).is_float:
            raise UsageError(f"{name!r} holds {self.graph.tensor(name).dtype}, which has no range to calibrate")
        return name

    def _leader(self, name: str) -> str:
        if self.graph.tensor(self._known(name)).kind is TensorKind.WEIGHT:
            raise UsageError(
                f"{name!r} is a weight: TensorRT quantises weights per channel from their own largest values, "
                "so there is nothing to choose"
            )
        return self.graph.group_of(name)[0]

    # ---- running ----------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Count one more batch: one that is recorded already, or else the next one. False at the end.

        Raises
        ------
        DataError, ModelError, SessionError
            If the batch cannot be read or run. The session stays at the last whole batch.
        """
        if self._state.position < len(self.parts.store):
            self.update(position=self._state.position + 1)
            return True
        before = len(self.parts.store)
        self._record(until=before + 1, progress=None)
        return len(self.parts.store) > before

    def back(self) -> bool:
        """Count one batch fewer; False at the start. The batch stays recorded."""
        if self._state.position == 0:
            return False
        self.update(position=self._state.position - 1)
        return True

    def seek(self, position: int) -> None:
        """Count exactly the first ``position`` batches, running the model where they are not recorded yet.

        Raises
        ------
        UsageError
            If the plan has fewer batches.
        """
        n_batches = self._status.n_batches
        if position < 0 or (n_batches is not None and position > n_batches):
            raise UsageError(f"there are 0 to {n_batches} batches to count, not {position}")
        if position > len(self.parts.store):
            self._record(until=position, progress=None)
        self.update(position=min(position, len(self.parts.store)))

    def run(self, until: int | None = None, progress: Callable[[RunStatus], None] | None = None) -> None:
        """Record every batch (or up to ``until``) and count them all.

        Parameters
        ----------
        until
            Number of batches to have at the end; None for all.
        progress
            Called with the status after every batch.

        Raises
        ------
        DataError, ModelError, SessionError
            If a batch cannot be read or run; the batches before it are kept. A :exc:`KeyboardInterrupt` goes
            through, and leaves the session at the last whole batch as well.
        """
        self._record(until=until, progress=progress)
        self.update(position=len(self.parts.store) if until is None else min(until, len(self.parts.store)))

    def cancel(self) -> None:
        """Have a run in another thread stop after its present batch."""
        self._cancelled.set()

    def _record(self, until: int | None, progress: Callable[[RunStatus], None] | None) -> None:
        recorder = self.recorder
        if recorder is None:
            raise no_recorder("this session was loaded without its model and data")
        if not self._busy.acquire(blocking=False):
            raise SessionError("a run is going on already; cancel it or wait for its end")
        try:
            self._cancelled.clear()
            with self._reporting():
                self._commit({}, self._status_now("running"))
                while (until is None or len(self.parts.store) < until) and not recorder.ended:
                    if self._cancelled.is_set():
                        raise CancelledError("cancelled")
                    if not self.parts.constants and any(self._kinds(TensorKind.CONSTANT, TensorKind.WEIGHT)):
                        self.parts.constants.update(recorder.constants())
                    if not recorder.record():
                        break
                    self._commit({"position": len(self.parts.store)}, self._status_now("running"))
                    if progress is not None:
                        progress(self._status)
        finally:
            self._busy.release()

    def _kinds(self, *kinds: TensorKind) -> Iterator[str]:
        return (name for name in self.tensors if self.graph.tensors[name].kind in kinds)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn the end of a run, whatever it is, into a status; cancelling is not an error."""
        kept = "the batches before it are kept"
        try:
            yield
        except CancelledError:
            self._commit({}, self._status_now("cancelled", f"Cancelled after {self._so_far()}; go on at any time."))
        except KeyboardInterrupt:
            self._commit({}, self._status_now("paused", f"Interrupted after {self._so_far()}; go on at any time."))
            raise
        except BaseException as error:
            text = str(error) or type(error).__name__
            self._commit({}, self._status_now("failed", f"Batch {len(self.parts.store)}: {text} ({kept})"))
            raise
        else:
            self._commit({}, self._status_now())

    def _so_far(self) -> str:
        n = len(self.parts.store)
        return f"{n} whole batch{'' if n == 1 else 'es'}"

    def _range_pass(self, done: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError("cancelled")
        now = self._status_now("running")
        self._commit({}, replace(now, pass_name="range pass", pass_done=done))  # noqa: S106 - no password

    def _status_now(self, phase: Phase | None = None, message: str = "") -> RunStatus:
        recorder = self.recorder
        recorded = len(self.parts.store)
        if recorder is None:
            return replace(self._status, phase="finished", recorded=recorded)
        ended = recorder.ended
        resting: Phase = "finished" if ended else "paused" if recorded else "ready"
        n_batches = recorder.plan.n_batches
        left = None
        if phase == "running" and n_batches is not None and recorded:
            left = recorder.seconds_per_batch * (n_batches - recorded)
        return RunStatus(
            phase=phase or resting,
            recorded=recorded,
            n_batches=n_batches,
            n_samples=recorder.n_samples,
            total_samples=recorder.plan.source.n_items() if not recorder.plan.source.prebatched else None,
            dropped=recorder.plan.dropped,
            seconds_left=left,
            message=message,
            pass_name="histogram pass" if self.range_mode == "two-pass" else "",
        )

    # ---- batches ----------------------------------------------------------------------------------------------

    def exclude(self, batch: int) -> None:
        """Leave a batch out of the histograms (from 0). The model is not run again."""
        self.update(excluded=self._state.excluded | {batch})

    def include(self, batch: int) -> None:
        """Count a batch again."""
        self.update(excluded=self._state.excluded - {batch})

    def batch_amax(self, name: str) -> NDArray[np.float64]:
        """Return the largest finite |x| of a tensor in each recorded batch, shape (recorded,)."""
        self._known(name)
        if name in self.parts.constants:
            return np.full(len(self.parts.store), self.parts.constants[name].amax)
        return self.parts.store.amax(name)

    def batch_histogram(self, name: str, batch: int) -> Histogram | None:
        """Return a tensor's histogram in one recorded batch, None where the batch did not have it."""
        if not 0 <= batch < len(self.parts.store):
            raise UsageError(f"batch {batch} is not recorded; there are {len(self.parts.store)}, counted from 0")
        return self.parts.constants.get(self._known(name)) or self.parts.store.get(batch, name)

    def thumbnails(self, batch: int) -> list[NDArray[np.uint8]]:
        """Return small pictures of a batch's samples, uint8 (h, w, 3); none where they are not images."""
        return list(self.plan.thumbnails(batch)) if self.plan else []

    # ---- choices ----------------------------------------------------------------------------------------------

    def choose(self, name: str, *, method: str | Method | None = None, amax: float | None = None) -> None:
        """Choose a method or a threshold of your own for a tensor and all that share its scale.

        Raises
        ------
        UsageError
            If both or neither are given, the method is unknown, amax is not finite and > 0, or the tensor is a weight.
        """
        choice = Choice(None if method is None else Method.parse(method), None if amax is None else float(amax))
        self.update(choices={**self._state.choices, self._leader(name): choice})

    def choose_all(self, method: str | Method) -> None:
        """Choose the method for every tensor; choices of single tensors go (undo brings them back)."""
        self.update(method=method, choices={})

    def reset(self, name: str | None = None) -> None:
        """Forget the choice for a tensor's group, or all choices."""
        if name is None:
            self.update(choices={})
        else:
            leader = self._leader(name)
            self.update(choices={key: choice for key, choice in self._state.choices.items() if key != leader})

    def choice(self, name: str) -> Choice | None:
        """Return what the user chose for a tensor's group; None where the default method holds."""
        return self._state.choices.get(self.graph.group_of(name)[0])

    def is_mine(self, name: str) -> bool:
        """Whether the user chose for this tensor's group."""
        return self.choice(name) is not None

    def group(self, name: str) -> tuple[str, ...]:
        """Return the tensors that share this tensor's scale, itself included; the first one's histogram decides."""
        return self.graph.group_of(name)

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether a decision was taken back."""
        return self._history.can_redo

    def undo(self) -> None:
        """Take the last decision back: a choice, the method for all, or an excluded batch."""
        self._swap(self._history.undo)

    def redo(self) -> None:
        """Make the decision again that was taken back last."""
        self._swap(self._history.redo)

    def _swap(self, swap: Callable[[SessionState], SessionState]) -> None:
        with self._lock:
            then = swap(self._state)
        self._commit({name: getattr(then, name) for name in DECISIONS}, remember=False)

    # ---- numbers ----------------------------------------------------------------------------------------------

    def histogram(self, name: str) -> Histogram:
        """Return a tensor's histogram over the counted batches."""
        return self.parts.numbers.histogram(self._known(name))

    def curve(self, name: str, method: str | Method) -> ThresholdCurve:
        """Return a method's objective and pick for a tensor's own histogram."""
        return self.parts.numbers.curve(self._known(name), Method.parse(method))

    def amax(self, name: str, method: str | Method | None = None) -> float:
        """Return the threshold that holds for a tensor, or the one that a method would pick for its group.

        In the tensor's unit; float32 as a Python float. 0 before the first batch.
        """
        leader = self.graph.group_of(self._known(name))[0]
        intent = self.parts.numbers.intent(name, self._state) if method is None else Method.parse(method)
        return self.parts.numbers.amax(leader, intent)

    def scale(self, name: str) -> float:
        """Return amax / 127 in float32, as a Python float."""
        return float(scale_of_amax(self.amax(name)))

    def cost(self, name: str, amax: float | None = None) -> Cost:
        """Return what a threshold costs a tensor (the chosen one, unless another is given)."""
        return self.parts.numbers.cost(self._known(name), self.amax(name) if amax is None else float(amax))

    def trace(self, name: str, methods: Iterable[str | Method] = ("entropy", "minmax")) -> Trace:
        """Return how the thresholds of a tensor's group moved as batches were added."""
        leader = self.graph.group_of(self._known(name))[0]
        return self.parts.numbers.trace(name, leader, [Method.parse(m) for m in methods])

    def row(self, name: str) -> TensorRow:
        """Return the numbers of one tensor."""
        return self.parts.numbers.row(self._known(name), self._state)

    def table(self) -> list[TensorRow]:
        """Return the numbers of every tensor, in graph order."""
        return self.parts.numbers.rows(self.tensors, self._state)

    # ---- leaving ----------------------------------------------------------------------------------------------

    def to_cache(
        self,
        algorithm: str | None = None,
        version: str = "10.16.1",
        rows: str | Iterable[str] = "tensorrt",
    ) -> CalibrationCache:
        """Return the chosen scales as a TensorRT calibration cache, in graph order.

        Parameters
        ----------
        algorithm
            For the header; None: MinMaxCalibration where minmax is the method for all, else EntropyCalibration2.
        version
            TensorRT's, for the header: ``"8.6.1"``, ``"10.16.1"``.
        rows
            ``"tensorrt"``: inputs, activations and constants; ``"activations"``: no constants; or names.

        Raises
        ------
        SessionError
            If no batch is counted.
        ExportError
            If a name cannot stand in a cache (a line break in it).
        """
        from trtcal_widgets.core.cache import CalibrationCache

        names = self.row_names(rows)
        if not any(i not in self._state.excluded for i in range(self._state.position)):
            raise SessionError("no batch is counted yet, so there are no scales to export: run() or step() first")
        scales = {name: self.scale(name) for name in names if self.histogram(name).n_values or self.is_mine(name)}
        default = _ALGORITHMS.get(self._state.method.kind, "EntropyCalibration2")
        return CalibrationCache.build(scales, algorithm=algorithm or default, version=version)

    def row_names(self, rows: str | Iterable[str] = "tensorrt") -> tuple[str, ...]:
        """Return the tensors that :meth:`to_cache` would write for ``rows``.

        Raises
        ------
        UsageError
            If ``rows`` is another word, or names a tensor that is not there or a weight.
        """
        if rows == "tensorrt":
            return self.calibrated
        if rows == "activations":
            return tuple(n for n in self.calibrated if self.graph.tensors[n].kind is not TensorKind.CONSTANT)
        if isinstance(rows, str):
            raise UsageError(f"rows is 'tensorrt', 'activations' or a list of names, not {rows!r}")
        wanted = list(rows)
        for name in wanted:
            self._leader(name)
        return tuple(dict.fromkeys(wanted))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that was recorded and chosen to one file (numpy arrays and JSON in a zip), atomically."""
        from trtcal_widgets.session.persist import save_session

        save_session(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        model: str | os.PathLike[str] | Runner | None = None,
        source: Any = None,
        **options: Any,
    ) -> CalibrationSession:
        """Read what :meth:`save` wrote.

        Without ``model`` and ``source`` everything that was recorded can be looked at, changed and exported; with
        both, more batches can be recorded. ``options`` are those of the constructor.

        Raises
        ------
        SessionError
            If the file is damaged, or was made with another model (refused by hash) or other batches.
        """
        from trtcal_widgets.session.persist import load_session

        return load_session(cls, path, model, source, options)

    def close(self) -> None:
        """Free the model and the temporary file."""
        if self.recorder is not None:
            self.recorder.close()
        self.parts.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        s = self._status
        return (
            f"<CalibrationSession {self.graph.name}: {len(self.calibrated)} tensors, "
            f"{self._state.position} of {s.n_batches if s.n_batches is not None else '?'} batches counted>"
        )


def _intent_of(state: SessionState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("position", *DECISIONS, "selected")}
