"""Which layers are quantised, with which scales, given the rows that there are: decided before anything is built.

The rules are the modules of ``passes``, in this order; what each leaves out says so in the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.words import count_of
from trtcal_widgets.export.qdq.decision import Decision, Given
from trtcal_widgets.export.qdq.formats import INT8
from trtcal_widgets.export.qdq.passes.already import leave_quantized
from trtcal_widgets.export.qdq.passes.keep import keep_by_plan
from trtcal_widgets.export.qdq.passes.lonely_adds import drop_lonely_adds
from trtcal_widgets.export.qdq.passes.lonely_concats import drop_lonely_concats
from trtcal_widgets.export.qdq.passes.lonely_pointwise import drop_lonely_pointwise
from trtcal_widgets.export.qdq.passes.no_kernel import leave_without_kernel
from trtcal_widgets.export.qdq.passes.scale import give_scales
from trtcal_widgets.export.qdq.passes.select import select
from trtcal_widgets.export.qdq.passes.used_rows import note_used_rows
from trtcal_widgets.export.qdq.report import LeftNode
from trtcal_widgets.export.qdq.scales import ScaleSource, shared_amax
from trtcal_widgets.model.files import subgraphs
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from onnx import ModelProto

    from trtcal_widgets.export.qdq.formats import QdqFormat
    from trtcal_widgets.export.qdq.placement import Placement
    from trtcal_widgets.export.qdq.weights import WeightScales
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.model.plan import PrecisionPlan

PASSES = (
    leave_quantized,
    keep_by_plan,
    leave_without_kernel,
    give_scales,
    drop_lonely_adds,
    drop_lonely_pointwise,
    drop_lonely_concats,
    select,
    note_used_rows,
)


def decide(
    graph: ModelGraph,
    placement: Placement,
    rows: Mapping[str, float],
    weights: WeightScales,
    *,
    plan: PrecisionPlan,
    already: Collection[int] = (),
    only: Collection[str] | None = None,
    format: QdqFormat = INT8,  # noqa: A002 - what users call it
) -> Decision:
    """Decide what is built.

    ``graph`` and ``placement``: the model's facts and its sites. ``plan``: layers to keep and thresholds to set.
    ``already``: nodes that are quantised in the model as given. ``only``: names of the nodes that may be quantised;
    None for all. ``format``: what values are quantised to.
    """
    source = ScaleSource(graph, rows, shared_amax(graph, plan.amax), format, placement.bounds)
    given = Given(graph, placement, source, weights, plan, already, only, format)
    alone = ((graph.nodes[index], why) for index, why in placement.left_alone.items())
    decision = Decision(placement.sites, left=tuple(LeftNode(node.name, node.op_type, why) for node, why in alone))
    for apply in PASSES:
        decision = apply(given, decision)
    return decision


def foreign_nodes(graph: ModelGraph, proto: ModelProto) -> tuple[LeftNode, ...]:
    """List the nodes that are left as they are because nothing is known about what they compute."""
    left = [
        LeftNode(node.name, node.op_type, f"an operator of the domain {node.domain!r}")
        for node in graph.nodes
        if not is_default_domain(node.domain)
    ]
    inner = {
        node.output[0]: sum(len(one.node) for one in subgraphs(node))
        for node in proto.graph.node
        if node.output and any(subgraphs(node))
    }
    for output, count in inner.items():
        node = graph.nodes[graph.tensors[output].producer]
        left.append(LeftNode(node.name, node.op_type, f"{count_of(count, 'node')} inside it stay as they are"))
    return tuple(left)
