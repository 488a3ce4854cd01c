"""Nodes that Q/DQ leaves as they are: those that have it, and those that nothing is known about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq_report import LeftNode
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["foreign_nodes", "quantized_before"]

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
