"""What the hazard checks look at: the graph, and what a session and the model's constants tell about it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import printable
from trtcal_widgets.debug.hazards.channels import WeightRanges, channel_axes, channel_ranges, weight_ranges
from trtcal_widgets.errors import TrtcalError, UsageError
from trtcal_widgets.model.graph import ModelGraph, TensorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.debug.hazards.types import HazardLimits
    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.session.state import TensorRow


@dataclass(frozen=True)
class ConstantRange:
    """Smallest and largest value of a constant, infinities included; NaN left out."""

    minimum: float
    maximum: float

    @classmethod
    def of(cls, array: Any) -> ConstantRange:
        """Look through an array once."""
        x = np.asarray(array)
        if x.size == 0:
            return cls(0.0, 0.0)
        low, high = float(np.fmin.reduce(x, axis=None)), float(np.fmax.reduce(x, axis=None))
        return cls(0.0 if math.isnan(low) else low, 0.0 if math.isnan(high) else high)


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that is known about a model and its calibration.

    Attributes
    ----------
    graph
        The model.
    limits
        From when on something is a hazard.
    session
        What was recorded; None: the graph alone.
    constants
        Constant or weight -> its range; empty where nothing but the graph is known.
    weights
        Ranges of layers' weights per channel.
    channels
        Activation -> largest |x| per channel, float64, shape (channels,); empty where they were not measured.
    unchecked
        What could not be looked at, in words: what and why, and what to do that it can.
    """

    graph: ModelGraph
    limits: HazardLimits
    session: CalibrationSession | None = None
    constants: Mapping[str, ConstantRange] = field(default_factory=dict)
    weights: tuple[WeightRanges, ...] = ()
    channels: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    unchecked: tuple[tuple[str, str], ...] = ()

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """The counted batches, from 0."""
        if self.session is None:
            return ()
        state = self.session.state
        return tuple(i for i in range(state.position) if i not in state.excluded)

    @cached_property
    def rows(self) -> Mapping[str, TensorRow]:
        """Rows of the tensors that have data, in graph order; none before the first counted batch."""
        if self.session is None or not self.batches:
            return {}
        return {row.name: row for row in self.session.table() if row.has_data}

    @cached_property
    def activations(self) -> tuple[TensorRow, ...]:
        """Rows of inputs and activations, one per shared scale (the leader's), in graph order."""
        kinds = (TensorKind.INPUT, TensorKind.ACTIVATION)
        return tuple(
            row for row in self.rows.values() if row.group[0] == row.name and self.graph.tensors[row.name].kind in kinds
        )

    def value_range(self, name: str) -> ConstantRange | None:
        """Return the finite and infinite extremes of a constant or a measured tensor; None where nothing is known."""
        known = self.constants.get(name)
        if known is None and name in self.rows:
            assert self.session is not None
            histogram = self.session.histogram(name)
            low = -np.inf if histogram.neg_infs else histogram.minimum
            high = np.inf if histogram.pos_infs else histogram.maximum
            known = ConstantRange(low, high)
        return known


def named(name: str) -> str:
    """Return a name for a message, in quotation marks and on one line."""
    return f"“{printable(name)}”"


def gather(model: Any, session: CalibrationSession | None, limits: HazardLimits, max_batches: int) -> Facts:
    """Collect the facts of a graph, a model file, a runner or a session.

    Raises UsageError if ``model`` is none of these, or another model than the session's.
    """
    from trtcal_widgets.model.load import OnnxModel, load_model

    session = model if session is None and hasattr(model, "table") else session
    if isinstance(model, ModelGraph):
        graph, read = model, None
    elif isinstance(model, OnnxModel) or hasattr(model, "graph"):
        graph, read = model.graph, model
    elif isinstance(model, str | bytes) or hasattr(model, "__fspath__"):
        read = load_model(model)
        graph = read.graph
    else:
        raise UsageError(f"hazards are found in a session, a model file, a runner or a graph, not {model!r}")
    if session is not None and session.graph.sha256 != graph.sha256:
        raise UsageError(
            f"the session was recorded with {session.graph.name} (sha256 {session.graph.sha256[:12]}…), "
            f"not with {graph.name} (sha256 {graph.sha256[:12]}…)"
        )
    unchecked: list[tuple[str, str]] = []
    constants, weights = _constants(graph, _constant_reader(read, session), unchecked)
    channels = _channels(session, max_batches, unchecked)
    return Facts(graph, limits, session, constants, weights, channels, tuple(unchecked))


def _constant_reader(read: Any, session: CalibrationSession | None) -> Callable[[], Iterable[tuple[str, Any]]] | None:
    from trtcal_widgets.model.folding import constant_values
    from trtcal_widgets.model.load import OnnxModel

    if isinstance(read, OnnxModel):
        return lambda: constant_values(read)
    runner = getattr(read, "constants", None)
    if callable(runner):
        return runner  # type: ignore[no-any-return]
    if session is not None and session.runner is not None:
        return session.runner.constants
    return None


def _constants(
    graph: ModelGraph,
    reader: Callable[[], Iterable[tuple[str, Any]]] | None,
    unchecked: list[tuple[str, str]],
) -> tuple[dict[str, ConstantRange], tuple[WeightRanges, ...]]:
    """Read every constant once, and keep its extremes and its ranges per channel."""
    if reader is None:
        if not any(t.is_float and t.is_fixed for t in graph.tensors.values()):
            return {}, ()
        unchecked.append(("weights per channel: the model file is not at hand", "give the model file (--model)"))
        return {}, ()
    ranges: dict[str, ConstantRange] = {}

    def seen() -> Iterator[tuple[str, Any]]:
        for name, array in reader():
            ranges[name] = ConstantRange.of(array)
            yield name, array

    weights = tuple(weight_ranges(graph, seen()))
    return ranges, weights


def _channels(
    session: CalibrationSession | None, max_batches: int, unchecked: list[tuple[str, str]]
) -> dict[str, NDArray[np.float64]]:
    """Run some of the counted batches again for the ranges per channel."""
    if session is None or not channel_axes(session.graph):
        return {}
    state = session.state
    batches = [i for i in range(state.position) if i not in state.excluded][:max_batches]
    runner, plan = session.runner, session.plan
    what = "activations per channel"
    if runner is None or plan is None:
        remedy = "load the session with both: CalibrationSession.load(path, model, data)"
        unchecked.append((f"{what}: the session was loaded without its model and data", remedy))
        return {}
    if not batches:
        remedy = "let find_hazards run some: channel_batches=4" if max_batches == 0 else "count a batch"
        unchecked.append((f"{what}: no batch was run for it", remedy))
        return {}
    try:
        return channel_ranges(runner, (plan.load(i).feeds for i in batches))
    except TrtcalError as error:  # an iterator used up, a closed session, a folder gone: the rest can still be found
        unchecked.append((f"{what}: a batch could not be run again ({error})", "record the session again"))
        return {}


MOVING = frozenset({
    "Cast", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "SpaceToDepth",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators whose output values are input values."""


def producer(graph: ModelGraph, name: str) -> NodeInfo | None:
    """Return the node that makes a tensor; None for inputs and stored constants."""
    tensor = graph.tensors.get(name)
    return None if tensor is None or tensor.producer < 0 else graph.nodes[tensor.producer]


def upstream(graph: ModelGraph, start: str, through: Collection[str], depth: int) -> Iterator[tuple[str, int]]:
    """Yield the tensors that ``start`` comes from through these operators, itself first, with their distance."""
    seen = {start}
    queue = deque([(start, 0)])
    while queue:
        name, far = queue.popleft()
        yield name, far
        node = producer(graph, name)
        if node is None or node.op_type not in through or far >= depth:
            continue
        for read in node.inputs:
            if read in graph.tensors and read not in seen:
                seen.add(read)
                queue.append((read, far + 1))


def sources(graph: ModelGraph, name: str) -> Iterator[NodeInfo]:
    """Yield the nodes that compute a tensor's values, seen through operators that only move values."""
    for found, _ in upstream(graph, name, MOVING, depth=16):
        node = producer(graph, found)
        if node is not None and node.op_type not in MOVING and graph.tensors[found].kind is TensorKind.ACTIVATION:
            yield node


def reaches_output(graph: ModelGraph, name: str) -> bool:
    """Whether a tensor's values leave the model, through operators that only move values."""
    seen = {name}
    stack = [name]
    while stack:
        tensor = graph.tensors[stack.pop()]
        if tensor.is_output:
            return True
        for index in tensor.consumers:
            node = graph.nodes[index]
            new = [o for o in node.outputs if o in graph.tensors and o not in seen] if node.op_type in MOVING else []
            seen.update(new)
            stack.extend(new)
    return False
