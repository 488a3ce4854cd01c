"""Putting Q/DQ pairs into an ONNX graph: names, initialisers and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.export.qdq.formats import INT8
from trtcal_widgets.model.files import iter_tensors, subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

    from trtcal_widgets.export.qdq.formats import QdqFormat


@dataclass(frozen=True, eq=False)
class Pair:
    """One Q/DQ pair to insert.

    Attributes
    ----------
    tensor
        The tensor in front of it.
    scale
        Float32, shape () or (channels,).
    axis
        The axis of the channels, -1 for one scale.
    dtype
        Element type of the tensor, and so of the scale in the file.
    readers
        (first output of the node, position of the input) of all that read through it.
    """

    tensor: str
    scale: NDArray[np.float32]
    axis: int
    dtype: str
    readers: tuple[tuple[str, int], ...]


def insert_pairs(
    proto: ModelProto,
    pairs: Sequence[Pair],
    format: QdqFormat = INT8,  # noqa: A002 - what users call it
) -> list[tuple[str, str]]:
    """Insert the pairs into the model, in place; return the names of the quantised and the dequantised tensor of each.

    No name that was there changes. A pair stands before the first node that reads through it: a sorted graph stays so.
    """
    names = _Names(proto.graph)
    zero_points = _ZeroPoints(proto.graph, names, format)
    new: dict[tuple[str, int], int] = {}
    made: list[tuple[str, str]] = []
    nodes: list[tuple[NodeProto, NodeProto]] = []
    for index, pair in enumerate(pairs):
        quantized, dequantized = names.make(f"{pair.tensor}_quantized"), names.make(f"{pair.tensor}_dequantized")
        scale = names.make(f"{pair.tensor}_scale")
        _add_initializer(proto.graph, scale, pair.scale.astype(pair.dtype))
        zero = zero_points.get(pair.scale.shape)
        nodes.append(_pair_nodes(names, pair, (pair.tensor, quantized, dequantized), scale, zero))
        made.append((quantized, dequantized))
        new.update(dict.fromkeys(pair.readers, index))
    _splice(proto.graph, new, nodes, [name for _, name in made])
    return made


class _Names:
    """Names that are free everywhere in the model, subgraphs included."""

    def __init__(self, graph: GraphProto) -> None:
        self._taken = set(_all_names(graph))

    def make(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name


def _all_names(graph: GraphProto) -> Iterator[str]:
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
    yield from (tensor.name for tensor in iter_tensors(graph))
    for node in graph.node:
        yield node.name
        yield from node.input
        yield from node.output
        for subgraph in subgraphs(node):
            yield from _all_names(subgraph)


class _ZeroPoints:
    """Zeros of the format, one initialiser per shape, shared by all pairs."""

    def __init__(self, graph: GraphProto, names: _Names, format: QdqFormat) -> None:  # noqa: A002
        self._graph = graph
        self._names = names
        self._format = format
        self._made: dict[tuple[int, ...], str] = {}

    def get(self, shape: tuple[int, ...]) -> str:
        from onnx import TensorProto, helper

        if shape not in self._made:
            name = self._names.make("_".join([f"zero_point_{self._format.name}", *map(str, shape)]))
            kind = getattr(TensorProto, self._format.type_name)
            zeros = bytes(int(np.prod(shape, dtype=np.int64)))  # both types have one byte, and 0 is 0 in both
            self._graph.initializer.append(helper.make_tensor(name, kind, shape, zeros, raw=True))
            self._made[shape] = name
        return self._made[shape]


def _add_initializer(graph: GraphProto, name: str, array: NDArray[np.generic]) -> None:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(array, name))


def _pair_nodes(
    names: _Names, pair: Pair, tensors: tuple[str, str, str], scale: str, zero: str
) -> tuple[NodeProto, NodeProto]:
    from onnx import helper

    tensor, quantized, dequantized = tensors
    axis: dict[str, Any] = {"axis": pair.axis} if pair.axis >= 0 else {}
    made = []
    for op, read, written in (
        ("QuantizeLinear", tensor, quantized),
        ("DequantizeLinear", quantized, dequantized),
    ):
        name = names.make(f"{tensor}_{op}")
        made.append(helper.make_node(op, [read, scale, zero], [written], name=name, **axis))
    return made[0], made[1]


def _splice(
    graph: GraphProto,
    new: Mapping[tuple[str, int], int],
    pairs: Sequence[tuple[NodeProto, NodeProto]],
    dequantized: Sequence[str],
) -> None:
    """Let the readers read through their pairs, and put each pair before its first reader."""
    readers = {output for output, _ in new}
    nodes: list[NodeProto] = []
    placed: set[int] = set()
    for node in graph.node:
        first = node.output[0] if node.output else ""
        for position in range(len(node.input)) if first in readers else ():
            pair = new.get((first, position))
            if pair is None:
                continue
            if pair not in placed:
                placed.add(pair)
                nodes.extend(pairs[pair])
            node.input[position] = dequantized[pair]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
