"""Where only some nodes may be quantised, to look at layers one by one, the others stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def select(given: Given, decision: Decision) -> Decision:
    """Take out what was not selected."""
    if given.only is None:
        return decision
    others = [index for index in decision.active if given.graph.nodes[index].name not in given.only]
    return decision.without(others, "not-selected")
