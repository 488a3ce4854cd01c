"""The calibration explorer: one widget over one session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import ipywidgets

from trtcal_widgets.errors import UsageError
from trtcal_widgets.widgets.binding import Binding
from trtcal_widgets.widgets.executors import default_executor
from trtcal_widgets.widgets.export_form import ExportForm
from trtcal_widgets.widgets.panels import (
    CaptionPanel,
    DetailPanel,
    ExportPanel,
    ListPanel,
    NumbersPanel,
    ShellPanel,
    StepperPanel,
)
from trtcal_widgets.widgets.rendering import Views
from trtcal_widgets.widgets.view_histogram import HistogramView
from trtcal_widgets.widgets.view_overview import OverviewView
from trtcal_widgets.widgets.view_trace import TraceView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from trtcal_widgets.session import CalibrationSession

__all__ = ["CalibrationExplorer"]

_log = logging.getLogger(__name__)


class CalibrationExplorer(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """See what calibration does to every tensor, move thresholds, and export.

    Put it on the last line of a cell. Several explorers of one session show the same: the session is the state.

    Parameters
    ----------
    session
        A :class:`~trtcal_widgets.CalibrationSession`.
    executor
        Where model runs take place; None: a thread of its own, so that the kernel stays free.
    panels
        Widgets to show below the export panel.
    export_path
        What the export panel suggests.

    Raises
    ------
    UsageError
        If ``session`` is not a session.

    Examples
    --------
    >>> session = CalibrationSession("model.onnx", images, batch_size=32)  # doctest: +SKIP
    >>> CalibrationExplorer(session)  # doctest: +SKIP
    """

    def __init__(
        self,
        session: CalibrationSession,
        *,
        executor: Executor | None = None,
        panels: Iterable[ipywidgets.Widget] = (),
        export_path: str = "calibration.cache",
    ) -> None:
        from trtcal_widgets.session import CalibrationSession

        if not isinstance(session, CalibrationSession):
            raise UsageError(
                f"CalibrationExplorer takes a CalibrationSession, not {type(session).__name__}: "
                'CalibrationExplorer(CalibrationSession("model.onnx", images, batch_size=32))'
            )
        self.session = session
        self.views = _make_views(len(session.calibrated))
        self._shown: tuple[ipywidgets.Widget, ...] = (*_arranged(self.views), *panels)
        super().__init__(self._shown)
        self.add_class("trtcal-root")
        self._own_executor = default_executor() if executor is None else None
        used = executor or self._own_executor
        assert used is not None
        self.binding = Binding(session, self.views, used, ExportForm(path=str(export_path)))

    def add_panel(self, panel: ipywidgets.Widget) -> None:
        """Show another widget below the export panel."""
        self._shown = (*self._shown, panel)
        self.children = self._shown

    def close(self) -> None:
        """End the explorer; the session stays."""
        if hasattr(self, "binding"):
            self.binding.close()
        own: Executor | None = getattr(self, "_own_executor", None)
        if own is not None:
            own.shutdown(wait=False)
        super().close()

    def _ipython_display_(self) -> None:
        """Show a picture and the widget: the widget hides the picture as soon as it is there.

        JupyterLab shows nothing else of an output whose widget it cannot find, so that a picture in the same output
        would never be seen in a saved notebook that is opened without its kernel.
        """
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        picture = bundle.pop("image/png", None)
        if picture is not None:
            html = (
                f'<img class="trtcal-static" data-of="{self.views.shell.model_id}" style="max-width:100%" '
                f'alt="The calibration explorer as it was when the cell ran" src="data:image/png;base64,{picture}">'
            )
            fallback = {"text/html": html, "text/plain": "a picture of the calibration explorer"}
            display(fallback, raw=True)  # type: ignore[no-untyped-call]
        display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and beside it a picture for where there is no kernel behind it."""
        for view in self.views.plots:
            view.figure.send_whole()
        bundle = super()._repr_mimebundle_(**kwargs)
        picture = _picture(self.session)
        if bundle is not None and picture is not None:
            bundle["image/png"] = picture
        return bundle


def _picture(session: CalibrationSession) -> str | None:
    """Return a static picture in base64; a picture that fails must not keep the widget from being shown."""
    from base64 import b64encode

    try:
        from trtcal_widgets.widgets.static import explorer_picture

        return b64encode(explorer_picture(session)).decode("ascii")
    except Exception:  # noqa: BLE001 - whatever it is, it is logged, and the widget is shown
        _log.exception("the static picture of the explorer could not be made; the widget itself is not affected")
        return None


def _make_views(n_calibrated: int) -> Views:
    return Views(
        shell=ShellPanel(),
        stepper=StepperPanel(),
        tensors=ListPanel(),
        detail=DetailPanel(),
        histogram=HistogramView(),
        numbers=NumbersPanel(),
        overview=OverviewView(n_calibrated),
        overview_caption=CaptionPanel("overview", "all tensors"),
        trace=TraceView(),
        trace_caption=CaptionPanel("trace", "thresholds by batch"),
        export=ExportPanel(),
    )


def _arranged(views: Views) -> list[ipywidgets.Widget]:
    detail = _box(views.detail, views.histogram.figure, views.numbers, name="tc-main-detail")
    overview = _box(views.overview_caption, views.overview.figure, name="tc-plot-panel")
    trace = _box(views.trace_caption, views.trace.figure, name="tc-plot-panel")
    return [
        views.shell,
        views.stepper,
        _box(views.tensors, detail, name="tc-main"),
        _box(overview, trace, name="tc-below"),
        views.export,
    ]


def _box(*children: ipywidgets.Widget, name: str) -> ipywidgets.Box:
    box = ipywidgets.Box(children)
    box.add_class("tc-box")
    box.add_class(name)
    return box
