"""What the user decides: the intent as a frozen state, its checks, undo and redo."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.state import DECISIONS, INTENT, Choice, SessionState

if TYPE_CHECKING:
    from collections.abc import Sized

    from trtcal_widgets.model.graph import ModelGraph

_DEPTH = 1000
"""Decisions that can be taken back."""


@dataclass(frozen=True)
class _Moment:
    """The intent with its past, replaced as a whole; ``recorded`` batches were there when it was made."""

    state: SessionState
    recorded: int
    undo: tuple[SessionState, ...] = ()
    redo: tuple[SessionState, ...] = ()


class Choices:
    """The user's intent about a model's tensors and about the batches of a store.

    A batch that is recorded moves the position behind itself. That is not written down but follows from the number of
    batches in the store, so that no interrupt can come between a batch and its position.

    ``batches``: whatever has the recorded batches. ``state``: the intent to start from, at the present number of
    batches. ``n_batches``: how many batches there will be, None while that is not known. Raises UsageError if the
    intent does not fit the model or the batches, as that of a damaged file may not.
    """

    def __init__(self, graph: ModelGraph, batches: Sized, state: SessionState, n_batches: int | None = None) -> None:
        self._graph = graph
        self._batches = batches
        state = replace(state, selected=state.selected or graph.calibrated[0])
        state = replace(state, **self._checked({name: getattr(state, name) for name in INTENT}, n_batches))
        self._moment = _Moment(state, len(batches))
        self._lock = threading.RLock()

    @property
    def state(self) -> SessionState:
        """The intent as it is now."""
        return self._now().state

    def _now(self) -> _Moment:
        """Return the moment, with the position where the batches recorded since have moved it."""
        moment, recorded = self._moment, len(self._batches)
        if moment.recorded == recorded:
            return moment
        newer = moment.state.revision + recorded - moment.recorded
        return replace(moment, state=replace(moment.state, position=recorded, revision=newer), recorded=recorded)

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to take back."""
        return bool(self._moment.undo)

    @property
    def can_redo(self) -> bool:
        """Whether a decision was taken back."""
        return bool(self._moment.redo)

    def change(self, n_batches: int | None, **change: Any) -> None:
        """Check a change of the intent and make it; a decision can be undone from then on.

        ``n_batches`` is how many batches there will be, None while that is not known.
        """
        checked = self._checked(change, n_batches)
        with self._lock:
            now = self._now()
            changed = {name for name, value in checked.items() if value != getattr(now.state, name)}
            if changed.intersection(DECISIONS):
                now = replace(now, undo=(*now.undo, now.state)[-_DEPTH:], redo=())
            if changed:
                self._set(now, checked)

    def undo(self) -> None:
        """Go back to the decisions before the last one; nothing where there is none."""
        with self._lock:
            now = self._now()
            if now.undo:
                moved = replace(now, undo=now.undo[:-1], redo=(*now.redo, now.state))
                self._set(moved, _decisions(now.undo[-1]))

    def redo(self) -> None:
        """Make the decision again that was taken back last; nothing where there is none."""
        with self._lock:
            now = self._now()
            if now.redo:
                moved = replace(now, undo=(*now.undo, now.state), redo=now.redo[:-1])
                self._set(moved, _decisions(now.redo[-1]))

    def _set(self, moment: _Moment, change: Mapping[str, Any]) -> None:
        state = replace(moment.state, **change, revision=moment.state.revision + 1)
        self._moment = replace(moment, state=state)

    def known(self, name: str) -> str:
        """Return the name of a tensor that has a range to calibrate, or say why there is none."""
        if not self._graph.tensor(name).is_float:
            raise UsageError(f"{name!r} holds {self._graph.tensor(name).dtype}, which has no range to calibrate")
        return name

    def leader(self, name: str) -> str:
        """Return the tensor whose histogram decides for a tensor that one can choose for."""
        if self._graph.tensor(self.known(name)).kind is TensorKind.WEIGHT:
            raise UsageError(
                f"{name!r} is a weight: TensorRT quantises weights per channel from their own largest values, "
                "so there is nothing to choose"
            )
        return self._graph.group_of(name)[0]

    def _by_leader(self, value: Any) -> Mapping[str, Choice]:
        if not isinstance(value, Mapping) or not all(isinstance(c, Choice) for c in value.values()):
            raise UsageError(f"choices is a dict of tensor name -> Choice, not {value!r}")
        return MappingProxyType({self.leader(key): choice for key, choice in value.items()})

    def _checked(self, change: Mapping[str, Any], n_batches: int | None) -> dict[str, Any]:
        checked = dict(change)
        for name, value in change.items():
            if name == "position":
                if not 0 <= whole_number(value, "position") <= len(self._batches):
                    raise UsageError(f"{value} batches cannot be counted: {len(self._batches)} are recorded")
            elif name == "excluded":
                checked[name] = _batches(value, n_batches)
            elif name == "samples_out":
                checked[name] = _samples(value)
            elif name == "method":
                checked[name] = Method.parse(value)
            elif name == "choices":
                checked[name] = self._by_leader(value)
            elif name == "selected":
                self.known(value)
            else:
                raise UsageError(f"a session has no {name!r} to change")
        return checked


def _decisions(state: SessionState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in DECISIONS}


def _batches(value: Any, n_batches: int | None) -> frozenset[int]:
    found = _numbers(value, "excluded is a set of batch numbers", "a batch")
    known = n_batches or max(found, default=0) + 1
    if any(not 0 <= i < known for i in found):
        raise UsageError(f"batches are numbered 0 to {known - 1}; {sorted(found)} does not fit")
    return found


def _samples(value: Any) -> frozenset[int]:
    found = _numbers(value, "samples_out is a set of samples", "a sample")
    if any(sample < 0 for sample in found):
        raise UsageError(f"samples are numbered from 0; {min(found)} does not fit")
    return found


def _numbers(value: Any, what: str, one: str) -> frozenset[int]:
    try:
        numbers = list(value)
    except TypeError:
        raise UsageError(f"{what}, not {kind_of(value)}") from None
    return frozenset(whole_number(number, one) for number in numbers)
