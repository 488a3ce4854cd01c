"""A node that the model as given quantises is left as it is: a second pair would round what is rounded already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.explicit.integers import is_integer
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from trtcal_widgets.export.qdq.decision import Decision, Given
    from trtcal_widgets.model.graph import ModelGraph

_QUANTIZERS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})


def quantized_before(graph: ModelGraph) -> dict[int, str]:
    """Return the nodes that are quantised in the model as given: index -> name."""
    found: dict[int, str] = {}
    for node in graph.nodes:
        if is_integer(node) and node.op_type not in _QUANTIZERS:
            found[node.index] = node.name
        if not is_default_domain(node.domain):
            continue
        producers = (graph.tensors[name].producer for name in node.inputs if name)
        ops = {graph.nodes[index].op_type for index in producers if index >= 0}
        if node.op_type not in _QUANTIZERS and ops & {"DequantizeLinear"}:
            found[node.index] = node.name
    return found


def leave_quantized(given: Given, decision: Decision) -> Decision:
    """Take out the nodes that are quantised already."""
    return decision.without([index for index in decision.active if index in given.already], "already")
