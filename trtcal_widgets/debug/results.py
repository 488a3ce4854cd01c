"""What debugging finds, as frozen values: for views, reports and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.summary import Summary
from trtcal_widgets.common.words import count_of, significant
from trtcal_widgets.core.comparison import TensorComparison, histogram_kl
from trtcal_widgets.core.quantizer import NoiseModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.runners.evaluation import Score


@dataclass(frozen=True, eq=False)
class TensorResult:
    """One tensor in the INT8 model (all chosen layers quantised) against the same tensor in FP32.

    Attributes
    ----------
    name, op_type, node
        The tensor, the operator and the name of the node that makes it.
    comparison
        Errors over all evaluation samples.
    reference, tested
        Histograms of |x| in FP32 and in INT8, from one starting range.
    amax
        Threshold that the tensor is quantised with where it is; nan where it is not quantised.
    quantized
        Whether the INT8 model has a Q/DQ pair for this tensor.
    """

    name: str
    op_type: str
    node: str
    comparison: TensorComparison
    reference: Histogram
    tested: Histogram
    amax: float
    quantized: bool

    @property
    def sqnr_db(self) -> float:
        """Accumulated signal to quantisation noise ratio: everything upstream in INT8."""
        return self.comparison.sqnr_db

    @property
    def cosine(self) -> float:
        """Cosine of FP32 and INT8."""
        return self.comparison.cosine

    @property
    def kl(self) -> float:
        """KL(FP32 || INT8) between the distributions of |x|, in nats."""
        return histogram_kl(self.reference, self.tested)

    @property
    def clipped_fraction(self) -> float:
        """Share of the FP32 values beyond the threshold; nan where the tensor is not quantised."""
        if self.amax != self.amax:
            return self.amax
        return NoiseModel(self.reference).cost(self.amax).clipped_fraction


@dataclass(frozen=True, eq=False)
class ComparisonResult:
    """FP32 and INT8 side by side.

    Attributes
    ----------
    tensors
        Name -> result, in graph order: every floating-point activation.
    fp32, int8
        Scores of the outputs; ``int8`` is that of FP8 where an :class:`Fp8Simulation` compared.
    skipped
        Tensors that had another number of values in INT8 than in FP32, as the data wanted: not compared.
    """

    tensors: Mapping[str, TensorResult]
    fp32: Score
    int8: Score
    skipped: tuple[str, ...] = ()

    def _summary(self) -> Summary:
        """Return both scores and the worst tensors, as a notebook shows them."""
        score = f"{self.fp32.measure}: FP32 {significant(self.fp32.value, 4)}, INT8 {significant(self.int8.value, 4)}"
        rows = tuple(
            (t.name, t.op_type, decibels(t.sqnr_db, column=True), significant(t.cosine, 5), f"±{significant(t.amax)}")
            for t in self.worst()
        )
        lines = (f"{score}, on {count_of(self.fp32.n_samples, 'sample')}",)
        columns = ("tensor", "made by", "SQNR", "cosine", "amax")
        left = len(self.tensors) - len(rows)
        more = f"The lowest SQNR first; {count_of(left, 'more tensor')} in .tensors." if left else ""
        return Summary("FP32 and INT8 side by side", lines, columns, rows, more)

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _repr_markdown_(self) -> str:
        return self._summary().markdown()

    def worst(self, n: int = 10) -> list[TensorResult]:
        """Return the tensors with the lowest SQNR, worst first; tensors without signal are left out."""
        known = [t for t in self.tensors.values() if t.sqnr_db == t.sqnr_db]
        return sorted(known, key=lambda t: t.sqnr_db)[:n]


@dataclass(frozen=True)
class LayerResult:
    """What one layer alone in INT8 does, everything else in FP32.

    Attributes
    ----------
    node, op_type
        The layer.
    tensor
        Its first output.
    own
        Errors of that output: what the layer itself loses.
    score
        Score of the model's outputs with only this layer in INT8.
    loss
        FP32's score less this one, in the unit of :attr:`Score.value`.
    """

    node: str
    op_type: str
    tensor: str
    own: TensorComparison
    score: Score
    loss: float

    @property
    def own_sqnr_db(self) -> float:
        """SQNR at the layer's own output."""
        return self.own.sqnr_db

    @property
    def output_sqnr_db(self) -> float:
        """SQNR at the model's outputs."""
        return self.score.outputs.sqnr_db


@dataclass(frozen=True, eq=False)
class TensorDetail:
    """A closer look at one tensor.

    Attributes
    ----------
    name, comparison
        The tensor, and how INT8 differs from FP32 in it.
    reference, tested, error
        Histograms of |x| in FP32, in INT8, and of the absolute difference.
    pairs
        float32, shape (k, 2): an even sample of (FP32, INT8) values.
    """

    name: str
    comparison: TensorComparison
    reference: Histogram
    tested: Histogram
    error: Histogram
    pairs: NDArray[np.float32]
