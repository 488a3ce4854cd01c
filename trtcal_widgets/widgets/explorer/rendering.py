"""One snapshot to all views: which part goes where. Views do not know each other, nor the session."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.explorer.export_form import ExportForm, export_state
from trtcal_widgets.widgets.explorer.table import changed_rows, row_columns
from trtcal_widgets.widgets.kit.formatting import exact, typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.session import CalibrationSession, TensorRow
    from trtcal_widgets.widgets.explorer.detail import Detail
    from trtcal_widgets.widgets.explorer.histogram_view import HistogramView
    from trtcal_widgets.widgets.explorer.overview_view import OverviewView
    from trtcal_widgets.widgets.explorer.panels import (
        CaptionPanel,
        DetailPanel,
        ExportPanel,
        ListPanel,
        NumbersPanel,
        Panel,
        ShellPanel,
        StepperPanel,
    )
    from trtcal_widgets.widgets.explorer.snapshot import Snapshot
    from trtcal_widgets.widgets.explorer.trace_view import TraceView
    from trtcal_widgets.widgets.kit.figures import FigureView

__all__ = ["Screen", "Views", "render"]

_PATCH_SHARE = 0.25
"""Above this share of changed rows the whole columns are sent."""


@dataclass(frozen=True)
class Screen:
    """What the screen itself remembers: nothing that belongs to the session."""

    counts: Any = "log"
    notice: str = ""
    form: ExportForm = field(default_factory=ExportForm)


@dataclass(frozen=True)
class Views:
    """The views of one explorer."""

    shell: ShellPanel
    stepper: StepperPanel
    tensors: ListPanel
    detail: DetailPanel
    histogram: HistogramView
    numbers: NumbersPanel
    overview: OverviewView
    overview_caption: CaptionPanel
    trace: TraceView
    trace_caption: CaptionPanel
    export: ExportPanel

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels."""
        return (self.shell, self.stepper, self.tensors, self.detail, self.numbers, self.export)

    @property
    def plots(self) -> tuple[FigureView, ...]:
        """All plots."""
        return (self.histogram, self.overview, self.trace)


def render(
    views: Views, session: CalibrationSession, snapshot: Snapshot, before: Snapshot | None, screen: Screen
) -> None:
    """Draw a snapshot; what is the same as before is left alone."""
    views.shell.show(**_plain(asdict(snapshot.header)), notice=screen.notice)
    _render_stepper(views, snapshot)
    _render_rows(views.tensors, snapshot, before)
    if views.tensors.selected != snapshot.selected:
        views.tensors.selected = snapshot.selected
    views.detail.show(**_detail_state(snapshot.detail, screen))
    views.histogram.render(snapshot.detail, screen.counts)
    views.numbers.show(
        numbers=[asdict(number) for number in snapshot.detail.numbers],
        members=[asdict(member) for member in snapshot.detail.members],
    )
    views.overview.render(snapshot.overview, snapshot.selected)
    views.trace.render(snapshot.trace, snapshot.run.n_batches, snapshot.detail.empty)
    views.overview_caption.show(title="all tensors", note=_overview_note(snapshot))
    views.trace_caption.show(title="thresholds by batch", note=snapshot.detail.shown)
    mine = sum(1 for row in snapshot.rows if row.mine and row.kind != "weight")
    n_rows = sum(
        1 for row, cached in zip(snapshot.rows, snapshot.columns.cached, strict=True) if cached and row.has_data
    )
    views.export.show(**_plain(export_state(session, screen.form, n_rows=n_rows, n_mine=mine)))


def _render_stepper(views: Views, snapshot: Snapshot) -> None:
    run, strip = snapshot.run, snapshot.strip
    views.stepper.show(
        phase=run.phase,
        running=run.running,
        at_end=run.at_end,
        slider_max=run.n_batches if run.n_batches is not None else run.recorded,
        text=run.text,
        message=run.message,
        message_kind=run.message_kind,
        **_plain(asdict(strip)),
    )


def _render_rows(panel: ListPanel, snapshot: Snapshot, before: Snapshot | None) -> None:
    rows = snapshot.rows
    if before is not None and rows is before.rows:
        return
    if before is None:
        panel.columns = snapshot.columns.as_state()
        _send_rows(panel, rows)
        return
    index = changed_rows(before.rows, rows)
    if len(index) > max(8, _PATCH_SHARE * len(rows)):
        _send_rows(panel, rows)
    elif index:
        names = list(panel.rows["method_names"])
        names += sorted({rows[i].method for i in index}.difference(names))
        panel.send_patch(index, row_columns([rows[i] for i in index], names), names)


def _send_rows(panel: ListPanel, rows: Sequence[TensorRow]) -> None:
    names = sorted({row.method for row in rows})
    panel.rows = {**row_columns(rows, names), "method_names": names}


def _detail_state(detail: Detail, screen: Screen) -> dict[str, Any]:
    known = math.isfinite(detail.amax) and detail.amax > 0
    return {
        "name": detail.name,
        "shown": detail.shown,
        "facts": detail.facts,
        "facts_title": detail.facts_title,
        "notes": list(detail.notes),
        "editable": detail.editable,
        "mine": detail.mine,
        "method": detail.method,
        "methods": [list(pair) for pair in detail.methods],
        "amax": exact(detail.amax) if known else "",
        "counts": screen.counts,
        "marks": [
            {
                "key": mark.key,
                "kind": mark.kind,
                "label": mark.label,
                "text": typeset(mark.amax),
                "known": mark.amax > 0,
                "chosen": mark.chosen,
                "title": _mark_title(mark.label, mark.amax, chosen=mark.chosen),
            }
            for mark in detail.marks
        ],
    }


def _mark_title(label: str, amax: float, *, chosen: bool) -> str:
    return f"{label}: amax {exact(amax)}" + (" · holds now" if chosen else " · press to choose")


def _overview_note(snapshot: Snapshot) -> str:
    odd = sum(
        1 for row, cached in zip(snapshot.rows, snapshot.columns.cached, strict=True) if cached and row.suspicious
    )
    n = len(snapshot.overview.places)
    beyond = snapshot.overview.beyond
    parts = [f"{n:,} tensors", f"{odd:,} suspicious" if odd else "", f"{beyond:,} off the axis" if beyond else ""]
    parts.append("numbers follow …" if snapshot.behind else "")
    return " · ".join(part for part in parts if part)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Turn tuples into lists, as JSON would: a state that was sent is compared with the next one."""
    return {key: _listed(value) for key, value in values.items()}


def _listed(value: Any) -> Any:
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value
