"""A depthwise convolution has pairs only where all that reads its result reads it as INT8.

TensorRT's explicit engines have INT8 kernels for depthwise convolutions that write INT8, and none that write floating
point. With pairs in front and a floating-point reader behind, TensorRT 8.6.0 dequantises input and weights in copies of
their own and convolves in floating point: slower than without the pairs, and less accurate (PP-OCR classifier).

A scale or an addition of one number behind it is pointwise work, and so a reader. (PP-OCRv4 detection on an H200: 333
microseconds for 14 layers whose pair stood behind such a scale, and 147 for dequantising their inputs, where the
implicit engine took 193 for all.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.flow import last_of_kernel

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo


def leave_half_depthwise(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the depthwise convolutions whose result is read in floating point."""
    del fused
    left: dict[int, str] = {}
    for index in sorted(sites, reverse=True):  # from the outputs: one that is left reads in floating point
        if is_depthwise(graph, graph.nodes[index]) and not _read_as_int8(graph, index, sites, left):
            left[index] = "no INT8 kernel of a depthwise convolution writes floating point, which is read behind it"
    return left


def move_in_front_of_scales(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], pointwise: Collection[int]
) -> tuple[dict[int, tuple[int, ...]], set[int]]:
    """Return where an engine's pairs behind depthwise convolutions go instead: new positions, and who loses a pair.

    Implicit engines scale in the convolution's kernel and write INT8 behind it; explicit ones need the pair in front of
    the scale. ``pointwise``: the nodes whose pair is given up for it, as TensorRT computes them with the scale.
    """
    new: dict[int, tuple[int, ...]] = {}
    gone: set[int] = set()
    for index in sites:
        if not is_depthwise(graph, graph.nodes[index]):
            continue
        front, _ = last_of_kernel(graph, index, sites, {}, depthwise=True)
        behind, _ = last_of_kernel(graph, index, sites, {})
        readers = set(graph.tensors[behind].consumers)
        if front == behind or graph.tensors[behind].is_output or not readers:
            continue
        if readers <= set(pointwise) and all(site.tensor == behind for reader in readers for site in sites[reader]):
            scale = graph.nodes[graph.tensors[front].consumers[0]]
            new[scale.index] = tuple(i for i, name in enumerate(scale.inputs) if name == front)
            gone |= readers
    return new, gone


def is_depthwise(graph: ModelGraph, node: NodeInfo) -> bool:
    """Whether each channel of a convolution has a filter of its own."""
    if node.op_type != "Conv" or len(node.inputs) < 2:
        return False
    weight, data = graph.tensors[node.inputs[1]].shape, graph.tensors[node.inputs[0]].shape
    if weight is None or len(weight) < 3 or weight[1] != 1:
        return False
    channels = data[1] if data is not None and len(data) > 1 else None
    return channels != 1 if isinstance(channels, int) else weight[0] != 1


def _read_as_int8(
    graph: ModelGraph,
    index: int,
    sites: Mapping[int, tuple[Site, ...]],
    left: Mapping[int, str],
) -> bool:
    name, _ = last_of_kernel(graph, index, sites, {}, depthwise=True)
    tensor = graph.tensors[name]
    if tensor.is_output or not tensor.consumers:
        return False
    return all(_reads(reader, name, sites, left) for reader in tensor.consumers)


def _reads(reader: int, name: str, sites: Mapping[int, tuple[Site, ...]], left: Mapping[int, str]) -> bool:
    return reader not in left and any(site.tensor == name for site in sites.get(reader, ()))
