"""The screen's own state, and what the header shows: the examination in words, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.doctor.types import BAR_DB

if TYPE_CHECKING:
    from trtcal_widgets.doctor.types import DataReport, Verdict
    from trtcal_widgets.session import CalibrationSession

BARS = (0.1, 0.25, 0.5, 1.0, 2.0)
"""Bars to choose from, dB."""


Without = Mapping[str, tuple[float, float]]
"""Tensor -> its threshold now, and without a sample."""


@dataclass(frozen=True)
class DataScreen:
    """What the screen itself remembers: nothing that belongs to the session.

    ``bar_db`` is what the next examination decides by, ``sample`` the chosen one (-1: none), ``report`` what the last
    one found and ``of`` the session's state that it was about; ``without`` says what would change without a sample:
    the thresholds of all tensors now and then, words where that could not be found out, or None while it is being
    found out.
    """

    bar_db: float = BAR_DB
    sample: int = -1
    report: DataReport | None = None
    of: Any = None
    status: str = ""
    status_kind: str = ""
    stopping: bool = False
    notice: str = ""
    without: Mapping[int, Without | str | None] = field(default_factory=dict)


def subject_of(session: CalibrationSession) -> tuple[Any, ...]:
    """Return what an examination is about: equal as long as its report holds."""
    state = session.state
    return state.position, state.excluded, state.samples_out, state.method, dict(state.choices)


def is_stale(session: CalibrationSession, screen: DataScreen) -> bool:
    """Whether the report on the screen is of another choice of batches, samples or methods, or another bar."""
    if screen.report is None:
        return False
    return screen.of != subject_of(session) or screen.report.bar_db != screen.bar_db


def shell_state(
    session: CalibrationSession, screen: DataScreen, done: tuple[int, int], *, running: bool
) -> dict[str, Any]:
    """Return the header; ``done``: how many steps of the examination are done, of how many."""
    stale = is_stale(session, screen)
    bars = sorted({*BARS, screen.bar_db})
    return {
        "title": printable(session.graph.name),
        "facts": _facts(session),
        "bars": [[_plain(bar), f"{bar:g} dB"] for bar in bars],
        "bar": _plain(screen.bar_db),
        "running": running,
        "can_examine": session.state.position > 0,
        "stale": stale,
        "percent": round(100 * done[0] / done[1]) if done[1] else 0,
        "lines": _lines(session, screen, running=running),
        "status": _status(screen, done, running=running, stale=stale),
        "status_kind": screen.status_kind if not running else "",
        "can_undo": session.can_undo,
        "can_redo": session.can_redo,
        "notice": screen.notice,
    }


def _plain(bar: float) -> str:
    """Return a bar as the browser writes it: ``1``, ``0.25``."""
    return f"{bar:g}"


def _facts(session: CalibrationSession) -> str:
    status, state = session.status, session.state
    counted = state.position - sum(1 for i in state.excluded if i < state.position)
    parts = [
        f"{count_of(status.n_samples, 'sample')} in {count_of(status.recorded, 'batch', 'batches')}",
        f"{counted:,} of the batches counted" if counted != status.recorded else "",
        session.source_text,
        "two passes" if session.range_mode == "two-pass" else "one pass, as TensorRT",
    ]
    return " · ".join(printable(part) for part in parts if part)


def _lines(session: CalibrationSession, screen: DataScreen, *, running: bool) -> list[dict[str, str]]:
    """Return the three lines of the verdict, or what will be said there."""
    if screen.report is not None:
        kinds = _kinds(screen.report.verdict, screen.report)
        return [
            {"text": printable(text), "kind": kind}
            for text, kind in zip(screen.report.verdict.lines, kinds, strict=True)
        ]
    if not session.state.position:
        words = ("Nothing is counted yet: run the batches first.", "", "")
    elif running:
        words = ("Is it enough? …", "Does the order of the batches decide something? …", "What stands out? …")
    else:
        words = ("Press examine: are these data enough, does their order decide something, what stands out?", "", "")
    return [{"text": text, "kind": "none"} for text in words if text]


def _kinds(verdict: Verdict, report: DataReport) -> tuple[str, str, str]:
    amount = {True: "ok", False: "bad", None: "unsure"}[verdict.enough]
    worst = {warning.severity for warning in report.warnings}
    return amount, "bad" if report.order_dependent else "ok", "bad" if worst & {"severe", "warning"} else "ok"


def _status(screen: DataScreen, done: tuple[int, int], *, running: bool, stale: bool) -> str:
    if running and screen.stopping:
        return "stopping at the next scale …"
    if running:
        return f"examining: {done[0]:,} of {count_of(done[1], 'scale')}" if done[1] else "examining …"
    if screen.status:
        return screen.status
    if stale:
        return "Something changed since: press examine to look at it as it is now."
    if screen.report is None:
        return ""
    found = screen.report
    return (
        f"{count_of(len(found.tensors), 'scale')} examined with {found.resamples:,} draws each, over "
        f"{count_of(len(found.batches), 'batch', 'batches')}; settled means within {found.bar_db:g} dB"
    )
