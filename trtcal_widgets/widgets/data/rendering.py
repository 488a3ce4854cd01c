"""One state to all views of the data doctor: which part goes where. Views do not know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.doctor.standing import standing_out
from trtcal_widgets.widgets.data.blame import blame_state, warnings_state, without_words
from trtcal_widgets.widgets.data.marks import marks_facts, marks_of
from trtcal_widgets.widgets.data.state import is_stale, shell_state
from trtcal_widgets.widgets.data.table import build_columns, rows_of
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.data.marks import Marks
    from trtcal_widgets.widgets.data.state import DataScreen
    from trtcal_widgets.widgets.data.views import DataViews


_BEFORE = "Press examine: what it finds shows here."
_EXAMINING = "Shows when the examination is done."


class Parts:
    """What was made of a session last, for what changes seldom."""

    marks: Marks

    def __init__(self, session: CalibrationSession) -> None:
        self.columns = build_columns(session)
        self.report: Any = None
        self.can_run = session.plan is not None
        self.recorded = -1
        self.renew(session)

    def renew(self, session: CalibrationSession) -> bool:
        """Make the marks anew where more is recorded; says whether they are new."""
        if session.status.recorded == self.recorded:
            return False
        self.recorded = session.status.recorded
        self.marks = marks_of(session)
        return True

    def leader(self, session: CalibrationSession) -> str:
        """Return the tensor whose scale the chosen tensor has, or would have."""
        return session.group(session.state.selected)[0]


def render(
    views: DataViews,
    session: CalibrationSession,
    screen: DataScreen,
    parts: Parts,
    done: tuple[int, int],
    *,
    running: bool,
) -> None:
    """Draw the state; what is the same as before is left alone."""
    if parts.renew(session) or not views.samples.facts:
        views.samples.facts = marks_facts(parts.marks)
    leader = parts.leader(session)
    amax = session.amax(leader)
    views.shell.show(**shell_state(session, screen, done, running=running))
    _render_samples(views, screen, parts, leader, amax)
    if not views.tensors.columns:
        views.tensors.columns = dict(parts.columns.state)
    if screen.report is not parts.report or not views.tensors.rows:
        parts.report = screen.report
        views.tensors.rows = rows_of(parts.columns, screen.report)
    waiting = "" if screen.report is not None else _EXAMINING if running else _BEFORE
    views.tensors.show(empty=waiting or "No tensor is like that.")
    views.tensors.selected = parts.columns.index.get(leader, -1)
    _render_band(views, session, screen, leader, waiting)
    views.warnings.show(**warnings_state(screen.report, parts.marks, waiting or "None of the checks found anything."))


def _render_samples(views: DataViews, screen: DataScreen, parts: Parts, leader: str, amax: float) -> None:
    marks = parts.marks
    values = marks.values(leader)
    out, far = marks.out(), standing_out(values).tolist()
    name = printable(leader)
    words = [
        f"largest |x| in {name}; dashed: the threshold ±{typeset(amax)}" if marks.n else "",
        f"{len(far):,} {'stands' if len(far) == 1 else 'stand'} out" if far else "",
        f"{count_of(len(out), marks.unit, _plural(marks.unit))} left out" if out else "",
    ]
    views.samples.values = values.tobytes()
    views.samples.show(
        out=sorted(out),
        extreme=far,
        threshold=amax,
        threshold_text=f"±{typeset(amax)}",
        can_leave_out=True,
        note=" · ".join(word for word in words if word),
        detail=marks.detail(screen.sample) if 0 <= screen.sample < marks.n else "",
    )
    views.samples.selected = screen.sample
    views.blame.show(
        **blame_state(
            marks,
            values,
            amax=amax,
            selected=screen.sample,
            shares=marks.shares(leader),
            without={mark: without_words(found, leader, parts.columns) for mark, found in screen.without.items()},
            can_ask=marks.unit == "sample" and parts.can_run,
            note=name,
        )
    )


def _plural(unit: str) -> str:
    return "batches" if unit == "batch" else f"{unit}s"


def _render_band(views: DataViews, session: CalibrationSession, screen: DataScreen, leader: str, waiting: str) -> None:
    found = None if screen.report is None else screen.report.tensor(leader)
    if screen.report is None:
        note = waiting
    elif found is None:
        note = "No data decide this scale."
    else:
        note = printable(found.reason) if not len(found.two_pass.sizes) else ""
    views.band.render(found if not note else None, note)
    old = " · of the state before" if is_stale(session, screen) else ""
    views.band_caption.show(title="threshold over batches", note=f"{printable(leader)}{old}")
