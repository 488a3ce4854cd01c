"""Walking the graph for the hazard checks: through operators that move values without changing their size."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

__all__ = ["MOVING", "producer", "reaches_output", "sources", "upstream"]

MOVING = frozenset(
    {
        "Cast",
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose output values are input values."""


def producer(graph: ModelGraph, name: str) -> NodeInfo | None:
    """Return the node that makes a tensor; None for inputs and stored constants."""
    tensor = graph.tensors.get(name)
    return None if tensor is None or tensor.producer < 0 else graph.nodes[tensor.producer]


def upstream(graph: ModelGraph, start: str, through: Collection[str], depth: int) -> Iterator[tuple[str, int]]:
    """Yield the tensors that ``start`` comes from through these operators, itself first, with their distance."""
    seen = {start}
    queue = deque([(start, 0)])
    while queue:
        name, far = queue.popleft()
        yield name, far
        node = producer(graph, name)
        if node is None or node.op_type not in through or far >= depth:
            continue
        for read in node.inputs:
            if read in graph.tensors and read not in seen:
                seen.add(read)
                queue.append((read, far + 1))


def sources(graph: ModelGraph, name: str) -> Iterator[NodeInfo]:
    """Yield the nodes that compute a tensor's values, seen through operators that only move values."""
    for found, _ in upstream(graph, name, MOVING, depth=16):
        node = producer(graph, found)
        if node is not None and node.op_type not in MOVING and graph.tensors[found].kind is TensorKind.ACTIVATION:
            yield node


def reaches_output(graph: ModelGraph, name: str) -> bool:
    """Whether a tensor's values leave the model, through operators that only move values."""
    seen = {name}
    stack = [name]
    while stack:
        tensor = graph.tensors[stack.pop()]
        if tensor.is_output:
            return True
        for index in tensor.consumers:
            node = graph.nodes[index]
            new = [o for o in node.outputs if o in graph.tensors and o not in seen] if node.op_type in MOVING else []
            seen.update(new)
            stack.extend(new)
    return False
