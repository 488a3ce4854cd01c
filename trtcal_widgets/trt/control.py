"""Pausing, stepping and cancelling a build from another thread, and hearing how far it is."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import CancelledError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trtcal_widgets.data.base import Batch


@dataclass(frozen=True)
class Progress:
    """How far a build is.

    Attributes
    ----------
    phase
        TensorRT's name of the phase, or ``"Parse"``, ``"Calibrate"``, ``"Build"`` for this package's own steps.
    parent
        The phase that it is part of; ``""`` for a phase of its own.
    done, total
        Steps that are complete and steps there are; ``total`` is 0 while unknown.
    finished
        Whether the phase is over. It can be over before all its steps are done.
    """

    phase: str
    parent: str = ""
    done: int = 0
    total: int = 0
    finished: bool = False


class BuildControl:
    """Buttons for a build that runs in another thread.

    Give it to :func:`~trtcal_widgets.trt.build` as ``control``, or to
    :func:`~trtcal_widgets.trt.make_calibrator` as ``on_batch``. While paused, the build waits before the
    next calibration batch. It can be cancelled there, and, where TensorRT has a progress monitor, at each step.

    Parameters
    ----------
    on_batch
        Called with (index, batch) before the batch is given to TensorRT, in the build's thread.
    paused
        Whether to wait before the first batch.

    Examples
    --------
    >>> control = BuildControl(paused=True)
    >>> control.step()  # lets one batch through
    >>> control.resume()
    """

    def __init__(self, on_batch: Callable[[int, Batch], object] | None = None, *, paused: bool = False) -> None:
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._paused = paused
        self._steps = 0
        self._cancelled = False
        self._waiting = 0

    def __call__(self, index: int, batch: Batch) -> None:
        """Report a batch, then wait while paused.

        Raises
        ------
        CancelledError
            If :meth:`cancel` was called.
        """
        if self._on_batch is not None:
            self._on_batch(index, batch)
        self.wait()

    def pause(self) -> None:
        """Hold the build at the next batch."""
        with self._changed:
            self._paused = True
            self._steps = 0

    def resume(self) -> None:
        """Let the build go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def step(self) -> None:
        """Let one batch through, and stay paused (or become it)."""
        with self._changed:
            self._paused = True
            self._steps += 1
            self._changed.notify_all()

    def cancel(self) -> None:
        """Stop the build, also while it is paused. There is no way back: make a new control for another build."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    @property
    def paused(self) -> bool:
        """Whether the build is to wait."""
        return self._paused

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled

    @property
    def waiting(self) -> bool:
        """Whether a build waits at this moment."""
        return self._waiting > 0

    def wait(self) -> None:
        """Wait while paused; a :meth:`step` is used up.

        Raises
        ------
        CancelledError
            If :meth:`cancel` was called, before or while waiting.
        """
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._cancelled or not self._paused or self._steps > 0)
            finally:
                self._waiting -= 1
            if self._paused and self._steps:
                self._steps -= 1
        self.raise_if_cancelled()

    def raise_if_cancelled(self) -> None:
        """Raise :class:`CancelledError` if :meth:`cancel` was called."""
        if self._cancelled:
            raise CancelledError(
                "the TensorRT build was cancelled and no engine was made; a cache was written only if the "
                "calibration was over"
            )


def check_listeners(progress: Any, log: Any, control: Any) -> None:
    """Refuse what cannot be called, and what is no control."""
    for name, listener in (("progress", progress), ("log", log)):
        if listener is not None and not callable(listener):
            raise UsageError(f"{name} must be a function of one argument, such as print, not {kind_of(listener)}")
    if control is not None and not isinstance(control, BuildControl):
        raise UsageError(f"control must be a BuildControl, not {kind_of(control)}: control=BuildControl(on_batch)")


def make_monitor(
    trt: Any, report: Callable[[Progress], object], *checks: Callable[[], object]
) -> tuple[Any, Callable[[], None]]:
    """Make TensorRT's ``IProgressMonitor``.

    TensorRT swallows what a monitor raises and then stops the build without a word, so exceptions are kept.

    ``trt``: a TensorRT module that has ``IProgressMonitor``. ``report``: called with a :class:`Progress`, perhaps from
    TensorRT's own threads. ``checks``: called at every step; the build stops if one raises. Returns the object
    for ``IBuilderConfig.progress_monitor``, and a function that raises what was kept.
    """
    keeper = _Keeper(report, checks)
    phases: dict[str, tuple[str, int]] = {}

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # tensorrt is Any
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases[phase_name] = (parent_phase or "", num_steps)
            keeper.tell(Progress(phase_name, parent_phase or "", 0, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            parent, total = phases.get(phase_name, ("", 0))
            return keeper.tell(Progress(phase_name, parent, step + 1, total))

        def phase_finish(self, phase_name: str) -> None:
            parent, total = phases.pop(phase_name, ("", 0))
            keeper.tell(Progress(phase_name, parent, total, total, finished=True))

    return Monitor(), keeper.raise_if_failed


class _Keeper:
    """Tells of progress, and keeps the first exception that this raises."""

    def __init__(self, report: Callable[[Progress], object], checks: Iterable[Callable[[], object]]) -> None:
        self._report, self._checks = report, tuple(checks)
        self._failure: BaseException | None = None

    def tell(self, progress: Progress) -> bool:
        """Report and check; False once something failed: the build is to stop."""
        if self._failure is None:
            try:
                self._report(progress)
                for check in self._checks:
                    check()
            except BaseException as error:  # noqa: BLE001 - TensorRT would swallow it; raised by the build
                self._failure = error
        return self._failure is None

    def raise_if_failed(self) -> None:
        """Raise what was kept."""
        if self._failure is not None:
            raise self._failure
