"""A page with one line for each of many models: what was calibrated, what failed, and the worst tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.version import __version__
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.report.document import document, scrolling
from trtcal_widgets.report.html import Html, join, name_of, tag
from trtcal_widgets.report.page import worst_of
from trtcal_widgets.session.rows import calibrated_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.session.state import TensorRow

_WORST = 3


@dataclass(frozen=True)
class ModelLine:
    """One model of the page.

    Attributes
    ----------
    name, model, data
        What the user calls it, and the files it was made from, as text.
    failed
        Why there is no cache; empty where there is one.
    cache, report
        Names of the files beside the page.
    tensors, batches, samples, seconds
        What was recorded, and how long it took.
    worst
        The tensors that lose most.
    suspicious
        How many tensors have something odd.
    """

    name: str
    model: str
    data: str
    failed: str = ""
    cache: str = ""
    report: str = ""
    tensors: int = 0
    batches: int = 0
    samples: int = 0
    seconds: float = 0.0
    worst: tuple[TensorRow, ...] = ()
    suspicious: int = 0


def worst_tensors(session: CalibrationSession) -> tuple[tuple[TensorRow, ...], int]:
    """Return the tensors that lose most, worst first, and how many of all have something odd."""
    rows = calibrated_rows(session)
    return tuple(worst_of(rows, _WORST)), sum(bool(row.suspicious) for row in rows)


def index_page(lines: Sequence[ModelLine], title: str) -> str:
    """Return the page: self-contained, with links to the files beside it."""
    failed = sum(bool(line.failed) for line in lines)
    done = f"{len(lines) - failed:,} of {count_of(len(lines), 'model')} calibrated"
    columns = ("model", "files", "tensors", "batches", "samples", "seconds", "odd", "worst tensors, with their SQNR")
    numeric = frozenset(("tensors", "batches", "samples", "seconds", "odd"))
    head = tag("tr", *(tag("th", c, scope="col", class_="num" if c in numeric else None) for c in columns))
    table = tag("table", tag("thead", head), tag("tbody", *map(_row, lines)))
    body = tag(
        "main",
        tag("h1", title),
        tag("p", f"{done}{f', {failed:,} failed' if failed else ''}. Written by trtcal_widgets {__version__}."),
        scrolling(table, "Models"),
    )
    return document(title, body)


def _row(line: ModelLine) -> Html:
    files = f"{PurePath(line.model).name} · {PurePath(line.data).name}"
    named = tag(
        "td",
        tag("strong", name_of(line.name)),
        tag("div", files, class_="faint", title=f"{line.model} · {line.data}"),
    )
    if line.failed:
        return tag("tr", named, tag("td", tag("strong", "failed: "), line.failed, colspan=7, class_="text"))
    numbers = (line.tensors, line.batches, line.samples)
    return tag(
        "tr",
        named,
        tag("td", join([_link(line.report, "report"), " ", _link(line.cache, "cache")])),
        *(tag("td", f"{number:,}", class_="num") for number in numbers),
        tag("td", significant(line.seconds), class_="num"),
        tag("td", f"{line.suspicious:,}", class_="num", title="tensors with something odd: the report says what"),
        tag("td", *(_tensor(row) for row in line.worst)),
    )


def _tensor(row: TensorRow) -> Html:
    shown = join([name_of(row.name), f" {decibels(row.sqnr_db)}"])
    return tag("div", shown, title="; ".join(row.suspicious) or None)


def _link(file: str, text: str) -> Html | None:
    return tag("a", text, href=quote(file)) if file else None
