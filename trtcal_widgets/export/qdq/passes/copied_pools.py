"""An average pool has no pair where something else reads its input in floating point: the INT8 copy would be one more.

TensorRT 8.6.0 then writes the tensor twice, the INT8 copy by a pass of its own (``..._QuantizeLinear``, 5 to 10
microseconds for each squeeze-and-excitation block of the PP-OCR classifier), which is more than the pool takes.
TensorRT for RTX 1.7.1 stores nothing there and rounds: that costs accuracy and saves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.flow import int8_readers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph


def leave_copied_pools(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the pools whose input another node reads in floating point."""
    del fused
    readers, left = int8_readers(graph, sites), {}
    for index, own in sites.items():
        if own[0].rule == "pool" and not _stored(graph, own[0].tensor, readers):
            left[index] = "its input is also read in floating point: an INT8 copy would be written besides"
    return left


def _stored(graph: ModelGraph, name: str, readers: Mapping[str, set[int]]) -> bool:
    """Whether all that reads a tensor reads INT8, or moves its values to what does."""
    tensor = graph.tensors[name]
    same = graph.relatives(name)
    for index in tensor.consumers:
        made = graph.nodes[index].outputs[0]
        moves = made in same and _stored(graph, made, readers)
        if index not in readers.get(name, ()) and not moves:
            return False
    return not tensor.is_output and bool(tensor.consumers)
