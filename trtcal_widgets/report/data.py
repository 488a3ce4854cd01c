"""What was found out about calibration data as one HTML page, without the session that it is about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import path_text
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.version import __version__
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.doctor.types import DataReport
from trtcal_widgets.drawing.svg import ink, to_svg
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.report.document import Part, check_n_worst, made_at, page_of_parts, tiles_of
from trtcal_widgets.report.html import Html, join, name_of, tag
from trtcal_widgets.report.pictures import axes_in
from trtcal_widgets.report.sections import Name
from trtcal_widgets.report.tables import facts_list, table_html

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from matplotlib.figure import Figure

    from trtcal_widgets.doctor.types import DataWarning, Settling

__all__ = ["render_data_report", "write_data_report"]

_WAYS = (("two-pass", "entropy", "-"), ("one-pass", "minmax", "--"))
"""How the batches of a draw are counted, and with what that is drawn."""

_COLUMNS = (
    "tensor", "state", "±amax", "may be off dB", "halves pick from", "to", "order dB", "other orders from", "to ",
    "images", "at least", "at most",
)  # fmt: skip


def write_data_report(
    report: DataReport, path: str | os.PathLike[str], *, title: str | None = None, date: datetime | None = None
) -> None:
    """Write what was found out about calibration data as one HTML file, atomically; see :func:`render_data_report`.

    Raises
    ------
    ExportError
        If the file cannot be written; the old one stays.
    """
    path = path_text(path, "the file to write", ExportError)  # before the page is made, which takes longer
    write_atomic(path, render_data_report(report, title=title, date=date).encode("utf-8", "replace"))


def render_data_report(
    report: DataReport, *, title: str | None = None, n_worst: int = 12, date: datetime | None = None
) -> str:
    """Return a page with the verdict, what stands out, how thresholds settle, and every tensor.

    Parameters
    ----------
    report
        Of :func:`~trtcal_widgets.doctor.examine`.
    title
        Heading; None: the model's name.
    n_worst
        How many tensors to draw, those that may be furthest off first; at least 1.
    date
        When the page was made; None: now. With a date given, the same report makes the same bytes.

    Raises
    ------
    UsageError
        If ``report`` is no report, or ``n_worst`` is less than 1.
    """
    if not isinstance(report, DataReport):
        raise UsageError(f"report is what examine(session) returns, not {type(report).__name__}")
    check_n_worst(n_worst)
    when = made_at(date)
    heading = title or f"Calibration data of {printable(report.model)}"
    counted = f"{count_of(report.n_samples, 'sample')} in {count_of(len(report.batches), 'batch', 'batches')}"
    lead = tag("p", f"{counted} · within {report.bar_db:g} dB · {when} · trtcal_widgets {__version__}", class_="lead")
    return page_of_parts(heading, when, [lead, _tiles(report)], list(_parts(report, n_worst)))


def _parts(report: DataReport, n_worst: int) -> Iterator[Part]:
    """Yield (anchor, heading, content) from the verdict to the details."""
    yield "verdict", "Verdict", tag("ul", *(tag("li", line) for line in report.verdict.lines))
    yield "warnings", "What stands out", _warnings(report.warnings)
    if report.tensors:
        yield "settling", "How thresholds settle", join([_drawn_words(), _cards(report, n_worst)])
        yield "all", "All tensors", _table(report)
    yield "facts", "How this was found out", _facts(report)


def _tiles(report: DataReport) -> Html:
    verdict = {True: "enough", False: "not enough", None: "cannot tell"}[report.verdict.enough]
    n = len(report.tensors)
    needed = report.needed
    shown = [
        (verdict, f"by a bar of {report.bar_db:g} dB"),
        (f"{len(report.unsettled):,} of {n:,}", "scales not settled"),
        (f"{len(report.order_dependent):,} of {n:,}", "scales depend on the order of the batches"),
    ]
    if report.unsettled and needed.images:
        shown.append((f"about {needed.images:,}", f"samples needed ({needed.low or 0:,} to {needed.high or 0:,})"))
    shown.append((count_of(len(report.warnings), "warning"), "about the samples themselves"))
    return tiles_of(shown)


def _warnings(warnings: Sequence[DataWarning]) -> Html:
    if not warnings:
        return tag("p", "None of the checks found anything.")
    return join(_warning(warning) for warning in warnings)


def _warning(warning: DataWarning) -> Html:
    badge = tag("span", f"{warning.severity} · {warning.sure}", class_="badge")
    return tag(
        "section",
        tag("h3", warning.kind, badge),
        tag("p", warning.what),
        tag("p", warning.evidence, class_="faint") if warning.evidence else None,
        tag("p", warning.mend, class_="mend"),
        class_=f"hazard {warning.severity}",
    )


def _drawn_words() -> Html:
    return tag(
        "p",
        "Thresholds (±amax) that random draws of so many batches pick: the wide band holds 90 % of the draws, the "
        "narrow one half of them. Solid: over a range that is known before (two-pass). Dashed: as TensorRT counts, the "
        "range starting from the first batch of the draw (one-pass). A band that narrows is a threshold that settles.",
    )


def _cards(report: DataReport, n_worst: int) -> Html:
    drawn = [found for found in report.tensors if len(found.two_pass.sizes)]
    drawn.sort(key=lambda found: -max(_or_zero(found.off_db), _or_zero(found.order.worst_db)))
    return tag("div", *(_card(found) for found in drawn[:n_worst]), class_="cards")


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _card(found: Settling) -> Html:
    off, order = significant(found.off_db), significant(found.order.worst_db)
    facts = f"{_state_of(found)} · may be off by {off} dB · order {order} dB"
    return tag(
        "section",
        tag("h3", name_of(found.name)),
        tag("p", facts, class_="faint"),
        _band_picture(found),
        class_="card",
    )


def _band_picture(found: Settling) -> Html:
    """Return the bands of one tensor."""

    def draw(figure: Figure) -> None:
        axes = axes_in(figure, (0.14, 0.17, 0.83, 0.78))
        for band, (_, role, dash) in zip((found.two_pass, found.one_pass), _WAYS, strict=True):
            q = band.quantiles
            axes.fill_between(band.sizes, q[:, 0], q[:, 4], color=ink(role), alpha=0.16, linewidth=0)
            axes.fill_between(band.sizes, q[:, 1], q[:, 3], color=ink(role), alpha=0.2, linewidth=0)
            axes.plot(band.sizes, q[:, 2], color=ink(role), linestyle=dash, linewidth=1.6)
        last = int(found.two_pass.sizes[-1])
        picks = found.order.picks[np.isfinite(found.order.picks)]
        axes.plot(np.full(len(picks), last), picks, "_", color=ink("minmax"), markersize=9)
        axes.axhline(found.amax, color=ink("faint"), linestyle=":", linewidth=1)
        axes.set_xlabel("batches in the draw", color=ink("faint"), labelpad=0)
        axes.locator_params(axis="both", nbins=6)

    label = f"Thresholds of {printable(found.name)} over the number of batches; now {significant(found.amax)}"
    return Html(to_svg(draw, 380, 200, label=label))


def _state_of(found: Settling) -> str:
    return {True: "settled", False: "not settled", None: "cannot tell"}[found.settled]


def _table(report: DataReport) -> Html:
    order = sorted(report.tensors, key=lambda found: -_or_zero(found.off_db))
    rows = [
        (
            Name(found.name),
            _state_of(found),
            found.amax,
            found.off_db,
            found.off_low * found.amax,
            found.off_high * found.amax,
            found.order.worst_db,
            found.order.low,
            found.order.high,
            _number(found.needed.images),
            _number(found.needed.low),
            _number(found.needed.high),
        )
        for found in order
    ]
    return table_html(_COLUMNS, rows, label="All tensors")


def _number(value: int | None) -> float | int:
    return math.nan if value is None else value


def _facts(report: DataReport) -> Html:
    ways = {"one-pass": "one pass, as TensorRT counts", "two-pass": "two passes, the range known before"}
    return facts_list(
        [
            ("model", printable(report.model)),
            ("batches", f"{len(report.batches):,}, {count_of(report.n_samples, 'sample')}"),
            ("recorded in", ways[report.recorded_way]),
            ("draws", f"{report.resamples:,} for each tensor and size, random numbers from seed {report.seed}"),
            ("bar", f"{report.bar_db:g} dB of SQNR"),
        ]
    )
