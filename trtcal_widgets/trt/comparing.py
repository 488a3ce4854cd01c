"""An engine against FP32: outputs, inner tensors, accuracy, time."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.common.figures import decibels, milliseconds
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.errors import DataError, SessionError, UsageError
from trtcal_widgets.gpu.arrays import DeviceTensor, to_host
from trtcal_widgets.runners.evaluation import Evaluation, Score, Scorer
from trtcal_widgets.runners.feeds import fitted
from trtcal_widgets.trt.callbacks import watching
from trtcal_widgets.trt.execution import Execution, Latency
from trtcal_widgets.trt.versions import load_tensorrt

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.trt.control import Progress
    from trtcal_widgets.trt.engine import Engine


@dataclass(frozen=True)
class EngineComparison(Shown):
    """How an engine does against FP32 on the same data.

    Attributes
    ----------
    tensors
        Tensor name -> its errors over all batches: the outputs, and the inner tensors that the engine shows.
    outputs
        Which of them are outputs.
    fp32, engine
        Scores of both: top-1, top-5, the user's measure, as the evaluation has them.
    latency
        Time of the engine per batch; None where it was not measured.
    not_compared
        Tensor name -> why the engine's tensor could not be compared.
    n_batches
        Batches that were run.
    """

    tensors: Mapping[str, TensorComparison]
    outputs: tuple[str, ...]
    fp32: Score
    engine: Score
    latency: Latency | None = None
    not_compared: Mapping[str, str] = field(default_factory=dict)
    n_batches: int = 0

    def _summary(self) -> Summary:
        names = sorted(self.tensors, key=lambda name: (name not in self.outputs, -_loss(self.tensors[name])))
        rows = tuple(
            (
                name,
                "output" if name in self.outputs else "",
                decibels(self.tensors[name].sqnr_db, column=True),
                f"{self.tensors[name].cosine:.6f}",
            )
            for name in names[:MOST_ROWS]
        )
        lines = (*self._scores(), *self._time(), *self._left_out())
        title = f"Engine against FP32, {count_of(self.engine.n_samples, 'sample')}"
        return Summary(title, lines, ("tensor", "", "SQNR", "cosine"), rows, left_out(len(names), ".tensors"))

    @property
    def lost(self) -> float:
        """How much of FP32's score the engine loses: by the user's measure, else top-1, else the outputs' cosine."""
        return self.fp32.value - self.engine.value

    def __str__(self) -> str:
        """Return the comparison in words, the worst tensors last."""
        lines = [f"{count_of(self.engine.n_samples, 'sample')} in {count_of(self.n_batches, 'batch', 'batches')}"]
        lines.extend(self._scores())
        for name in self.outputs:
            found = self.tensors[name]
            lines.append(f"output {name!r}: SQNR {decibels(found.sqnr_db)}, cosine {found.cosine:.6f}")
        lines.extend(self._time())
        inner = [name for name in self.tensors if name not in self.outputs]
        worst = sorted(inner, key=lambda name: _loss(self.tensors[name]), reverse=True)[:5]
        lines.extend(f"{name!r}: SQNR {decibels(self.tensors[name].sqnr_db)}" for name in worst)
        lines.extend(self._left_out())
        return "\n".join(lines)

    def _scores(self) -> Iterator[str]:
        if self.engine.measure != "output cosine":
            yield f"{self.engine.measure}: FP32 {self.fp32.value:.4f}, engine {self.engine.value:.4f}"

    def _time(self) -> Iterator[str]:
        if self.latency is not None:
            time = self.latency
            yield (
                f"{milliseconds(time.median)} per batch of {time.batch_size} (median of {time.runs}, copies left out)"
            )

    def _left_out(self) -> Iterator[str]:
        return (f"{name!r} was not compared: {why}" for name, why in self.not_compared.items())


def _loss(found: TensorComparison) -> float:
    """Return minus the SQNR; a tensor without signal loses nothing."""
    return -math.inf if math.isnan(found.sqnr_db) else -found.sqnr_db


def compare(
    engine: Engine | str | os.PathLike[str],
    session: Any,
    evaluation: Any,
    *,
    batch_size: int | None = None,
    latency_runs: int = 50,
    progress: Callable[[Progress], object] | None = None,
    memory: DeviceMemory | None = None,
) -> EngineComparison:
    """Run an engine and its FP32 model on the same batches.

    Parameters
    ----------
    engine
        The engine, or its path. Built with ``debug=``, its inner tensors are compared too.
    session
        Where FP32 comes from: a session with its model, a :class:`Runner` (it stays open), or the path of the ONNX
        file. For an engine of a Q/DQ model that is the model without Q/DQ.
    evaluation
        An :class:`~trtcal_widgets.runners.evaluation.Evaluation`, or data for one.
    batch_size
        Samples per batch, where ``evaluation`` is data that does not come in batches.
    latency_runs
        How often the first batch is run to measure the time; 0 to leave it out.
    progress
        Called with a :class:`Progress` after each batch; what it raises ends the comparison.
    memory
        Device memory to work in; opened and closed here unless given.

    Returns
    -------
    EngineComparison
        The result.

    Raises
    ------
    EngineError
        If the engine cannot be loaded here, or fails.
    DeviceError
        If there is no usable GPU, or its memory is full.
    DataError
        If a batch does not fit the engine.
    """
    whole_number(latency_runs, "latency_runs", 0)
    if progress is not None and not callable(progress):
        raise UsageError(f"progress must be a function of one argument, such as print, not {kind_of(progress)}")
    if not isinstance(evaluation, Evaluation):
        evaluation = Evaluation(evaluation, batch_size=batch_size)
    elif batch_size is not None:
        raise UsageError("batch_size belongs to data, and an Evaluation has its own: leave it out")
    with ExitStack() as stack:
        runner = _fp32(session, stack)
        execution = stack.enter_context(Execution(engine, memory=memory))
        return _Comparing(execution, runner, evaluation, progress).run(latency_runs)


def _fp32(session: Any, stack: ExitStack) -> Runner:
    """Return a runner that is open: one that was given stays open, one made here ends with the comparison."""
    if hasattr(session, "runner") and session.runner is None:
        raise SessionError(
            "this session was loaded without its model, which is needed for FP32: load it with model=, or pass the "
            "path of the ONNX file instead of the session"
        )
    given = session if hasattr(session, "infer") else getattr(session, "runner", None)
    if given is not None:
        given.__enter__()
        return given  # type: ignore[no-any-return]
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

    return stack.enter_context(OnnxRuntimeRunner(session))


class _Comparing:
    def __init__(
        self,
        execution: Execution,
        runner: Runner,
        evaluation: Evaluation,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self.execution, self.runner, self.evaluation, self.progress = execution, runner, evaluation, progress
        self.sums: dict[str, TensorComparison] = {}
        self.not_compared: dict[str, str] = {}
        self.watched = execution.engine.provenance.get("debug", {}).get("kind", "") in ("marked", "unfused")

    def run(self, latency_runs: int) -> EngineComparison:
        fp32, engine = Scorer(self.evaluation), Scorer(self.evaluation)
        latency: Latency | None = None
        count = 0
        for whole in self.evaluation.plan:
            batch = fitted(self.execution.inputs, whole)
            outputs, inner = self._engine_run(batch)
            reference = self._reference(batch, outputs, inner)
            fp32.add(reference, reference, batch)
            engine.add({name: outputs[name] for name in reference}, reference, batch)
            if latency_runs and latency is None:
                latency = self.execution.latency(batch.feeds, runs=latency_runs, samples=batch.n_fed)
            count += 1
            self._report(count)
        if not count:
            raise DataError(f"{self.evaluation.plan.source.describe()} gave no batch")
        return EngineComparison(
            tensors=MappingProxyType(dict(self.sums)),
            outputs=tuple(t.name for t in self.runner.graph.outputs if t.name in self.sums),
            fp32=fp32.result(),
            engine=engine.result(),
            latency=latency,
            not_compared=MappingProxyType(dict(self.not_compared)),
            n_batches=count,
        )

    def _report(self, count: int) -> None:
        from trtcal_widgets.trt.control import Progress

        if self.progress is not None:
            self.progress(Progress("Compare", done=count, total=self.evaluation.plan.n_batches or 0))

    def _engine_run(self, batch: Batch) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        inner: dict[str, NDArray[Any]] = {}
        if not self.watched:
            return self.execution.run(batch.feeds), inner

        def receive(tensor: DeviceTensor, stream: int) -> None:
            inner[tensor.name] = to_host(self.execution.memory, tensor, stream)

        with watching(load_tensorrt(), self.execution, receive) as raise_if_failed:
            outputs = self.execution.run(batch.feeds)
            raise_if_failed()
        return outputs, inner

    def _reference(
        self, batch: Batch, outputs: Mapping[str, NDArray[Any]], inner: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Run FP32, compare each tensor as it comes, and return those outputs of FP32 that the engine has too."""
        kept: dict[str, NDArray[Any]] = {}
        left = {**inner, **outputs}
        own = {tensor.name for tensor in self.runner.graph.outputs}
        for name, array in self.runner.infer(batch.feeds):
            tested = left.pop(name, None)
            if tested is not None and self._add(name, array, tested, batch) and name in own:
                kept[name] = array
        self.not_compared.update(dict.fromkeys(left, "FP32 has no float tensor of this name"))
        if not kept:
            raise DataError(
                f"no output of the engine ({', '.join(map(repr, self.execution.outputs))}) is a float output of "
                f"{self.runner.graph.name}: was it built from another model?"
            )
        return {tensor.name: kept[tensor.name] for tensor in self.runner.graph.outputs if tensor.name in kept}

    def _add(self, name: str, reference: NDArray[np.generic], tested: NDArray[np.generic], batch: Batch) -> bool:
        if reference.shape != tested.shape:
            self.not_compared[name] = f"FP32 has shape {reference.shape}, the engine {tested.shape}"
            return False
        found = TensorComparison.of(batch.unpadded(reference), batch.unpadded(tested))
        self.sums[name] = self.sums.get(name, TensorComparison()) + found
        return True
