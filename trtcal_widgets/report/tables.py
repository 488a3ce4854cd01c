"""Tables of the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.common.words import significant
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex
from trtcal_widgets.report.document import scrolling
from trtcal_widgets.report.html import Html, join, name_of, tag
from trtcal_widgets.report.sections import Name, Precise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Self

    from trtcal_widgets.report.sections import Cell, ReportSection
    from trtcal_widgets.session.state import TensorRow

_DASH = "–"


class _Noted(Name):
    """A name with a remark below it."""

    __slots__ = ("note",)
    note: str

    def __new__(cls, name: str, note: str) -> Self:
        made = super().__new__(cls, name)
        made.note = note
        return made


def table_html(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, label: str) -> Html:
    """Return a table that can be scrolled sideways and sorted; numbers sort by all of their digits."""
    rows = [tuple(row) for row in rows]
    numeric = [
        any(isinstance(row[k], (int, float)) for row in rows) and all(isinstance(row[k], (int, float)) for row in rows)
        for k in range(len(columns))
    ]
    head = tag(
        "tr", *(tag("th", c, scope="col", class_="num" if n else None) for c, n in zip(columns, numeric, strict=True))
    )
    body = join(tag("tr", *map(_cell, row)) for row in rows)
    table = tag("table", tag("thead", head), tag("tbody", body), class_="sortable")
    return scrolling(table, label)


def _cell(value: Cell) -> Html:
    if isinstance(value, _Noted):
        return tag("td", name_of(value), tag("small", value.note) if value.note else None)
    if isinstance(value, Name):
        return tag("td", name_of(value))
    if isinstance(value, str):
        return tag("td", value, class_="text" if len(value) > 24 else None)
    if isinstance(value, float):
        if math.isnan(value):
            return tag("td", _DASH, class_="num", data_v="")
        sort = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value) or repr(float(value))
        digits = value.digits if isinstance(value, Precise) else 3
        shown = {math.inf: "∞", -math.inf: "−∞"}.get(value) or significant(value, digits)
        return tag("td", shown, class_="num", data_v=sort, title=sort)
    return tag("td", f"{value:,}", class_="num", data_v=value)


TENSOR_COLUMNS = ("tensor", "made by", "method", "±amax", "max |x|", "clipped %", "SQNR dB", "scale (hex)")


def tensor_table(rows: Iterable[TensorRow], *, label: str) -> Html:
    """Return the table of what was chosen for tensors and what it costs."""
    return table_html(TENSOR_COLUMNS, map(_tensor_cells, rows), label=label)


def _tensor_cells(row: TensorRow) -> tuple[Cell, ...]:
    known = row.amax >= 0
    return (
        _Noted(row.name, "; ".join(row.suspicious)),
        row.op_type,
        row.method if known else "",
        row.amax,
        row.minmax_amax,
        100 * row.clipped_fraction,
        row.sqnr_db,
        scale_to_hex(float(scale_of_amax(row.amax))) if known else "",
    )


def facts_list(facts: Iterable[tuple[str, Html | str]]) -> Html:
    """Return pairs of what and which, empty ones left out."""
    pairs = [join([tag("dt", label), tag("dd", value)]) for label, value in facts if value]
    return tag("dl", *pairs, class_="facts")


def section_body(section: ReportSection) -> Html:
    """Return a section without its heading."""
    parts = [
        tag("p", section.intro) if section.intro else None,
        table_html(section.columns, section.rows, label=section.title) if section.rows else None,
        *(tag("p", note) for note in section.notes),
        tag("pre", tag("code", section.code)) if section.code else None,
    ]
    return join(parts)
