"""A row is used if the scale of a quantised tensor, or of one that its values come from or go to, was taken from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given


def note_used_rows(given: Given, decision: Decision) -> Decision:
    """Note the rows that the scales come from."""
    near: set[str] = set()
    for tensor, _ in decision.scales:
        group = given.placement.concat_group(tensor) or frozenset((tensor,))
        near |= group.union(*(given.graph.relatives(member) for member in group))
    return replace(decision, used_rows=frozenset(given.source.used & near))
