"""The calibration explorer: one widget over one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from trtcal_widgets.errors import UsageError
from trtcal_widgets.widgets.explorer.binding import Binding
from trtcal_widgets.widgets.explorer.export_form import ExportForm
from trtcal_widgets.widgets.explorer.state import CALIBRATION, TABS
from trtcal_widgets.widgets.explorer.views import Views
from trtcal_widgets.widgets.kit.box import PicturedBox
from trtcal_widgets.widgets.kit.tabs import Tabs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    import ipywidgets

    from trtcal_widgets.session import CalibrationSession


class CalibrationExplorer(PicturedBox, what="the calibration explorer"):
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

    Attributes
    ----------
    selected, amax, batch
        Traits for ``observe`` and ``link``, both ways: the chosen tensor's name, its threshold in its unit (0 without
        one), and how many batches are counted (more than are recorded: they are run, beside the kernel's main thread).

    Raises
    ------
    UsageError
        If ``session`` is not a session; a TrtcalError where a trait is set to what cannot be, and it is as before.

    Examples
    --------
    >>> session = CalibrationSession("model.onnx", images, batch_size=32)  # doctest: +SKIP
    >>> CalibrationExplorer(session)  # doctest: +SKIP
    """

    selected = traitlets.Unicode()
    amax = traitlets.Float(0.0)
    batch = traitlets.Int(0)

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
        self.views = Views(len(session.calibrated))
        self.plots = self.views.plots
        self.tabs = Tabs(session, (CALIBRATION, self.views.arranged()), TABS, executor)
        self._shown: tuple[ipywidgets.Widget, ...] = (self.views.shell, self.tabs.strip, self.tabs.pages, *panels)
        super().__init__(self._shown, executor)
        form = ExportForm(path=str(export_path))
        self.binding = Binding(session, self.views, self.tabs, self._executor, form, self)

    def add_panel(self, panel: ipywidgets.Widget) -> None:
        """Show another widget below the export panel."""
        self._shown = (*self._shown, panel)
        self.children = self._shown

    def close(self) -> None:
        """End the widget and those in its tabs; the session stays."""
        if hasattr(self, "tabs"):
            self.tabs.close()
        super().close()

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return what is shown as a PNG."""
        from trtcal_widgets.widgets.explorer.still import explorer_picture

        return explorer_picture(self.session, width=width, dark=dark)
