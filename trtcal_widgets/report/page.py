"""What the report says: one function per part, each from a session's numbers to HTML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.common.figures import percent
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.debug.hazards.types import SEVERITIES, by_kind
from trtcal_widgets.report.document import scrolling
from trtcal_widgets.report.html import Html, join, name_of, tag
from trtcal_widgets.report.pictures import Mark, RangeBar, histogram_picture, method_swatch, overview_picture
from trtcal_widgets.report.sections import Name
from trtcal_widgets.report.tables import table_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.debug.hazards.types import Hazard
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.session.state import TensorRow

_SHOWN_METHODS = ("entropy", "minmax", "percentile", "mse")
_SHOWN_PER_KIND = 4

_KIND_TITLES = {
    "already-quantised": "The model is quantised already",
    "attention-mask": "Attention masks with huge negative values",
    "channel-spread": "Channels of very different size under one threshold",
    "clipped": "Thresholds that clip much",
    "clipped-probabilities": "Confident answers are clipped",
    "concat-ranges": "Small and large values in one Concat",
    "constant": "Tensors that never change",
    "custom-domain": "Operators of other domains",
    "dead": "Tensors of nothing but zeros",
    "disagreement": "Entropy and minmax disagree",
    "few-samples": "Few calibration samples",
    "growing-ranges": "Ranges still grew in the last batches",
    "non-finite": "NaN or infinite values",
    "not-checked": "What was not looked at",
    "one-sided-data": "Calibration data of few classes",
    "range-stretching": "Squares, roots and exponentials",
    "weight-input-channels": "Weights of some input channels are tiny",
    "weight-output-channels": "Weights of the output channels differ much",
}


def worst_of(rows: Sequence[TensorRow], n: int) -> list[TensorRow]:
    """Return the rows with the lowest SQNR, worst first, one per shared scale; those without a number are left out."""
    leaders = [row for row in rows if row.group[0] == row.name and math.isfinite(row.sqnr_db)]
    return sorted(leaders, key=lambda row: row.sqnr_db)[:n]


def hazards_part(hazards: Sequence[Hazard]) -> Html:
    """Return the hazards, one box per kind and severity."""
    if not hazards:
        return tag("p", "None of the checks found anything. That is no proof that INT8 is harmless: compare accuracy.")
    boxes = [
        _hazard_box(kind, same)
        for severity in SEVERITIES
        for kind, same in by_kind(h for h in hazards if h.severity == severity).items()
    ]
    return join(boxes)


def _hazard_box(kind: str, same: Sequence[Hazard]) -> Html:
    first = same[0]
    basis = " · inferred from the graph, not measured" if any(h.basis == "inferred" for h in same) else ""
    badge = tag("span", f"{first.severity}{basis}", class_="badge")
    times = f" ({len(same):,})" if len(same) > 1 else ""
    title = tag("h3", f"{_KIND_TITLES.get(kind, kind)}{times}", badge)
    shown, more = same[:_SHOWN_PER_KIND], same[_SHOWN_PER_KIND:]
    body = tag("p", first.message) if len(same) == 1 else tag("ul", *(tag("li", h.message) for h in shown))
    listed = tag("ul", *(tag("li", h.message) for h in more))
    rest = tag("details", tag("summary", f"{len(more):,} more"), listed) if more else None
    return tag("section", title, body, rest, tag("p", first.mend, class_="mend"), class_=f"hazard {first.severity}")


def overview_part(session: CalibrationSession, rows: Sequence[TensorRow]) -> Html:
    """Return the plot of all ranges, and what its marks mean."""
    bars = [
        RangeBar(r.name, session.histogram(r.name).rms, r.minmax_amax, r.amax, r.method, r.mine)
        for r in rows
        if r.has_data
    ]
    methods = dict.fromkeys(bar.method for bar in bars)
    picture = overview_picture(bars)
    beyond = tag("li", "▲ larger than the axis") if "var(--severe)" in picture else None
    keys = tag("ul", *(tag("li", method_swatch(m), f"threshold: {m}") for m in methods), beyond, class_="keys")
    words = (
        "One bar per tensor, from its root mean square up to its largest |x|; the coloured mark is the threshold "
        "±amax. Above the mark values are clipped; a bar far below it wastes levels."
    )
    return join([tag("p", words), keys, scrolling(picture, "Overview")])


def histograms_part(session: CalibrationSession, rows: Sequence[TensorRow]) -> Html:
    """Return one card per tensor: its histogram, its thresholds and what each of them costs."""
    return tag("div", *(_card(session, row) for row in rows), class_="cards")


def _card(session: CalibrationSession, row: TensorRow) -> Html:
    methods = [Method.parse(m) for m in _SHOWN_METHODS]
    marks = [Mark(m.label, session.amax(row.name, m), m.label == row.method) for m in methods]
    if not any(m.chosen for m in marks):
        marks.append(Mark(row.method, row.amax, chosen=True))
    shared = f" · shares its scale with {count_of(len(row.group) - 1, 'other')}" if len(row.group) > 1 else ""
    zeros = f" · {percent(row.zeros_fraction)} zeros" if row.zeros_fraction > 0 else ""
    facts = f"{row.op_type} · {row.dtype}{row.shape_text} · {row.minimum:.3g} … {row.maximum:.3g}{zeros}{shared}"
    return tag(
        "section",
        tag("h3", name_of(row.name)),
        tag("p", facts, class_="faint"),
        histogram_picture(session.histogram(row.name), marks, row.name),
        _legend(session, row.name, marks),
        class_="card",
    )


def _legend(session: CalibrationSession, name: str, marks: Sequence[Mark]) -> Html:
    columns = ("threshold", "±amax", "SQNR dB", "clipped %")
    head = tag("tr", *(tag("th", c, scope="col", class_="num" if k else None) for k, c in enumerate(columns)))
    rows = [tag("tr", *_legend_cells(session, name, m), class_="chosen" if m.chosen else None) for m in marks]
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="legend")


def _legend_cells(session: CalibrationSession, name: str, mark: Mark) -> list[Html]:
    cost = session.cost(name, mark.amax)
    numbers = (mark.amax, cost.sqnr_db, 100 * cost.clipped_fraction)
    label = tag("td", method_swatch(mark.label), f" {mark.label}{' ✓' if mark.chosen else ''}")
    return [label, *(tag("td", significant(v, 2 if v < 0.1 else 3), class_="num") for v in numbers)]


def choices_part(session: CalibrationSession) -> Html:
    """Return what the user decided by hand: thresholds and batches left out."""
    state = session.state
    rows = []
    for leader, choice in state.choices.items():
        default, chosen = session.amax(leader, state.method), session.amax(leader)
        rows.append(
            (
                Name(leader),
                len(session.group(leader)),
                "own value" if choice.method is None else choice.method.label,
                chosen,
                default,
                session.cost(leader, chosen).sqnr_db,
                session.cost(leader, default).sqnr_db,
            )
        )
    label = state.method.label
    columns = ("tensor", "sharing it", "choice", "±amax", f"±amax of {label}", "SQNR dB", f"SQNR dB with {label}")
    table = table_html(columns, rows, label="Choices") if rows else tag("p", f"All thresholds are those of {label}.")
    numbers = ", ".join(str(i + 1) for i in sorted(state.excluded))
    left_out = f"{count_of(len(state.excluded), 'batch is', 'batches are')} left out: number {numbers}."
    return join([table, tag("p", left_out if state.excluded else "No batch is left out.")])
