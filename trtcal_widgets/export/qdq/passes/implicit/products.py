"""A product of two activations runs in floating point: implicit INT8 has kernels for layers with weights only.

TensorRT 8.6.0: ``CaskGemmMatrixMultiply`` reads and writes FP32 in every engine seen, beside INT8 convolutions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph


def leave_products(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the products of activations."""
    del graph, fused
    products = [i for i, own in sites.items() if own[0].rule == "weighted" and not any(s.is_constant for s in own)]
    return dict.fromkeys(products, "implicit INT8 has no kernel for a product of two activations")
