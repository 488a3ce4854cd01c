"""A residual is INT8 only beside an INT8 layer, whose kernel adds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph


def leave_lonely_residuals(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the additions whose layer is not quantised."""
    return {
        add: f"it is added by {graph.nodes[layer].name!r}, which implicit INT8 leaves in floating point"
        for add, layer in fused.items()
        if add in sites and layer not in sites
    }
