"""Where Q/DQ pairs go: pure decisions over a model's facts, without scales and without onnx.

The rules are those that TensorRT's explicit quantisation asks for (``docs/qdq.md`` gives the reasons):

* inputs of ``Conv``, ``ConvTranspose``, ``Gemm`` and ``MatMul``, weights included, never their outputs or biases;
* the residual input of an ``Add`` whose other input is the output of a convolution, whose kernel adds it;
* all inputs of a ``Concat`` whose output is quantised further on, with one scale;
* the input of ``AveragePool`` and ``GlobalAveragePool``, unless that takes a copy or nothing INT8 follows.

``MaxPool``, ``Relu``, ``Reshape`` and the like have no pair of their own: TensorRT moves the next Q before them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.errors import UsageError
from trtcal_widgets.export.qdq.passes.copied_pools import leave_copied_pools
from trtcal_widgets.export.qdq.passes.implicit import AS_ENGINE_RULES, RULES, bounded_gates, pointwise_reads, settle
from trtcal_widgets.export.qdq.passes.implicit.depthwise import move_in_front_of_scales
from trtcal_widgets.export.qdq.passes.implicit.lonely_pools import leave_lonely_pools
from trtcal_widgets.model.engine.precisions import LayerPrecisions, as_precisions
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

PLACEMENTS = ("recommended", "implicit", "weights-only-inputs")
"""``recommended``: all rules of this module; ``implicit``: less what TensorRT's implicit INT8 does not run in INT8, see
``passes/implicit``; ``weights-only-inputs``: only the layers with weights."""

AS_ENGINE = "as an engine ran it"
"""Name of the placement that follows an engine's layers, see :func:`place`."""

PlacementLike = str | LayerPrecisions
"""A placement's name, or what an engine ran in INT8."""

WEIGHTED_OPS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_POOLS = frozenset({"AveragePool", "GlobalAveragePool"})
_DTYPES = frozenset({"float32", "float16"})

_RULES = {
    "recommended": (leave_copied_pools, leave_lonely_pools),
    "implicit": RULES,
    "weights-only-inputs": (),
    AS_ENGINE: AS_ENGINE_RULES,
}
"""What each placement leaves out of its sites again."""

Rule = Literal["weighted", "residual", "concat", "pool", "pointwise", "engine"]


@dataclass(frozen=True)
class Site:
    """One input of a node that gets a Q/DQ pair in front of it.

    Attributes
    ----------
    node
        Index into the graph's nodes.
    position
        Which input of the node.
    tensor
        The tensor that it reads.
    dtype
        Its element type, ``"float32"`` or ``"float16"``.
    is_constant
        Whether it is a constant, whose scale comes from its own values.
    rule
        Why it gets a pair.
    """

    node: int
    position: int
    tensor: str
    dtype: str
    is_constant: bool
    rule: Rule


@dataclass(frozen=True)
class Placement:
    """All sites of a graph.

    Attributes
    ----------
    name
        One of :data:`PLACEMENTS`, or :data:`AS_ENGINE`.
    sites
        Node index -> its sites, in graph order. A node is quantised as a whole or not at all.
    concat_groups
        Sets of tensors that share one scale because a ``Concat`` joins them: its inputs, its output and the
        quantised tensors that follow without a change of scale.
    fused_into
        Index of a residual ``Add`` -> index of the layer whose kernel does the addition.
    left_alone
        Node index -> why a node that could be quantised by its type is not.
    bounds
        Tensor -> amax, where its operator says the range and calibration is not asked.
    """

    name: str
    sites: Mapping[int, tuple[Site, ...]]
    concat_groups: tuple[frozenset[str], ...]
    fused_into: Mapping[int, int]
    left_alone: Mapping[int, str]
    bounds: Mapping[str, float]

    def concat_group(self, tensor: str) -> frozenset[str]:
        """Return the tensors that a ``Concat`` joins with this one, itself included; none where none does."""
        return self._groups.get(tensor, frozenset())

    @cached_property
    def _groups(self) -> Mapping[str, frozenset[str]]:
        return {name: group for group in self.concat_groups for name in group}


def quantized_inputs(graph: ModelGraph, placement: PlacementLike = "recommended") -> Mapping[str, tuple[str, ...]]:
    """Name, for each node that is quantised, the tensors that get Q/DQ in front of it.

    Parameters
    ----------
    graph
        The model's facts.
    placement
        As for :func:`place`.

    Returns
    -------
    Mapping
        Node name -> tensor names in the order of its inputs, weights included, if all scales are there.
        Nodes of the same name are joined.
    """
    found: dict[str, dict[str, None]] = {}
    for index, sites in place(graph, placement).sites.items():
        found.setdefault(graph.nodes[index].name, {}).update(dict.fromkeys(site.tensor for site in sites))
    return MappingProxyType({name: tuple(tensors) for name, tensors in found.items()})


def as_placement(placement: Any, graph: ModelGraph) -> PlacementLike:
    """Return a placement that :func:`place` takes: one of :data:`PLACEMENTS`, or what an engine ran in INT8.

    ``placement``: a name, or anything that :func:`~trtcal_widgets.model.engine.precisions.as_precisions` takes. Raises
    UsageError, EngineError or ModelError if it is neither.
    """
    if isinstance(placement, str) and placement in PLACEMENTS:
        return placement
    is_file = isinstance(placement, str | os.PathLike) and os.path.isfile(placement)  # noqa: PTH113 - may be any text
    if is_file or not isinstance(placement, str):
        return as_precisions(placement, graph)
    *some, last = map(repr, PLACEMENTS)
    raise UsageError(
        f"placement must be {', '.join(some)} or {last}, or the file of an engine's layers, not {placement!r}"
    )


def name_of(placement: PlacementLike) -> str:
    """Return what a placement is called."""
    return placement if isinstance(placement, str) else AS_ENGINE


def place(graph: ModelGraph, placement: PlacementLike = "recommended") -> Placement:
    """Find all sites.

    ``graph``: the model's facts. ``placement``: one of :data:`PLACEMENTS`; or what an engine ran in INT8: a node has a
    pair in front of each input that the engine read as INT8, and no other one. Raises UsageError for an unknown
    placement.
    """
    placement = as_placement(placement, graph)
    ran = None if isinstance(placement, str) else placement
    sites: dict[int, tuple[Site, ...]] = {}
    left: dict[int, str] = {}
    fused: dict[int, int] = {}
    for node in graph.nodes:
        if not is_default_domain(node.domain) or _is_constant_node(graph, node):
            continue
        if ran is not None and (ran.int8_reads or node.name not in ran.int8):
            positions, rule = _read_as_int8(graph, node, ran, fused)
        else:
            positions, rule = _positions(graph, node, name_of(placement), fused)
        if positions:
            _take(graph, node, positions, rule, sites, left)
    _add_pointwise(graph, placement, fused, sites, left)
    left |= settle(graph, sites, fused, _RULES[name_of(placement)])
    groups: tuple[frozenset[str], ...] = ()
    if placement != "weights-only-inputs":
        groups = _concats(graph, sites, left, ran)
    return Placement(
        name_of(placement),
        MappingProxyType(dict(sorted(sites.items()))),
        groups,
        MappingProxyType({add: layer for add, layer in fused.items() if add in sites}),
        MappingProxyType(left),
        bounded_gates(graph, sites),
    )


def _read_as_int8(
    graph: ModelGraph, node: NodeInfo, ran: LayerPrecisions, fused: dict[int, int]
) -> tuple[tuple[int, ...], Rule]:
    """Return the inputs that an engine read as INT8. A layer with weights needs all of them, and has INT8 weights."""
    read = ran.int8_reads.get(node.name, ())
    positions = tuple(i for i, name in enumerate(node.inputs) if name in read)
    if node.op_type in WEIGHTED_OPS:
        data = {i for i in (0, 1) if not graph.tensors[node.inputs[i]].is_fixed}
        return ((0, 1) if data <= set(positions) else (), "weighted")
    if node.op_type == "Concat":
        return (), "concat"
    if node.op_type == "Add" and positions:
        found = _residual(graph, node)
        if found is not None and found[0] in positions:
            fused[node.index] = found[1]
            return (found[0],), "residual"
    return positions, "pool" if node.op_type in _POOLS else "engine"


def _is_constant_node(graph: ModelGraph, node: NodeInfo) -> bool:
    return all(graph.tensors[name].is_fixed for name in node.outputs if name)


def _positions(
    graph: ModelGraph, node: NodeInfo, placement: str, fused: dict[int, int]
) -> tuple[tuple[int, ...], Rule]:
    if node.op_type in WEIGHTED_OPS:
        return (0, 1), "weighted"
    if placement == "weights-only-inputs":
        return (), "weighted"
    if node.op_type in _POOLS:
        return (0,), "pool"
    if node.op_type == "Add":
        found = _residual(graph, node)
        if found is not None:
            fused[node.index] = found[1]
            return (found[0],), "residual"
    return (), "weighted"


def _add_pointwise(
    graph: ModelGraph,
    placement: PlacementLike,
    fused: Mapping[int, int],
    sites: dict[int, tuple[Site, ...]],
    left: dict[int, str],
) -> None:
    """Add the sites of pointwise operators: by the rules, or where those of an engine must stand for explicit pairs."""
    if placement == "implicit":
        for index, positions in pointwise_reads(graph, fused).items():
            if index not in sites and index not in left:
                _take(graph, graph.nodes[index], positions, "pointwise", sites, left)
    elif not isinstance(placement, str):
        new, gone = move_in_front_of_scales(graph, sites, {i for i, own in sites.items() if own[0].rule == "engine"})
        for index in gone:
            del sites[index]
        for index, positions in new.items():
            _take(graph, graph.nodes[index], positions, "engine", sites, left)


def _take(
    graph: ModelGraph,
    node: NodeInfo,
    positions: Iterable[int],
    rule: Rule,
    sites: dict[int, tuple[Site, ...]],
    left: dict[int, str],
) -> bool:
    """Make the sites of one node, or say why it has none."""
    reads = [(i, node.inputs[i]) for i in positions if i < len(node.inputs) and node.inputs[i]]
    dtype = _node_dtype(graph, node)
    if dtype not in _DTYPES:
        left[node.index] = _wrong_type(dtype)
        return False
    sites[node.index] = tuple(Site(node.index, i, name, dtype, graph.tensors[name].is_fixed, rule) for i, name in reads)
    return True


def _wrong_type(dtype: str) -> str:
    if not dtype:
        return "the element type of its tensors is not known (is it behind an operator of an unknown domain?)"
    return f"it computes in {dtype}; Q/DQ is made for float32 and float16"


def _node_dtype(graph: ModelGraph, node: NodeInfo) -> str:
    """Return the element type that a node computes in: its inputs and output have one and the same."""
    names = (*node.inputs, *node.outputs)
    return next((graph.tensors[name].dtype for name in names if name and graph.tensors[name].dtype), "")


def _residual(graph: ModelGraph, node: NodeInfo) -> tuple[int, int] | None:
    """Return the residual input of an ``Add`` and the layer that does the addition, or None.

    TensorRT adds in the epilogue of the layer that makes one operand; the other one is read as INT8 if it is
    quantised. Where both operands come from layers, the later one adds: the earlier result is there by then.
    An operand that is broadcast (an attention mask, a bias) is no residual. Behind ``Gemm`` and ``MatMul`` the sum goes
    into a normalisation, in floating point either way, and the stream that it belongs to is what a transformer must not
    lose (docs/qdq.md has the figures): no pair there.
    """
    if len(node.inputs) != 2 or node.inputs[0] == node.inputs[1]:
        return None
    left, right = (graph.tensors[name] for name in node.inputs)
    if left.is_fixed or right.is_fixed or not _same_shape(left.shape, right.shape):
        return None
    layers = [_made_by_layer(graph, name) for name in node.inputs]
    if max(layers) < 0:
        return None
    adding = 0 if layers[0] > layers[1] else 1
    if graph.nodes[layers[adding]].op_type not in _CONVOLUTIONS:
        return None
    return 1 - adding, layers[adding]


def _same_shape(left: tuple[object, ...] | None, right: tuple[object, ...] | None) -> bool:
    if left is None or right is None:
        return True  # not known: a broadcast residual is rare
    if len(left) != len(right):
        return False
    return all(a == b or (a is None and b != 1) or (b is None and a != 1) for a, b in zip(left, right, strict=True))


def _made_by_layer(graph: ModelGraph, name: str) -> int:
    """Return the weighted layer that a tensor is the fused output of, else -1.

    Batch normalisation, the addition of a constant bias and operators that do nothing are folded into the layer; none
    of the tensors in between may be read by anything else.
    """
    while True:
        tensor = graph.tensors[name]
        if tensor.producer < 0 or tensor.is_output or len(tensor.consumers) != 1:
            return -1
        node = graph.nodes[tensor.producer]
        if not is_default_domain(node.domain):
            return -1
        if node.op_type in WEIGHTED_OPS:
            return node.index
        if node.op_type in ("BatchNormalization", "Identity", "Dropout"):
            name = node.inputs[0]
        elif node.op_type == "Add":
            moving = [read for read in node.inputs if not graph.tensors[read].is_fixed]
            if len(moving) != 1:
                return -1
            name = moving[0]
        else:
            return -1


def _concats(
    graph: ModelGraph, sites: dict[int, tuple[Site, ...]], left: dict[int, str], ran: LayerPrecisions | None
) -> tuple[frozenset[str], ...]:
    """Add the sites of each ``Concat`` whose output is quantised further on; return the tensors that share a scale.

    ``ran``: what an engine ran in INT8, for those that it joined as INT8 alone.
    """
    wanted = {site.tensor for own in sites.values() for site in own if not site.is_constant}
    groups: list[set[str]] = []
    for node in reversed(graph.nodes):  # from the outputs: a Concat may feed a Concat
        if node.op_type != "Concat" or not is_default_domain(node.domain) or _is_constant_node(graph, node):
            continue
        if ran is not None and ran.int8_reads and node.name not in ran.int8_reads:
            continue
        after = wanted.intersection(graph.relatives(node.outputs[0]))
        if after and _take(graph, node, range(len(node.inputs)), "concat", sites, left):
            inputs = {site.tensor for site in sites[node.index]}
            wanted.update(site.tensor for site in sites[node.index] if not site.is_constant)
            groups.append(inputs | after | {node.outputs[0]})
    return _merged(groups)


def _merged(groups: list[set[str]]) -> tuple[frozenset[str], ...]:
    """Join the sets that have a member in common."""
    merged: list[set[str]] = []
    for group in groups:
        apart = []
        for other in merged:
            if group.isdisjoint(other):
                apart.append(other)
            else:
                group = group | other  # noqa: PLW2901 - it grows while it meets others
        merged = [*apart, group]
    return tuple(map(frozenset, merged))
