"""A convolution of fewer than four channels, mostly the first one, runs in floating point.

INT8 kernels take channels in fours and thirty-twos, and the whole input would be quantised in a pass of its own.
TensorRT 8.6.0's implicit engines left the first convolution of LeNet (1 channel) at its default level and those of
PP-OCR's classifier and detector (3 channels) in FP32; with pairs there, explicit engines lost most of their time: 14 to
28 microseconds. Where an INT8 layer makes what it reads, there is no such pass (the squeeze to two channels in the
classifier).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.pointwise import Int8Writers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph

_PACKED = 4


def leave_few_channels(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the convolutions of fewer than four input channels; depthwise ones have a rule of their own."""
    made, left = Int8Writers(graph, sites, fused), {}
    for index in sites:
        node = graph.nodes[index]
        weight = graph.tensors[node.inputs[1]].shape if node.op_type == "Conv" and len(node.inputs) > 1 else None
        data = graph.tensors[node.inputs[0]].shape if node.inputs else None
        if weight is None or len(weight) < 3 or data is None or not isinstance(weight[1], int):
            continue
        channels = data[1] if len(data) > 1 else None
        # Groups: the filter's own channels are fewer than the tensor's.
        if weight[1] < _PACKED and channels in (weight[1], None) and (channels == weight[1] or weight[1] != 1):
            if made.writes(node.inputs[0]):
                continue
            left[index] = f"implicit INT8 leaves convolutions of {weight[1]} channels in floating point"
    return left
