"""What others give to the report: tables of any kind, and the results of debugging turned into such tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from trtcal_widgets.common.summary import Summary
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.debug.goal import goal_of, loss_text, reaches, value_text
from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorResult
from trtcal_widgets.errors import UsageError
from trtcal_widgets.runners.evaluation import Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self


class Name(str):
    """A tensor's or node's name in a cell: set in its own type, and never markup."""

    __slots__ = ()


class Precise(float):
    """A number of which more than three digits matter, such as an accuracy."""

    __slots__ = ("digits",)
    digits: int

    def __new__(cls, value: float, digits: int = 4) -> Self:
        """Take a number and how many significant digits to show."""
        made = super().__new__(cls, value)
        made.digits = digits
        return made


Cell = Name | str | int | float
"""What a cell holds. Numbers are shown with three significant digits and sort as numbers; NaN is shown as a dash."""


_SHOWN = 20
"""Rows of a section that a notebook shows of it."""


@dataclass(frozen=True)
class ReportSection:
    """A part of the report: some lines of text and a table. Everything is text: nothing is taken as markup.

    Attributes
    ----------
    title
        Heading.
    columns
        Headings of the columns, with the unit where there is one.
    rows
        Cells, as many per row as there are columns.
    intro
        What the table shows, in a sentence or two.
    notes
        Lines below the table.
    code
        Text to copy, such as a file's content or commands; empty for none.
    """

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    intro: str = ""
    notes: tuple[str, ...] = ()
    code: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise UsageError(f"{self.title}: a row has {len(row)} cells for {len(self.columns)} columns")

    def _summary(self) -> Summary:
        rows = tuple(tuple(_cell_text(cell) for cell in row) for row in self.rows[:_SHOWN])
        more = count_of(len(self.rows) - _SHOWN, "more row") if len(self.rows) > _SHOWN else ""
        lines = tuple(line for text in (self.intro, *self.notes, self.code) for line in text.splitlines())
        return Summary(self.title, lines, self.columns, rows, more)

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _repr_markdown_(self) -> str:
        return self._summary().markdown()


def _cell_text(cell: Cell) -> str:
    if isinstance(cell, float):
        return "–" if math.isnan(cell) else significant(cell, cell.digits if isinstance(cell, Precise) else 3)
    return str(cell)


@runtime_checkable
class AsReportSection(Protocol):
    """A result that knows how it stands in a report."""

    def report_section(self) -> ReportSection:
        """Return the section."""


def accuracy_section(result: Any, planned: Score | None = None, target: float = 0.99) -> tuple[ReportSection, ...]:
    """Return the scores side by side, ``planned`` (that with the plan) last, and whether each reaches the goal.

    ``result``: a :class:`~trtcal_widgets.debug.results.ComparisonResult`, a
    :class:`~trtcal_widgets.debug.search.SearchResult`, scores by label (the first one is what the others are measured
    against: ``{"FP32": …, "INT8": …, "plan": …}``), or a section. Raises UsageError if it is none of these.
    """
    given = _as_given(result)
    if given is not None:
        return (given,)
    scores = scores_of(result, planned)
    return (_scores(scores, _goal_of(result, scores, target)), *_steps(result)) if scores else ()


def _goal_of(result: Any, scores: Mapping[str, Score], target: float) -> float:
    from trtcal_widgets.debug.search import SearchResult

    return result.goal if isinstance(result, SearchResult) else goal_of(next(iter(scores.values())), target)


def scores_of(result: Any, planned: Score | None = None) -> Mapping[str, Score]:
    """Return the scores in a result by label, the reference first; none for a section, which is not looked into.

    Raises UsageError if it is none of the kinds that :func:`accuracy_section` takes.
    """
    from trtcal_widgets.debug.search import SearchResult

    if result is None or _as_given(result) is not None:
        return {}
    if isinstance(result, ComparisonResult):
        with_plan = {} if planned is None else {"INT8 with the plan": planned}
        return {"FP32": result.fp32, "INT8": result.int8, **with_plan}
    if isinstance(result, SearchResult):
        return {"FP32": result.fp32, "INT8": result.before, "INT8 with the plan": result.after}
    if isinstance(result, Mapping) and all(isinstance(score, Score) for score in result.values()):
        return result
    raise UsageError(
        "evaluation_result is a ComparisonResult, a SearchResult, a mapping of labels to Scores, or a ReportSection, "
        f"not {type(result).__name__}"
    )


def _steps(result: Any) -> tuple[ReportSection, ...]:
    """Return what a search for a plan tried."""
    from trtcal_widgets.debug.search import SearchResult

    if not isinstance(result, SearchResult) or not result.steps:
        return ()
    measure = result.fp32.measure
    rows = tuple((step.what, step.score.value, "kept" if step.accepted else "taken back") for step in result.steps)
    reached = "was reached" if result.met else "was not reached"
    intro = (
        f"In the order in which it was tried; the goal, {measure} of {value_text(result.fp32, result.goal)}, {reached}."
    )
    return (ReportSection("Search for a plan", ("tried", measure, "outcome"), rows, intro),)


def _as_given(result: Any) -> ReportSection | None:
    if isinstance(result, ReportSection):
        return result
    return result.report_section() if isinstance(result, AsReportSection) else None


def _scores(scores: Mapping[str, Score], goal: float) -> ReportSection:
    reference = next(iter(scores.values()))
    measures = [
        (title, [getattr(s, field) * factor for s in scores.values()])
        for title, field, factor in (
            ("top-1 %", "top1", 100.0),
            ("top-5 %", "top5", 100.0),
            ("own measure", "custom", 1.0),
        )
    ]
    shown = [(title, values) for title, values in measures if not all(math.isnan(v) for v in values)]
    columns = ("model in", "samples", *(title for title, _ in shown), "output SQNR dB", "output cosine")
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            label,
            score.n_samples,
            *(Precise(values[k]) for _, values in shown),
            score.outputs.sqnr_db,
            Precise(score.outputs.cosine, 5),
        )
        for k, (label, score) in enumerate(scores.items())
    )
    notes = tuple(
        _verdict(label, score, reference, goal) for label, score in list(scores.items())[1:] if score is not reference
    )
    base = next(iter(scores))
    intro = f"SQNR and cosine compare the model's outputs with those of {base} on the same samples."
    return ReportSection("Accuracy", columns, rows, intro, notes)


def _verdict(label: str, score: Score, reference: Score, goal: float) -> str:
    if math.isnan(reference.value):
        return f"{label}: output cosine {significant(score.outputs.cosine, 5)} (there are no labels)."
    what = "(there are no labels)" if reference.measure == "output cosine" else f"of {reference.measure}"
    wanted = f"the goal of {value_text(reference, goal)}"
    verdict = "reaches" if reaches(score, goal) else "misses"
    lost = loss_text(score, reference.value - score.value)
    return f"{label} has {value_text(score)} {what}, a loss of {lost.lstrip('+')}: it {verdict} {wanted}."


def errors_section(result: Any, n_worst: int) -> tuple[ReportSection, ...]:
    """Return the worst tensors of FP32 against INT8, where the result is a comparison of tensors."""
    if not isinstance(result, ComparisonResult):
        return ()
    worst = result.worst(n_worst)
    columns = ("tensor", "made by", "quantised", "SQNR dB", "cosine", "mean error", "max error", "KL nats", "clipped %")
    intro = (
        f"All layers in INT8, so errors accumulate along the graph: the {count_of(len(worst), 'tensor')} with the "
        f"lowest SQNR of {len(result.tensors):,}."
    )
    return (ReportSection("INT8 against FP32, tensor by tensor", columns, tuple(map(_error_row, worst)), intro),)


def _error_row(t: TensorResult) -> tuple[Cell, ...]:
    c = t.comparison
    clipped = 100 * t.clipped_fraction
    quantised = "yes" if t.quantized else "no"
    return (
        Name(t.name), t.op_type, quantised, t.sqnr_db, Precise(t.cosine, 5), c.mean_error, c.max_error, t.kl, clipped
    )  # fmt: skip


def ranking_section(ranking: Any, n_worst: int) -> tuple[ReportSection, ...]:
    """Return what each layer alone costs, worst first.

    ``ranking``: :class:`~trtcal_widgets.debug.results.LayerResult` objects in any order, or a section. Raises
    UsageError if it is neither.
    """
    given = _as_given(ranking)
    if given is not None:
        return (given,)
    layers = (
        list(ranking.values() if isinstance(ranking, Mapping) else ranking) if isinstance(ranking, Iterable) else []
    )
    if not layers or not all(isinstance(layer, LayerResult) for layer in layers):
        raise UsageError(f"ranking is LayerResults or a ReportSection, not {type(ranking).__name__}")
    shown = sorted(layers, key=lambda layer: (-layer.loss, _low(layer.output_sqnr_db)))[:n_worst]
    measure = shown[0].score.measure
    factor, unit = (100.0, "points of top-1") if measure == "top-1" else (1.0, measure)
    columns = ("layer", "operator", "first output", f"loss, {unit}", "own SQNR dB", "SQNR dB at the outputs")
    rows = tuple(
        (Name(x.node), x.op_type, Name(x.tensor), factor * x.loss, x.own_sqnr_db, x.output_sqnr_db) for x in shown
    )
    intro = f"One layer in INT8 at a time, all others in FP32: the {len(shown)} worst of {len(layers):,}."
    return (ReportSection("What each layer alone costs", columns, rows, intro),)


def _low(sqnr_db: float) -> float:
    return math.inf if math.isnan(sqnr_db) else sqnr_db


def plan_section(plan: Any) -> tuple[ReportSection, ...]:
    """Return the layers that stay in higher precision and the thresholds that a plan changes.

    Raises UsageError if it is neither a :class:`~trtcal_widgets.model.plan.PrecisionPlan` nor a section.
    """
    from trtcal_widgets.model.plan import PrecisionPlan

    given = _as_given(plan)
    if given is not None:
        return (given,)
    if not isinstance(plan, PrecisionPlan):
        raise UsageError(f"plan is a PrecisionPlan or a ReportSection, not {type(plan).__name__}")
    kept: Sequence[tuple[Cell, ...]] = [
        (Name(name), f"stays in {plan.precision.upper()}", plan.reasons.get(name, "")) for name in plan.keep
    ]
    changed: Sequence[tuple[Cell, ...]] = [
        (Name(name), f"threshold {significant(value)}", plan.reasons.get(name, "")) for name, value in plan.amax.items()
    ]
    intro = (
        f"{count_of(len(kept), 'layer stays', 'layers stay')} in {plan.precision.upper()}, "
        f"{count_of(len(changed), 'threshold is', 'thresholds are')} changed; everything else runs in INT8."
    )
    rows = (*kept, *changed)
    notes = ("The plan as a file: save it as plan.json and read it with PrecisionPlan.load.",)
    return (ReportSection("Precision plan", ("layer or tensor", "what", "why"), rows, intro, notes, plan.to_json()),)
