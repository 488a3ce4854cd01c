"""Undo and redo of what the user decided: choices, the default method and excluded batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.session.state import SessionState

__all__ = ["DECISIONS", "History"]

DECISIONS = ("choices", "excluded", "method")
"""What undo takes back; where the user looks (position, selected tensor) is not a decision."""

_DEPTH = 1000


class History:
    """Two stacks of states."""

    def __init__(self) -> None:
        self._undo: list[SessionState] = []
        self._redo: list[SessionState] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether a decision was taken back."""
        return bool(self._redo)

    def remember(self, old: SessionState) -> None:
        """Note the state before a decision."""
        self._undo.append(old)
        del self._undo[:-_DEPTH]
        self._redo.clear()

    def undo(self, now: SessionState) -> SessionState:
        """Return ``now`` with the decisions of the state before the last decision."""
        return self._swap(self._undo, self._redo, now)

    def redo(self, now: SessionState) -> SessionState:
        """Return ``now`` with the decisions that were taken back last."""
        return self._swap(self._redo, self._undo, now)

    @staticmethod
    def _swap(source: list[SessionState], target: list[SessionState], now: SessionState) -> SessionState:
        if not source:
            return now
        target.append(now)
        then = source.pop()
        return replace(now, **{name: getattr(then, name) for name in DECISIONS})
