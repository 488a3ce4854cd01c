"""What TensorRT's implicit INT8 runs in INT8 and what it leaves in floating point, as far as the graph tells.

One rule a module. ``pointwise_reads`` adds what the sites of ``recommended`` lack; each of the others is a function of
the graph and the sites so far, and returns the nodes that have none after all, with the reason (empty where there is
nothing to report). Learnt from the layers of TensorRT 8.6.0's engines. Which of several kernels was the fastest no
graph tells: that is measured (``placement=`` takes an engine's layers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.compiled import leave_compiled
from trtcal_widgets.export.qdq.passes.implicit.deconvolutions import leave_deconvolutions
from trtcal_widgets.export.qdq.passes.implicit.dense_products import leave_dense_products
from trtcal_widgets.export.qdq.passes.implicit.depthwise import leave_half_depthwise
from trtcal_widgets.export.qdq.passes.implicit.few_channels import leave_few_channels
from trtcal_widgets.export.qdq.passes.implicit.lonely_pools import leave_lonely_pools
from trtcal_widgets.export.qdq.passes.implicit.lonely_residuals import leave_lonely_residuals
from trtcal_widgets.export.qdq.passes.implicit.pointwise import (
    bounded_gates,
    leave_lonely_pointwise,
    pointwise_reads,
)
from trtcal_widgets.export.qdq.passes.implicit.products import leave_products

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph

    Rule = Callable[[ModelGraph, Mapping[int, tuple[Site, ...]], Mapping[int, int]], dict[int, str]]

AS_ENGINE_RULES: tuple[Rule, ...] = (leave_half_depthwise,)
"""What also holds where an engine said what it ran in INT8: implicit engines have kernels that explicit ones lack."""

RULES: tuple[Rule, ...] = (
    leave_compiled,
    leave_products,
    leave_few_channels,
    leave_deconvolutions,
    leave_dense_products,
    leave_half_depthwise,
    leave_lonely_pointwise,
    leave_lonely_residuals,
    leave_lonely_pools,
)
"""Again and again in this order, until none of them leaves any more out: each looks at what the others left."""


def settle(
    graph: ModelGraph,
    sites: dict[int, tuple[Site, ...]],
    fused: Mapping[int, int],
    rules: Sequence[Rule],
) -> dict[int, str]:
    """Take out of ``sites`` what the rules leave in floating point; return these nodes with the reasons there are."""
    left: dict[int, str] = {}
    changed = True
    while changed:
        changed = False
        for leave in rules:
            for index, why in leave(graph, sites, fused).items():
                del sites[index]
                changed = True
                if why:
                    left[index] = why
    return left


__all__ = ["AS_ENGINE_RULES", "RULES", "bounded_gates", "pointwise_reads", "settle"]
