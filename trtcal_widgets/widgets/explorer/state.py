"""The screen's own state, and what the header and the run control show: the run in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import duration
from trtcal_widgets.common.words import count_of, json_number, printable
from trtcal_widgets.core.thresholds import METHODS, Method
from trtcal_widgets.widgets.explorer.export_form import ExportForm
from trtcal_widgets.widgets.kit.formatting import typeset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.session import CalibrationSession, RunStatus
    from trtcal_widgets.session.signed import SignedCounts
    from trtcal_widgets.widgets.explorer.typed import Typed

_SHOWN_BATCHES = 2000
_RUNNING = "Running. Everything here can be used meanwhile."
_FINDING_RANGES = (
    "The first of two passes finds the range of every tensor. The second one counts values: histograms and thresholds "
    "appear with its first batch."
)
_PERCENTILES = ("percentile:99", "percentile:99.9", "percentile:99.99", "percentile:99.999")


CALIBRATION = "calibration"
"""The explorer's own tab."""

TABS = MappingProxyType({"data": "DataDoctor"})
"""Further tabs: the screens that they show, by public name."""


@dataclass(frozen=True)
class Screen:
    """What the screen itself remembers: nothing that belongs to the session.

    ``counts`` is the axis of the histogram, ``window`` the part of a tensor's |x| that is zoomed to, ``typed`` the last
    threshold that was typed, ``held`` the tensor whose histogram is laid over the others, ``signed`` the last values
    that were counted with their sign, ``unit`` what a sample is called: ``images`` once there were pictures, ``tab``
    the page that is open.
    """

    counts: Any = "log"
    window: tuple[str, float, float] | None = None
    typed: Typed | None = None
    held: str = ""
    signed: SignedCounts | None = None
    unit: str = "samples"
    notice: str = ""
    tab: str = CALIBRATION
    form: ExportForm = field(default_factory=ExportForm)


def method_options(extra: Iterable[str] = ()) -> list[list[str]]:
    """Return (text that :meth:`Method.parse` reads, words for people) of the methods to pick from."""
    texts: list[str] = []
    for kind in METHODS:
        texts += _PERCENTILES if kind == "percentile" else [str(Method.parse(kind))]
    texts += [text for text in extra if text not in texts]
    return [[text, _method_words(text)] for text in texts]


def _method_words(text: str) -> str:
    method = Method.parse(text)
    if method.kind == "percentile":
        return f"percentile {method.parameter:g} %"
    if method.kind == "legacy":
        return f"legacy {method.parameter:g}" + ("" if method.cutoff == 1 else f", cutoff {method.cutoff:g}")
    return str(method)


def shell_state(session: CalibrationSession) -> dict[str, Any]:
    """Return the header: what is calibrated, and what can be taken back."""
    method = str(session.state.method)
    parts = [
        count_of(len(session.calibrated), "tensor"),
        session.source_text or "saved session",
        session.runner_name,
        "two passes" if session.range_mode == "two-pass" else "",
    ]
    return {
        "title": printable(session.graph.name),
        "facts": " · ".join(printable(part) for part in parts if part),
        "method": method,
        "methods": method_options([method]),
        "mine": len(session.state.choices),
        "can_undo": session.can_undo,
        "can_redo": session.can_redo,
    }


def at_end(session: CalibrationSession) -> bool:
    """Whether there is no batch to go on to."""
    status = session.status
    ended = session.plan is None or (status.n_batches is not None and status.recorded >= status.n_batches)
    return ended and session.state.position >= status.recorded


def run_state(session: CalibrationSession, unit: str) -> dict[str, Any]:
    """Return how far the run is; ``unit`` is what the samples are called."""
    status, position = session.status, session.state.position
    message, kind = _message(session, status, unit, can_record=session.plan is not None)
    return {
        "phase": status.phase,
        "running": status.phase == "running",
        "at_end": at_end(session),
        "slider_max": status.n_batches if status.n_batches is not None else status.recorded,
        "text": _progress_text(session, status, position, unit),
        "message": message,
        "message_kind": kind,
    }


def _progress_text(session: CalibrationSession, status: RunStatus, position: int, unit: str) -> str:
    """``batch 3 of 10 · 150 of 500 images · 2.1 s left (4 dropped)``."""
    if status.phase == "running" and status.pass_name == "range pass":  # noqa: S105 - no password
        total = f" of {status.n_batches}" if status.n_batches is not None else ""
        return f"finding ranges: batch {status.pass_done}{total} · pass 1 of 2"
    total = f" of {status.n_batches:,}" if status.n_batches is not None else ""
    parts = [f"batch {position:,}{total}"]
    counted = _samples_counted(session, status, position)
    if counted is not None:
        samples = f" of {status.total_samples:,}" if status.total_samples is not None else ""
        parts.append(f"{counted:,}{samples} {unit}")
    n_excluded = sum(1 for i in session.state.excluded if i < position)
    if n_excluded:
        parts.append(f"{n_excluded} left out")
    if status.phase == "running" and status.seconds_left is not None:
        parts.append(f"{duration(status.seconds_left)} left")
    dropped = f" ({status.dropped:,} dropped)" if status.dropped else ""
    return " · ".join(parts) + dropped


def _samples_counted(session: CalibrationSession, status: RunStatus, position: int) -> int | None:
    if position >= status.recorded:
        return status.n_samples
    size = session.plan.batch_size if session.plan else None
    return None if size is None else size * position


def _message(session: CalibrationSession, status: RunStatus, unit: str, *, can_record: bool) -> tuple[str, str]:
    """Return what to say below the progress, and whether it is ``info``, ``ok`` or ``error``."""
    if status.phase == "failed":
        return f"Stopped: {status.message} Mend the cause and press ▶ to go on.", "error"
    if status.phase == "finished" and can_record and session.state.position >= status.recorded:
        counted = "the one batch is" if status.recorded == 1 else f"all {status.recorded:,} batches are"
        return f"Finished: {counted} counted.", "ok"
    going = _FINDING_RANGES if status.pass_name == "range pass" else _RUNNING  # noqa: S105 - no password
    words = {
        "cancelled": status.message or "Cancelled. What is recorded stays; press ▶ to go on.",
        "running": status.message or going,
        "ready": _before_the_first(session, status, unit),
    }
    if not can_record:
        return (
            f"A saved session of {status.recorded} batches, without its model: look, choose and export as you like. "
            "Load it with model= and source= to record more."
        ), "info"
    return words.get(status.phase, status.message), "info"


def _before_the_first(session: CalibrationSession, status: RunStatus, unit: str) -> str:
    size = session.plan.batch_size if session.plan else None
    batches = "The batches" if status.n_batches is None else count_of(status.n_batches, "batch", "batches")
    ready = "is ready" if status.n_batches == 1 else "are ready"
    each = f" of {size:,} {unit}" if size else ""
    dropped = f"; {status.dropped} {unit} do not fill a batch and are left out" if status.dropped else ""
    return (
        f"Nothing is counted yet: press → for one batch, ▶ for all. {batches}{each} {ready}{dropped}; each runs the "
        "model once and adds every tensor's values to its histogram."
    )


def strip_state(session: CalibrationSession) -> dict[str, Any]:
    """Return the strip of batches: largest |x| of the chosen tensor, None where a batch has no values of it."""
    status, state = session.status, session.state
    known = status.n_batches if status.n_batches is not None else status.recorded
    bars = min(max(known, status.recorded), _SHOWN_BATCHES)
    values = session.batch_amax(state.selected)[:bars].tolist()
    return {
        "bars": bars,
        "recorded": min(status.recorded, bars),
        "position": state.position,
        "amax": [json_number(value) for value in values],
        "amax_text": [typeset(value) for value in values],
        "excluded": sorted(state.excluded),
        "caption": "each batch's largest |x| of the chosen tensor; click = leave out" if status.recorded else "",
    }
