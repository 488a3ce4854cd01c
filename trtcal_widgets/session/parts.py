"""What a session is put together from, whether it is new or read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import SessionError
from trtcal_widgets.runners.feeds import fixed_batch
from trtcal_widgets.runners.inputs import Inputs
from trtcal_widgets.session.choices import Choices
from trtcal_widgets.session.numbers import Numbers
from trtcal_widgets.session.recorder import Recorder
from trtcal_widgets.session.state import RunStatus
from trtcal_widgets.session.store import NO_BASES, BatchStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data.plan import BatchPlan
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.runners.base import Runner
    from trtcal_widgets.session.state import SessionState


@dataclass(frozen=True)
class Origin:
    """Where the batches came from, in words and as the options that made them."""

    runner_name: str
    source_text: str
    plan_options: Mapping[str, Any]

    @classmethod
    def of(cls, runner: Runner, plan: BatchPlan) -> Origin:
        """Describe a runner and its batches."""
        options = {"batch_size": plan.batch_size, "last": plan.last, "max_batches": plan.max_batches}
        return cls(runner.name, plan.source.describe(), MappingProxyType(options))


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a session.

    Attributes
    ----------
    graph, range_mode, origin
        Facts that do not change.
    store, constants
        Histograms of every batch, and of constants and weights.
    weights
        Ranges of weights per channel; see :mod:`~trtcal_widgets.session.weights`.
    choices
        What the user decided.
    recorder
        Runs the model; None where a session was loaded without it, which then has the status ``rest``.
    others
        Files that are read besides: the session whose ranges are taken, those that were merged.
    """

    graph: ModelGraph
    range_mode: str
    origin: Origin
    store: BatchStore
    constants: dict[str, Histogram]
    weights: dict[str, NDArray[np.float32]]
    choices: Choices
    recorder: Recorder | None
    rest: RunStatus = field(default_factory=RunStatus)
    others: tuple[Path, ...] = ()

    def inputs(self) -> Inputs:
        """Return the files that the recording reads."""
        if self.recorder is None:
            return Inputs(self.others)
        model = getattr(self.recorder.runner, "model", None)
        return Inputs.of((getattr(model, "path", None), *self.others), self.recorder.plan.source)

    def numbers(self) -> Numbers:
        """Return what follows from the histograms."""
        return Numbers(self.graph, self.store, self.constants, in_order=self.range_mode == "tensorrt")


def plan_of(runner: Runner, source: Any, **options: Any) -> BatchPlan:
    """Return the batches of whatever a source can be."""
    from trtcal_widgets.data import BatchPlan, source_for_model

    return BatchPlan(source_for_model(source, runner.graph), fixed=fixed_batch(runner.graph), **options)


def kept_tensors(graph: ModelGraph) -> tuple[str, ...]:
    """Return the tensors whose histograms are kept: the graph's, and those that TensorRT 8's layers have inside."""
    return (*graph.float_tensors, *graph.trt8.inner)


def new_parts(
    runner: Runner,
    plan: BatchPlan,
    range_mode: str,
    state: SessionState,
    ranges: Mapping[str, float] = NO_BASES,
    others: Iterable[Any] = (),
) -> Parts:
    """Return the parts of a session that has nothing recorded.

    ``ranges``: what histograms start from; ``others``: files that are read besides.
    """
    graph = runner.graph
    if not graph.calibrated:
        raise SessionError(f"{graph.name} has no floating-point tensor to calibrate")
    store = BatchStore(kept_tensors(graph))
    store.start_from({name: base for name, base in ranges.items() if name in store.index})
    constants: dict[str, Histogram] = {}
    weights: dict[str, NDArray[np.float32]] = {}
    recorder = Recorder(runner, plan, store, constants, weights, two_pass=range_mode == "two-pass")
    choices = Choices(graph, store, state)
    return Parts(
        graph,
        range_mode,
        Origin.of(runner, plan),
        store,
        constants,
        weights,
        choices,
        recorder,
        others=tuple(map(Path, others)),
    )
