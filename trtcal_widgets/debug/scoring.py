"""Judging plans, outputs and tensors: one run is kept, and another plan recomputes only what it changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.debug.runs import Control, TappedModel, TensorStore
from trtcal_widgets.model.data_shapes import has_numpy_type
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.partial import PartialModel, downstream_part
from trtcal_widgets.runners.evaluation import Evaluation, Score, Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.debug.models import RunnableModels
    from trtcal_widgets.model.plan import PrecisionPlan


class PlanScorer:
    """Scores plans of one simulation.

    ``store_bytes``: how much of one evaluation's tensors may be kept on disk.
    """

    def __init__(self, simulation: RunnableModels, store_bytes: int) -> None:
        self._simulation = simulation
        self._store_bytes = store_bytes
        self._kept: _Kept | None = None

    def score(self, evaluation: Evaluation, plan: PrecisionPlan, control: Control) -> Score:
        """Return the score of a plan."""
        kept = self._keep(evaluation, control)
        part = downstream_part(
            kept.proto, self._simulation.proto(plan), self._simulation.dtypes, self._simulation.asked
        )
        if part is None:
            return self._score_kept(kept, evaluation)
        if kept.store.holds(part.inputs, kept.batches):
            return self._score_part(part, kept, evaluation, control)
        return self._score_whole(self._simulation.proto(plan), kept, evaluation, control)

    def compare(
        self, evaluation: Evaluation, plan: PrecisionPlan, before: Mapping[str, TensorComparison], control: Control
    ) -> dict[str, TensorComparison]:
        """Return the errors of tensors with a plan; those that it cannot reach keep what they had ``before``."""
        simulation = self._simulation
        kept = self._keep(evaluation, control)
        proto = simulation.proto(plan)
        part = downstream_part(kept.proto, proto, simulation.dtypes, list(before))
        if part is None:
            return dict(before)
        stored = kept.store.holds(part.inputs, kept.batches)
        tapped = simulation.tapped(part.proto if stored else proto, part.outputs, "what the plan changes")
        fp32 = simulation.fp32(part.outputs)
        sums = {name: TensorComparison() for name in part.outputs}

        def add(name: str, reference: NDArray[Any], tested: NDArray[Any]) -> None:
            sums[name] += TensorComparison.of(reference, tested)

        with ThreadPoolExecutor(simulation.threads) as pool:
            for batch, feeds in simulation.batches(evaluation):
                control.report(batch.index, kept.batches, "comparing tensors with the plan")
                reference = batch.without_padding(fp32.run(feeds))
                given = {n: kept.store.get(batch.index, n) for n in part.inputs} if stored else feeds
                tested = batch.without_padding(tapped.run(given))
                for name in [n for n in sums if reference[n].shape != tested[n].shape]:
                    del sums[name]
                list(pool.map(lambda n, a=reference, b=tested: add(n, a.pop(n), b.pop(n)), sums))
        return {name: sums.get(name, errors) for name, errors in before.items()}

    def reference_score(self, evaluation: Evaluation, control: Control) -> Score:
        """Return FP32's score."""
        kept = self._keep(evaluation, control)
        scorer = Scorer(evaluation)
        for batch in self._batches(kept):
            reference = kept.reference[batch.index]
            self._simulation.judge(scorer, reference, reference, batch)
        return scorer.result()

    def _batches(self, kept: _Kept) -> Iterator[Batch]:
        for index in range(kept.batches):
            yield self._simulation.fitted(kept.evaluation.plan.load(index))

    def _score_kept(self, kept: _Kept, evaluation: Evaluation) -> Score:
        scorer = Scorer(evaluation)
        for batch in self._batches(kept):
            self._simulation.judge(scorer, kept.outputs[batch.index], kept.reference[batch.index], batch)
        return scorer.result()

    def _keep(self, evaluation: Evaluation, control: Control) -> _Kept:
        """Run FP32 and the present plan once over the evaluation, keeping outputs and, if they fit, all tensors."""
        if self._kept is not None and self._kept.evaluation is evaluation:
            return self._kept
        proto = self._simulation.proto(self._simulation.plan)
        tensors = self._simulation.graph.tensors.values()
        made = [t.name for t in tensors if t.kind is TensorKind.ACTIVATION and has_numpy_type(t.dtype)]
        wanted = list(dict.fromkeys([*made, *self._simulation.asked]))
        kept = _Kept(evaluation, proto, TensorStore(self._store_bytes))
        fp32 = self._simulation.fp32(self._simulation.asked)
        tapped = self._simulation.tapped(proto, wanted, self._simulation.words)
        plain: TappedModel | None = None
        total = evaluation.plan.n_batches or 0
        for batch, feeds in self._simulation.batches(evaluation):
            control.report(batch.index, total, f"running FP32 and {self._simulation.words}")
            kept.reference.append(fp32.run(feeds))
            if kept.store.complete:
                values = tapped.run(feeds)
                kept.store.keep(batch.index, [*feeds.items(), *((n, values[n]) for n in made)])
            else:
                plain = plain or self._simulation.tapped(proto, self._simulation.asked, self._simulation.words)
                values = plain.run(feeds)
            kept.outputs.append({n: values[n] for n in self._simulation.asked})
        self._kept = kept
        return kept

    def _score_part(self, part: PartialModel, kept: _Kept, evaluation: Evaluation, control: Control) -> Score:
        tapped = self._simulation.tapped(part.proto, part.outputs, "what the plan changes")
        scorer = Scorer(evaluation)
        for batch in self._batches(kept):
            control.report(batch.index, kept.batches, "scoring the plan")
            values = tapped.run({n: kept.store.get(batch.index, n) for n in part.inputs})
            outputs = {**kept.outputs[batch.index], **values}
            self._simulation.judge(scorer, outputs, kept.reference[batch.index], batch)
        return scorer.result()

    def _score_whole(self, proto: ModelProto, kept: _Kept, evaluation: Evaluation, control: Control) -> Score:
        tapped = self._simulation.tapped(proto, self._simulation.asked, "the plan")
        scorer = Scorer(evaluation)
        for batch, feeds in self._simulation.batches(evaluation):
            control.report(batch.index, kept.batches, "scoring the plan")
            self._simulation.judge(scorer, tapped.run(feeds), kept.reference[batch.index], batch)
        return scorer.result()


@dataclass
class _Kept:
    """One run of FP32 and of a plan over an evaluation."""

    evaluation: Evaluation
    proto: ModelProto
    store: TensorStore
    reference: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    outputs: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    @property
    def batches(self) -> int:
        return len(self.outputs)
