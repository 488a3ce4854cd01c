"""The search for variants of a model that are fast and accurate: what to keep out of INT8, measured on a device.

A layer is worth INT8 by what it gains in time (the profiler's: FP16 less INT8, copies included) and what it costs in
accuracy (the ranking's: the score's loss with it alone in INT8). Layers are ordered once: those that gain nothing, then
by loss per millisecond. The plans that keep the first k of them are one chain from all-INT8 to FP16, of which the ends
and then the middles of the largest gaps are measured. Beside them stand FP32, FP16, the implicit engine, and the plan
that keeps what that engine left in floating point.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.arguments import one_of, whole_number
from trtcal_widgets.common.words import count_of
from trtcal_widgets.debug.runs import Control
from trtcal_widgets.debug.tuning.journal import Journal
from trtcal_widgets.debug.tuning.results import LayerTrade, TunePoint, TuneResult
from trtcal_widgets.errors import DeviceError, MissingDependencyError, UsageError
from trtcal_widgets.export.qdq.build import build_qdq
from trtcal_widgets.export.qdq.placement import quantized_inputs
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.trt.measuring.device import Kind, Measured, MeasuringDevice, Variant
from trtcal_widgets.trt.measuring.layers import times_by_node

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from trtcal_widgets.debug.simulation import Int8Simulation
    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.runners.evaluation import Evaluation, Score

__all__ = ["Tuner", "tune"]


def tune(simulation: Int8Simulation, evaluation: Evaluation, **options: Any) -> TuneResult:
    """Look for the variants of a model than which none is both faster and more accurate.

    Parameters
    ----------
    simulation
        The model in INT8 as calibrated.
    evaluation
        The batches, and how outputs are judged.
    **options
        As for :class:`Tuner`: ``device``, ``precision``, ``variants``, ``losses``, ``journal``, ``control``.

    Returns
    -------
    TuneResult
        All variants, the front, and what each layer gains and costs. Without a device accuracy alone.

    Raises
    ------
    CancelledError
        If the control was cancelled; with a journal the next call goes on from there.
    EngineError, DeviceError
        If a variant cannot be built or run.
    SessionError
        If the journal is of another tuning.
    """
    return Tuner(simulation, evaluation, **options).run()


@contextmanager
def device_or_none(device: MeasuringDevice | None, evaluation: Evaluation) -> Iterator[MeasuringDevice | None]:
    """Give a device, or this machine's GPU where there is none; None without TensorRT or a GPU."""
    from trtcal_widgets.trt.measuring.device import EngineDevice

    if device is not None:
        yield device
        return
    try:
        made = EngineDevice(evaluation.plan.load(0).feeds)
    except (DeviceError, MissingDependencyError):
        yield None
        return
    with made:
        yield made


class Tuner:
    """Looks for fast and accurate variants of a model.

    Parameters
    ----------
    simulation, evaluation
        As for :func:`tune`. The simulation's own plan is kept in every explicit variant.
    device
        What measures: :class:`~trtcal_widgets.trt.EngineDevice`, or anything with ``name`` and ``measure``. None:
        nothing is measured, and the number of layers in INT8 stands for speed.
    precision
        What kept layers run in.
    variants
        How many plans are tried beside the fixed ones.
    losses
        What each layer alone in INT8 costs, where it is known already.
    journal
        A JSON file in which every measurement and score is kept; tuning that was stopped goes on from it.
    control
        Progress and cancelling.
    """

    def __init__(
        self,
        simulation: Int8Simulation,
        evaluation: Evaluation,
        *,
        device: MeasuringDevice | None = None,
        precision: Literal["fp16", "fp32"] = "fp16",
        variants: int = 8,
        losses: Mapping[str, float] | None = None,
        journal: str | os.PathLike[str] | None = None,
        control: Control | None = None,
    ) -> None:
        one_of(precision, ("fp16", "fp32"), "precision")
        if device is not None and precision not in device.kinds:
            raise UsageError(
                f"{device.name} takes every type from the model, so that kept layers run in FP32: precision='fp32'"
            )
        self._variants = whole_number(variants, "variants", 0)
        self._simulation, self._evaluation, self._device = simulation, evaluation, device
        self._precision: Literal["fp16", "fp32"] = precision
        self._start = replace(simulation.plan, precision=precision, model_sha256=simulation.graph.sha256)
        self._layers = [name for name in simulation.layers if name not in self._start.keep]
        self._control = control or Control()
        self._given_losses = dict(losses or {})
        self._journal = Journal(journal, self._subject())
        self._done, self._total = 0, variants + (5 if device else 3)
        self._points: dict[tuple[str, ...] | str, TunePoint] = {}

    def _subject(self) -> dict[str, Any]:
        simulation = self._simulation
        placement = simulation.placement
        scales = sorted((name, float(scale)) for name, scale in simulation.scales.items())
        return {
            "model": simulation.graph.sha256,
            "placement": placement if isinstance(placement, str) else placement.to_json(),
            "scales": hashlib.sha256(json.dumps(scales).encode()).hexdigest(),
            "plan": self._start.to_json(),
            "evaluation": [self._evaluation.describe(), self._evaluation.plan.n_batches],
            "device": self._device.name if self._device else "",
        }

    def run(self) -> TuneResult:
        """Measure and score, and return everything found."""
        fp32 = self._simulation.reference_score(self._evaluation, control=self._control)
        losses = self._losses()
        floats = f"{self._precision}".upper()
        self._fixed("fp32", "FP32", fp32)
        half = self._fixed("fp16", "FP16", fp32) if self._precision == "fp16" else None
        implicit = self._implicit()
        whole = self._explicit((), "all layers in INT8")
        trades = self._trades(losses, half or self._measured("fp32"), whole)
        order = [trade.node for trade in trades]
        if implicit is not None and implicit.ran is not None:
            ran = set(implicit.ran.int8)
            self._explicit([n for n in self._layers if n not in ran], "as the implicit engine ran it")
        by_rules = quantized_inputs(self._simulation.graph, "implicit")
        self._explicit([n for n in self._layers if n not in by_rules], "by the rules of implicit INT8")
        self._chain(order, trades, floats)
        points = tuple(self._points.values())
        self._control.report(self._total, self._total, "tuning")
        return TuneResult(points, tuple(trades), self._device.name if self._device else "", fp32)

    # ---- what is known of single layers -----------------------------------------------------------------------

    def _losses(self) -> dict[str, float]:
        losses = dict(self._journal.losses) or self._given_losses
        if set(self._layers) <= set(losses):
            return losses
        ranked = self._simulation.isolated(self._evaluation, self._layers, control=self._control)
        losses = {**dict.fromkeys(self._layers, 0.0), **{layer.node: layer.loss for layer in ranked}}
        self._journal.put_losses(losses)
        return losses

    def _trades(self, losses: Mapping[str, float], floats: Measured | None, whole: Measured | None) -> list[LayerTrade]:
        """Return the layers, those first that are best kept: no gain, then the largest loss for a millisecond."""
        if floats is None or whole is None:
            found = [LayerTrade(node, math.nan, losses[node]) for node in self._layers]
            return sorted(found, key=lambda trade: -trade.loss)
        slow, fast = times_by_node(floats.layers), times_by_node(whole.layers)
        found = [LayerTrade(n, slow.get(n, 0.0) - fast.get(n, 0.0), losses[n]) for n in self._layers]
        return sorted(found, key=lambda t: (0, t.gain_ms) if t.gain_ms <= 0 else (1, -max(t.loss, 0.0) / t.gain_ms))

    # ---- variants ---------------------------------------------------------------------------------------------

    def _chain(self, order: list[str], trades: list[LayerTrade], floats: str) -> None:
        """Try plans that keep the first k layers of the order."""
        ends = {0, len(order)}
        idle = sum(trade.gain_ms <= 0 for trade in trades)
        tried = dict.fromkeys(ends, 0.0)
        wanted = [idle] if 0 < idle < len(order) else []
        for _ in range(self._variants):
            k = wanted.pop() if wanted else self._middle(sorted(tried), order)
            if k is None:
                break
            words = f"without {count_of(k, 'layer')}" + (" that gain nothing" if k == idle and k else f" ({floats})")
            self._explicit(order[:k], words)
            tried[k] = 0.0

    def _middle(self, tried: list[int], order: list[str]) -> int | None:
        """Return the middle of the gap in which most is to be found: far apart in accuracy or time, and in layers."""
        gaps = []
        for low, high in pairwise(tried):
            if high - low > 1:
                a, b = (self._point_of(order[:k]) for k in (low, high))
                spread = 0.0 if a is None or b is None else abs(a.score.value - b.score.value)
                gaps.append((spread, high - low, (low + high) // 2))
        return max(gaps)[2] if gaps else None

    def _point_of(self, keep: Iterable[str]) -> TunePoint | None:
        keep = tuple(sorted(keep))
        if len(keep) == len(self._layers):
            return self._points.get("fp16") or self._points.get("fp32")
        return self._points.get(keep)

    def _fixed(self, kind: Literal["fp32", "fp16"], name: str, score: Score) -> Measured | None:
        measured = self._measured(kind)
        self._points[kind] = TunePoint(name, kind, score, measured.ms if measured else math.nan)
        return measured

    def _implicit(self) -> Measured | None:
        """Measure the implicit engine, where the device has such; its score is that of what it ran in INT8."""
        if self._device is None or "implicit" not in self._device.kinds:
            return None
        measured = self._measured("implicit")
        if measured is not None and measured.ran is not None:
            ran = set(measured.ran.int8)
            keep = tuple(name for name in self._layers if name not in ran)
            score = self._score(self._start.with_kept(keep))
            count = len(self._layers) - len(keep)
            self._points["implicit"] = TunePoint("implicit INT8", "implicit", score, measured.ms, None, count)
        return measured

    def _explicit(self, keep: Iterable[str], name: str) -> Measured | None:
        """Measure and score a plan; one that is known already keeps its first name."""
        kept = tuple(dict.fromkeys(keep))
        key = tuple(sorted(kept))
        if key in self._points or len(kept) == len(self._layers):
            return None
        plan = self._start.with_kept(kept, f"tuned: {name}")
        measured = self._measured("explicit", plan)
        score = self._score(plan)
        in_int8 = len(self._layers) - len(kept)
        self._points[key] = TunePoint(name, "explicit", score, measured.ms if measured else math.nan, plan, in_int8)
        return measured

    def _score(self, plan: PrecisionPlan) -> Score:
        key = json.dumps(sorted(plan.keep))
        known = self._journal.score(key)
        if known is None:
            known = self._simulation.score(self._evaluation, plan, control=self._control)
            self._journal.put("scores", key, known)
        return known

    def _measured(self, kind: Kind, plan: PrecisionPlan | None = None) -> Measured | None:
        self._control.report(min(self._done, self._total), self._total, f"tuning: {kind}")
        self._done += 1
        if self._device is None:
            return None
        key = kind if plan is None else f"{kind} {json.dumps(sorted(plan.keep))}"
        known = self._journal.measured(key)
        if known is None:
            with tempfile.TemporaryDirectory(prefix="trtcal-tune-") as folder:
                known = self._device.measure(self._variant(kind, plan, Path(folder)), self._simulation.graph)
            self._journal.put("measured", key, known)
        return known

    def _variant(self, kind: Kind, plan: PrecisionPlan | None, folder: Path) -> Variant:
        simulation, half = self._simulation, self._precision == "fp16"
        path = simulation.model.path
        if kind == "implicit":
            return Variant(kind, path, CalibrationCache.build(simulation.scales), half)
        if kind == "explicit":
            path = folder / f"{simulation.model.path.stem}.qdq.onnx"
            built = build_qdq(simulation.model, simulation.scales, placement=simulation.placement, plan=plan)
            built.write(path)
        return Variant(kind, path, None, half)
