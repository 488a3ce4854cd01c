"""What the parts of a session share: the state and its one writer, the graph, the recorded histograms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, number, whole_number
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import SessionError, UsageError
from trtcal_widgets.model.graph import ModelGraph, TensorKind
from trtcal_widgets.session.numbers import Numbers
from trtcal_widgets.session.state import DECISIONS, Choice, History, RunStatus, SessionState
from trtcal_widgets.session.store import BatchStore

if TYPE_CHECKING:
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.recorder import Recorder
    from trtcal_widgets.session.state import SessionState

__all__ = ["Choosing", "Parts", "SessionBase", "Subscriber"]

Subscriber = Callable[[frozenset[str]], None]


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


class SessionBase:
    """State, facts and the one writer; see :class:`~trtcal_widgets.session.CalibrationSession`."""

    def _set_up(self, graph: ModelGraph, range_mode: str, state: SessionState) -> None:
        """Make the parts that a recorded and a loaded session have in common."""
        if not graph.calibrated:
            raise SessionError(f"{graph.name} has no floating-point tensor to calibrate")
        self.graph = graph
        self.range_mode = range_mode
        self.runner_name = ""
        self.source_text = ""
        self.plan_options: Mapping[str, Any] = MappingProxyType({})
        store = BatchStore((*graph.float_tensors, *graph.trt8.inner))
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
    def runner(self) -> Runner | None:
        """What runs the model; None for a session that was loaded without it. It stays the session's to close."""
        return self.recorder.runner if self.recorder else None

    @property
    def state(self) -> SessionState:
        """The user's intent: frozen; change it with :meth:`update` or the methods that call it."""
        return self._state

    @property
    def status(self) -> RunStatus:
        """How the run through the batches stands."""
        return self._status

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Have ``callback(changed)`` called once per change, with the names of what changed.

        The names are fields of :class:`SessionState`, ``status``, and ``data`` where histograms changed. Calls may
        come from the thread that runs the batches. Returns a function that ends the subscription.
        """
        if not callable(callback):
            raise UsageError(f"callback is a function of the names of what changed, not {kind_of(callback)}")
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
                if not 0 <= whole_number(value, "position") <= len(self.parts.store):
                    raise UsageError(f"{value} batches cannot be counted: {len(self.parts.store)} are recorded")
            elif name == "excluded":
                checked[name] = _batches(value)
                known = self._status.n_batches or max(checked[name], default=0) + 1
                if any(not 0 <= i < known for i in checked[name]):
                    raise UsageError(f"batches are numbered 0 to {known - 1}; {sorted(checked[name])} does not fit")
            elif name == "method":
                checked[name] = Method.parse(value)
            elif name == "choices":
                if not isinstance(value, Mapping) or not all(isinstance(c, Choice) for c in value.values()):
                    raise UsageError(f"choices is a dict of tensor name -> Choice, not {value!r}")
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

    def choice(self, name: str) -> Choice | None:
        """Return what the user chose for a tensor's group; None where the default method holds."""
        return self._state.choices.get(self.graph.group_of(name)[0])

    def group(self, name: str) -> tuple[str, ...]:
        """Return the tensors that share this tensor's scale, itself included; the first one's histogram decides."""
        return self.graph.group_of(name)


def _batches(value: Any) -> frozenset[int]:
    try:
        batches = list(value)
    except TypeError:
        raise UsageError(f"excluded is a set of batch numbers, not {kind_of(value)}") from None
    return frozenset(whole_number(batch, "a batch") for batch in batches)


class Choosing(SessionBase):
    """Deciding; every decision can be undone, and none runs the model."""

    def exclude(self, batch: int) -> None:
        """Leave a batch out of the histograms (from 0). The model is not run again."""
        self.update(excluded=self._state.excluded | {whole_number(batch, "a batch")})

    def include(self, batch: int) -> None:
        """Count a batch again."""
        self.update(excluded=self._state.excluded - {whole_number(batch, "a batch")})

    def choose(self, name: str, *, method: str | Method | None = None, amax: float | None = None) -> None:
        """Choose a method or a threshold of your own for a tensor and all that share its scale.

        Raises
        ------
        UsageError
            If both or neither are given, the method is unknown, amax is not finite and > 0, or the tensor is a weight.
        """
        choice = Choice(
            None if method is None else Method.parse(method), None if amax is None else number(amax, "amax")
        )
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

    def is_mine(self, name: str) -> bool:
        """Whether the user chose for this tensor's group."""
        return self.choice(name) is not None

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
