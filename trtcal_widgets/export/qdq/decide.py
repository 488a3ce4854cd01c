"""Which layers are quantised, with which scales, given the rows that there are: decided before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq.report import LeftNode, MissingScale, UnusedReason, UnusedRow
from trtcal_widgets.export.qdq.scales import BAD_SCALES, Found, ScaleSource, bad_scale, joined_scale, shared_amax
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.model.rows import compare_with_model

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.export.qdq.placement import Placement, Site
    from trtcal_widgets.export.qdq.weights import WeightScales
    from trtcal_widgets.formats.cache import NameComparison
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.model.plan import PrecisionPlan

__all__ = [
    "LEAST_MATCH",
    "Decision",
    "TensorScale",
    "check_match",
    "decide",
    "foreign_nodes",
    "match_rows",
    "quantized_before",
    "unused_rows",
]


@dataclass(frozen=True, eq=False)
class TensorScale:
    """Scales of one pair: float32 of shape () or (channels,), their axis (-1: none), and where they are from."""

    values: NDArray[np.float32]
    axis: int
    source: str


@dataclass(eq=False)
class Decision:
    """What will be built.

    Attributes
    ----------
    active
        Node index -> its sites, all of which have a scale.
    scales
        (tensor, axis) -> scale.
    axes
        (node index, position) -> axis, -1 per tensor.
    missing, kept, left
        For the report.
    used_rows
        Rows that a scale of an active node comes from.
    excluded
        Node index -> why it is not active: ``"kept"``, ``"scale"``, ``"weight"``, ``"already"``, ``"not-selected"``,
        ``"fused"``.
    """

    active: dict[int, tuple[Site, ...]] = field(default_factory=dict)
    scales: dict[tuple[str, int], TensorScale] = field(default_factory=dict)
    axes: dict[tuple[int, int], int] = field(default_factory=dict)
    missing: list[MissingScale] = field(default_factory=list)
    kept: list[LeftNode] = field(default_factory=list)
    left: list[LeftNode] = field(default_factory=list)
    used_rows: set[str] = field(default_factory=set)
    excluded: dict[int, str] = field(default_factory=dict)


class _Decider:
    def __init__(
        self,
        graph: ModelGraph,
        placement: Placement,
        source: ScaleSource,
        weights: WeightScales,
    ) -> None:
        self.graph = graph
        self.placement = placement
        self.source = source
        self.weights = weights
        self.result = Decision()
        self._groups = {name: group for group in placement.concat_groups for name in group}
        self._lacking: dict[str, tuple[Found, list[str]]] = {}
        self._joined: dict[frozenset[str], Found] = {}

    def node(self, index: int) -> bool:
        """Find the scales of a node's inputs; False where one has none."""
        complete = True
        found: dict[tuple[str, int], TensorScale] = {}
        for site in self.placement.sites[index]:
            axis, scale = self._constant(site) if self._is_own(site) else (-1, self._activation(site))
            if scale is None:
                complete = False
                continue
            self.result.axes[index, site.position] = axis
            found[site.tensor, axis] = scale
        if complete:
            self.result.scales.update(found)
            self.result.active[index] = self.placement.sites[index]
        else:
            self.result.excluded[index] = "scale"
        return complete

    def _is_own(self, site: Site) -> bool:
        return site.is_constant and site.rule != "concat"

    def _constant(self, site: Site) -> tuple[int, TensorScale | None]:
        node = self.graph.nodes[site.node]
        axis = self.weights.axis(node, site.position)
        values = self.weights.scales(site.tensor, axis)
        if not isinstance(values, str):
            values = _for_dtype(values, site.dtype)
        if isinstance(values, str):
            self.result.left.append(
                LeftNode(node.name, node.op_type, f"its weight {site.tensor!r} cannot be quantised: {values}")
            )
            return axis, None
        return axis, TensorScale(values, axis, "its own maxima")

    def _activation(self, site: Site) -> TensorScale | None:
        group = self._groups.get(site.tensor)
        found = self.source.find(site.tensor, site.dtype) if group is None else self._join(group, site.dtype)
        if found.usable:
            return TensorScale(np.asarray(found.value, np.float32), -1, found.source)
        node = self.graph.nodes[site.node].name
        readers = self._lacking.setdefault(site.tensor, (found, []))[1]
        if node not in readers:
            readers.append(node)
        return None

    def _join(self, group: frozenset[str], dtype: str) -> Found:
        if group not in self._joined:
            constants = {}
            for name in sorted(group):
                if self.graph.tensors[name].kind.value in ("constant", "weight"):
                    own = self.weights.scales(name, -1)
                    constants[name] = float("nan") if isinstance(own, str) else float(own)
            self._joined[group] = joined_scale(group, self.source, constants, self._outputs(group), dtype)
        return self._joined[group]

    def _outputs(self, group: frozenset[str]) -> frozenset[str]:
        return frozenset(name for name in group if self.graph.op_type(name) == "Concat")

    def finish(self) -> Decision:
        for name, (found, readers) in self._lacking.items():
            why = BAD_SCALES.get(found.problem, "there is no row for it")
            layers = ", ".join(map(repr, readers[:3])) + (", …" if len(readers) > 3 else "")
            self.result.missing.append(MissingScale(name, tuple(readers), f"{why}; {layers} stay in higher precision"))
        self.result.used_rows = {
            row for row in self.source.used if any(row in self._sources(tensor) for tensor, _ in self.result.scales)
        }
        return self.result

    def _sources(self, tensor: str) -> frozenset[str]:
        group = self._groups.get(tensor, frozenset((tensor,)))
        return frozenset(name for member in group for name in self.graph.relatives(member)) | group


def _for_dtype(values: NDArray[np.float32], dtype: str) -> NDArray[np.float32] | str:
    """Return scales that the element type can hold, or why there are none."""
    if dtype != "float16":
        return values
    halves = values.astype(np.float16).astype(np.float32)
    # A scale that is too small for float16 would be 0; the smallest normal one clips nothing.
    halves = np.maximum(halves, np.float32(np.finfo(np.float16).tiny))
    return halves if np.isfinite(halves).all() else "its scale does not fit float16"


def decide(
    graph: ModelGraph,
    placement: Placement,
    rows: Mapping[str, float],
    weights: WeightScales,
    *,
    plan: PrecisionPlan,
    already: Collection[int] = (),
    only: Collection[str] | None = None,
) -> Decision:
    """Decide what is built.

    Parameters
    ----------
    graph, placement
        The model's facts and its sites.
    rows
        Tensor name -> scale.
    weights
        The scales of its constants.
    plan
        Layers to keep and thresholds to set.
    already
        Nodes that are quantised in the model as given.
    only
        Names of the nodes that may be quantised; None for all.
    """
    source = ScaleSource(graph, rows, shared_amax(graph, plan.amax))
    decider = _Decider(graph, placement, source, weights)
    kept = {node.index for node in plan.nodes(graph)}
    excluded = decider.result.excluded
    for index in placement.sites:
        node = graph.nodes[index]
        if index in already:
            excluded[index] = "already"
        elif index in kept:
            excluded[index] = "kept"
            message = plan.reasons.get(node.name) or f"the plan keeps it in {plan.precision}"
            decider.result.kept.append(LeftNode(node.name, node.op_type, message))
        else:
            decider.node(index)
    _drop_lonely(graph, placement, decider.result)
    if only is not None:
        _select(graph, decider.result, only)
    result = decider.finish()
    result.left[:0] = [
        LeftNode(graph.nodes[i].name, graph.nodes[i].op_type, why) for i, why in placement.left_alone.items()
    ]
    return result


def _drop_lonely(graph: ModelGraph, placement: Placement, result: Decision) -> None:
    """Leave alone what only makes sense beside a quantised layer that is not quantised after all.

    A residual is added in its layer's INT8 kernel; a Concat joins INT8 values for an INT8 reader.
    """
    for add, layer in placement.fused_into.items():
        if add in result.active and layer not in result.active:
            del result.active[add]
            result.excluded[add] = "fused"
            why = f"it is added by {graph.nodes[layer].name!r}, which stays in higher precision"
            result.left.append(LeftNode(graph.nodes[add].name, "Add", why))
    concats = [i for i in result.active if graph.nodes[i].op_type == "Concat"]
    for index in reversed(concats):  # from the outputs: a Concat may be there for another one
        node = graph.nodes[index]
        read = {site.tensor for other, sites in result.active.items() if other != index for site in sites}
        if read.isdisjoint(graph.relatives(node.outputs[0])):
            del result.active[index]
            result.excluded[index] = "fused"
            result.left.append(LeftNode(node.name, "Concat", "what reads its output stays in higher precision"))
    _prune(result)


def _select(graph: ModelGraph, result: Decision, only: Collection[str]) -> None:
    for index in [index for index in result.active if graph.nodes[index].name not in only]:
        del result.active[index]
        result.excluded[index] = "not-selected"
    _prune(result)


def _prune(result: Decision) -> None:
    """Forget the scales that no active node reads through any more."""
    needed = {
        (site.tensor, result.axes[index, site.position]) for index, sites in result.active.items() for site in sites
    }
    for key in [key for key in result.scales if key not in needed]:
        del result.scales[key]


_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_INTEGER_OPS = frozenset({"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"})


def quantized_before(graph: ModelGraph) -> dict[int, str]:
    """Return the nodes that are quantised in the model as given: index -> name."""
    found: dict[int, str] = {}
    for node in graph.nodes:
        if not is_default_domain(node.domain):
            continue
        producers = (graph.tensors[name].producer for name in node.inputs if name)
        ops = {graph.nodes[index].op_type for index in producers if index >= 0}
        if node.op_type in _INTEGER_OPS or (node.op_type not in _QUANTIZERS and ops & {"DequantizeLinear"}):
            found[node.index] = node.name
    return found


def foreign_nodes(graph: ModelGraph, proto: ModelProto) -> tuple[LeftNode, ...]:
    """List the nodes that are left as they are because nothing is known about what they compute."""
    left = [
        LeftNode(node.name, node.op_type, f"an operator of the domain {node.domain!r}")
        for node in graph.nodes
        if not is_default_domain(node.domain)
    ]
    inner = {
        node.output[0]: sum(len(a.g.node) for a in node.attribute if a.HasField("g"))
        for node in proto.graph.node
        if node.output and any(a.HasField("g") for a in node.attribute)
    }
    for output, count in inner.items():
        node = graph.nodes[graph.tensors[output].producer]
        left.append(LeftNode(node.name, node.op_type, f"the {count} nodes inside it are left as they are"))
    return tuple(left)


LEAST_MATCH = 0.5
"""Share of a cache's names that a model must have; below it the cache is another model's."""


class _Rows:
    """What the comparison of names needs of a file."""

    header = ""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self.scales = scales


def match_rows(rows: Mapping[str, float], graph: ModelGraph) -> NameComparison:
    """Match the rows with the model's tensors."""
    return compare_with_model(_Rows(rows), graph)


def check_match(match: NameComparison, rows: Mapping[str, float], graph: ModelGraph) -> None:
    """Refuse scales of another model.

    Raises
    ------
    ExportError
        If fewer than :data:`LEAST_MATCH` of the names that TensorRT did not make up are tensors of the model.
    """
    real = len(match.matched) + len(match.unknown)
    if not rows:
        raise ExportError("There are no scales: the cache or session is empty. Calibrate first.")
    if real and len(match.matched) >= LEAST_MATCH * real:
        return
    shown = ", ".join(map(repr, match.unknown[:3])) + (", …" if len(match.unknown) > 3 else "")
    raise ExportError(
        f"only {len(match.matched)} of {real} rows are tensors of {graph.name}"
        f"{f' (not: {shown})' if shown else ''}: the scales are another model's, or another export's of the same "
        "model. For a new export carry them over with `trtcal port OLD_MODEL NEW_MODEL calibration.cache -o OUT`; "
        "force=True (--force) takes the rows that fit"
    )


def unused_rows(
    rows: Mapping[str, float],
    match: NameComparison,
    graph: ModelGraph,
    placement: Placement,
    decision: Decision,
) -> tuple[UnusedRow, ...]:
    """Say of each row that no pair was made from, in the order of the rows, why."""
    readers: dict[str, list[int]] = {}
    for index, sites in placement.sites.items():
        for site in sites:
            for name in graph.relatives(site.tensor) if not site.is_constant else (site.tensor,):
                readers.setdefault(name, []).append(index)
    found = []
    for name, scale in rows.items():
        if name in match.synthetic:
            found.append(UnusedRow(name, scale, "synthetic", f"TensorRT made the name up: {match.synthetic[name]}"))
        elif name not in graph.tensors:
            found.append(UnusedRow(name, scale, "orphan", f"{graph.name} has no tensor of this name"))
        elif name not in decision.used_rows:
            reason, message = _why(name, scale, graph, readers.get(name, []), decision)
            found.append(UnusedRow(name, scale, reason, message))
    return tuple(found)


def _why(
    name: str, scale: float, graph: ModelGraph, readers: list[int], decision: Decision
) -> tuple[UnusedReason, str]:
    problem = bad_scale(scale, graph.tensors[name].dtype)
    kind = graph.tensors[name].kind
    if kind is TensorKind.WEIGHT or (kind is TensorKind.CONSTANT and readers):
        return "weight", "a constant: it is quantised with its own maxima, not with a calibrated scale"
    if problem:
        return problem, BAD_SCALES[problem]
    if not readers:
        return "not-an-input", _not_an_input(name, graph)
    mates = [other for other in graph.relatives(name) if (other, -1) in decision.scales]
    if mates and any(decision.scales[other, -1].source.startswith("amax of the plan") for other in mates):
        return "overridden", "the plan sets another threshold"
    if mates:
        return "shared", f"{mates[0]!r}, which holds its values, is quantised by a row of its own"
    return _left(readers, graph, decision)


def _left(readers: list[int], graph: ModelGraph, decision: Decision) -> tuple[UnusedReason, str]:
    """Say why the layers that read a tensor are not quantised."""
    excluded = {decision.excluded.get(index, "") for index in readers}
    layers = ", ".join(repr(graph.nodes[index].name) for index in readers[:3])
    if excluded <= {"kept", "fused"}:
        return "kept", f"the plan keeps what reads it: {layers}"
    if "already" in excluded:
        return "already-quantized", f"{layers} is quantised in the model as given"
    if "not-selected" in excluded:
        return "not-selected", f"{layers} was not selected"
    return "layer-left", f"{layers} stays in higher precision because another of its inputs has no scale"


def _not_an_input(name: str, graph: ModelGraph) -> str:
    tensor = graph.tensors[name]
    ops = sorted({graph.nodes[index].op_type for index in tensor.consumers})
    if not ops:
        return "only the graph's output: nothing that is quantised reads it"
    return f"read only by {', '.join(ops[:4])}: nothing there is quantised by its inputs"
