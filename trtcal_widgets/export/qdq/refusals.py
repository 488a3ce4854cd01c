"""Why a model comes out without a single pair, node by node, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.words import some_of
from trtcal_widgets.export.qdq.placement import WEIGHTED_OPS
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trtcal_widgets.export.qdq.decision import Decision
    from trtcal_widgets.export.qdq.formats import QdqFormat
    from trtcal_widgets.export.qdq.report import LeftNode
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_NAMED = 3
"""Nodes that are named of each kind."""

_AS_IT_IS = "build the model as it is, without INT8"

_WAYS: Mapping[str, str] = {
    "LSTM": f"recurrent layers get no pairs and run in floating point: {_AS_IT_IS}",
    "GRU": f"recurrent layers get no pairs and run in floating point: {_AS_IT_IS}",
    "RNN": f"recurrent layers get no pairs and run in floating point: {_AS_IT_IS}",
    "Einsum": "write the products as MatMul (in PyTorch: torch.matmul for torch.einsum) and export the model again",
    "Attention": "decompose it into MatMul and Softmax, or quantise the projections around it",
}
"""Operators that compute much and have no pairs -> what to do."""


def nothing_to_quantise(graph: ModelGraph, foreign: Iterable[LeftNode]) -> str:
    """Return why no layer has a place for a pair. ``foreign``: nodes that nothing is known about."""
    head = f"{graph.name} has no layer that is quantised by its inputs (Conv, ConvTranspose, Gemm, MatMul)"
    reasons = []
    for dtype, nodes in _by_type(graph).items():
        way = "export the model in float32" if dtype else "their element types are not known: export the model again"
        reasons.append(f"{_named(nodes)} compute{'s' * (len(nodes) == 1)} in {dtype or 'unknown types'}: {way}")
    for op_type, way in _WAYS.items():
        nodes = [n for n in graph.nodes if n.op_type == op_type and is_default_domain(n.domain)]
        if nodes:
            reasons.append(f"{_named(nodes)}: {way}")
    reasons += [f"{one.name!r} ({one.op_type}): {one.message}" for one in list(foreign)[:_NAMED]]
    if not reasons:
        return f"{head}: {_AS_IT_IS}"
    return f"{head} in float32 or float16. " + "; ".join(reasons)


def nothing_left(graph: ModelGraph, decision: Decision, kind: QdqFormat) -> str:
    """Return why all layers that have a place for a pair were left as they are."""
    if decision.missing:
        first = decision.missing[0]
        return (
            f"{graph.name}: not one layer has all the scales that it needs; {first.name!r}: {first.message}. Calibrate "
            "with this model"
        )
    shown = "; ".join(f"{one.name!r} ({one.op_type}): {one.message}" for one in decision.left[:_NAMED])
    more = f"; and {len(decision.left) - _NAMED} more" if len(decision.left) > _NAMED else ""
    other = set(decision.excluded.values()) & {"no-kernel"}
    way = f" Write INT8 (format='int8'), or {_AS_IT_IS}" if other and kind.name != "int8" else ""
    return f"{graph.name}: not one layer can be quantised. {shown}{more}.{way}"


def _by_type(graph: ModelGraph) -> dict[str, list[NodeInfo]]:
    """Return the products and convolutions of the main graph, by the element type that they compute in."""
    found: dict[str, list[NodeInfo]] = {}
    for node in graph.nodes:
        if node.op_type in WEIGHTED_OPS and is_default_domain(node.domain):
            found.setdefault(graph.tensors[node.inputs[0]].dtype or "", []).append(node)
    return {dtype: nodes for dtype, nodes in found.items() if dtype not in ("float32", "float16")}


def _named(nodes: list[NodeInfo]) -> str:
    return some_of([f"{node.name!r} ({node.op_type})" for node in nodes], _NAMED, str)
