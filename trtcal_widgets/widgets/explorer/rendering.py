"""From the state to the panels and plots: which part goes where. Views know neither each other nor the session.

Views see by identity that they have nothing to do: what a change does not touch is not made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.widgets.explorer.detail import (
    HistogramPlot,
    Over,
    detail_state,
    held_state,
    histogram_plot,
    numbers_state,
    over_plot,
)
from trtcal_widgets.widgets.explorer.export_form import export_state
from trtcal_widgets.widgets.explorer.state import run_state, shell_state, strip_state
from trtcal_widgets.widgets.explorer.table import Overview, build_columns, build_overview, row_columns, rows_network
from trtcal_widgets.widgets.explorer.weights_view import weights_note

if TYPE_CHECKING:
    from trtcal_widgets.session import CalibrationSession, TensorRow, Trace
    from trtcal_widgets.session.weights import WeightChannels
    from trtcal_widgets.widgets.explorer.panels import ListPanel
    from trtcal_widgets.widgets.explorer.state import Screen
    from trtcal_widgets.widgets.explorer.views import Views

EVERYTHING = frozenset({"position", "excluded", "choices", "method", "selected", "status", "data"})
NUMBERS = frozenset({"data", "choices", "method"})
"""Changes that change numbers of tensors."""

_COUNT_SIGNS = {"type": "signed", "text": "count", "title": "Run the last counted batch once more, to see signs"}
_PATCH_SHARE = 0.25
"""Above this share of changed rows the whole columns are sent."""


class Parts:
    """What was made of a session last, for what changes seldom or costs much.

    ``rows`` are the session's own objects: one that is the same has not changed. The numbers say how many tensors get a
    row in the cache, are the user's own choice, are suspicious, and have an absurd scale.
    """

    overview: Overview
    trace: Trace
    plot: HistogramPlot
    detail: dict[str, Any]
    numbers: dict[str, Any]
    strip: dict[str, Any]
    weights: WeightChannels | None = None
    over: Over | None = None
    n_rows = n_mine = n_odd = n_absurd = 0

    def __init__(self, session: CalibrationSession) -> None:
        self.columns = build_columns(session)
        self.rows: tuple[TensorRow, ...] = ()

    def renew(self, session: CalibrationSession, changed: frozenset[str], *, rows: bool) -> None:
        """Make anew what a change concerns; the rows of all tensors only where that is wanted now."""
        name = session.state.selected
        if changed & (NUMBERS | {"selected"}):
            self.plot = histogram_plot(session, name)
            self.detail, self.numbers = detail_state(session, self.plot), numbers_state(session, name)
        if changed & {"data", "selected"}:
            # TensorRT's two, and the one that is chosen for all.
            self.trace = session.trace(name, tuple(dict.fromkeys(("entropy", "minmax", str(session.state.method)))))
            self._find_weights(session, name)
        if changed & {"data", "selected", "position", "excluded", "status"}:
            self.strip = strip_state(session)
        if rows:
            self.rows = tuple(session.table())
            self.overview = build_overview(self.rows, self.columns)
            cached = [row for row, in_cache in zip(self.rows, self.columns.cached, strict=True) if in_cache]
            self.n_rows = sum(row.has_data for row in cached)
            self.n_odd = sum(bool(row.suspicious) for row in cached)
            self.n_absurd = sum(row.absurd for row in cached)
            self.n_mine = sum(row.mine for row in self.rows if row.kind != "weight")

    def _find_weights(self, session: CalibrationSession, name: str) -> None:
        """Take the weights behind a tensor, the same object while they are the same."""
        found, before = session.weight_channels(name), self.weights
        if found is None or before is None or (found.weight, found.steps) != (before.weight, before.steps):
            self.weights = found


def render(views: Views, session: CalibrationSession, screen: Screen, parts: Parts, *, behind: bool) -> None:
    """Draw the state; ``behind`` says that the numbers of all tensors will follow."""
    selected = parts.columns.index[session.state.selected]
    views.shell.show(**shell_state(session), notice=screen.notice)
    views.stepper.show(**run_state(session, screen.unit), **parts.strip)
    _render_rows(views.tensors, parts)
    views.tensors.selected = selected
    typed = screen.typed
    kept = {"amax": typed.text} if typed is not None and typed.holds(parts.plot.name, parts.plot.amax) else {}
    over = parts.over = over_plot(session, screen.held, parts.plot.name, parts.over)
    held = held_state(screen.held, parts.plot, over)
    views.detail.show(**{**parts.detail, **kept, **held}, counts=screen.counts)
    views.histogram.render(parts.plot, screen.counts, screen.window, over)
    views.numbers.show(**parts.numbers)
    views.network.show(**rows_network(session, parts.rows, parts.columns))
    views.overview.render(parts.overview, selected)
    views.trace.render(parts.trace, parts.plot.name, session.status.n_batches, parts.plot.empty)
    views.overview_caption.show(title="all tensors", note=_overview_note(parts, behind=behind))
    views.weights.render(parts.weights, parts.plot.name)
    views.weights_caption.show(title="weights by channel", note=weights_note(parts.weights))
    signed = screen.signed if screen.signed is not None and screen.signed.name == parts.plot.name else None
    views.signed.render(signed, parts.plot.amax)
    views.signed_caption.show(title="with sign", note=signed.words if signed else "", action=_COUNT_SIGNS)
    views.trace_caption.show(title="thresholds by batch", note=printable(parts.plot.name))
    counts = {"n_rows": parts.n_rows, "n_mine": parts.n_mine, "n_absurd": parts.n_absurd}
    views.export.show(**export_state(session, screen.form, **counts))


def _render_rows(panel: ListPanel, parts: Parts) -> None:
    """Send the rows that are other objects than those that the list has."""
    before, rows = panel.shown, parts.rows
    if rows is before:
        return
    panel.shown = rows
    if not before:
        panel.columns = dict(parts.columns.state)
    index = [i for i, (old, new) in enumerate(zip(before, rows, strict=bool(before))) if old is not new]
    if not before or len(index) > max(8, _PATCH_SHARE * len(rows)):
        names = sorted({row.method for row in rows})
        panel.rows = {**row_columns(rows, names), "method_names": names}
    elif index:
        names = list(panel.rows["method_names"])
        names += sorted({rows[i].method for i in index}.difference(names))
        panel.send_patch(index, row_columns([rows[i] for i in index], names), names)


def _overview_note(parts: Parts, *, behind: bool) -> str:
    n, odd, beyond = len(parts.overview.places), parts.n_odd, parts.overview.beyond
    notes = [
        count_of(n, "tensor"),
        f"{odd:,} suspicious" if odd else "",
        f"{beyond:,} off the axis" if beyond else "",
        "numbers follow …" if behind else "",
    ]
    return " · ".join(note for note in notes if note)
