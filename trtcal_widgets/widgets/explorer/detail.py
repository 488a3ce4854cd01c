"""The chosen tensor: its histogram and thresholds as frozen values for the plot, and what its panels show."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.figures import NO_NUMBER
from trtcal_widgets.common.palette import MINE
from trtcal_widgets.common.words import printable, significant
from trtcal_widgets.core.fp8 import fp8_cost
from trtcal_widgets.core.quantizer import is_vague
from trtcal_widgets.core.rivals import rival_of
from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.widgets.explorer.state import method_options
from trtcal_widgets.widgets.kit.formatting import exact, percent, typeset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.session import CalibrationSession, TensorRow

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
class HistogramPlot:
    """What is drawn of the chosen tensor: int64 counts, shape (2048,), and R in the tensor's unit, 0 without data.

    ``end`` is where the last bin that holds something ends: R is up to twice as large, for it grows by doubling.
    ``empty`` says why there is no histogram to draw. ``amax`` holds, 0 for none; weights are not ``editable``.
    """

    name: str
    has_data: bool
    empty: str
    editable: bool
    amax: float
    marks: tuple[Mark, ...]
    counts: NDArray[np.int64]
    range: float
    end: float
    curve: Curve | None


def histogram_plot(session: CalibrationSession, name: str) -> HistogramPlot:
    """Return what is drawn of a tensor."""
    row, histogram = session.row(name), session.histogram(name)
    method, mine_amax = _method_of(session, row)
    return HistogramPlot(
        name=name,
        has_data=row.has_data,
        empty=_why_empty(session, row, histogram),
        editable=_editable(row),
        amax=row.amax if math.isfinite(row.amax) else 0.0,
        marks=_marks(session, row, method, mine_amax),
        counts=histogram.counts,
        range=histogram.range,
        end=_end(histogram),
        curve=_curve(session, name, method) if row.has_data and histogram.amax > 0 else None,
    )


_STEPS = 256
"""Of an outline, over both tensors' values."""


@dataclass(frozen=True, eq=False)
class Over:
    """Another tensor's histogram, as it is laid over the chosen one's.

    ``counts``, float32, are what they would be with as many values and bins as wide as those below, the mean of several
    bins: pixels and other values that lie on a grid leave most bins empty, and their outline would be a black area.
    ``range`` is R and ``end`` the end of its data, in the tensor's unit. ``same`` are the histograms it was made of.
    """

    name: str
    counts: NDArray[np.float32]
    range: float
    end: float
    same: tuple[Histogram, Histogram]


def over_plot(session: CalibrationSession, name: str, chosen: str, before: Over | None) -> Over | None:
    """Return a held tensor's histogram over the chosen tensor's, the same object where nothing has changed."""
    if not name or name == chosen:
        return None
    above, below = session.histogram(name), session.histogram(chosen)
    if not (above.n_finite and below.n_finite and above.range > 0 and below.range > 0):
        return None
    if before is not None and before.name == name and all(map(operator.is_, before.same, (above, below))):
        return before
    factor = below.n_finite / above.n_finite * below.range / above.range
    step = max(_end(above), _end(below)) / _STEPS / (above.range / len(above.counts))
    together = min(2 ** int(math.log2(max(step, 1.0))), len(above.counts))
    counts = (above.counts * factor).reshape(-1, together).mean(axis=1).astype(np.float32)
    return Over(name, counts, above.range, _end(above), (above, below))


def held_state(name: str, plot: HistogramPlot, over: Over | None) -> dict[str, Any]:
    """Return what the panel says of the tensor whose histogram is held."""
    words = ""
    if over is not None:
        words = f"{printable(name)}, scaled to as many values as {printable(plot.name)} has"
    elif name and name != plot.name:
        words = f"{printable(name)} has no values to lay over"
    return {"held": name == plot.name, "over": printable(name) if words else "", "over_title": words}


def _end(histogram: Histogram) -> float:
    """Return the upper edge of the last occupied bin, in the tensor's unit; R where none is."""
    occupied = np.flatnonzero(histogram.counts)
    return histogram.range * (int(occupied[-1]) + 1) / len(histogram.counts) if occupied.size else histogram.range


def _editable(row: TensorRow) -> bool:
    return row.kind != TensorKind.WEIGHT.value


def _method_of(session: CalibrationSession, row: TensorRow) -> tuple[Method, float | None]:
    """Return the method that a tensor has, and the user's own amax or None."""
    choice = session.choice(row.name)
    method = session.state.method if choice is None or choice.method is None else choice.method
    return method if _editable(row) else Method("minmax"), None if choice is None else choice.amax


def _notes(row: TensorRow, histogram: Histogram, *, counted: bool) -> list[str]:
    """Return what to say about this tensor before its numbers, in words."""
    notes = list(row.suspicious)
    if not row.has_data and counted:
        notes.append("no values in the counted batches: no row in the cache, unless you type an amax")
    elif row.has_data and histogram.n_finite == 0:
        notes.append("no finite value: no range to calibrate")
    if row.kind == "weight":
        notes.append("a weight: TensorRT quantises it per channel, from its own largest values; nothing to choose")
    return notes


def _rival(session: CalibrationSession, plot: HistogramPlot, method: Method) -> list[str]:
    """Say that entropy has another minimum that is as good: TensorRT may have taken that one; or that MSE guesses."""
    if plot.curve is None or method.kind not in ("entropy", "mse") or not plot.editable:
        return []
    if method.kind == "mse":
        words = "the values stand alone in their bins, which do not tell them: another threshold may be better"
        return [f"MSE: {words}"] if session.curve(plot.name, method).is_uncertain else []
    rival = rival_of(session.curve(plot.name, method))
    if rival is None:
        return []
    more = f"±{significant(rival.amax)} has a divergence only {percent(rival.excess)} above that of the pick"
    return [f"two minima, nearly equal: {more}. Rounding decides which of them TensorRT takes; either is as good"]


def _why_empty(session: CalibrationSession, row: TensorRow, histogram: Histogram) -> str:
    """Say why there is no histogram to draw."""
    if not row.has_data and session.state.position:
        return "no values in the counted batches"
    if not row.has_data:
        return "no values yet: they appear with the first batch"
    if not histogram.n_finite:
        return "no finite value"
    return "every value is 0" if histogram.amax == 0.0 else ""


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
        label=curve.objective_label,
        kind=method.kind,
        amax=np.minimum(curve.candidates, np.finfo(np.float32).max).astype(np.float32),
        objective=objective.astype(np.float32),
        pick_amax=float(curve.candidates[at]),
        pick_objective=pick,
        log=bool(log),
    )


# ---- panels ------------------------------------------------------------------------------------------------------


def detail_state(session: CalibrationSession, plot: HistogramPlot) -> dict[str, Any]:
    """Return the chosen tensor's facts, notes and methods."""
    name = plot.name
    row = session.row(name)
    method, mine_amax = _method_of(session, row)
    value, methods = _methods(session, name, method, mine_amax, editable=plot.editable)
    return {
        "name": name,
        "shown": printable(name),
        "facts": _facts(session, row),
        "facts_title": printable(f"{row.kind} · {row.op_type} · {row.dtype}{row.shape_text}"),
        "notes": [
            *_notes(row, session.histogram(name), counted=session.state.position > 0),
            *_rival(session, plot, method),
        ],
        "editable": plot.editable,
        "mine": row.mine and plot.editable,
        "method": value,
        "methods": methods,
        "amax": exact(plot.amax) if plot.amax > 0 else "",
        "marks": [_mark_state(mark) for mark in plot.marks],
    }


def _methods(
    session: CalibrationSession, name: str, method: Method, mine_amax: float | None, *, editable: bool
) -> tuple[str, list[list[str]]]:
    """Return which method is chosen, and those to pick from."""
    if not editable:
        return "weight", [["weight", "per channel"]]
    first = [["", f"as for all ({session.state.method.label})"]]
    options = method_options([str(method)])
    if mine_amax is not None:
        return MINE, [*first, [MINE, "mine"], *options]
    return str(method) if session.choice(name) is not None else "", [*first, *options]


def _mark_state(mark: Mark) -> dict[str, Any]:
    return {
        "key": mark.key,
        "kind": mark.kind,
        "label": mark.label,
        "text": typeset(mark.amax),
        "known": mark.amax > 0,
        "chosen": mark.chosen,
        "title": f"{mark.label}: amax {exact(mark.amax)}" + (" · holds now" if mark.chosen else " · press to choose"),
    }


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


def numbers_state(session: CalibrationSession, name: str) -> dict[str, Any]:
    """Return the numbers below the plot, a dash where there is none, and the tensors that share the scale."""
    group = session.group(name)
    members = [
        {"name": member, "shown": printable(member), "leader": member == group[0], "current": member == name}
        for member in group[:_MOST_MEMBERS]
    ]
    cells = _cells(session, session.row(name))
    return {
        "numbers": [
            {"key": key, "label": label, "text": cells[key][0], "exact": cells[key][1], "help": text}
            for key, (label, text) in _NUMBERS.items()
        ],
        "members": members,
    }


_NUMBERS = {
    "amax": ("amax", "The threshold: |x| beyond it is clipped."),
    "scale": ("scale", "amax / 127 in float32: the step between two INT8 levels."),
    "hex": ("hex", "The scale's float32 bits, as the calibration cache spells it."),
    "sqnr": ("SQNR", "Signal to quantisation noise: higher is better, 6 dB are one bit."),
    "fp8": (
        "SQNR in FP8",
        "The same in FP8 (E4M3, scale = amax / 448), estimated from the histogram.",
    ),
    "clipped": ("clipped", "Share of the values beyond the threshold."),
    "clip": ("clipping noise", "Mean squared error from clipped values."),
    "rounding": ("rounding noise", "Mean squared error from rounding to INT8 levels."),
    "minimum": ("min", "The smallest value; TensorRT's INT8 range is symmetric all the same."),
    "maximum": ("max", "The largest value."),
    "zeros": ("zeros", "Share of the values that are exactly 0; they quantise without error."),
    "values": ("values", "How many values were counted, NaN and infinities included."),
}
"""Key -> label, and what it is."""


def _db(value: float) -> tuple[str, str]:
    """Return a ratio in dB, shown and exactly."""
    return (f"{typeset(value)} dB" if math.isfinite(value) else typeset(value)), exact(value)


def _sqnr_cell(cost: Cost, range_db: tuple[float, float]) -> tuple[str, str]:
    """Return the estimate, with its range where the histogram alone does not tell."""
    text, precisely = _db(cost.sqnr_db)
    if not is_vague(range_db):
        return text, precisely
    low, high = (typeset(end) for end in range_db)
    return (
        f"{text} ({low} to {high})",
        f"{exact(cost.sqnr_db)}; from {low} to {high} dB, as the values lie in their bins",
    )


def _cells(session: CalibrationSession, row: TensorRow) -> dict[str, tuple[str, str]]:
    """Return each number as it is shown, and exactly."""
    nan, known, cost = math.nan, row.has_data, session.cost(row.name)
    histogram = session.histogram(row.name)
    n_values = histogram.n_values
    scale = float(scale_of_amax(row.amax)) if math.isfinite(row.amax) else nan
    hexes = scale_to_hex(scale) if math.isfinite(scale) else NO_NUMBER

    def number(value: float) -> tuple[str, str]:
        return typeset(value), exact(value)

    def share(value: float) -> tuple[str, str]:
        return percent(value) if known else NO_NUMBER, exact(value)

    return {
        "amax": number(row.amax if math.isfinite(row.amax) else nan),
        "scale": number(scale),
        "hex": (hexes, hexes),
        "sqnr": _sqnr_cell(cost, session.sqnr_range(row.name)) if known else (typeset(nan), exact(nan)),
        "fp8": _db(fp8_cost(histogram, row.amax).sqnr_db if known and math.isfinite(row.amax) else nan),
        "clipped": share(cost.clipped_fraction),
        "clip": number(cost.clip_noise if known else nan),
        "rounding": number(cost.rounding_noise if known else nan),
        "minimum": number(row.minimum),
        "maximum": number(row.maximum),
        "zeros": share(row.zeros_fraction),
        "values": (f"{n_values:,}", str(n_values)),
    }
