"""The report: one HTML file that a colleague opens from the disk. No network, and no script is needed to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import path_text
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.debug.hazards.finding import find_hazards
from trtcal_widgets.debug.results import ComparisonResult
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.report.document import Part, check_n_worst, made_at, page_of_parts, scrolling
from trtcal_widgets.report.facts import facts_part, headline, reproduce_part, tiles
from trtcal_widgets.report.html import join, tag
from trtcal_widgets.report.page import choices_part, hazards_part, histograms_part, overview_part, worst_of
from trtcal_widgets.report.pictures import layers_picture
from trtcal_widgets.report.sections import (
    AsReportSection,
    ReportSection,
    accuracy_section,
    errors_section,
    plan_section,
    ranking_section,
    scores_of,
)
from trtcal_widgets.report.tables import section_body, tensor_table
from trtcal_widgets.session.rows import calibrated_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trtcal_widgets.debug.hazards.finding import Hazard
    from trtcal_widgets.runners.evaluation import Score
    from trtcal_widgets.session import CalibrationSession

__all__ = ["AsReportSection", "ReportSection", "render_report", "write_report"]


def write_report(
    session: CalibrationSession,
    path: str | os.PathLike[str],
    *,
    evaluation_result: Any = None,
    ranking: Any = None,
    plan: Any = None,
    planned: Score | None = None,
    target: float = 0.99,
    hazards: Iterable[Hazard] | None = None,
    sections: Iterable[ReportSection | AsReportSection] = (),
    title: str | None = None,
    n_worst: int = 12,
    date: datetime | None = None,
) -> None:
    """Write the report as one HTML file, atomically; see :func:`render_report`.

    Raises
    ------
    ExportError
        If the file cannot be written, or is one that the session reads; the old one stays.
    """
    path = path_text(path, "the file to write", ExportError)  # before the page is made, which takes longer
    session.inputs.refuse(path)
    page = render_report(
        session,
        evaluation_result=evaluation_result,
        ranking=ranking,
        plan=plan,
        planned=planned,
        target=target,
        hazards=hazards,
        sections=sections,
        title=title,
        n_worst=n_worst,
        date=date,
    )
    write_atomic(path, page.encode("utf-8", "replace"), inputs=session.inputs)


def render_report(
    session: CalibrationSession,
    *,
    evaluation_result: Any = None,
    ranking: Any = None,
    plan: Any = None,
    planned: Score | None = None,
    target: float = 0.99,
    hazards: Iterable[Hazard] | None = None,
    sections: Iterable[ReportSection | AsReportSection] = (),
    title: str | None = None,
    n_worst: int = 12,
    date: datetime | None = None,
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    session
        What was recorded and chosen. It is only read, and the model is not run.
    evaluation_result
        A :class:`~trtcal_widgets.debug.results.ComparisonResult`, a
        :class:`~trtcal_widgets.debug.search.SearchResult` (whose plan is then the default for ``plan``), or scores by
        label, the reference first: ``{"FP32": …, "INT8": …, "plan": …}``.
    ranking
        :class:`~trtcal_widgets.debug.results.LayerResult` objects: what each layer alone costs.
    plan
        A :class:`~trtcal_widgets.model.plan.PrecisionPlan`.
    planned
        The score with the plan, on the samples of the ``evaluation_result``; a search's result has it already.
    target
        Share of the reference's value that was to be reached, 0 to 1; that of a search is its own.
    hazards
        Of :func:`~trtcal_widgets.debug.hazards.finding.find_hazards`; None: those that can be found without running the
        model.
    sections
        Any more tables; each of the three results above may be a :class:`ReportSection` as well.
    title
        Heading; None: the model's name.
    n_worst
        How many tensors and layers to show in detail.
    date
        When the report was made; None: now. With a date given, the same input makes the same bytes.

    Raises
    ------
    UsageError
        If a result is of another kind, or ``n_worst`` is less than 1.
    """
    check_n_worst(n_worst)
    found = tuple(find_hazards(session, channel_batches=0) if hazards is None else hazards)
    plan = getattr(evaluation_result, "plan", None) if plan is None else plan
    results = [
        *(accuracy_section(evaluation_result, planned, target) if evaluation_result is not None else ()),
        *(ranking_section(ranking, n_worst) if ranking is not None else ()),
        *(plan_section(plan) if plan is not None else ()),
        *(_section(given) for given in sections),
    ]
    heading = title or f"INT8 calibration of {printable(session.graph.name)}"
    when = made_at(date)
    parts = [*_error_parts(evaluation_result, n_worst), *_parts(session, found, results, n_worst)]
    parts.sort(key=lambda part: part[0] != "result-1")  # accuracy first, errors behind it
    numbers = tiles(session, found, scores_of(evaluation_result, planned))
    return page_of_parts(heading, when, [headline(session, when), numbers], parts)


def _section(given: ReportSection | AsReportSection) -> ReportSection:
    if isinstance(given, ReportSection):
        return given
    if isinstance(given, AsReportSection):
        return given.report_section()
    raise UsageError(f"a section of a report is a ReportSection, not {type(given).__name__}")


def _error_parts(evaluation_result: Any, n_worst: int) -> Iterator[Part]:
    """Yield INT8 against FP32 in graph order and the worst tensors, where tensors were compared."""
    if isinstance(evaluation_result, ComparisonResult):
        points = [(t.name, t.sqnr_db) for t in evaluation_result.tensors.values()]
        plot = scrolling(layers_picture(points), "SQNR by tensor")
        for section in errors_section(evaluation_result, n_worst):
            intro = tag("p", "SQNR in dB in graph order, all layers in INT8: where it falls, accuracy is lost.")
            yield "errors", section.title, join([intro, plot, section_body(section)])


def _parts(
    session: CalibrationSession, hazards: tuple[Hazard, ...], results: list[ReportSection], n_worst: int
) -> Iterator[Part]:
    """Yield (anchor, heading, content) from the verdict to the details."""
    rows = calibrated_rows(session)
    counted = any(row.has_data for row in rows)
    for k, section in enumerate(results):
        yield f"result-{k + 1}", section.title, section_body(section)
    yield "hazards", "Hazards", hazards_part(hazards)
    if counted:
        worst = worst_of(rows, n_worst)
        yield "overview", "Ranges of all tensors", overview_part(session, rows)
        yield "worst", "Tensors that lose most", join([
            tag("p", "Lowest signal to quantisation noise ratio (SQNR) with the chosen thresholds, each tensor by "
                "itself: estimated from its histogram, errors of earlier layers not counted. 8 bits that are well used "
                "give 30 to 45 dB."),
            tensor_table(worst, label="Tensors that lose most"),
        ])  # fmt: skip
        yield "histograms", "Their histograms", join([
            tag("p", "Counts of |x| on a log axis. Lines are the thresholds that each method picks; the thick one is "
                "chosen, and what is shaded is clipped by it."),
            histograms_part(session, worst),
        ])  # fmt: skip
    yield "choices", "Decisions made by hand", choices_part(session)
    yield "facts", "What was calibrated", facts_part(session)
    if counted:
        table = tensor_table(rows, label="All tensors")
        yield "all", "All tensors", tag("details", tag("summary", f"Show {count_of(len(rows), 'row')}"), table)
    yield "reproduce", "How to reproduce", reproduce_part(session)
