"""The chosen tensor, as frozen values: its histogram, its thresholds, what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.palette import MINE
from trtcal_widgets.common.words import printable
from trtcal_widgets.core.thresholds import METHODS, Method
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.widgets.explorer.run import method_options
from trtcal_widgets.widgets.kit.formatting import NO_NUMBER, exact, percent, typeset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.session import CalibrationSession, TensorRow

__all__ = ["Curve", "Detail", "Mark", "Number", "build_detail", "notes_of", "why_empty"]


def notes_of(row: TensorRow, histogram: Histogram, *, counted: bool) -> tuple[str, ...]:
    """Return what to say about this tensor before its numbers, in words."""
    notes = list(row.suspicious)
    if not row.has_data and counted:
        notes.append("no values in the counted batches: no row in the cache, unless you type an amax")
    elif row.has_data and histogram.n_finite == 0:
        notes.append("no finite value: no range to calibrate")
    if row.kind == "weight":
        notes.append("a weight: TensorRT quantises it per channel, from its own largest values; nothing to choose")
    return tuple(notes)


def why_empty(session: CalibrationSession, row: TensorRow, histogram: Histogram) -> str:
    """Say why there is no histogram to draw."""
    if not row.has_data and session.state.position:
        return "no values in the counted batches"
    if not row.has_data:
        return "no values yet: they appear with the first batch"
    if not histogram.n_finite:
        return "no finite value"
    return "every value is 0" if histogram.amax == 0.0 else ""


_SHOWN = ("entropy", "minmax", "percentile:99.99", "mse")
_MOST_MEMBERS = 200


@dataclass(frozen=True)
class Mark:
    """One method's threshold: ``key`` is what :meth:`Method.parse` reads, ``kind`` decides the style."""

    key: str
    kind: str
    label: str
    amax: float
    chosen: bool


@dataclass(frozen=True)
class Number:
    """A number with its unit; ``exact`` is what is copied."""

    key: str
    label: str
    text: str
    exact: str
    help: str


@dataclass(frozen=True)
class Member:
    """A tensor of the group that shares one scale."""

    name: str
    shown: str
    leader: bool
    current: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """A method's objective: float32 values at the float32 thresholds ``amax``; nan where it is not finite."""

    label: str
    kind: str
    amax: NDArray[np.float32]
    objective: NDArray[np.float32]
    pick_amax: float
    pick_objective: float
    log: bool


@dataclass(frozen=True, eq=False)
class Detail:
    """The chosen tensor.

    Attributes
    ----------
    counts
        int64, shape (2048,): the histogram's.
    range, bin_width
        R and R / 2048, in the tensor's unit; 0 without data.
    empty
        Why there is no histogram to draw; empty where there is one.
    amax
        The threshold that holds; 0 where there is none.
    editable
        Whether one can choose: not for weights.
    """

    name: str
    shown: str
    facts: str
    facts_title: str
    notes: tuple[str, ...]
    has_data: bool
    empty: str
    editable: bool
    mine: bool
    method: str
    methods: tuple[tuple[str, str], ...]
    amax: float
    chosen_kind: str
    marks: tuple[Mark, ...]
    counts: NDArray[np.int64]
    range: float
    bin_width: float
    curve: Curve | None
    numbers: tuple[Number, ...]
    members: tuple[Member, ...]


def build_detail(session: CalibrationSession, name: str) -> Detail:
    """Return the chosen tensor."""
    row = session.row(name)
    histogram = session.histogram(name)
    group = session.group(name)
    choice = session.choice(name)
    editable = row.kind != TensorKind.WEIGHT.value
    mine_amax = choice.amax if choice is not None else None
    method = session.state.method if choice is None or choice.method is None else choice.method
    if not editable:
        method = Method("minmax")
    amax = row.amax if math.isfinite(row.amax) else 0.0
    chosen_kind = MINE if mine_amax is not None else method.kind
    return Detail(
        name=name,
        shown=printable(name),
        facts=_facts(session, row),
        facts_title=printable(f"{row.kind} · {row.op_type} · {row.dtype}{row.shape_text}"),
        notes=notes_of(row, histogram, counted=session.state.position > 0),
        has_data=row.has_data,
        empty=why_empty(session, row, histogram),
        editable=editable,
        mine=row.mine and editable,
        method=_method_value(mine_amax, choice is not None, method, editable=editable),
        methods=_method_choices(session, mine_amax, method, editable=editable),
        amax=amax,
        chosen_kind=chosen_kind,
        marks=_marks(session, row, method, mine_amax),
        counts=histogram.counts,
        range=histogram.range,
        bin_width=histogram.bin_width,
        curve=_curve(session, name, method) if row.has_data and histogram.amax > 0 else None,
        numbers=_numbers(row, histogram, session.cost(name), amax),
        members=tuple(
            Member(member, printable(member), member == group[0], member == name) for member in group[:_MOST_MEMBERS]
        ),
    )


def _method_value(mine_amax: float | None, chosen: bool, method: Method, *, editable: bool) -> str:
    if not editable:
        return "weight"
    if mine_amax is not None:
        return MINE
    return str(method) if chosen else ""


def _method_choices(
    session: CalibrationSession, mine_amax: float | None, method: Method, *, editable: bool
) -> tuple[tuple[str, str], ...]:
    if not editable:
        return (("weight", "per channel"),)
    first = [("", f"as for all ({session.state.method.label})")]
    if mine_amax is not None:
        first.append((MINE, "mine"))
    return (*first, *method_options([str(method)]))


def _facts(session: CalibrationSession, row: TensorRow) -> str:
    """``Conv → Relu · float32[32,64,56,56] · group of 2``."""
    graph = session.graph
    tensor = graph.tensor(row.name)
    readers = list(dict.fromkeys(graph.nodes[i].op_type for i in tensor.consumers))
    way = row.op_type + (f" → {', '.join(readers[:3])}{', …' if len(readers) > 3 else ''}" if readers else "")
    parts = [way, f"{row.dtype}{row.shape_text}"]
    if tensor.is_output:
        parts.append("output")
    if row.kind in ("constant", "weight"):
        parts.append(row.kind)
    if len(row.group) > 1:
        parts.append(f"group of {len(row.group)}")
    return printable(" · ".join(parts))


def _marks(session: CalibrationSession, row: TensorRow, method: Method, mine_amax: float | None) -> tuple[Mark, ...]:
    """Return the methods' thresholds and, last, the user's own."""
    if not row.has_data:
        return ()
    texts = [*_SHOWN]
    if str(method) not in texts:
        texts.append(str(method))
    marks = [
        Mark(
            text,
            Method.parse(text).kind,
            Method.parse(text).label,
            session.amax(row.name, text),
            chosen=mine_amax is None and text == str(method),
        )
        for text in texts
    ]
    if mine_amax is not None:
        marks.append(Mark(MINE, MINE, MINE, row.amax, chosen=True))
    return tuple(marks)


def _curve(session: CalibrationSession, name: str, method: Method) -> Curve:
    curve = session.curve(name, method)
    objective = np.where(np.isfinite(curve.objective), curve.objective, np.nan)
    positive = objective[objective > 0]
    # Where the objective spans decades, its minimum is seen on a log axis alone.
    log = method.kind in ("entropy", "mse") and positive.size > 1 and positive.max() > 30 * positive.min()
    if log:
        objective = np.where(objective > 0, objective, np.nan)
    at = int(np.clip(curve.pick - 128, 0, len(objective) - 1))
    pick = float(objective[at]) if np.isfinite(objective[at]) else math.nan
    return Curve(
        label=METHODS[method.kind].objective_label,
        kind=method.kind,
        amax=curve.candidates.astype(np.float32),
        objective=objective.astype(np.float32),
        pick_amax=float(curve.candidates[at]),
        pick_objective=pick,
        log=bool(log),
    )


def _numbers(row: TensorRow, histogram: Histogram, cost: Cost, amax: float) -> tuple[Number, ...]:
    """Return the numbers below the plot; a dash where there is none."""
    nan = math.nan
    known = row.has_data
    scale = float(scale_of_amax(amax)) if math.isfinite(row.amax) else nan
    hexes = scale_to_hex(scale) if math.isfinite(scale) else NO_NUMBER
    sqnr = cost.sqnr_db if known else nan

    def number(key: str, label: str, value: float, help_text: str) -> Number:
        return Number(key, label, typeset(value), exact(value), help_text)

    return (
        number("amax", "amax", amax if math.isfinite(row.amax) else nan, "The threshold: |x| beyond it is clipped."),
        number("scale", "scale", scale, "amax / 127 in float32: the step between two INT8 levels."),
        Number("hex", "hex", hexes, hexes, "The scale's float32 bits, as the calibration cache spells it."),
        Number(
            "sqnr",
            "SQNR",
            f"{typeset(sqnr)} dB" if math.isfinite(sqnr) else typeset(sqnr),
            exact(sqnr),
            "Signal to quantisation noise: higher is better, 6 dB are one bit.",
        ),
        Number(
            "clipped",
            "clipped",
            percent(cost.clipped_fraction) if known else NO_NUMBER,
            exact(cost.clipped_fraction),
            "Share of the values beyond the threshold.",
        ),
        number("clip", "clipping noise", cost.clip_noise if known else nan, "Mean squared error from clipped values."),
        number(
            "rounding",
            "rounding noise",
            cost.rounding_noise if known else nan,
            "Mean squared error from rounding to INT8 levels.",
        ),
        number("minimum", "min", row.minimum, "The smallest value; TensorRT's INT8 range is symmetric all the same."),
        number("maximum", "max", row.maximum, "The largest value."),
        Number(
            "zeros",
            "zeros",
            percent(row.zeros_fraction) if known else NO_NUMBER,
            exact(row.zeros_fraction),
            "Share of the values that are exactly 0; they quantise without error.",
        ),
        Number(
            "values",
            "values",
            f"{histogram.n_values:,}",
            str(histogram.n_values),
            "How many values were counted, NaN and infinities included.",
        ),
    )
