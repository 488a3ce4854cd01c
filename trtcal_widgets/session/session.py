"""The session: the only mutable state, and the only writer of it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.core.arguments import one_of
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.session.choosing import Choosing
from trtcal_widgets.session.history import DECISIONS
from trtcal_widgets.session.reading import Reading
from trtcal_widgets.session.recorder import Recorder, as_runner
from trtcal_widgets.session.running import Running
from trtcal_widgets.session.state import RunStatus, SessionState

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.runners.base import Runner

__all__ = ["CalibrationSession"]


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

        See :func:`trtcal_widgets.debug.report.write_report`.
        ``sections`` adds what debugging found: ``evaluation_result=``, ``ranking=``, ``plan=``, ``hazards=``, ….
        """
        from trtcal_widgets.debug.report import write_report

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
