"""Layers by their weights, so that thousands of them need not be compared each with each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from trtcal_widgets.export.port.weights import widest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trtcal_widgets.export.port.graph import Step


class LayersByWeights:
    """Layers, among which those with nearly the same weights as another one are found by one number of theirs."""

    def __init__(self, steps: Iterable[Step]) -> None:
        groups: dict[tuple[object, ...], list[tuple[float, int, Step]]] = {}
        for place, step in enumerate(steps):
            if step.weights is not None:
                groups.setdefault(_kind(step), []).append((step.weights.head, place, step))
        self._groups: dict[tuple[object, ...], tuple[list[float], list[Step], float]] = {}
        for kind, entries in groups.items():
            entries.sort(key=lambda entry: entry[:2])
            room = widest(step.weights for _, _, step in entries if step.weights is not None)
            self._groups[kind] = [head for head, _, _ in entries], [step for _, _, step in entries], room

    def near(self, step: Step) -> Sequence[Step]:
        """Return all layers that may have the same weights as a layer, and few others."""
        if step.weights is None or _kind(step) not in self._groups:
            return ()
        heads, steps, room = self._groups[_kind(step)]
        room = max(room, widest([step.weights]))
        return steps[bisect_left(heads, step.weights.head - room) : bisect_right(heads, step.weights.head + room)]


def _kind(step: Step) -> tuple[object, ...]:
    return step.key, step.weights and step.weights.op, step.weights and step.weights.shape
