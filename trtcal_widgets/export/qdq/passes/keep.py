"""A layer that the plan keeps in higher precision has no pairs, and the report gives the plan's reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.report import LeftNode

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def keep_by_plan(given: Given, decision: Decision) -> Decision:
    """Take out what the plan keeps."""
    plan = given.plan
    nodes = [node for node in plan.nodes(given.graph) if node.index in decision.active]
    kept = (
        LeftNode(n.name, n.op_type, plan.reasons.get(n.name) or f"the plan keeps it in {plan.precision}") for n in nodes
    )
    return replace(decision.without([node.index for node in nodes], "kept"), kept=(*decision.kept, *kept))
