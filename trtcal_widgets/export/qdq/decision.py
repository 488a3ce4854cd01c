"""What will be built, as the passes hand it on: frozen, so that each gives the next one of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.formats import INT8

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.export.qdq.formats import QdqFormat
    from trtcal_widgets.export.qdq.placement import Placement, Site
    from trtcal_widgets.export.qdq.report import LeftNode, MissingScale
    from trtcal_widgets.export.qdq.scales import ScaleSource
    from trtcal_widgets.export.qdq.weights import WeightScales
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.model.plan import PrecisionPlan


@dataclass(frozen=True, eq=False)
class TensorScale:
    """Scales of one pair: float32 of shape () or (channels,), their axis (-1: none), and where they are from."""

    values: NDArray[np.float32]
    axis: int
    source: str


@dataclass(frozen=True, eq=False)
class Given:
    """What is decided about: the model with its sites, where scales come from, and the user's wishes.

    ``already`` are the nodes that the model as given quantises; ``only``, the names of those that may be quantised, is
    None for all.
    """

    graph: ModelGraph
    placement: Placement
    source: ScaleSource
    weights: WeightScales
    plan: PrecisionPlan
    already: Collection[int]
    only: Collection[str] | None
    format: QdqFormat = INT8


@dataclass(frozen=True, eq=False)
class Decision:
    """What will be built.

    Attributes
    ----------
    active
        Node index -> its sites; once scales are given, all of them have one.
    scales
        (tensor, axis) -> scale.
    axes
        (node index, position) -> axis, -1 per tensor.
    missing, kept, left
        For the report.
    used_rows
        Rows that a scale of an active node comes from.
    excluded
        Node index -> why it is not active: ``"already"``, ``"kept"``, ``"scale"``, ``"fused"``, ``"no-kernel"``,
        ``"not-selected"``.
    """

    active: Mapping[int, tuple[Site, ...]] = field(default_factory=dict)
    scales: Mapping[tuple[str, int], TensorScale] = field(default_factory=dict)
    axes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    missing: tuple[MissingScale, ...] = ()
    kept: tuple[LeftNode, ...] = ()
    left: tuple[LeftNode, ...] = ()
    used_rows: frozenset[str] = frozenset()
    excluded: Mapping[int, str] = field(default_factory=dict)

    def without(self, nodes: Collection[int], why: str) -> Decision:
        """Return the decision with these nodes left as they are, and without the scales that only they read."""
        active = {index: sites for index, sites in self.active.items() if index not in nodes}
        needed = {
            (site.tensor, self.axes.get((index, site.position))) for index, sites in active.items() for site in sites
        }
        return replace(
            self,
            active=MappingProxyType(active),
            scales=MappingProxyType({key: scale for key, scale in self.scales.items() if key in needed}),
            excluded=MappingProxyType({**self.excluded, **dict.fromkeys(nodes, why)}),
        )
