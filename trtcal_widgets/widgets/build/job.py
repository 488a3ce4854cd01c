"""A build in a worker thread: what is called, what was heard of it, and the session that goes along.

No widget is known here; whoever shows it is called when something changed, from whatever thread it changed in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import CancelledError, TrtcalError
from trtcal_widgets.trt.control import BuildControl, Progress
from trtcal_widgets.widgets.build.form import qdq_path, targets
from trtcal_widgets.widgets.kit.file_form import typed_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.trt.engine import Engine
    from trtcal_widgets.trt.log import LogLine
    from trtcal_widgets.widgets.build.form import BuildForm, Job

_log = logging.getLogger(__name__)

SEVERITIES = ("internal error", "error", "warning", "info", "verbose")
"""TensorRT's severities, the worst first."""

_KEPT = 5000
"""Lines of each severity that are kept for the panel; the engine keeps more."""


class HeldControl(BuildControl):
    """A build control that tells when it begins to hold the build, and when it lets go."""

    def __init__(
        self, on_batch: Callable[[int, Batch], object] | None, told: Callable[[], None], *, paused: bool
    ) -> None:
        super().__init__(on_batch, paused=paused)
        self._told = told
        self._holding = False

    @property
    def holding(self) -> bool:
        """Whether TensorRT waits for a button."""
        return self._holding or self.waiting

    def wait(self) -> None:
        """Wait while paused; see :meth:`BuildControl.wait`."""
        self._holding = self.paused
        self._told()
        try:
            super().wait()
        finally:
            self._holding = False
            self._told()


class BuildRun:
    """One build, from the press of the button to its end; ``changed`` hears, in any thread, that something is new.

    ``phases`` has the newest progress of each, in the order in which they began; ``engine`` and ``error`` say how it
    ended; ``note`` is what the user should know about the session that goes along.
    """

    def __init__(self, job: Job, form: BuildForm, *, verbose: bool, changed: Callable[[], None]) -> None:
        self.job, self.form = job, form
        self.control = HeldControl(self._on_batch, changed, paused=form.hold)
        self.phases: dict[str, Progress] = {}
        self.engine: Engine | None = None
        self.error: BaseException | None = None
        self.note = ""
        self.paths: tuple[Path, ...] = ()
        self.seconds = 0.0
        self.counts: Counter[str] = Counter()
        self._lines: dict[str, deque[tuple[int, LogLine]]] = {name: deque(maxlen=_KEPT) for name in SEVERITIES}
        self._verbose = verbose
        self._changed = changed
        self._lock = threading.Lock()
        self._started = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.engine is None and self.error is None

    @property
    def cancelled(self) -> bool:
        """Whether it ended because it was cancelled."""
        return isinstance(self.error, CancelledError)

    @property
    def calibration(self) -> Progress | None:
        """How far TensorRT is in the batches; None before it asks for the first."""
        return self.phases.get("Calibrate")

    def ordered(self) -> list[Progress]:
        """Return the newest progress of every phase."""
        with self._lock:
            return list(self.phases.values())

    def lines(self, least: str = "verbose", limit: int | None = None) -> list[LogLine]:
        """Return the log lines of a severity and worse, in order; of many, the last ``limit``."""
        with self._lock:
            wanted = SEVERITIES[: SEVERITIES.index(least) + 1]
            found = sorted((pair for name in wanted for pair in self._lines[name]), key=lambda pair: pair[0])
        return [line for _, line in found][-limit if limit else 0 :]

    def __call__(self) -> None:
        """Build, in the thread that this is called in; how it ended is kept here and not raised."""
        try:
            engine = self._build()
            self.seconds = time.monotonic() - self._started
            self.engine = engine
        except BaseException as error:  # noqa: BLE001 - the border of the worker thread: kept, and shown
            self.seconds = time.monotonic() - self._started
            self.error = error
            if not isinstance(error, TrtcalError):
                _log.exception("the TensorRT build failed")
        finally:
            self._changed()

    def _build(self) -> Engine:
        from trtcal_widgets.trt.building import build

        form, options = self.form, dict(self.job.options)
        engine_path = targets(form)[0]
        model = self.job.model
        if form.mode == "qdq":
            assert self.job.session is not None
            self._progress(Progress("Write Q/DQ"))
            model = write_qdq(self.job, qdq_path(engine_path))
            options.pop("plan", None)  # it is in the model now
            options.setdefault("profiles", batch_profiles(self.job.session))
            self._progress(Progress("Write Q/DQ", finished=True))
        options["fp16"] = form.fp16
        heard: dict[str, Any] = {"progress": self._progress, "log": self._heard, "control": self.control}
        options["verbose"] = self._verbose or options.get("verbose", False)
        if form.mode == "session":
            options["session"] = self.job.session
        if form.mode == "calibrate":
            with self._calibrator() as calibrator:
                engine = build(model, calibrator=calibrator, **options, **heard)
        else:
            engine = build(model, **options, **heard)
        self.paths = (engine_path, engine.save(engine_path))
        return engine

    def _calibrator(self) -> Any:
        from trtcal_widgets.trt.calibration.calibrator import make_calibrator

        assert self.job.session is not None
        path = self.form.cache.strip()
        return make_calibrator(
            self.job.session,
            self.form.algorithm,
            cache=str(typed_path(path)) if path else None,
            stale=self.job.options.get("stale", "error"),
            on_batch=self.control,
        )

    # ---- what TensorRT says, in whatever thread ---------------------------------------------------------------

    def _progress(self, progress: Progress) -> None:
        with self._lock:
            self.phases[progress.phase] = progress
        self._changed()

    def _heard(self, line: LogLine) -> None:
        severity = line.severity if line.severity in self._lines else "info"
        with self._lock:
            self.counts[severity] += 1
            self._lines[severity].append((self.counts.total(), line))
        self._changed()

    # ---- the session goes along -------------------------------------------------------------------------------

    def _on_batch(self, index: int, _batch: Batch) -> None:
        """Have the session count up to the batch that TensorRT is given now."""
        session, follow = self.job.session, self.form.follow
        if session is None or follow == "no":
            return
        try:
            if index < session.status.recorded:
                session.update(position=index + 1)
            elif follow == "all":
                session.seek(index + 1)
            elif not self.note:
                self.note = (
                    f"The session stays at batch {session.state.position}: it has recorded "
                    f"{session.status.recorded} batches, and TensorRT is further."
                )
        except Exception as error:  # noqa: BLE001 - a view that cannot follow must not end a build; shown, and logged
            _log.warning("the session did not follow TensorRT to batch %d", index, exc_info=error)
            self.note = f"The session does not follow (the build goes on): {error}"


def is_over(at: Progress) -> bool:
    """Whether a phase has ended, or all of its steps are done."""
    return at.finished or (at.total > 0 and at.done >= at.total)


def batch_profiles(session: CalibrationSession) -> dict[str, tuple[tuple[int, ...], ...]] | None:
    """Return shapes for a model's dynamic inputs, as :func:`trtcal_widgets.trt.build` has them from a calibrator.

    Input -> smallest, usual and largest shape, the calibration batch being the largest; None where every shape is
    fixed, or there are no data.
    """
    from trtcal_widgets.trt.inputs import arrange

    inputs = session.graph.inputs
    dynamic = {t.name for t in inputs if not all(isinstance(n, int) for n in t.shape or ())}
    if session.plan is None or not dynamic:
        return None
    arrays = arrange(session.plan.load(0), [t.name for t in inputs], session.graph)
    profiles: dict[str, tuple[tuple[int, ...], ...]] = {}
    for tensor, array in zip(inputs, arrays, strict=True):
        if tensor.name not in dynamic:
            continue
        shape = tuple(array.shape)
        one = 1 if tensor.shape and not isinstance(tensor.shape[0], int) else shape[0]
        profiles[tensor.name] = ((one, *shape[1:]), shape, shape)
    return profiles


def write_qdq(job: Job, path: Path) -> Path:
    """Write the Q/DQ model of a session."""
    from trtcal_widgets.export.qdq.build import build_qdq

    build_qdq(job.model, job.session, plan=job.options.get("plan")).write(path)
    return path
