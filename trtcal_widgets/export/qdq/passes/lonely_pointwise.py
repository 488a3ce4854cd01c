"""A pointwise kernel has pairs only where INT8 layers make what it reads: where one stays as it is, they only round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.pointwise import Int8Writers
from trtcal_widgets.export.qdq.report import LeftNode

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def drop_lonely_pointwise(given: Given, decision: Decision) -> Decision:
    """Take out the kernels behind layers that are not quantised after all, until none is left."""
    graph, lonely = given.graph, _lonely(given, decision)
    while lonely:
        why = "what it reads comes from a layer that stays in higher precision"
        left = (LeftNode(graph.nodes[index].name, graph.nodes[index].op_type, why) for index in lonely)
        decision = replace(decision.without(lonely, "fused"), left=(*decision.left, *left))
        lonely = _lonely(given, decision)
    return decision


def _lonely(given: Given, decision: Decision) -> list[int]:
    ours = {index for index, sites in decision.active.items() if sites[0].rule == "pointwise"}
    if not ours:
        return []
    made = Int8Writers(given.graph, decision.active, given.placement.fused_into)
    lonely = [kernel for kernel in made.kernels if not all(map(made.writes, kernel.sources))]
    return [index for kernel in lonely for index in kernel.nodes if index in ours]
