"""The part of a session that holds the user's decisions: choices, excluded batches, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.core.arguments import number, whole_number
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.session.base import SessionBase
from trtcal_widgets.session.history import DECISIONS
from trtcal_widgets.session.state import Choice

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.session.state import SessionState

__all__ = ["Choosing"]


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
