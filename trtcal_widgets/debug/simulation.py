"""FP32 and INT8, or FP8, of one model side by side, simulated with Q/DQ nodes in ONNX Runtime on the CPU.

The INT8 model runs unoptimised: every rounding is exactly Q/DQ's, and no INT8 kernel of the machine at hand blurs it.
Tensors are compared as they stream by, so memory does not grow with the number of samples.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import whole_number
from trtcal_widgets.core.comparison import PairCounting
from trtcal_widgets.core.histogram import Histogram, replay
from trtcal_widgets.debug.models import RunnableModels
from trtcal_widgets.debug.ranking import rank_layers
from trtcal_widgets.debug.results import ComparisonResult, LayerResult, TensorDetail, TensorResult
from trtcal_widgets.debug.runs import Control, PairSums, add_batch
from trtcal_widgets.debug.scoring import PlanScorer
from trtcal_widgets.errors import ModelError
from trtcal_widgets.runners.evaluation import Evaluation, Score, Scorer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.core.comparison import TensorComparison
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.model.plan import PrecisionPlan

_PAIRS = 4000
"""Points of a scatter of FP32 against INT8."""


class QdqSimulation(RunnableModels):
    """A model in FP32 and quantised with given scales: in what, its two classes say.

    Parameters
    ----------
    model
        Path of the FP32 ONNX file, or the loaded model.
    scales
        Tensor name -> scale (amax / 127); or a calibration cache, a table of ranges, or a session.
    placement
        Where Q/DQ goes: ``"recommended"``, ``"implicit"``, ``"weights-only-inputs"``, or what an engine ran in INT8,
        see :func:`~trtcal_widgets.export.qdq.build.build_qdq`.
    plan
        Layers to leave in higher precision, and thresholds that replace those of ``scales``. Higher precision is
        simulated as FP32: FP16's own rounding is some thousand times smaller than INT8's and not simulated.
    threads
        Cores to use; None for all.
    force
        Take scales although most of their names are not in the model.
    store_bytes
        How much of one evaluation's tensors may be kept on disk, so that a changed plan recomputes only what lies
        downstream of the change.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | OnnxModel,
        scales: Any,
        *,
        placement: Any = "recommended",
        plan: PrecisionPlan | None = None,
        threads: int | None = None,
        force: bool = False,
        store_bytes: int = 1 << 30,
    ) -> None:
        super().__init__(model, scales, placement=placement, plan=plan, threads=threads, force=force)
        self._scorer = PlanScorer(self, store_bytes)

    def compare(
        self, evaluation: Evaluation, *, control: Control | None = None, names: Iterable[str] | None = None
    ) -> ComparisonResult:
        """Run both and compare every floating-point activation.

        Parameters
        ----------
        evaluation
            The batches, and how outputs are judged.
        control
            Progress and cancelling.
        names
            Tensors to compare; None for all floating-point activations.

        Raises
        ------
        DataError, ModelError, EvaluationError
            If a batch cannot be read, run or judged.
        """
        control = control or Control()
        compared = list(names if names is not None else self.graph.activations)
        asked = list(dict.fromkeys([*compared, *self.asked]))
        fp32 = self.fp32(asked)
        int8 = self.tapped(self.proto(self.plan), asked, self.words)
        sums = {name: PairSums() for name in compared}
        best, tested = Scorer(evaluation), Scorer(evaluation)
        total = evaluation.plan.n_batches or 0
        with ThreadPoolExecutor(self.threads) as pool:
            for batch, feeds in self.batches(evaluation):
                control.report(batch.index, total, f"comparing FP32 with {self.words}")
                reference, quantized = fp32.run(feeds), int8.run(feeds)
                self.judge(best, reference, reference, batch)
                self.judge(tested, quantized, reference, batch)
                reference, quantized = batch.without_padding(reference), batch.without_padding(quantized)
                for name in [n for n in sums if reference[n].shape != quantized[n].shape]:
                    del sums[name]  # as many values as the data wants: nothing to compare, name by name
                add_batch(sums, reference, quantized, pool)
        control.report(total, total, f"comparing FP32 with {self.words}")
        results = {name: self._tensor_result(name, sums[name]) for name in compared if name in sums}
        skipped = tuple(name for name in compared if name not in sums)
        return ComparisonResult(results, best.result(), tested.result(), skipped)

    def _tensor_result(self, name: str, sums: PairSums) -> TensorResult:
        producer = self.graph.tensor(name).producer
        quantized = name in self.quantized
        amax = self.plan.amax.get(name, self.scales.get(name, math.nan) * 127.0) if quantized else math.nan
        return TensorResult(
            name=name,
            op_type=self.graph.op_type(name),
            node=self.graph.nodes[producer].name if producer >= 0 else "",
            comparison=sums.comparison,
            reference=replay(sums.reference) if sums.reference else Histogram.empty(),
            tested=replay(sums.tested) if sums.tested else Histogram.empty(),
            amax=amax,
            quantized=quantized,
        )

    def detail(self, name: str, evaluation: Evaluation, *, max_batches: int = 8) -> TensorDetail:
        """Look closer at one tensor: error histogram, and an even sample of value pairs.

        Parameters
        ----------
        name
            A floating-point activation.
        evaluation
            The batches.
        max_batches
            Use no more than the first so many: a picture needs no more.

        Raises
        ------
        UsageError
            If ``max_batches`` is less than 1.
        ModelError
            If the model has no such tensor, it is not floating-point, or both runs give it another shape.
        """
        whole_number(max_batches, "max_batches", 1)
        if not self.graph.tensor(name).is_float:
            raise ModelError(f"tensor {name!r} of {self.graph.name} holds no floating-point values to compare")
        fp32 = self.fp32([name])
        int8 = self.tapped(self.proto(self.plan), [name], self.words)
        sums = PairSums()
        errors: list[Histogram] = []
        pairs: list[NDArray[np.float32]] = []
        for batch, feeds in self.batches(evaluation):
            if batch.index >= max_batches:
                break
            a, b = (batch.without_padding(model.run(feeds))[name] for model in (fp32, int8))
            if a.shape != b.shape:
                raise ModelError(
                    f"tensor {name!r} has as many values as the data wants: {a.shape} in FP32 and {b.shape} in "
                    f"{self.words} for batch {batch.index}, so the two cannot be compared value by value"
                )
            for found in PairCounting([(a, b)], [sums.base]).run().results():
                sums.add(*found)
            errors.append(Histogram.of(b - a, errors[0].base if errors else None))
            every = _stride(a.size, _PAIRS // 4)
            pairs.append(np.stack([a.reshape(-1)[::every], b.reshape(-1)[::every]], axis=1).astype(np.float32))
        result = self._tensor_result(name, sums)
        shown = np.concatenate(pairs)
        shown = shown[:: max(1, len(shown) // _PAIRS)]
        return TensorDetail(name, sums.comparison, result.reference, result.tested, replay(errors), shown)

    def score(
        self, evaluation: Evaluation, plan: PrecisionPlan | None = None, *, control: Control | None = None
    ) -> Score:
        """Return the score of a plan (of :attr:`plan` unless another is given).

        The first call keeps the tensors of its run on disk, as far as they fit; a call with another plan then
        recomputes only what lies downstream of the difference.
        """
        return self._scorer.score(evaluation, plan if plan is not None else self.plan, control or Control())

    def compare_plan(
        self,
        evaluation: Evaluation,
        plan: PrecisionPlan,
        before: Mapping[str, TensorComparison],
        *,
        control: Control | None = None,
    ) -> Mapping[str, TensorComparison]:
        """Return the errors that tensors have with another plan, everything upstream of them as it is with it.

        Parameters
        ----------
        evaluation
            The batches.
        plan
            The plan.
        before
            Tensor -> its errors with :attr:`plan`, of the same evaluation, from :meth:`compare`: those of tensors that
            the difference between the plans cannot reach are taken from here, the others are computed.
        control
            Progress and cancelling.
        """
        return self._scorer.compare(evaluation, plan, before, control or Control())

    def reference_score(self, evaluation: Evaluation, *, control: Control | None = None) -> Score:
        """Return FP32's score."""
        return self._scorer.reference_score(evaluation, control or Control())

    def isolated(
        self, evaluation: Evaluation, layers: Iterable[str] | None = None, *, control: Control | None = None
    ) -> list[LayerResult]:
        """Return what each layer alone in INT8 does, worst first; see :func:`~.ranking.rank_layers`."""
        return rank_layers(self, evaluation, layers, control=control)


class Int8Simulation(QdqSimulation):
    """A model in FP32 and in INT8 with given scales; parameters and methods as of :class:`QdqSimulation`."""


class Fp8Simulation(QdqSimulation):
    """A model in FP32 and in FP8 (E4M3, scale = amax / 448), with the same thresholds and places as INT8.

    Parameters and methods are those of :class:`QdqSimulation`. Each rounding is that of ONNX Runtime's FP8
    QuantizeLinear and DequantizeLinear; products and sums are FP32's.
    """

    format = "fp8"


def _stride(size: int, wanted: int) -> int:
    """Return a step that takes about so many of the values, and does not meet the same channels or pixels only."""
    step = max(1, size // wanted)
    while math.gcd(step, size) != 1:
        step += 1
    return step
