"""A residual has a pair only beside a quantised layer: it is added in that layer's INT8 kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.report import LeftNode

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def drop_lonely_adds(given: Given, decision: Decision) -> Decision:
    """Take out each Add whose layer is not quantised after all."""
    nodes, active = given.graph.nodes, decision.active
    lonely = {a: layer for a, layer in given.placement.fused_into.items() if a in active and layer not in active}
    left = (
        LeftNode(nodes[add].name, "Add", f"it is added by {nodes[layer].name!r}, which stays in higher precision")
        for add, layer in lonely.items()
    )
    return replace(decision.without(lonely, "fused"), left=(*decision.left, *left))
