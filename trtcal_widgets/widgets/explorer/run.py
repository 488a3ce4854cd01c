"""The header, the run and the strip of batches, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.common.words import printable
from trtcal_widgets.core.thresholds import METHODS, Method
from trtcal_widgets.widgets.kit.formatting import duration, json_number, typeset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.session import CalibrationSession, RunStatus

__all__ = ["Header", "Run", "Strip", "build_header", "build_run", "build_strip", "method_options"]

_SHOWN_BATCHES = 2000
_RUNNING = "Running. Everything here can be used meanwhile."
_FINDING_RANGES = (
    "The first of two passes finds the range of every tensor. The second one counts values: histograms and thresholds "
    "appear with its first batch."
)
_PERCENTILES = ("percentile:99", "percentile:99.9", "percentile:99.99", "percentile:99.999")


@dataclass(frozen=True)
class Header:
    """What is calibrated, and what can be taken back."""

    title: str
    facts: str
    method: str
    methods: tuple[tuple[str, str], ...]
    mine: int
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True)
class Run:
    """How far the run is, in numbers and in words."""

    phase: str
    running: bool
    position: int
    recorded: int
    n_batches: int | None
    at_end: bool
    text: str
    message: str
    message_kind: str


@dataclass(frozen=True)
class Strip:
    """Largest |x| of the chosen tensor per batch; None where the batch has no values of it."""

    bars: int
    recorded: int
    position: int
    amax: tuple[float | None, ...]
    amax_text: tuple[str, ...]
    excluded: tuple[int, ...]
    caption: str


def method_options(extra: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """Return (text that :meth:`Method.parse` reads, words for people) of the methods to pick from."""
    texts: list[str] = []
    for kind in METHODS:
        texts += _PERCENTILES if kind == "percentile" else [str(Method.parse(kind))]
    texts += [text for text in extra if text not in texts]
    return tuple((text, _method_words(text)) for text in texts)


def _method_words(text: str) -> str:
    method = Method.parse(text)
    if method.kind == "percentile":
        return f"percentile {method.parameter:g} %"
    return f"legacy {method.parameter:g}" if method.kind == "legacy" else str(method)


def build_header(session: CalibrationSession) -> Header:
    """Return the header."""
    state = session.state
    parts = [
        f"{len(session.calibrated):,} tensors",
        session.source_text or "saved session",
        session.runner_name,
        "two passes" if session.range_mode == "two-pass" else "",
    ]
    return Header(
        title=printable(session.graph.name),
        facts=" · ".join(printable(part) for part in parts if part),
        method=str(state.method),
        methods=method_options([str(state.method)]),
        mine=len(state.choices),
        can_undo=session.can_undo,
        can_redo=session.can_redo,
    )


def build_run(session: CalibrationSession, unit: str = "samples") -> Run:
    """Return how far the run is; ``unit`` is what the samples are called."""
    status, position = session.status, session.state.position
    can_record = session.plan is not None
    ended = not can_record or (status.n_batches is not None and status.recorded >= status.n_batches)
    running = status.phase == "running"
    message, kind = _message(session, status, unit, can_record=can_record)
    return Run(
        phase=status.phase,
        running=running,
        position=position,
        recorded=status.recorded,
        n_batches=status.n_batches,
        at_end=ended and position >= status.recorded,
        text=_progress_text(session, status, position, unit),
        message=message,
        message_kind=kind,
    )


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
        return f"Finished: all {status.recorded} batches are counted.", "ok"
    words = {
        "cancelled": status.message or "Cancelled. What is recorded stays; press ▶ to go on.",
        "running": _FINDING_RANGES if status.pass_name == "range pass" else _RUNNING,  # noqa: S105 - no password
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
    batches = f"{status.n_batches:,} batches" if status.n_batches is not None else "The batches"
    each = f" of {size:,} {unit}" if size else ""
    dropped = f"; {status.dropped} {unit} do not fill a batch and are left out" if status.dropped else ""
    return (
        f"Nothing is counted yet: press → for one batch, ▶ for all. {batches}{each} are ready{dropped}; each runs the "
        "model once and adds every tensor's values to its histogram."
    )


def build_strip(session: CalibrationSession) -> Strip:
    """Return the strip of batches for the chosen tensor."""
    status, state = session.status, session.state
    known = status.n_batches if status.n_batches is not None else status.recorded
    bars = min(max(known, status.recorded), _SHOWN_BATCHES)
    values = session.batch_amax(state.selected)[:bars].tolist()
    return Strip(
        bars=bars,
        recorded=min(status.recorded, bars),
        position=state.position,
        amax=tuple(json_number(value) for value in values),
        amax_text=tuple(typeset(value) for value in values),
        excluded=tuple(sorted(state.excluded)),
        caption="each batch's largest |x| of the chosen tensor; click = leave out" if status.recorded else "",
    )
