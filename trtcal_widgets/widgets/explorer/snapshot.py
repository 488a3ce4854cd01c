"""What the explorer shows at one moment: frozen, made from a session by pure functions.

Views are given a :class:`Snapshot` and draw it; they never ask the session. Parts that a change does not touch are
taken over from the snapshot before, so that a view sees by identity that it has nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.explorer.detail import Detail, build_detail
from trtcal_widgets.widgets.explorer.run import Header, Run, Strip, build_header, build_run, build_strip
from trtcal_widgets.widgets.explorer.table import Columns, Overview, build_columns, build_overview

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession, TensorRow, Trace

__all__ = ["EVERYTHING", "NUMBERS", "Snapshot", "build_snapshot"]

EVERYTHING = frozenset({"position", "excluded", "choices", "method", "selected", "status", "data"})
NUMBERS = frozenset({"data", "choices", "method"})
"""Changes that change numbers of tensors."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that is on the screen.

    Attributes
    ----------
    header, run, strip
        What is calibrated; how far the run is; each batch's share of the chosen tensor.
    columns, rows
        The facts of every tensor that never change, and its numbers (the session's own objects: a row that is the
        same object has not changed).
    selected
        Index of the chosen tensor in ``rows``.
    detail, trace
        The chosen tensor, and how its thresholds moved.
    overview
        All ranges.
    behind
        Whether ``rows`` and ``overview`` are still those of before, and will follow.
    """

    header: Header
    run: Run
    strip: Strip
    columns: Columns
    rows: tuple[TensorRow, ...]
    selected: int
    detail: Detail
    trace: Trace
    overview: Overview
    behind: bool = False


def build_snapshot(
    session: CalibrationSession,
    changed: frozenset[str] = EVERYTHING,
    before: Snapshot | None = None,
    *,
    with_table: bool = True,
    unit: str = "samples",
) -> Snapshot:
    """Return what is to be shown now.

    Parameters
    ----------
    session
        Read, never changed.
    changed
        What changed since ``before``, in the session's words.
    before
        The snapshot that is on the screen.
    with_table
        False keeps the rows of ``before``: during a run the numbers of 3,000 tensors are not worth making after
        every batch.
    unit
        What a sample is called: ``images`` where there are pictures.
    """
    if before is None:
        changed, with_table = EVERYTHING, True
    columns = before.columns if before else build_columns(session)
    state = session.state
    detail_parts: dict[str, Any] = {}
    if changed & (NUMBERS | {"selected"}):
        detail_parts["detail"] = build_detail(session, state.selected)
    if changed & {"data", "selected"}:
        detail_parts["trace"] = session.trace(state.selected, _traced(session))
    if with_table and changed & NUMBERS:
        rows = tuple(session.table())
        detail_parts["rows"] = rows
        detail_parts["overview"] = build_overview(rows, columns)
    if changed & {"data", "selected", "position", "excluded", "status"}:
        detail_parts["strip"] = build_strip(session)
    shown = {
        **detail_parts,
        "header": build_header(session),
        "run": build_run(session, unit),
        "selected": columns.index[state.selected],
    }
    if before is not None:
        return replace(before, **shown)
    return Snapshot(columns=columns, **shown)


def _traced(session: CalibrationSession) -> tuple[str, ...]:
    """Methods whose way is drawn: TensorRT's two, and the one that is chosen for all."""
    chosen = str(session.state.method)
    return ("entropy", "minmax") if chosen in ("entropy", "minmax") else ("entropy", "minmax", chosen)
