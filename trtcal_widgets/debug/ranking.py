"""Ranking layers by what each alone costs, without a run of the whole model per layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug.results import LayerResult
from trtcal_widgets.debug.runs import Control, TappedModel, batched
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.partial import PartialModel, downstream_part
from trtcal_widgets.runners.evaluation import Evaluation, Score, Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.debug.models import RunnableModels

_PARTS_BUDGET = 512 << 20
"""Bytes of partial models that are held in ONNX Runtime at a time."""


def rank_layers(
    simulation: RunnableModels,
    evaluation: Evaluation,
    layers: Iterable[str] | None = None,
    *,
    control: Control | None = None,
) -> list[LayerResult]:
    """Return what each layer alone in INT8 does, everything else in FP32; worst first.

    FP32 runs once per batch (and per group of layers whose parts fit into memory together); for each layer only what
    lies downstream of it is recomputed.

    ``evaluation``: the batches, and how outputs are judged. ``layers``: node names; None for every layer that the
    simulation's plan does not keep. Raises ModelError if the model has no such layer, or the placement does not
    quantise it.
    """
    control = control or Control()
    kept = simulation.plan.keep
    names = list(layers) if layers is not None else [n for n in simulation.layers if n not in kept]
    _check_layers(simulation, names)
    parts = [part for name in names if (part := _isolated_part(simulation, name)) is not None]
    done, total = 0, len(parts) * (evaluation.plan.n_batches or 1)
    results: list[LayerResult] = []
    for group in batched([p.part.proto.ByteSize() for p in parts], _PARTS_BUDGET):
        running = [
            _RunningLayer(p, simulation.tapped(p.part.proto, p.part.outputs, p.node, arena=False)) for p in parts[group]
        ]
        fp32 = simulation.fp32(name for p in parts[group] for name in (*p.part.inputs, p.tensor, *simulation.asked))
        scorers = [Scorer(evaluation) for _ in running]
        best = Scorer(evaluation)
        for batch, feeds in simulation.batches(evaluation):
            reference = fp32.run(feeds)
            simulation.judge(best, reference, reference, batch)
            for layer, scorer in zip(running, scorers, strict=True):
                control.report(done, total, "ranking layers")
                simulation.judge(scorer, {**reference, **layer.run(reference, batch)}, reference, batch)
                done += 1
        fp32_value = best.result().value
        results += [layer.result(s.result(), fp32_value) for layer, s in zip(running, scorers, strict=True)]
    control.report(total, total, "ranking layers")
    return sorted(results, key=_harm, reverse=True)


def _harm(result: LayerResult) -> tuple[float, float]:
    """Order by loss, then by noise at the outputs."""
    sqnr = result.output_sqnr_db
    return result.loss, -math.inf if math.isnan(sqnr) else -sqnr


def _check_layers(simulation: RunnableModels, names: Sequence[str]) -> None:
    known = set(simulation.layers)
    for name in names:
        if name not in known:
            raise ModelError(f"{name!r} is not a layer that is quantised; there are {len(known)} of them")


@dataclass(frozen=True, eq=False)
class _IsolatedPart:
    """What lies downstream of one quantised layer."""

    node: str
    op_type: str
    tensor: str
    part: PartialModel


def _isolated_part(simulation: RunnableModels, node: str) -> _IsolatedPart | None:
    """Cut out what one quantised layer changes; None where it has no scale and stays as it is."""
    info = next(n for n in simulation.graph.nodes if n.name == node)
    tensor = next(name for name in info.outputs if name)
    proto = simulation.proto(replace(simulation.plan, keep=()), only=frozenset({node}))
    wanted = list(dict.fromkeys([tensor, *simulation.asked]))
    part = downstream_part(simulation.float_proto, proto, simulation.dtypes, wanted)
    return None if part is None else _IsolatedPart(node, info.op_type, tensor, part)


class _RunningLayer:
    """One layer's part in ONNX Runtime, with the errors of its own output."""

    def __init__(self, isolated: _IsolatedPart, tapped: TappedModel) -> None:
        self._isolated = isolated
        self._tapped = tapped
        self._own = TensorComparison()

    def run(self, reference: Mapping[str, NDArray[Any]], batch: Batch) -> dict[str, NDArray[Any]]:
        """Recompute what the layer reaches, from FP32's tensors."""
        isolated = self._isolated
        values = self._tapped.run({name: reference[name] for name in isolated.part.inputs})
        there, here = (batch.unpadded(tensors[isolated.tensor]) for tensors in (reference, values))
        self._own += TensorComparison.of(there, here)
        return values

    def result(self, score: Score, fp32_value: float) -> LayerResult:
        isolated = self._isolated
        loss = fp32_value - score.value
        return LayerResult(isolated.node, isolated.op_type, isolated.tensor, self._own, score, loss)
