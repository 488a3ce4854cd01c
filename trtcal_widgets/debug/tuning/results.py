"""What tuning finds, as frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.figures import milliseconds
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.text_tables import Column, table_lines
from trtcal_widgets.debug.goal import goal_of, reaches, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.runners.evaluation import Score

__all__ = ["LayerTrade", "TunePoint", "TuneResult", "front_of"]


@dataclass(frozen=True)
class TunePoint:
    """One variant of the model.

    Attributes
    ----------
    name
        In words: ``"all layers in INT8"``, ``"without 12 layers"``.
    kind
        ``"fp32"``, ``"fp16"``, ``"implicit"`` (with a calibration cache) or ``"explicit"`` (with Q/DQ pairs).
    score
        Of the model's outputs, simulated.
    ms
        Milliseconds of a batch on the device; nan where none measured.
    plan
        What an explicit variant keeps in higher precision; None for others.
    layers_in_int8
        How many of the layers that could be are in INT8.
    """

    name: str
    kind: str
    score: Score
    ms: float = math.nan
    plan: PrecisionPlan | None = None
    layers_in_int8: int = 0

    @property
    def cost(self) -> float:
        """What is to be small: milliseconds; without a device, minus the layers in INT8."""
        return -float(self.layers_in_int8) if math.isnan(self.ms) else self.ms


@dataclass(frozen=True)
class LayerTrade:
    """What a layer gains in INT8, and what it costs.

    Attributes
    ----------
    node
        The layer.
    gain_ms
        Its time in FP16 less its time in INT8, copies and pairs in front of it included; nan where not measured.
    loss
        What the score loses with it alone in INT8, in the unit of :attr:`Score.value`.
    """

    node: str
    gain_ms: float
    loss: float


@dataclass(frozen=True)
class TuneResult(Shown):
    """What tuning came to.

    Attributes
    ----------
    points
        Every variant that was looked at, in the order in which that was.
    trades
        The layers, those that are best kept out of INT8 first.
    device
        What measured; empty where there was no GPU, and then no point has a time.
    fp32
        FP32's score.
    """

    points: tuple[TunePoint, ...]
    trades: tuple[LayerTrade, ...]
    device: str
    fp32: Score

    def _summary(self) -> Summary:
        on_front = set(map(id, self.front))
        points = sorted(self.points, key=lambda p: (id(p) not in on_front, p.cost, -p.score.value))
        rows = tuple(
            (
                p.name,
                milliseconds(p.ms).removesuffix(" ms"),
                value_text(p.score),
                f"{p.layers_in_int8}",
                "yes" if id(p) in on_front else "no",
            )
            for p in points[:MOST_ROWS]
        )
        where = f"measured on {self.device}" if self.device else "no GPU: accuracy only, simulated"
        columns = ("variant", "ms", self.fp32.measure, "layers in INT8", "on the front")
        return Summary("Speed and accuracy", (where,), columns, rows, left_out(len(points), ".points"))

    @property
    def front(self) -> tuple[TunePoint, ...]:
        """The points than which none is both faster and more accurate, the fastest first."""
        return front_of(self.points)

    def best(self, target: float = 0.99) -> TunePoint:
        """Return the fastest point that reaches a share of FP32's value; the most accurate where none does.

        Among those that are taken with a plan: implicit engines are no way on to TensorRT 11.
        """
        mine = [point for point in self.points if point.kind != "implicit"]
        goal = goal_of(self.fp32, target)
        good = [point for point in mine if reaches(point.score, goal)]
        if good:
            return min(good, key=lambda point: (point.cost, -point.score.value))
        return max(mine, key=lambda point: (point.score.value, -point.cost))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        on_front = self.front
        return {
            "device": self.device,
            "points": [
                {
                    "name": p.name, "kind": p.kind, "ms": _plain(p.ms), "value": _plain(p.score.value),
                    "measure": p.score.measure, "sqnr_db": _plain(p.score.outputs.sqnr_db),
                    "layers_in_int8": p.layers_in_int8, "on_front": p in on_front,
                    "keep": None if p.plan is None else list(p.plan.keep),
                }
                for p in self.points
            ],
            "layers": [{"node": t.node, "gain_ms": _plain(t.gain_ms), "loss": _plain(t.loss)} for t in self.trades],
        }  # fmt: skip

    def to_text(self) -> str:
        """Return the points as a table, the fastest first; ``*`` marks the front."""
        on_front = set(map(id, self.front))
        rows = sorted(self.points, key=lambda p: (p.cost, -p.score.value))
        columns = [
            Column("ms", [milliseconds(p.ms).removesuffix(" ms") for p in rows]),
            Column(rows[0].score.measure, [value_text(p.score) for p in rows]),
            Column("SQNR, dB", [_decibels(p.score.outputs.sqnr_db) for p in rows]),
            Column("layers in INT8", [f"{p.layers_in_int8}" for p in rows]),
        ]
        names = [f"{'*' if id(p) in on_front else ' '} {p.name}" for p in rows]
        where = f"measured on {self.device}" if self.device else "no GPU: accuracy only, simulated"
        return "\n".join(
            [f"{where}; * none is both faster and more accurate", *table_lines(names, columns, title="variant")]
        )


def front_of(points: Sequence[TunePoint]) -> tuple[TunePoint, ...]:
    """Return the Pareto front: small cost, large value (then large SQNR); of equal points the first."""
    front: list[TunePoint] = []
    for point in sorted(points, key=lambda p: (p.cost, *(-part for part in _accuracy(p)))):
        if not front or _accuracy(point) > _accuracy(front[-1]):
            front.append(point)
    return tuple(front)


def _accuracy(point: TunePoint) -> tuple[float, float]:
    sqnr = point.score.outputs.sqnr_db
    return point.score.value, -math.inf if math.isnan(sqnr) else sqnr


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "exact" if value > 0 else "-"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
