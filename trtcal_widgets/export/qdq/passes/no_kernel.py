"""A node whose operator has no kernel in the wanted format stays in higher precision, and the report says why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.report import LeftNode

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def leave_without_kernel(given: Given, decision: Decision) -> Decision:
    """Take out what the format has no kernel for."""
    reasons, nodes = given.format.no_kernel, given.graph.nodes
    lacking = [index for index in decision.active if nodes[index].op_type in reasons]
    left = (LeftNode(nodes[i].name, nodes[i].op_type, reasons[nodes[i].op_type]) for i in lacking)
    return replace(decision.without(lacking, "no-kernel"), left=(*decision.left, *left))
