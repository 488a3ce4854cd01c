"""A product with weights (Gemm, MatMul) is INT8 where it multiplies the channels that an INT8 layer wrote, in place.

That is behind a global pool, or with the channels moved last: TensorRT 8.6.0 runs the classifier's last layer, the one
of ``cv_gap_flat_fc`` and recognition's last (behind a Squeeze and a Transpose) in INT8. Where a Flatten folds space
into the channels, INT8's packed channels must be unpacked in a copy of their own (LeNet: 5 to 9 microseconds for a
layer of 10), and all of four implicit engines at the level that measures left both products of LeNet in FP32. What
reads a normalisation or another floating-point operator needs a pass of its own: 8 of 9 such products of recognition
were FP32, and all of MiniLM. So these have pairs only where their work pays for a pass (``worth.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.flow import moving
from trtcal_widgets.export.qdq.passes.implicit.pointwise import Int8Writers
from trtcal_widgets.export.qdq.passes.implicit.worth import pays_for_a_pass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_PRODUCTS = frozenset({"Gemm", "MatMul"})


def leave_dense_products(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the products whose input is made in floating point or unpacked, and whose work does not pay for it."""
    made = Int8Writers(graph, sites, fused)
    left: dict[int, str] = {}
    for index in sorted(sites):
        node = graph.nodes[index]
        if node.op_type not in _PRODUCTS or not any(graph.tensors[n].is_fixed for n in node.inputs[:2]):
            continue
        if not _in_place(graph, node, sites, made.layers, left) and not pays_for_a_pass(graph, node):
            left[index] = "its input would be quantised or unpacked in a pass that costs more than INT8 saves"
    return left


def _in_place(
    graph: ModelGraph,
    node: NodeInfo,
    sites: Mapping[int, tuple[Site, ...]],
    writers: Mapping[str, int],
    left: Mapping[int, str],
) -> bool:
    """Whether an INT8 layer wrote the channels that a product multiplies, and nothing was folded into them."""
    name = next((n for n in moving(graph, node)), "")
    weight = next((graph.tensors[n].shape for n in node.inputs[:2] if graph.tensors[n].is_fixed), None) or ()
    for one in graph.relatives(name) if name else ():
        producer = graph.tensors[one].producer
        writer = writers.get(one, producer)
        if writer in sites and writer not in left:
            return _channels(graph, one, graph.nodes[writer]) in (None, *weight)
    return False


def _channels(graph: ModelGraph, name: str, maker: NodeInfo) -> int | None:
    shape = graph.tensors[name].shape
    if not shape:
        return None
    size = shape[-1] if maker.op_type in _PRODUCTS else shape[1] if len(shape) > 1 else None
    return size if isinstance(size, int) else None
