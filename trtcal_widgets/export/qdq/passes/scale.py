"""A layer is quantised if each of its inputs has a scale; where one lacks it, the whole layer stays as it is.

A weight's scale comes from its own values, an activation's from the rows. Tensors that a ``Concat`` joins have one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.export.qdq.decision import TensorScale
from trtcal_widgets.export.qdq.report import LeftNode, MissingScale
from trtcal_widgets.export.qdq.scales import BAD_SCALES, Found, joined_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.export.qdq.decision import Decision, Given
    from trtcal_widgets.export.qdq.placement import Site


def give_scales(given: Given, decision: Decision) -> Decision:
    """Find the scale of each site, and take out the nodes that have not all of them."""
    finder = _Finder(given)
    axes: dict[tuple[int, int], int] = {}
    scales: dict[tuple[str, int], TensorScale] = {}
    incomplete: list[int] = []
    for index, sites in decision.active.items():
        found = [(site, *finder.find(site)) for site in sites]
        axes.update({(index, site.position): axis for site, axis, scale in found if scale is not None})
        if any(scale is None for *_, scale in found):
            incomplete.append(index)
        else:
            scales.update({(site.tensor, axis): scale for site, axis, scale in found if scale is not None})
    given_all = replace(decision, axes=MappingProxyType(axes), scales=MappingProxyType(scales))
    return replace(
        given_all.without(incomplete, "scale"),
        missing=(*decision.missing, *finder.missing()),
        left=(*decision.left, *finder.left),
    )


@dataclass
class _Finder:
    """Looks scales up, and notes what has none."""

    given: Given
    left: list[LeftNode] = field(default_factory=list)
    lacking: dict[str, tuple[Found, list[str]]] = field(default_factory=dict)
    joined: dict[frozenset[str], Found] = field(default_factory=dict)

    def find(self, site: Site) -> tuple[int, TensorScale | None]:
        """Return a site's axis (-1: none) and its scale, None where it has none."""
        if site.is_constant and site.rule != "concat":
            return self._constant(site)
        return -1, self._activation(site)

    def _constant(self, site: Site) -> tuple[int, TensorScale | None]:
        node = self.given.graph.nodes[site.node]
        axis = self.given.weights.axis(node, site.position)
        values = self.given.weights.scales(site.tensor, axis)
        if not isinstance(values, str):
            values = _for_dtype(values, site.dtype)
        if isinstance(values, str):
            why = f"its weight {site.tensor!r} cannot be quantised: {values}"
            self.left.append(LeftNode(node.name, node.op_type, why))
            return axis, None
        return axis, TensorScale(values, axis, "its own maxima")

    def _activation(self, site: Site) -> TensorScale | None:
        group = self.given.placement.concat_group(site.tensor)
        found = self._join(group, site.dtype) if group else self.given.source.find(site.tensor, site.dtype)
        if found.usable:
            return TensorScale(np.asarray(found.value, np.float32), -1, found.source)
        node = self.given.graph.nodes[site.node].name
        readers = self.lacking.setdefault(site.tensor, (found, []))[1]
        if node not in readers:
            readers.append(node)
        return None

    def _join(self, group: frozenset[str], dtype: str) -> Found:
        if group not in self.joined:
            graph, constants = self.given.graph, {}
            for name in sorted(group):
                if graph.tensors[name].kind.value in ("constant", "weight"):
                    own = self.given.weights.scales(name, -1)
                    constants[name] = float("nan") if isinstance(own, str) else float(own)
            outputs = frozenset(name for name in group if graph.op_type(name) == "Concat")
            self.joined[group] = joined_scale(group, self.given.source, constants, outputs, dtype)
        return self.joined[group]

    def missing(self) -> list[MissingScale]:
        """Return the tensors that have no scale, with the nodes that read them."""
        found = []
        for name, (scale, readers) in self.lacking.items():
            why = BAD_SCALES.get(scale.problem, "there is no row for it")
            layers = ", ".join(map(repr, readers[:3])) + (", …" if len(readers) > 3 else "")
            found.append(MissingScale(name, tuple(readers), f"{why}; {layers} stay in higher precision"))
        return found


def _for_dtype(values: NDArray[np.float32], dtype: str) -> NDArray[np.float32] | str:
    """Return scales that the element type can hold, or why there are none."""
    if dtype != "float16":
        return values
    halves = values.astype(np.float16).astype(np.float32)
    # A scale that is too small for float16 would be 0; the smallest normal one clips nothing.
    halves = np.maximum(halves, np.float32(np.finfo(np.float16).tiny))
    return halves if np.isfinite(halves).all() else "its scale does not fit float16"
