"""The part of a session that runs the model: step, seek, run, cancel."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.core.arguments import whole_number
from trtcal_widgets.errors import CancelledError, SessionError, UsageError
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.base import SessionBase
from trtcal_widgets.session.recorder import no_recorder
from trtcal_widgets.session.state import Phase, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Running"]


class Running(SessionBase):
    """Running the batches; an interrupted run keeps the last whole batch."""

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
        position = whole_number(position, "a position")
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
        until = None if until is None else whole_number(until, "until", 0)
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
        try:
            yield
        except CancelledError:
            self._commit({}, self._status_now("cancelled", f"Stopped after {self._so_far()}; go on at any time."))
        except KeyboardInterrupt:
            self._commit({}, self._status_now("paused", f"Interrupted after {self._so_far()}; go on at any time."))
            raise
        except BaseException as error:
            self._commit({}, self._status_now("failed", self._failure(str(error) or type(error).__name__)))
            raise
        else:
            self._commit({}, self._status_now())

    def _failure(self, text: str) -> str:
        """Say which batch failed and why, in whole sentences."""
        n = len(self.parts.store)
        named = text if text.lower().startswith(f"batch {n}") else f"batch {n}: {text}"
        kept = " The batches before it are kept." if n else ""
        return f"{named[:1].upper()}{named[1:].rstrip('. ')}.{kept}"

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

    def thumbnails(self, batch: int) -> list[NDArray[np.uint8]]:
        """Return small pictures of a batch's samples, uint8 (h, w, 3); none where they are not images."""
        batch = whole_number(batch, "a batch", 0)
        return list(self.plan.thumbnails(batch)) if self.plan else []
