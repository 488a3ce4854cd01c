"""What TensorRT's compiler (Myelin) turns into one kernel with its neighbours runs in floating point.

Operators that only the compiler has draw in everything around them that is not a convolution, a pool or a resize:
products with weights too. TensorRT 8.6.0 shows such a region as one layer ``{ForeignNode[first...last]}``, which reads
and writes FP32 in every implicit engine seen; a whole transformer is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

COMPILED = frozenset(
    {
        *("Einsum", "Gather", "GatherElements", "GatherND", "GridSample", "GRU", "GroupNormalization"),
        *("InstanceNormalization", "LayerNormalization", "Loop", "LpNormalization", "LSTM", "RNN", "Scan"),
        *("ScatterElements", "ScatterND", "Shrink", "Sign", "Where"),
        *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"),
    }
)
"""Operators that TensorRT 8.6.0 has in its compiler alone."""

_APART = frozenset(
    {"AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Resize", "Upsample"}
)


def leave_compiled(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the quantised nodes of such regions."""
    del fused
    seen: dict[int, str] = {}
    for node in graph.nodes:
        if node.op_type in COMPILED and is_default_domain(node.domain) and _moves_floats(graph, node):
            _grow(graph, node, seen)
    return {
        index: f"TensorRT compiles it into one floating-point kernel with {why!r}"
        for index, why in seen.items()
        if index in sites
    }


def _moves_floats(graph: ModelGraph, node: NodeInfo) -> bool:
    return any(True for _ in _floats(graph, node))


def _floats(graph: ModelGraph, node: NodeInfo) -> Iterator[str]:
    for name in (*node.inputs, *node.outputs):
        if name and graph.tensors[name].is_float and not graph.tensors[name].is_fixed:
            yield name


def _grow(graph: ModelGraph, start: NodeInfo, seen: dict[int, str]) -> None:
    """Add the region around a node: over float tensors, forwards and backwards."""
    waiting = [start.index]
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen[index] = start.op_type
        for name in _floats(graph, graph.nodes[index]):
            tensor = graph.tensors[name]
            near = (*tensor.consumers, *([tensor.producer] if tensor.producer >= 0 else []))
            waiting.extend(i for i in near if i not in seen and graph.nodes[i].op_type not in _APART)
