"""The session: the only mutable state, and the only writer of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.arguments import one_of, whole_number
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import CancelledError, SessionError, UsageError
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.base import Choosing, SessionBase
from trtcal_widgets.session.reading import Reading
from trtcal_widgets.session.recorder import Recorder, as_runner, no_recorder
from trtcal_widgets.session.state import DECISIONS, Phase, RunStatus, SessionState

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.runners.base import Runner

__all__ = ["CalibrationSession", "Running"]


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


class CalibrationSession(Running, Choosing, Reading):
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
        :func:`~trtcal_widgets.data.as_source` takes (an array, a folder of images, a DataLoader, …). Images of a
        folder given by its path alone come in the size, layout and number of channels of the model's input, as
        ``trtcal calibrate`` feeds them; :class:`~trtcal_widgets.ImageFolder` says all of that itself.
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
        from trtcal_widgets.data import source_for_model
        from trtcal_widgets.data.plan import BatchPlan

        one_of(range_mode, ("tensorrt", "two-pass"), "range_mode")
        runner = as_runner(model, threads=threads, providers=providers)
        plan = BatchPlan(source_for_model(source, runner.graph), batch_size, last=last, max_batches=max_batches)
        self._set_up(runner.graph, range_mode, SessionState(method=Method.parse(method)))
        two_pass = range_mode == "two-pass"
        self._attach(Recorder(runner, plan, self.parts.store, two_pass=two_pass, on_range_pass=self._range_pass))

    def _attach(self, recorder: Recorder) -> None:
        plan = recorder.plan
        self.recorder = recorder
        self.runner_name = recorder.runner.name
        self.source_text = plan.source.describe()
        self.plan_options = MappingProxyType(
            {"batch_size": plan.batch_size, "last": plan.last, "max_batches": plan.max_batches}
        )
        self._status = self._status_now()

    def _restore(self, graph: ModelGraph, facts: Mapping[str, Any], state: SessionState) -> None:
        """Set a new object up from a saved file, before its histograms; for :mod:`~.persist` only."""
        self._set_up(graph, facts["range_mode"], state)
        self.runner_name = facts["runner"]
        self.source_text = facts["source"]
        self.plan_options = MappingProxyType(dict(facts["plan"]))

    def _restored(self, status: RunStatus, bases: Mapping[str, float]) -> None:
        """Say that the histograms are there; for :mod:`~.persist` only."""
        self._status = status
        self.parts.bases.update(bases)
        self._state = replace(self._state, **self._checked(_intent_of(self._state)))
        self.parts.numbers.show(self._state.position, self._state.excluded)

    def _adopt(self, fresh: CalibrationSession) -> None:
        """Take another session's model and data over, to record behind what is here; for :mod:`~.persist` only."""
        assert fresh.recorder is not None
        recorder = fresh.recorder.with_store(self.parts.store, self._range_pass)
        recorder.resume(self.parts.bases, self._status.n_samples)
        self._attach(recorder)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that was recorded and chosen to one file (numpy arrays and JSON in a zip), atomically."""
        from trtcal_widgets.session.persist import save_session

        save_session(self, path)

    def report(self, path: str | os.PathLike[str], **sections: Any) -> None:
        """Write one self-contained HTML file to hand to a colleague.

        See :func:`trtcal_widgets.report.writing.write_report`.
        ``sections`` adds what debugging found: ``evaluation_result=``, ``ranking=``, ``plan=``, ``hazards=``, ….
        """
        from trtcal_widgets.report.writing import write_report

        write_report(self, path, **sections)

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
        """Free the model. What was recorded can still be looked at, changed and exported; a step opens it again."""
        if self.recorder is not None:
            self.recorder.close()

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
