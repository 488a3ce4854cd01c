"""Who hears of changes, and of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import UsageError
from trtcal_widgets.session.state import INTENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.session.state import RunStatus, SessionState


class Subscribers:
    """Functions that are told what is not as it was when they last heard.

    Nobody has to say what they changed.
    """

    def __init__(self, state: SessionState, status: RunStatus) -> None:
        self._told = (state, status)
        self._callbacks: list[Callable[[frozenset[str]], None]] = []

    def add(self, callback: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Tell a function from now on; return one that ends this."""
        if not callable(callback):
            raise UsageError(f"callback is a function of the names of what changed, not {kind_of(callback)}")
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def tell(self, state: SessionState, status: RunStatus) -> None:
        """Tell everybody once, if anything changed; once more next time what an interrupt kept from being told."""
        before = old_state, old_status = self._told
        try:
            self._told = (state, status)
            changed = {name for name in INTENT if getattr(state, name) != getattr(old_state, name)}
            if changed & {"position", "excluded", "samples_out"}:
                changed.add("data")
            if status != old_status:
                changed.add("status")
            for callback in tuple(self._callbacks) if changed else ():
                callback(frozenset(changed))
        except KeyboardInterrupt:
            self._told = before
            raise
