"""How good a model's outputs are: top-1 and top-5, the user's own measure, or closeness to FP32."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.words import count_of
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.data import as_source
from trtcal_widgets.data.plan import BatchPlan
from trtcal_widgets.errors import EvaluationError, UsageError
from trtcal_widgets.model.data_shapes import NO_ARRAYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.model.graph import ModelGraph

Outputs = Mapping[str, "NDArray[Any]"]
Pairs = Mapping[str, "tuple[NDArray[Any], NDArray[Any]]"]
Evaluate = Callable[[Outputs, "Batch"], float]
"""A user's own measure of a batch: larger is better; the mean over samples is taken."""


@dataclass(frozen=True)
class Score:
    """How good the outputs were over the evaluation batches.

    Attributes
    ----------
    n_samples
        How many samples were scored.
    top1, top5
        Share of samples whose label is the largest output, or among the five largest; nan without labels.
    custom
        Mean of the user's own measure; nan where there is none.
    outputs
        All floating-point outputs against those of FP32; perfect for FP32 itself.
    """

    n_samples: int
    top1: float = math.nan
    top5: float = math.nan
    custom: float = math.nan
    outputs: TensorComparison = field(default_factory=TensorComparison)

    @property
    def measure(self) -> str:
        """Which number :attr:`value` is: ``custom``, ``top-1`` or ``output cosine``."""
        if not math.isnan(self.custom):
            return "custom"
        return "output cosine" if math.isnan(self.top1) else "top-1"

    @property
    def value(self) -> float:
        """The number that decides, larger is better: the user's measure, else top-1, else the outputs' cosine."""
        if not math.isnan(self.custom):
            return self.custom
        return self.top1 if not math.isnan(self.top1) else self.outputs.cosine


class Evaluation:
    """Batches, and how outputs are judged on them.

    Parameters
    ----------
    source
        Evaluation data, anything that :func:`~trtcal_widgets.data.as_source` takes. Nothing here knows the model: a
        folder of images given by its path alone is read as RGB at the images' own size, so give an ``ImageFolder``.
    batch_size
        Samples per batch; None for data that comes in batches.
    labels
        Class indices, shape (samples,), in the source's order. None: the source's own ``labels``, where it has some.
    evaluate
        The user's own measure ``evaluate(outputs, batch) -> float``: ``outputs`` maps output names to arrays,
        ``batch`` is a :class:`~trtcal_widgets.data.base.Batch`. Larger is better.
    output
        Name of the output that holds class scores; None for the first one.
    last, max_batches
        As for :class:`~trtcal_widgets.data.plan.BatchPlan`; the short last batch is kept by default.

    Raises
    ------
    EvaluationError
        If the number of labels is not the number of samples.
    """

    def __init__(
        self,
        source: Any,
        *,
        batch_size: int | None = None,
        labels: Any = None,
        evaluate: Evaluate | None = None,
        output: str | None = None,
        last: Literal["drop", "pad", "keep"] = "keep",
        max_batches: int | None = None,
    ) -> None:
        if evaluate is not None and not callable(evaluate):
            raise EvaluationError(f"evaluate is a function evaluate(outputs, batch) -> float, not {kind_of(evaluate)}")
        if output is not None and not isinstance(output, str):
            raise EvaluationError(f"output is text, the name of the output with class scores, not {kind_of(output)}")
        self.plan = BatchPlan(as_source(source), batch_size, last=last, max_batches=max_batches)
        self.evaluate = evaluate
        self.output = output
        if labels is not None and not np.size(labels):
            raise EvaluationError("labels is empty: give one class index per sample, or leave labels out")
        self.labels = _checked_labels(
            getattr(self.plan.source, "labels", None) if labels is None else labels, self.plan
        )

    @property
    def has_labels(self) -> bool:
        """Whether top-1 and top-5 can be counted."""
        return self.labels.size > 0

    def check(self, graph: ModelGraph) -> None:
        """Refuse labels that a model's output cannot be judged by, as far as its shape tells, before anything is run.

        Raises
        ------
        EvaluationError
            If there is no such output, it has no axis of classes, or fewer classes than the labels say.
        """
        outputs: dict[str, Any] = {
            tensor.name: list(tensor.dtype) if tensor.dtype in NO_ARRAYS else tensor.shape for tensor in graph.outputs
        }
        scorer = Scorer(self)
        shape = scorer.scores(outputs) if self.has_labels or self.output is not None else None
        if self.has_labels and shape and all(isinstance(size, int) and size > 0 for size in shape[1:]):
            whole = (len(self.labels), *shape[1:])
            _check_scores(whole, self.labels, "the evaluation data", scorer.how_to_judge(outputs))

    def describe(self) -> str:
        """Return one line for people."""
        judged = "labels" if self.has_labels else "no labels: outputs are compared with FP32"
        own = ", own measure" if self.evaluate is not None else ""
        return f"{self.plan.source.describe()}, {judged}{own}"


class Scorer:
    """Sums up scores batch by batch."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._n = 0
        self._hits = np.zeros(2)
        self._custom = 0.0
        self._compared = TensorComparison()

    def add(self, outputs: Outputs, reference: Outputs, batch: Batch, compared: Pairs | None = None) -> None:
        """Count one batch; what belongs to its padding is left out of every measure.

        (Where samples are on another axis than the first, nobody knows which axis of an output is theirs: nothing is
        left out there.)

        ``reference``: FP32's outputs for the same batch. ``compared``: name -> (FP32's tensor, the tested one): what is
        compared; None for the floating-point outputs. Raises EvaluationError if labels do not fit the outputs, or the
        user's ``evaluate`` raises or gives no number.
        """
        n = batch.n_samples
        self._n += n
        outputs, reference = batch.without_padding(outputs), batch.without_padding(reference)
        pairs = {name: (reference[name], outputs[name]) for name in outputs} if compared is None else compared
        for one, other in pairs.values():
            if isinstance(other, np.ndarray) and np.issubdtype(other.dtype, np.floating):
                self._compared += TensorComparison.of(one, other)
        if self._evaluation.has_labels:
            labels = self._evaluation.labels[batch.first_sample : batch.first_sample + n]
            self._hits += _hits(self.scores(outputs)[:n], labels, batch.index, self.how_to_judge(outputs))
        if self._evaluation.evaluate is not None:
            is_cut = n < batch.n_fed and batch.samples_first
            real = replace(batch, feeds=batch.only(range(n))) if is_cut else batch
            self._custom += n * _call(self._evaluation.evaluate, outputs, real)

    def scores(self, outputs: Mapping[str, Any]) -> Any:
        """Return what stands for the output that holds class scores, by name in ``outputs``."""
        name = self._evaluation.output
        if name is not None and name not in outputs:
            raise EvaluationError(f"the model has no output {name!r}; it has {', '.join(map(repr, outputs))}")
        found = next(iter(outputs.values())) if name is None else outputs[name]
        if isinstance(found, list | dict):  # a sequence or a map, as ZipMap makes of class scores
            raise EvaluationError(
                f"the output {name or next(iter(outputs))!r} is a sequence or a map, no array of class scores; "
                f"{self.how_to_judge(outputs)}"
            )
        return found

    def how_to_judge(self, outputs: Collection[str]) -> str:
        """Say what can be done where the output that was taken holds no class scores."""
        taken = self._evaluation.output or next(iter(outputs), "")
        others = [name for name in outputs if name != taken]
        named = f"name the output that holds them with output= ({', '.join(map(repr, others))})" if others else ""
        own = "judge by a function of your own, evaluate="
        if self._evaluation.evaluate is not None:
            own = "leave labels to your evaluate function: Evaluation(arrays without labels, evaluate=…)"
        return f"{named}, or {own}" if named else own

    def result(self) -> Score:
        """Return the score of the batches so far."""
        n = max(self._n, 1)
        labelled = self._evaluation.has_labels
        return Score(
            n_samples=self._n,
            top1=float(self._hits[0] / n) if labelled else math.nan,
            top5=float(self._hits[1] / n) if labelled else math.nan,
            custom=self._custom / n if self._evaluation.evaluate is not None else math.nan,
            outputs=self._compared,
        )


def _checked_labels(labels: Any, plan: BatchPlan) -> NDArray[np.int64]:
    if labels is None:
        return np.zeros(0, np.int64)
    array = np.asarray(labels)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise EvaluationError(
            f"labels are class indices, whole numbers of shape (samples,), not {array.dtype} of shape {array.shape}"
        )
    items = plan.source.n_items()
    if items is not None and not plan.source.prebatched and len(array) != items:
        raise EvaluationError(
            f"{count_of(len(array), 'label')} for {count_of(items, 'sample')}: there must be one for each"
        )
    return array.astype(np.int64)


def _check_scores(shape: tuple[int, ...], labels: NDArray[np.int64], where: str, advice: str) -> int:
    """Return how many classes an output has; axes of length 1 beside that of the classes are none."""
    n_classes = max(shape[1:], default=0)
    if len(shape) < 2 or shape[0] != len(labels) or math.prod(shape[1:]) != n_classes:
        raise EvaluationError(
            f"{where}: the output has shape {shape}, but class scores of shape ({len(labels)}, classes) are needed for "
            f"top-1; {advice}"
        )
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= n_classes:
        raise EvaluationError(
            f"{where}: labels go from {labels.min()} to {labels.max()}, but the output has {n_classes} classes, "
            "numbered from 0"
        )
    return n_classes


def _hits(scores: NDArray[Any], labels: NDArray[np.int64], batch: int, advice: str) -> NDArray[np.float64]:
    """Count the samples whose label is the best class, and one of the five best."""
    n_classes = _check_scores(scores.shape, labels, f"batch {batch}", advice)
    scores = scores.reshape(len(scores), n_classes)
    own = scores[np.arange(len(labels)), labels][:, None]
    # Ties go to the lower index, as argmax breaks them.
    earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
    better = np.sum((scores > own) | ((scores == own) & earlier), axis=1)
    wrong = np.isnan(own[:, 0])
    return np.array([np.sum((better < 1) & ~wrong), np.sum((better < 5) & ~wrong)], np.float64)


def _call(evaluate: Evaluate, outputs: Outputs, batch: Batch) -> float:
    try:
        value = evaluate(outputs, batch)
    except Exception as error:
        raise EvaluationError(f"evaluate failed on batch {batch.index}:\n{traceback.format_exc()}") from error
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"evaluate must return a number, not {value!r} (batch {batch.index})") from error
    if not math.isfinite(number):
        raise EvaluationError(
            f"evaluate returned {number} for batch {batch.index}, which would be the mean of all: return a finite "
            "number, 0 for instance where there is nothing to count"
        )
    return number
