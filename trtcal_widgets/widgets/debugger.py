"""The accuracy debugger: one widget over one session and one evaluation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import ipywidgets

from trtcal_widgets.widgets.debugger_binding import DebugBinding
from trtcal_widgets.widgets.debugger_help import HELP
from trtcal_widgets.widgets.debugger_panels import (
    DebugDetailPanel,
    DebugExportPanel,
    DebugHazardsPanel,
    DebugLayersPanel,
    DebugShellPanel,
    DebugSummaryPanel,
)
from trtcal_widgets.widgets.debugger_rendering import DebugViews
from trtcal_widgets.widgets.executors import default_executor
from trtcal_widgets.widgets.panels import NumbersPanel
from trtcal_widgets.widgets.view_debug_sqnr import SqnrView
from trtcal_widgets.widgets.view_debug_tensor import TensorView

if TYPE_CHECKING:
    import os
    from concurrent.futures import Executor

    from trtcal_widgets.debug.controller import AccuracyDebugging
    from trtcal_widgets.debug.evaluation import Evaluation
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.session import CalibrationSession

__all__ = ["AccuracyDebugger"]

_log = logging.getLogger(__name__)


class AccuracyDebugger(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
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
        from trtcal_widgets.errors import UsageError

        if not 0 < target <= 1:
            raise UsageError(f"target is a share of FP32's accuracy, greater than 0 and at most 1, not {target}")
        self.debugging: AccuracyDebugging = AccuracyDebugging(session, evaluation, model, placement=placement)
        self.session = session
        self.views = _make_views()
        super().__init__(_arranged(self.views))
        self.add_class("trtcal-root")
        self.add_class("trtcal-debug")
        self._own = executor is None
        self._executor = default_executor() if executor is None else executor
        self.binding = DebugBinding(self.debugging, self.views, self._executor, target=target, auto=auto)

    def run(self) -> None:
        """Run the comparison now and return when it is done: for notebooks that go on with the results."""
        self.debugging.run()

    def close(self) -> None:
        """End the debugger; the session stays."""
        if hasattr(self, "binding"):
            self.binding.close()
        if getattr(self, "_own", False):
            self._executor.shutdown(wait=False)
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and beside it a picture for where there is no kernel behind it."""
        for view in self.views.plots:
            view.figure.send_whole()
        bundle = super()._repr_mimebundle_(**kwargs)
        picture = _picture(self.debugging)
        if bundle is not None and picture is not None:
            bundle["image/png"] = picture
        return bundle


def _picture(debugging: AccuracyDebugging) -> str | None:
    """Return a static picture in base64; a picture that fails must not keep the widget from being shown."""
    from base64 import b64encode

    try:
        from trtcal_widgets.widgets.debugger_static import debugger_picture

        return b64encode(debugger_picture(debugging)).decode("ascii")
    except Exception:  # noqa: BLE001 - any failure is logged, and the widget is shown without a picture
        _log.exception("the static picture of the debugger could not be made; the widget itself is not affected")
        return None


def _make_views() -> DebugViews:
    numbers = NumbersPanel()
    numbers.help = HELP["detail"]
    return DebugViews(
        shell=DebugShellPanel(),
        summary=DebugSummaryPanel(),
        layers=DebugLayersPanel(),
        sqnr=SqnrView(),
        detail=DebugDetailPanel(),
        tensor=TensorView(),
        numbers=numbers,
        hazards=DebugHazardsPanel(),
        export=DebugExportPanel(),
    )


def _arranged(views: DebugViews) -> list[ipywidgets.Widget]:
    return [
        views.shell,
        _box(views.summary, views.layers, name="tc-dbg-top"),
        _box(views.sqnr.figure, name="tc-dbg-sqnr"),
        _box(views.detail, views.tensor.figure, views.numbers, name="tc-dbg-tensor"),
        _box(views.hazards, views.export, name="tc-dbg-bottom"),
    ]


def _box(*children: ipywidgets.Widget, name: str) -> ipywidgets.Box:
    box = ipywidgets.Box(children)
    box.add_class("tc-box")
    box.add_class(name)
    return box
