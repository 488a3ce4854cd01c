"""The structure of an ONNX graph: nodes in order, tensors in order, who reads what, what is constant."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.files import subgraphs
from trtcal_widgets.model.graph import NodeInfo, TensorInfo, TensorKind
from trtcal_widgets.model.inference import UNKNOWN
from trtcal_widgets.model.kinds import constant_kinds, is_default_domain, passes_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from onnx import GraphProto, ModelProto, NodeProto

    from trtcal_widgets.model.inference import TensorType

_RANDOM_OPS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)


class Structure(NamedTuple):
    """Nodes in topological order, tensors in graph order, and the nodes that pass their input's values on."""

    nodes: tuple[NodeInfo, ...]
    tensors: dict[str, TensorInfo]
    passing: tuple[int, ...]


def read_structure(proto: ModelProto, path: str, types: Mapping[str, TensorType]) -> Structure:
    """Read nodes and tensors of the main graph.

    ``types``: tensor name -> type, of :func:`trtcal_widgets.model.inference.infer_types`. Raises ModelError if a tensor
    is made twice, read but never made, or the graph has a cycle.
    """
    graph = proto.graph
    stored = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
    held = frozenset(stored)
    inputs = [info.name for info in graph.input if info.name not in held]  # old files list both
    reads = [read_names(node) for node in graph.node]
    order = _topological_order(graph, reads, {*inputs, *held}, path)
    protos = [graph.node[i] for i in order]
    reads = [reads[i] for i in order]
    names = unique_names(protos)
    nodes = tuple(
        NodeInfo(index, name, node.op_type, node.domain, tuple(node.input), tuple(node.output))
        for index, (name, node) in enumerate(zip(names, protos, strict=True))
    )
    outputs = [info.name for info in graph.output]
    _check_outputs(outputs, nodes, {*inputs, *held}, path)
    ends = frozenset(outputs)
    consumers = _consumers(reads)
    constants = _constant_names(protos, reads, stored)
    kinds = {
        **dict.fromkeys(inputs, TensorKind.INPUT),
        **constant_kinds(nodes, consumers, constants, ends),
    }
    producers = {name: node.index for node in nodes for name in node.outputs if name}
    tensors = {
        name: TensorInfo(
            name,
            kinds.get(name, TensorKind.ACTIVATION),
            *types.get(name, UNKNOWN),
            producers.get(name, -1),
            tuple(consumers.get(name, ())),
            name in ends,
        )
        for name in _tensor_order(inputs, nodes, reads, producers, set(constants), outputs)
    }
    passing = (node.index for node in nodes if _passes(node, protos[node.index]))
    return Structure(nodes, tensors, tuple(passing))


def _consumers(reads: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    consumers: dict[str, list[int]] = {}
    for index, names in enumerate(reads):
        for name in names:
            consumers.setdefault(name, []).append(index)
    return consumers


def unique_names(nodes: Sequence[NodeProto]) -> list[str]:
    """Return a name for each node that no other one has: the file's, for the first node that bears it.

    A node without a name is called ``Conv_12`` by its operator and position; one whose name an earlier node has, or
    whose made-up name is a real one's, gets its position behind it.
    """
    taken = {node.name for node in nodes if node.name}
    seen: set[str] = set()
    names = []
    for index, node in enumerate(nodes):
        name = node.name or f"{node.op_type}_{index}"
        if name in seen or (not node.name and name in taken):
            name = f"{name}#{index}"
        while name in seen or (name != node.name and name in taken):
            name += "#"
        seen.add(name)
        names.append(name)
    return names


def _passes(node: NodeInfo, proto: NodeProto) -> bool:
    texts = {a.name: a.s.decode(errors="replace") for a in proto.attribute if a.HasField("s")}
    return passes_values(node.op_type, node.domain, texts)


def read_names(node: NodeProto) -> tuple[str, ...]:
    """Return what a node reads, each name once: its inputs, and outer tensors that its subgraphs use."""
    names = dict.fromkeys(name for name in node.input if name)
    for subgraph in subgraphs(node):
        names.update(dict.fromkeys(_captured(subgraph)))
    return tuple(names)


def _captured(graph: GraphProto) -> Iterator[str]:
    """Yield the names that a subgraph takes from outside itself."""
    own = {info.name for info in graph.input}
    own.update(tensor.name for tensor in graph.initializer)
    own.update(sparse.values.name for sparse in graph.sparse_initializer)
    own.update(name for node in graph.node for name in node.output)
    for node in graph.node:
        yield from (name for name in read_names(node) if name not in own)
    yield from (info.name for info in graph.output if info.name not in own)


def _topological_order(
    graph: GraphProto, reads: Sequence[Sequence[str]], known: Collection[str], path: str
) -> list[int]:
    """Return node indices so that producers come before consumers, otherwise in the file's order."""
    makers = _makers(graph, known, path)
    followers: dict[int, list[int]] = {}
    waiting: list[int] = []
    for index, names in enumerate(reads):
        for name in names:
            if name not in makers and name not in known:
                raise ModelError(
                    f"{path}: {_node_text(graph, index)} reads {name!r}, which is neither an input, an "
                    "initialiser nor the output of a node; the graph is not valid ONNX"
                )
        before = {makers[name] for name in names if name in makers}
        waiting.append(len(before))
        for producer in before:
            followers.setdefault(producer, []).append(index)
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        order.append(heappop(ready))
        for follower in followers.get(order[-1], ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    if len(order) < len(waiting):
        stuck = next(index for index, count in enumerate(waiting) if count > 0)
        raise ModelError(f"{path}: the graph has a cycle through {_node_text(graph, stuck)}")
    return order


def _makers(graph: GraphProto, known: Collection[str], path: str) -> dict[str, int]:
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in makers or name in known:
                raise ModelError(
                    f"{path}: tensor {name!r} is made twice, the second time by "
                    f"{_node_text(graph, index)}; the graph is not valid ONNX"
                )
            makers[name] = index
    return makers


def _node_text(graph: GraphProto, index: int) -> str:
    node = graph.node[index]
    return f"node {node.name or index!r} ({node.op_type})"


def _check_outputs(outputs: Sequence[str], nodes: Sequence[NodeInfo], known: Collection[str], path: str) -> None:
    made = {name for node in nodes for name in node.outputs}
    for name in outputs:
        if name not in made and name not in known:
            raise ModelError(f"{path}: the graph's output {name!r} is made by no node")
    if not outputs:
        raise ModelError(f"{path}: the graph has no outputs")


def _constant_names(nodes: Sequence[NodeProto], reads: Sequence[Sequence[str]], stored: Sequence[str]) -> list[str]:
    """Return what depends on no input, in topological order."""
    constants = dict.fromkeys(stored)
    for node, names in zip(nodes, reads, strict=True):
        # ONNX's own operators always give the same result; another domain's might not.
        fixed = is_default_domain(node.domain) and not _is_random(node)
        if fixed and all(name in constants for name in names):
            constants.update(dict.fromkeys(filter(None, node.output)))
    return list(constants)


def _is_random(node: NodeProto) -> bool:
    return node.op_type in _RANDOM_OPS or any(
        _is_random(inner) or not is_default_domain(inner.domain)
        for subgraph in subgraphs(node)
        for inner in subgraph.node
    )


def _tensor_order(
    inputs: Sequence[str],
    nodes: Sequence[NodeInfo],
    reads: Sequence[Sequence[str]],
    producers: Mapping[str, int],
    constants: Collection[str],
    outputs: Sequence[str],
) -> list[str]:
    """Return inputs, then node by node what it makes, after the constants that it is the first to read."""
    placed: dict[str, None] = dict.fromkeys(inputs)

    def place_constant(name: str) -> None:
        stack = [name]
        while stack:
            current = stack[-1]
            above = reads[producers[current]] if current in producers else ()
            missing = [above_name for above_name in above if above_name not in placed]
            if missing:
                stack.extend(reversed(missing))
            else:
                placed.setdefault(stack.pop())

    for node, names in zip(nodes, reads, strict=True):
        made = [name for name in node.outputs if name]
        if made and all(name in constants for name in made):
            continue
        for name in names:
            if name in constants:
                place_constant(name)
        placed.update(dict.fromkeys(made))
    for name in (*outputs, *(name for node in nodes for name in node.outputs if name)):
        if name in constants:
            place_constant(name)
    return list(placed)
