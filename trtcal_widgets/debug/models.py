"""A model in FP32, and in INT8 by any plan, ready to be run: what comparing, ranking and scoring have in common."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.data.plan import NoSuchBatchError
from trtcal_widgets.debug.runs import TappedModel
from trtcal_widgets.errors import DataError
from trtcal_widgets.export.qdq.build import QdqBuilder
from trtcal_widgets.export.qdq.placement import quantized_inputs
from trtcal_widgets.export.qdq.scales import rows_of
from trtcal_widgets.model.data_shapes import comparable_outputs
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.model.tap import as_float32_names
from trtcal_widgets.runners.feeds import check_feeds, fitted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.runners.evaluation import Evaluation, Scorer


class RunnableModels:
    """The FP32 model, its INT8 versions, and the batches that both are fed with; parameters as of the simulation.

    A class whose ``format`` is ``"fp8"`` has FP8 versions instead.
    """

    format: ClassVar[str] = "int8"

    @property
    def words(self) -> str:
        """What the model is quantised to, for people."""
        return self.format.upper()

    def __init__(
        self,
        model: str | os.PathLike[str] | OnnxModel,
        scales: Any,
        *,
        placement: Any,
        plan: PrecisionPlan | None,
        threads: int | None,
        force: bool,
    ) -> None:
        self.model = model if isinstance(model, OnnxModel) else load_model(model)
        self.graph = self.model.graph
        self.scales = rows_of(scales)
        self.plan = plan or PrecisionPlan(model_sha256=self.graph.sha256)
        self.threads = threads or available_cores()
        self._builder = QdqBuilder(self.model, self.scales, placement=placement, force=force, format=self.format)
        self.placement = self._builder.placement
        self.report = self._builder.build(plan=self.plan).report
        self.float_proto = self._builder.build(only=()).proto
        self.dtypes = {t.name: t.dtype for t in self.graph.tensors.values()}
        self.outputs = [t.name for t in self.graph.outputs]
        self.judged = comparable_outputs(self.graph)
        self.asked = list(dict.fromkeys([*self.outputs, *self.judged]))

    def proto(self, plan: PrecisionPlan, only: frozenset[str] | None = None) -> ModelProto:
        """Return the model with Q/DQ by a plan; ``only`` these nodes are quantised, where given."""
        return self._builder.build(plan=plan, only=only).proto

    @cached_property
    def placed(self) -> Mapping[str, tuple[str, ...]]:
        """Node name -> the activations that the placement quantises in front of it, weights not included."""
        return {
            node: tuple(name for name in names if not self.graph.tensor(name).is_fixed)
            for node, names in quantized_inputs(self.graph, self.placement).items()
        }

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the nodes whose inputs are quantised by the placement, in graph order, kept ones included."""
        return tuple(node.name for node in self.graph.nodes if node.name in self.placed)

    def batches(self, evaluation: Evaluation) -> Iterator[tuple[Batch, dict[str, NDArray[Any]]]]:
        """Yield every evaluation batch with its feeds, checked against the model."""
        index = 0
        while True:
            try:
                batch = evaluation.plan.load(index)
            except NoSuchBatchError:
                if index == 0:
                    raise DataError(f"{evaluation.plan.source.describe()} gave no evaluation batch") from None
                return
            batch = self.fitted(batch)
            yield batch, check_feeds(self.graph, batch.feeds)
            index += 1

    def fitted(self, batch: Batch) -> Batch:
        """Fill a short batch up for a model with a fixed batch size, by repeating its last sample."""
        return fitted(self.graph, batch)

    def tapped(
        self, proto: ModelProto, names: Sequence[str], what: str, optimization: str = "off", *, arena: bool = True
    ) -> TappedModel:
        """Put a version of the model into ONNX Runtime, with these tensors to be seen."""
        return TappedModel(
            proto,
            self.model.path.parent,
            names,
            name=f"{self.graph.name} ({what})",
            threads=self.threads,
            optimization=optimization,
            as_float32=as_float32_names(self.graph, [name for name in names if name in self.graph.tensors]),
            arena=arena,
        )

    def fp32(self, names: Iterable[str]) -> TappedModel:
        """Return the FP32 model with these tensors to be seen."""
        return self.tapped(self.float_proto, list(dict.fromkeys(names)), "FP32", "extended")

    def judge(self, scorer: Scorer, outputs: Mapping[str, Any], reference: Mapping[str, Any], batch: Batch) -> None:
        """Score one batch of outputs, :attr:`asked` of both."""
        here, there = batch.without_padding(outputs), batch.without_padding(reference)
        pairs = {name: (there[name], here[name]) for name in self.judged}
        scorer.add({n: outputs[n] for n in self.outputs}, {n: reference[n] for n in self.outputs}, batch, pairs)

    @cached_property
    def quantized(self) -> frozenset[str]:
        """Names of the tensors that have a Q/DQ pair in the INT8 model."""
        return frozenset(entry.name for entry in self.report.quantized)
