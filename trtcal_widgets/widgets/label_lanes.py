"""Where labels of lines go that lie close together: above each other, never over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Place", "lanes"]

_PLOT_WIDTH = 480.0
"""The narrowest plot that is laid out for, in pixels: in a wider one labels are further apart still."""

_CHARACTER = 7.0
"""Of bold type, with a gap to the next label."""

_GLYPH = 16.0
_MOST_LANES = 4


@dataclass(frozen=True)
class Place:
    """A label's lane (0 is the lowest) and which of its ends is at the line."""

    lane: int
    anchor: str


def lanes(positions: Sequence[float], lengths: Sequence[int]) -> list[Place]:
    """Return a place for every label.

    Parameters
    ----------
    positions
        Of the lines, as a share of the axis (0 to 1; others are outside).
    lengths
        Of the labels, in characters.
    """
    places = [Place(0, "center")] * len(positions)
    ends = [float("-inf")] * _MOST_LANES
    for i in sorted(range(len(positions)), key=lambda i: positions[i]):
        width = lengths[i] * _CHARACTER + _GLYPH
        at = positions[i] * _PLOT_WIDTH
        anchor, left = "center", at - width / 2
        if left < 0:
            anchor, left = "left", at
        elif at + width / 2 > _PLOT_WIDTH:
            anchor, left = "right", at - width
        lane = next((k for k, end in enumerate(ends) if left >= end), None)
        if lane is None:
            lane = min(range(_MOST_LANES), key=lambda k: ends[k])
        ends[lane] = left + width
        places[i] = Place(lane, anchor)
    return places
