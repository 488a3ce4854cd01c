"""A Concat joins INT8 values for an INT8 reader: where none is left, it has no pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.report import LeftNode

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def drop_lonely_concats(given: Given, decision: Decision) -> Decision:
    """Take out each Concat whose output no quantised layer reads, from the outputs: one may be there for another."""
    graph = given.graph
    for index in reversed([i for i in decision.active if graph.nodes[i].op_type == "Concat"]):
        node = graph.nodes[index]
        read = {site.tensor for other, sites in decision.active.items() if other != index for site in sites}
        if read.isdisjoint(graph.relatives(node.outputs[0])):
            left = LeftNode(node.name, "Concat", "what reads its output stays in higher precision")
            decision = replace(decision.without([index], "fused"), left=(*decision.left, left))
    return decision
