"""A pool is INT8 only where an INT8 layer reads what it makes: alone, it would be quantised for nobody.

TensorRT 8.6.0: average pools, the global one too, run in INT8 between INT8 layers (``CaskPooling`` with an INT8 format
in and out) and in FP32 elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.flow import int8_readers, is_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph


def leave_lonely_pools(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the pools that no quantised layer reads, directly or through operators that move values."""
    del fused
    left: dict[int, str] = {}
    readers = int8_readers(graph, sites)
    for index in sorted((i for i, own in sites.items() if own[0].rule == "pool"), reverse=True):
        if not is_read(graph, graph.nodes[index].outputs[0], readers, besides=(index, *left)):
            left[index] = "no INT8 layer reads what it makes"
    return left
