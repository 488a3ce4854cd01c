"""Pointwise operators that are a kernel of their own run in INT8 between INT8 layers: gates, joins, activations.

TensorRT merges pointwise operators that follow each other into one kernel (``PWN(...)``). What one dense layer feeds is
computed in that layer's kernel (``Conv + PWN(...)``: a hard-swish behind a convolution) and has no pair in between.
What is left is a kernel of its own, and TensorRT 8.6.0's implicit engines run it in INT8 where INT8 layers make what it
reads and one reads what it makes:

* the gate of a squeeze-and-excitation block, ``PWN(HardSigmoid, Mul)``, the addition and the upsampled branch behind it
  too: ``PWN(HardSigmoid, Mul, Add, Add)`` (PP-OCR detection 11 of 12 blocks, classifier 7 of 9);
* an activation behind a depthwise convolution, whose kernel cannot compute it: ``PWN(Add, Clip, Mul, Div)``;
* sums and products of two branches.

The gate has its pair behind its activation, which says the range: 0 to 1. In the implicit engines it stands in front,
and calibration clips it: an entropy threshold of 0.1 for one ``HardSigmoid`` costs the classifier 7 dB.
Without a pair the product reads both operands in floating point, the large one dequantised in a pass of its own
(detection on an H200, ``..._DequantizeLinear_clone``: 6 to 20 microseconds each).

Without pairs the explicit engine dequantises both operands, and where a pool reads one of them as INT8 it is written
twice (``..._QuantizeLinear`` layers of the classifier, 5 to 10 microseconds each); a depthwise convolution whose result
it reads falls back to floating point (19 microseconds instead of 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.export.qdq.passes.implicit.depthwise import is_depthwise
from trtcal_widgets.export.qdq.passes.implicit.flow import int8_readers, is_read, last_of_kernel, moving
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.placement import Site
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_POINTWISE = frozenset(
    {
        *("Add", "Clip", "Div", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Max", "Min", "Mish", "Mul", "Relu"),
        *("Selu", "Sigmoid", "Softplus", "Softsign", "Sub", "Tanh"),
    }
)
_UP_TO_ONE = frozenset({"HardSigmoid", "Sigmoid"})
_DENSE = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


@dataclass(frozen=True)
class Kernel:
    """Pointwise nodes that TensorRT computes in one kernel of their own.

    ``nodes``: in graph order. ``reads``: node -> positions of what it reads from outside. ``sources``: these tensors.
    ``results``: the tensors that others read.
    """

    nodes: tuple[int, ...]
    reads: Mapping[int, tuple[int, ...]]
    sources: tuple[str, ...]
    results: tuple[str, ...]


def own_kernels(graph: ModelGraph, fused: Mapping[int, int]) -> tuple[list[Kernel], dict[str, int]]:
    """Return the kernels, and the layer whose kernel writes a tensor: tensor -> index of the layer."""
    writers: dict[str, int] = {}
    inside: set[int] = set()
    for node in graph.nodes:
        if node.op_type in _DENSE and is_default_domain(node.domain) and moving(graph, node):
            name, nodes = last_of_kernel(graph, node.index, (), fused, depthwise=is_depthwise(graph, node))
            writers[name] = node.index
            inside.update(nodes)
    kernels = []
    for nodes in _components(graph, inside):
        kernel = _kernel(graph, nodes)
        layer = writers.get(kernel.sources[0], -1) if len(kernel.sources) == len(kernel.results) == 1 else -1
        if layer >= 0 and _feeds_only(graph, kernel) and not is_depthwise(graph, graph.nodes[layer]):
            writers[kernel.results[0]] = layer
        else:
            kernels.append(kernel)
    return kernels, writers


def _components(graph: ModelGraph, inside: set[int]) -> list[list[int]]:
    """Return the sets of pointwise nodes that follow each other, less those in a layer's kernel."""
    root: dict[int, int] = {}

    def find(index: int) -> int:
        while root[index] != index:
            index = root[index]
        return index

    free = {node.index for node in graph.nodes if node.index not in inside and _is_pointwise(graph, node)}
    for index in sorted(free):
        root[index] = index
        for name in moving(graph, graph.nodes[index]):
            tensor = graph.tensors[name]
            # What something else reads too is written, and what follows is a kernel of its own. So is a gate's product.
            alone = tensor.is_output or not free.issuperset(tensor.consumers) or _opens(graph, index, name)
            if tensor.producer in root and not alone:
                root[find(tensor.producer)] = find(index)
    grouped: dict[int, list[int]] = {}
    for index in root:
        grouped.setdefault(find(index), []).append(index)
    return list(grouped.values())


def _is_pointwise(graph: ModelGraph, node: NodeInfo) -> bool:
    return (
        node.op_type in _POINTWISE
        and is_default_domain(node.domain)
        and graph.tensors[node.outputs[0]].is_float
        and not graph.tensors[node.outputs[0]].is_fixed
    )


def _kernel(graph: ModelGraph, nodes: list[int]) -> Kernel:
    made = {name for index in nodes for name in graph.nodes[index].outputs}
    sources = dict.fromkeys(n for index in nodes for n in moving(graph, graph.nodes[index]) if n not in made)
    reads = {}
    for index in nodes:
        found = tuple(i for i, name in enumerate(graph.nodes[index].inputs) if name in sources)
        if found:
            reads[index] = found
    results = tuple(
        name
        for index in nodes
        for name in graph.nodes[index].outputs
        if graph.tensors[name].is_output or not set(graph.tensors[name].consumers) <= set(nodes)
    )
    return Kernel(tuple(nodes), reads, tuple(sources), results)


def _opens(graph: ModelGraph, index: int, gate: str) -> bool:
    """Whether a node spreads a gate, one value a channel, over the places of another tensor."""
    return _is_gate(graph, gate) and not _is_gate(graph, graph.nodes[index].outputs[0])


def _is_gate(graph: ModelGraph, name: str) -> bool:
    shape = graph.tensors[name].shape
    return shape is not None and len(shape) > 2 and all(size == 1 for size in shape[2:])


def _feeds_only(graph: ModelGraph, kernel: Kernel) -> bool:
    """Whether nothing else reads what the kernel reads."""
    tensor = graph.tensors[kernel.sources[0]]
    return not tensor.is_output and set(tensor.consumers) <= set(kernel.nodes)


def pointwise_reads(graph: ModelGraph, fused: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Return the nodes of all such kernels with the positions of what they read: to be pruned by the rule below."""
    return {index: positions for kernel in own_kernels(graph, fused)[0] for index, positions in kernel.reads.items()}


def bounded_gates(graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]]) -> Mapping[str, float]:
    """Return the gates of these kernels whose activation says the range, with its end: it needs no calibration."""
    read = {site.tensor for own in sites.values() for site in own if site.rule == "pointwise"}
    gates = [name for name in read if _is_gate(graph, name) and graph.op_type(name) in _UP_TO_ONE]
    return MappingProxyType(dict.fromkeys(gates, 1.0))


def leave_lonely_pointwise(
    graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]
) -> dict[int, str]:
    """Return the pointwise nodes whose kernel reads a tensor that no INT8 layer makes, or makes none that one reads."""
    made, readers = Int8Writers(graph, sites, fused), int8_readers(graph, sites)
    gone: set[int] = set()
    for kernel in made.kernels:
        wanted = any(is_read(graph, name, readers, besides=kernel.nodes) for name in kernel.results)
        if not wanted or not all(made.writes(name) for name in kernel.sources):
            gone.update(kernel.nodes)
    return dict.fromkeys(gone & set(sites), "")


class Int8Writers:
    """Which tensors quantised nodes write, so that they can be INT8 without a pass of their own."""

    def __init__(self, graph: ModelGraph, sites: Mapping[int, tuple[Site, ...]], fused: Mapping[int, int]) -> None:
        self._graph, self._sites = graph, sites
        kernels, self.layers = own_kernels(graph, fused)
        self.kernels = [kernel for kernel in kernels if any(index in sites for index in kernel.nodes)]
        self._made = {name for kernel in self.kernels for name in kernel.results}

    def writes(self, name: str) -> bool:
        """Whether a quantised node writes a tensor, or one whose values are moved to it or joined in it."""
        graph = self._graph
        for one in graph.relatives(name):
            producer = graph.tensors[one].producer
            if self.layers.get(one, -1) in self._sites or producer in self._sites or one in self._made:
                return True
            if producer >= 0 and graph.nodes[producer].op_type == "Concat":
                return all(self.writes(part) for part in moving(graph, graph.nodes[producer]))
        return False
