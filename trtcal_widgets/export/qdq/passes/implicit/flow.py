"""What passes from node to node: which tensors are read as INT8, and what a layer computes in its own kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_EPILOGUE = frozenset({"BatchNormalization", "Clip", "Dropout", "Identity", "LeakyRelu", "Relu"})
_SCALES = frozenset({"Add", "Div", "Mul", "Sub"})


def in_kernel(graph: ModelGraph, node: NodeInfo) -> bool:
    """Whether TensorRT computes a node in the kernel of the convolution in front: batch normalisation in pieces too."""
    if node.op_type in _SCALES:
        return sum(not graph.tensors[name].is_fixed for name in node.inputs) == 1
    return node.op_type in _EPILOGUE


def is_one_number(graph: ModelGraph, node: NodeInfo) -> bool:
    """Whether a node adds or scales by one number: pointwise work, where a number a channel is part of the layer."""
    if node.op_type not in _SCALES:
        return False
    shapes = [graph.tensors[name].shape for name in node.inputs if graph.tensors[name].is_fixed]
    return bool(shapes) and all(shape is not None and all(size == 1 for size in shape) for shape in shapes)


def moving(graph: ModelGraph, node: NodeInfo) -> list[str]:
    """Return the tensors that a node reads and that are no constants."""
    return [name for name in node.inputs if name and not graph.tensors[name].is_fixed]


def last_of_kernel(
    graph: ModelGraph, layer: int, sites: Collection[int], fused: Mapping[int, int], *, depthwise: bool = False
) -> tuple[str, list[int]]:
    """Return what a layer's kernel writes, and the nodes that it computes besides: its own epilogue, a residual.

    ``depthwise``: its explicit INT8 kernel computes no pointwise work, one number for all channels included.
    """
    name = graph.nodes[layer].outputs[0]
    inside: list[int] = []
    while True:
        tensor = graph.tensors[name]
        if tensor.is_output or len(tensor.consumers) != 1:
            return name, inside
        reader = graph.nodes[tensor.consumers[0]]
        adds = fused.get(reader.index) == layer
        if depthwise and is_one_number(graph, reader):
            return name, inside
        if not is_default_domain(reader.domain) or not (
            adds or (in_kernel(graph, reader) and reader.index not in sites)
        ):
            return name, inside
        inside.append(reader.index)
        name = reader.outputs[0]


def int8_readers(graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]]) -> dict[str, set[int]]:
    """Return, for each tensor that is read as INT8, who reads it: quantised nodes, and each ``Concat`` for one."""
    readers: dict[str, set[int]] = {}
    for index, own in sites.items():
        for site in own:
            readers.setdefault(site.tensor, set()).add(index)
    for node in reversed(graph.nodes):
        joins = node.op_type == "Concat" and is_default_domain(node.domain) and node.index not in sites
        if joins and any(name in readers for name in graph.relatives(node.outputs[0])):
            for name in moving(graph, node):
                readers.setdefault(name, set()).add(node.index)
    return readers


def is_read(graph: ModelGraph, name: str, readers: Mapping[str, set[int]], *, besides: Collection[int] = ()) -> bool:
    """Whether another node reads a tensor, or one of the same values, as INT8."""
    return any(not readers.get(one, set()) <= set(besides) for one in graph.relatives(name))
