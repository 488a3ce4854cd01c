"""Which nodes of a model an engine ran in INT8, and which of their inputs it read as INT8."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.errors import EngineError, ModelError, UsageError
from trtcal_widgets.model.engine.inspector import InspectedLayer, read_inspector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_FORMAT = "trtcal_widgets layer precisions"
_BEFORE, _AFTER = frozenset("([{,+| "), frozenset(")]},+| ")


@dataclass(frozen=True)
class LayerPrecisions:
    """What an engine ran in INT8, by the names of the ONNX model.

    Attributes
    ----------
    nodes
        Node name -> ``"int8"``, ``"fp16"``, ``"fp32"``, …: what the layer that it is in computes on. Nodes that no
        layer names (folded away, or inside a generated kernel) are not listed.
    int8_reads
        Node name -> the tensors that it reads as INT8 values, weights not included. A node is quantised by
        ``placement=`` where it reads these.
    model_sha256
        Hash of the model; empty where it is meant for any with these nodes.
    """

    nodes: Mapping[str, str]
    int8_reads: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    model_sha256: str = ""

    @property
    def int8(self) -> tuple[str, ...]:
        """Names of the nodes that ran in INT8."""
        return tuple(name for name, word in self.nodes.items() if word == "int8")

    @classmethod
    def from_inspector(cls, text: str | bytes, graph: ModelGraph) -> LayerPrecisions:
        """Read the JSON of the engine inspector (or of ``trtexec --exportLayerInfo``) of an engine of this model.

        Parameters
        ----------
        text
            The JSON, of an engine that was built with ``ProfilingVerbosity.DETAILED``.
        graph
            The model that it was built from.

        Raises
        ------
        EngineError
            If it is no such JSON, or names no node of this model.
        """
        layers = read_inspector(text)
        matched = [(layer, found) for layer, found in zip(layers, match_layers(layers, graph), strict=True) if found]
        known = any(t.name in graph.tensors for layer in layers for t in (*layer.inputs, *layer.outputs))
        if layers and not (matched or known):
            raise EngineError(
                f"not one of the engine's {len(layers)} layers ({layers[0].name!r} …) names a node of {graph.name}: "
                "was it built from another model?"
            )
        nodes = {node.name: layer.computes_in for layer, found in matched for node in found if not layer.copies}
        reads = _int8_reads(layers, matched, graph)
        return cls(MappingProxyType(nodes), MappingProxyType(reads), graph.sha256)

    def check(self, graph: ModelGraph) -> None:
        """Raise ModelError if it is of another model."""
        known = {node.name for node in graph.nodes}
        missing = [name for name in (*self.nodes, *self.int8_reads) if name not in known]
        if missing:
            raise ModelError(
                f"the layer precisions name {missing[0]!r}, which {graph.name} does not have: were they read from an "
                "engine of another model?"
            )

    def to_json(self) -> str:
        """Return them as JSON text."""
        reads = {name: list(tensors) for name, tensors in self.int8_reads.items()}
        data = {"format": _FORMAT, "model_sha256": self.model_sha256, "nodes": dict(self.nodes), "int8_reads": reads}
        return json.dumps(data, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> LayerPrecisions:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        UsageError
            If the text is something else.
        """
        with damage_as(UsageError, "these are no layer precisions", "Give a file that LayerPrecisions.save wrote"):
            data: Any = json.loads(text)
            if data["format"] != _FORMAT:
                raise UsageError("this JSON is not what LayerPrecisions.save wrote")
            nodes = {str(name): str(word) for name, word in data["nodes"].items()}
            reads = {str(name): tuple(map(str, tensors)) for name, tensors in data["int8_reads"].items()}
            return cls(MappingProxyType(nodes), MappingProxyType(reads), str(data["model_sha256"]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them as JSON, atomically."""
        write_atomic(path, self.to_json().encode())


def as_precisions(given: Any, graph: ModelGraph) -> LayerPrecisions:
    """Return the layer precisions that something says, checked against the model.

    Parameters
    ----------
    given
        Layer precisions, a dict of node name -> ``"int8"`` or another word, or the path of a file: what
        :meth:`LayerPrecisions.save` wrote, or the JSON of an engine inspector.
    graph
        The model.

    Raises
    ------
    UsageError, EngineError
        If it says nothing of the kind.
    ModelError
        If it names nodes that the model does not have.
    """
    if isinstance(given, LayerPrecisions):
        found = given
    elif isinstance(given, dict | MappingProxyType):
        found = LayerPrecisions(MappingProxyType({str(name): str(word).lower() for name, word in given.items()}))
    elif isinstance(given, str | os.PathLike):
        found = _from_file(given, graph)
    else:
        raise UsageError(f"layer precisions are a dict of node name -> 'int8', or a file of them, not {kind_of(given)}")
    found.check(graph)
    return found


def _from_file(path: str | os.PathLike[str], graph: ModelGraph) -> LayerPrecisions:
    data = read_whole(path, error=UsageError, what="the layers of an engine")
    if _FORMAT.encode() in data[:200]:
        return LayerPrecisions.from_json(data)
    try:
        return LayerPrecisions.from_inspector(data, graph)
    except EngineError as error:
        raise EngineError(f"{os.fsdecode(path)}: {error}") from error


def match_layers(layers: Sequence[InspectedLayer], graph: ModelGraph) -> list[tuple[NodeInfo, ...]]:
    """Return the nodes of each layer, in graph order.

    TensorRT 10 says them; before that the layer's name lists them (``conv1 + relu1``, ``PWN(a, b)``, ``q || k``). A
    node without a name is called ``node_of_`` and its first output there.
    """
    known: dict[str, NodeInfo] = {}
    for node in graph.nodes:
        known[node.name] = node
        if node.outputs:
            known.setdefault(f"node_of_{node.outputs[0]}", node)
    longest_first = sorted(known, key=len, reverse=True)
    found = []
    for layer in layers:
        names = [n for n in layer.metadata if n in known] or list(_names_in(layer.name, longest_first))
        own = {known[name].index: known[name] for name in names}
        found.append(tuple(own[index] for index in sorted(own)))
    return found


def _names_in(text: str, names: Collection[str]) -> Iterator[str]:
    """Yield the names that a layer's name lists; each place counts for the longest one."""
    if text.startswith("Reformatting CopyNode"):
        return
    if text.startswith("{ForeignNode["):
        text = text.replace("...", " + ")  # from the first to the last of what was compiled
    data = bytearray(text.encode("utf-8", "surrogatepass"))  # what was found is blanked where it stands
    before, after = "".join(_BEFORE).encode(), "".join(_AFTER).encode()
    for name in names:
        wanted = name.encode("utf-8", "surrogatepass")
        start, found = data.find(wanted) if wanted else -1, False
        while start >= 0:
            end = start + len(wanted)
            if (start == 0 or data[start - 1] in before) and (end == len(data) or data[end] in after):
                found = True
                data[start:end] = bytes(len(wanted))
            start = data.find(wanted, end)
        if found:
            yield name


def _int8_reads(
    layers: Sequence[InspectedLayer], matched: Sequence[tuple[InspectedLayer, tuple[NodeInfo, ...]]], graph: ModelGraph
) -> dict[str, tuple[str, ...]]:
    """Return the reads of INT8 values: of layers that read INT8, and of tensors that their layer writes as INT8."""
    origin = _origins(layers, graph)
    narrow = _stored_int8(layers, graph)
    named = {node.index for _, nodes in matched for node in nodes}
    reads: dict[str, dict[str, None]] = {}
    for layer, nodes in matched:
        if layer.copies:
            continue
        made = _made_inside(nodes, named, graph)
        outside = [
            (node, name)
            for node in nodes
            for name in dict.fromkeys(node.inputs)
            if name and name not in made and not graph.tensors[name].is_fixed
        ]
        stored = [(origin.get(tensor.name, tensor.name), tensor.stored) for tensor in layer.inputs]
        every = bool(stored) and all(word == "int8" for _, word in stored)
        for node, name in outside:
            same = graph.relatives(name)
            if every or name in narrow or any(word == "int8" and source in same for source, word in stored):
                reads.setdefault(node.name, {})[name] = None
    for name in narrow:  # a Concat is no layer: its inputs are written side by side
        if graph.op_type(name) == "Concat":
            node = graph.nodes[graph.tensors[name].producer]
            reads[node.name] = dict.fromkeys(node.inputs)
    return {name: tuple(tensors) for name, tensors in reads.items()}


def _made_inside(nodes: Sequence[NodeInfo], named: Collection[int], graph: ModelGraph) -> set[str]:
    """Return what a layer's nodes make, and what is made of that alone by nodes that TensorRT took out (times 1)."""
    made = {name for node in nodes for name in node.outputs}
    waiting = list(made)
    while waiting:
        for index in graph.tensors[waiting.pop()].consumers:
            node = graph.nodes[index]
            moving = {name for name in node.inputs if name and not graph.tensors[name].is_fixed}
            if index not in named and moving <= made:
                new = [name for name in node.outputs if name and name not in made]
                made.update(new)
                waiting.extend(new)
    return made


def _origins(layers: Sequence[InspectedLayer], graph: ModelGraph) -> dict[str, str]:
    """Return, for TensorRT's own tensors, the tensor of the model whose values a copying layer put there."""
    origin: dict[str, str] = {}
    for layer in layers:
        if layer.copies and len(layer.inputs) == 1:
            source = origin.get(layer.inputs[0].name, layer.inputs[0].name)
            for tensor in layer.outputs:
                if tensor.name not in graph.tensors:
                    origin[tensor.name] = source
    return origin


def _stored_int8(layers: Sequence[InspectedLayer], graph: ModelGraph) -> frozenset[str]:
    """Return the tensors that a layer which computes writes as INT8, or a copy that joins them for a Concat."""
    found = set()
    for layer in layers:
        for tensor in layer.outputs:
            joins = tensor.name in graph.tensors and graph.op_type(tensor.name) == "Concat"
            if tensor.stored == "int8" and tensor.name in graph.tensors and (not layer.copies or joins):
                found.add(tensor.name)
    return frozenset(found)
