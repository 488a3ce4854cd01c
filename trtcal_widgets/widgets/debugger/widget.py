"""The accuracy debugger: one widget over one session and one evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.widgets.debugger.binding import DebugBinding
from trtcal_widgets.widgets.debugger.views import DebugViews
from trtcal_widgets.widgets.kit.box import PicturedBox

if TYPE_CHECKING:
    import os
    from concurrent.futures import Executor

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.runners.evaluation import Evaluation
    from trtcal_widgets.session import CalibrationSession


class AccuracyDebugger(PicturedBox, what="the accuracy debugger"):
    """Find which layer or scale costs accuracy in INT8, mend it, and leave with a plan.

    Put it on the last line of a cell. With a :class:`~trtcal_widgets.CalibrationExplorer` of the same session it shares
    the selected tensor, and thresholds that are changed there mark the results here as out of date.

    Parameters
    ----------
    session
        A calibrated :class:`~trtcal_widgets.CalibrationSession`.
    evaluation
        The batches, and how outputs are judged: :class:`~trtcal_widgets.Evaluation`.
    model
        The ONNX model, for a session that was loaded without one.
    placement
        Where Q/DQ goes: ``"recommended"`` or ``"weights-only-inputs"``.
    target
        Share of FP32's accuracy that a plan is to reach, 0 to 1.
    auto
        Whether it runs again by itself when a threshold changes in the session.
    executor
        Where model runs take place; None: a thread of its own, so that the kernel stays free.

    Attributes
    ----------
    debugging
        The state and everything that can be done, without a screen:
        :class:`~trtcal_widgets.debug.controller.AccuracyDebugging`.

    Raises
    ------
    UsageError
        If an argument is not what it should be.
    ModelError
        If the model is not the session's.

    Examples
    --------
    >>> AccuracyDebugger(session, Evaluation(images, batch_size=100, labels=labels))  # doctest: +SKIP
    """

    def __init__(
        self,
        session: CalibrationSession,
        evaluation: Evaluation,
        model: str | os.PathLike[str] | OnnxModel | None = None,
        *,
        placement: str = "recommended",
        target: float = 0.99,
        auto: bool = False,
        executor: Executor | None = None,
    ) -> None:
        from trtcal_widgets.debug.controller import AccuracyDebugging

        self.debugging: AccuracyDebugging = AccuracyDebugging(
            session, evaluation, model, placement=placement, target=target
        )
        self.session = session
        self.views = DebugViews()
        self.plots = self.views.plots
        super().__init__(self.views.arranged(), executor)
        self.add_class("trtcal-debug")
        self.binding = DebugBinding(self.debugging, self.views, self._executor, auto=auto)

    def run(self) -> None:
        """Run the comparison now and return when it is done: for notebooks that go on with the results."""
        self.debugging.run()

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return what is shown as a PNG."""
        from trtcal_widgets.widgets.debugger.still import debugger_picture

        return debugger_picture(self.debugging, width=width, dark=dark)
