"""The data doctor: one widget over one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import number
from trtcal_widgets.doctor import examine
from trtcal_widgets.doctor.types import BAR_DB, DataReport
from trtcal_widgets.errors import UsageError
from trtcal_widgets.widgets.data.binding import DataBinding
from trtcal_widgets.widgets.data.state import DataScreen, subject_of
from trtcal_widgets.widgets.data.views import DataViews
from trtcal_widgets.widgets.kit.box import PicturedBox

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from trtcal_widgets.session import CalibrationSession


class DataDoctor(PicturedBox, what="the data doctor"):
    """See whether the calibration set is good enough, and which samples spoil it.

    Put it on the last line of a cell. It examines what the session has recorded, in the background: neither the model
    nor the data are needed, but for what changes without a sample. It shows the session as the explorer does: what is
    left out here is left out there.

    Parameters
    ----------
    session
        A :class:`~trtcal_widgets.CalibrationSession` with recorded batches.
    bar_db
        By how much a tensor's SQNR may be off, in dB, before its threshold counts as not settled; > 0.
    report
        What :func:`~trtcal_widgets.doctor.examine` found about the session as it is now; None: examine it.
    executor
        Where slow work takes place; None: a thread of its own, so that the kernel stays free.

    Raises
    ------
    UsageError
        If ``session`` is not a session, ``report`` no report, or ``bar_db`` not a number greater than 0.

    Examples
    --------
    >>> DataDoctor(session)  # doctest: +SKIP
    """

    binding: DataBinding

    def __init__(
        self,
        session: CalibrationSession,
        *,
        bar_db: float = BAR_DB,
        report: DataReport | None = None,
        executor: Executor | None = None,
    ) -> None:
        from trtcal_widgets.session import CalibrationSession

        if not isinstance(session, CalibrationSession):
            raise UsageError(
                f"DataDoctor takes a CalibrationSession, not {type(session).__name__}: "
                'DataDoctor(CalibrationSession.load("recorded.trtcal"))'
            )
        if report is not None and not isinstance(report, DataReport):
            raise UsageError(f"report is what examine(session) returns, not {type(report).__name__}")
        bar_db = number(bar_db, "bar_db")
        if not 0 < bar_db < float("inf"):
            raise UsageError(f"bar_db is a number of dB greater than 0, not {bar_db}")
        self.session = session
        self.views = DataViews()
        self.plots = self.views.plots
        super().__init__(self.views.arranged(), executor)
        self.add_class("trtcal-data")
        bar = bar_db if report is None else report.bar_db
        screen = DataScreen(bar_db=bar, report=report, of=None if report is None else subject_of(session))
        self.binding = DataBinding(session, self.views, self._executor, screen, examine)
        if report is None and session.state.position:
            self.examine()

    def examine(self) -> None:
        """Examine the session as it is now, in the background."""
        self.binding.guarded(self.binding.examine)

    @property
    def report(self) -> DataReport | None:
        """What was found last; None before the first examination has ended."""
        screen: DataScreen = self.binding.screen
        return screen.report

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return what is shown as a PNG."""
        from trtcal_widgets.widgets.data.still import data_picture

        return data_picture(self.session, self.report, width=width, dark=dark)
