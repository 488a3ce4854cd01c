"""A tensor's numbers as a table shows them, and what is odd about it in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.common.figures import decibels, percent, plain
from trtcal_widgets.common.words import significant
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.session.state import Choice, TensorRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.core.quantizer import Cost
    from trtcal_widgets.core.thresholds import Method
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.session.session import CalibrationSession

_MUCH_DISAGREEMENT = 4.0
_MUCH_CLIPPED = 0.01
_LITTLE_SIGNAL_DB = 10.0
_FAR_BEYOND = 100.0

_LIMITS = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}
"""Largest numbers of the types that tensors have."""

_NEARLY = 0.999
_ABSURD = 1e6
_UNRESOLVED = 1e-3
"""The first bin ends at most here, as a share of the largest value: a percentile below it may be any number."""


def build_row(
    graph: ModelGraph,
    name: str,
    histogram: Histogram,
    intent: Choice | Method,
    compared: Sequence[float],
    chosen: float,
    cost: Cost,
    *,
    infinite: bool,
) -> TensorRow:
    """Return a row.

    ``graph``, ``name``, ``histogram``: the tensor, and its values over the counted batches. ``compared``: thresholds of
    its group: entropy's, minmax's, and the 99.99th percentile's, in the tensor's unit. ``chosen`` and ``cost``: the
    threshold that holds, in the tensor's unit, and what it costs. ``infinite``: whether TensorRT's scale is infinite.
    """
    tensor = graph.tensor(name)
    has_data = histogram.n_values > 0
    disagreement = max(compared) / min(compared) if min(compared) > 0 else 1.0
    known = has_data or isinstance(intent, Choice)
    absurd = tuple(_absurd(tensor.dtype, chosen, compared)) if known else ()
    odd = (
        *absurd,
        *_misfits(tensor.kind, histogram, chosen, cost),
        *_suspicions(tensor.kind, histogram, cost, disagreement, infinite=infinite),
    )
    return TensorRow(
        name=name,
        op_type=graph.op_type(name),
        kind=tensor.kind.value,
        dtype=tensor.dtype,
        shape_text=_shape_text(tensor.shape),
        group=graph.group_of(name),
        has_data=has_data,
        minimum=histogram.minimum if histogram.n_finite else math.nan,
        maximum=histogram.maximum if histogram.n_finite else math.nan,
        amax=chosen if known else math.nan,
        method=intent.label,
        mine=isinstance(intent, Choice),
        entropy=compared[0] if has_data else math.nan,
        minmax_amax=compared[1] if has_data else math.nan,
        sqnr_db=cost.sqnr_db if has_data else math.nan,
        clipped_fraction=cost.clipped_fraction if has_data else math.nan,
        disagreement=disagreement if has_data else math.nan,
        zeros_fraction=histogram.zeros / histogram.n_values if has_data else math.nan,
        nans=histogram.nans,
        infs=histogram.infs,
        suspicious=odd if has_data else absurd,
        absurd=bool(absurd),
    )


def calibrated_rows(session: CalibrationSession) -> list[TensorRow]:
    """Return the rows of the tensors that a cache has rows for, in graph order."""
    calibrated = frozenset(session.calibrated)
    return [row for row in session.table() if row.name in calibrated]


def _absurd(dtype: str, chosen: float, compared: Sequence[float]) -> Iterable[str]:
    """Say that a threshold is no range of numbers that a network computes with.

    A histogram of 2,048 bins holds no ratio of a million: once one value is that large, all others lie in the first
    bin. So a percentile that lies there counts as small enough, where the threshold itself is beyond a million.
    """
    _, largest, percentile = compared
    if chosen >= _NEARLY * _LIMITS.get(dtype, math.inf):
        yield (
            f"absurd scale: ±{significant(chosen)} is the largest number of {dtype}, which an operator makes of NaN or "
            "of an overflow, or a mask holds: look at what computes it, or choose an amax yourself"
        )
    elif chosen > _ABSURD and percentile <= max(chosen / _ABSURD, _UNRESOLVED * largest):
        yield (
            f"absurd scale: ±{significant(chosen)}, but 99.99 % of the values are below {significant(percentile)} and "
            "all become 0: look at what computes the few large ones, or choose an amax yourself"
        )


def _misfits(kind: TensorKind, histogram: Histogram, chosen: float, cost: Cost) -> Iterable[str]:
    """Say that a threshold does not fit the values: nearly all is lost, or nearly no level is used.

    Not of weights, which have a scale per channel.
    """
    if kind is TensorKind.WEIGHT or not histogram.amax > 0:
        return
    if chosen > _FAR_BEYOND * histogram.amax:
        levels = math.floor(127 * histogram.amax / chosen + 0.5)
        used = (
            "every value becomes 0" if not levels else f"of 127 levels {levels} {'is' if levels == 1 else 'are'} used"
        )
        yield (
            f"the threshold ±{significant(chosen)} is {significant(chosen / histogram.amax)} times the largest value "
            f"({significant(histogram.amax)}): {used}"
        )
    elif cost.sqnr_db < _LITTLE_SIGNAL_DB:
        share = 10 ** (-cost.sqnr_db / 10)
        yield (
            f"SQNR {decibels(cost.sqnr_db)}: the error has {percent(share)} of the signal's power; choose "
            "another threshold, or leave the layers that read it in higher precision"
        )


def _suspicions(
    kind: TensorKind, histogram: Histogram, cost: Cost, disagreement: float, *, infinite: bool
) -> Iterable[str]:
    """Say what is odd about a tensor, in a user's words."""
    if histogram.nans and histogram.nans == histogram.n_values:
        yield "every value is NaN: there is no threshold, and the scale is 0; look at what is fed or what computes it"
    elif histogram.nans:
        yield f"{_values(histogram.nans)} NaN and left out"
    if histogram.infs:
        where = "in the last bin, as TensorRT counts them" if histogram.clamped else "left out"
        theirs = "; TensorRT would write an infinite scale" if infinite else ""
        yield f"{_values(histogram.infs)} infinite and {where}{theirs}"
    if histogram.n_finite and histogram.amax == 0.0:
        yield "every value is 0: the scale is 0, and TensorRT runs the layer in higher precision"
    elif histogram.n_finite and histogram.minimum == histogram.maximum and kind is not TensorKind.CONSTANT:
        yield "every value is the same"
    if disagreement > _MUCH_DISAGREEMENT:
        yield f"the methods disagree by a factor of {plain(disagreement)}: a few large values set the range"
    if cost.clipped_fraction > _MUCH_CLIPPED:
        yield f"{percent(cost.clipped_fraction)} of the values are clipped"


def _values(n: int) -> str:
    return "1 value is" if n == 1 else f"{n:,} values are"


def _shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    if shape is None:
        return "[?]"
    return "[" + ",".join("?" if d is None else str(d) for d in shape) + "]"
