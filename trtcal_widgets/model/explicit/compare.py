"""Two Q/DQ models side by side: where each has pairs, and how their scales differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trtcal_widgets.model.explicit.pairs import QdqPair

_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class PairChange:
    """A tensor that is quantised in both models, differently.

    ``a``, ``b``: its pair in either. ``ratio``: how many times as wide b's range is as a's, of the channel where they
    differ most; NaN where one range is 0. ``what``: what differs, in words: ``"scale"``, ``"per channel in A only"``,
    ``"axis 0 and 1"``, ``"type"``, ``"zero point"``, ``"readers"``. ``only_a``, ``only_b``: names of the nodes that
    read through the pair in one model alone.
    """

    a: QdqPair
    b: QdqPair
    ratio: float
    what: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PairsDiff:
    """How two Q/DQ models differ; everything in graph order, that of the model that has the pair, A's for both."""

    only_in_a: tuple[QdqPair, ...]
    only_in_b: tuple[QdqPair, ...]
    changed: tuple[PairChange, ...]
    equal: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.only_in_a or self.only_in_b or self.changed)


def compare_pairs(a: Sequence[QdqPair], b: Sequence[QdqPair], *, tolerance: float = 0.0) -> PairsDiff:
    """Compare the pairs of two models.

    Pairs belong together that have the tensor's name in common; of the rest, those that the same input of the same node
    reads through: tools rename tensors.

    ``a``, ``b``: what :func:`~trtcal_widgets.model.explicit.pairs.read_pairs` gives. ``tolerance``: share by which
    ranges may differ and still count as equal.
    """
    matches = _matches(a, b)
    changed: list[PairChange] = []
    equal: list[str] = []
    for one in a:
        if id(one) not in matches:
            continue
        change = _change(one, matches[id(one)], tolerance)
        if change.what:
            changed.append(change)
        else:
            equal.append(one.tensor)
    met = {id(other) for other in matches.values()}
    return PairsDiff(
        only_in_a=tuple(one for one in a if id(one) not in matches),
        only_in_b=tuple(other for other in b if id(other) not in met),
        changed=tuple(changed),
        equal=tuple(equal),
    )


def _matches(a: Sequence[QdqPair], b: Sequence[QdqPair]) -> dict[int, QdqPair]:
    """Return id of a's pair -> b's."""
    found: dict[int, QdqPair] = {}
    free = {id(other): other for other in b}
    by_name: dict[str, list[QdqPair]] = {}
    for other in b:
        by_name.setdefault(other.tensor, []).append(other)
    for one in a:
        named = [other for other in by_name.get(one.tensor, ()) if id(other) in free]
        if named:
            best = max(named, key=lambda other: len(set(one.readers) & set(other.readers)))
            found[id(one)] = free.pop(id(best))
    by_site = {(name, place): other for other in free.values() for name, _, place in other.readers}
    for one in a:
        if id(one) in found:
            continue
        sites = (by_site[name, place] for name, _, place in one.readers if (name, place) in by_site)
        match = next((other for other in sites if id(other) in free), None)
        if match is not None:
            found[id(one)] = free.pop(id(match))
    return found


def _change(a: QdqPair, b: QdqPair, tolerance: float) -> PairChange:
    what = []
    if a.is_per_channel != b.is_per_channel:
        what.append(f"per channel in {'A' if a.is_per_channel else 'B'} only")
    elif a.is_per_channel and a.axis != b.axis:
        what.append(f"axis {a.axis} and {b.axis}")
    elif a.scales.shape != b.scales.shape:
        what.append(f"{a.scales.size} and {b.scales.size} channels")
    if a.dtype != b.dtype:
        what.append("type")
    elif not _zeros_agree(a, b):
        what.append("zero point")
    ratio = _ratio(a, b)
    # Between types the ranges are compared, whose last place the division by the type's levels has rounded.
    if not abs(ratio - 1) <= (tolerance if a.dtype == b.dtype else max(tolerance, _ROUNDING)):
        what.insert(0, "scale")
    nodes_a, nodes_b = _nodes(a), _nodes(b)
    only_a = tuple(name for name in nodes_a if name not in nodes_b)
    only_b = tuple(name for name in nodes_b if name not in nodes_a)
    if only_a or only_b:
        what.append("readers")
    return PairChange(a, b, ratio, tuple(what), only_a, only_b)


def _nodes(pair: QdqPair) -> Iterable[str]:
    return dict.fromkeys(name for name, *_ in pair.readers)


def _zeros_agree(a: QdqPair, b: QdqPair) -> bool:
    if a.zero_points.shape != b.zero_points.shape:
        return bool(not a.zero_points.any() and not b.zero_points.any())
    return bool(np.array_equal(a.zero_points, b.zero_points))


def _ratio(a: QdqPair, b: QdqPair) -> float:
    """Return b's range over a's: channel by channel where both have them, else the widest of each."""
    if a.dtype == b.dtype and a.scales.shape == b.scales.shape and _zeros_agree(a, b):
        x, y = a.scales.astype(np.float64).reshape(-1), b.scales.astype(np.float64).reshape(-1)
        if not x.size or not (x > 0).all():
            return 1.0 if np.array_equal(x, y) else math.nan
        ratios = y / x
        return float(ratios[np.argmax(np.abs(np.log(np.maximum(ratios, 1e-300))))])
    x_amax, y_amax = a.amax, b.amax
    return y_amax / x_amax if x_amax > 0 else math.nan
