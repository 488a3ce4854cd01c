"""A transposed convolution runs in floating point.

TensorRT 8.6.0's implicit engines left those of PP-OCR's detector in FP32 between INT8 layers, and TensorRT for RTX lets
the same ones fall back where they have pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph


def leave_deconvolutions(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the transposed convolutions."""
    del fused
    found = [index for index in sites if graph.nodes[index].op_type == "ConvTranspose"]
    return dict.fromkeys(found, "implicit INT8 leaves transposed convolutions in floating point")
