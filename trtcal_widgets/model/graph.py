"""The ONNX graph as immutable facts: what a session, a view or an exporter may ask about a model.

Nothing here imports onnx: a saved session brings its graph along as JSON and is explored on a machine
that does not have the model file. :mod:`trtcal_widgets.model.load` makes these facts from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import repeat
from types import MappingProxyType
from typing import Any

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.words import did_you_mean
from trtcal_widgets.errors import ModelError, UsageError

__all__ = [
    "FLOAT_DTYPES",
    "Dim",
    "ModelGraph",
    "NetworkRow",
    "NetworkRows",
    "NodeInfo",
    "TensorInfo",
    "TensorKind",
]

Dim = int | str | None
"""One dimension of a shape: a number, the name of a dynamic dimension, or unknown."""

FLOAT_DTYPES = frozenset({"float32", "float16", "float64", "bfloat16"})
"""The element types whose tensors have a range to calibrate."""


class TensorKind(str, Enum):
    """What a tensor is to calibration."""

    INPUT = "input"
    """A graph input that is fed with calibration data."""
    ACTIVATION = "activation"
    """The output of a node that is computed from an input."""
    CONSTANT = "constant"
    """A constant that TensorRT sees as a tensor (it has a row in a calibration cache)."""
    WEIGHT = "weight"
    """A constant that is part of a layer (kernel, bias, statistics): never in a calibration cache."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of the graph.

    Attributes
    ----------
    name
        The name in the model file. It may hold anything: it is text, never markup.
    kind
        What the tensor is to calibration.
    dtype
        NumPy's name of the element type (``"float32"``), or ``""`` where it could not be inferred.
    shape
        Numbers, names of dynamic dimensions, or ``None``; ``None`` as a whole where the rank is unknown.
    producer
        Index into :attr:`ModelGraph.nodes`, or -1 for inputs and initialisers.
    consumers
        Indices of the nodes that read it, in graph order, each once.
    is_output
        Whether the tensor is an output of the graph.
    """

    name: str
    kind: TensorKind
    dtype: str
    shape: tuple[Dim, ...] | None
    producer: int
    consumers: tuple[int, ...]
    is_output: bool = False

    @property
    def is_float(self) -> bool:
        """Whether the tensor holds floating-point values, so that it has a range."""
        return self.dtype in FLOAT_DTYPES

    @property
    def is_fixed(self) -> bool:
        """Whether the tensor is a constant or a weight: the same in every run."""
        return self.kind in (TensorKind.CONSTANT, TensorKind.WEIGHT)


def check_facts(data: Any) -> None:
    """Refuse JSON that no :meth:`ModelGraph.to_json` has made: everything after it trusts the facts.

    Raises ModelError if a field is missing, of another type, or points to a node or tensor that is not there.
    """

    def demand(holds: object, what: str) -> None:
        if not holds:
            raise ModelError(f"the facts of a model are damaged: {what}")

    def texts(values: Any) -> bool:
        return isinstance(values, list) and all(isinstance(value, str) for value in values)

    demand(isinstance(data, Mapping), "they are no object")
    demand(all(isinstance(data.get(key), str) for key in ("name", "sha256")), "its name or hash is no text")
    demand(type(data.get("opset")) is int, "its opset is no number")
    demand(isinstance(data.get("metadata"), Mapping), "its metadata are no object")
    demand(all(map(isinstance, data["metadata"].values(), repeat(str))), "its metadata hold other things than texts")
    demand(texts(data.get("outputs", [])), "its outputs are no list of names")
    nodes, tensors = data.get("nodes"), data.get("tensors")
    demand(isinstance(nodes, list) and isinstance(tensors, list), "nodes or tensors are no list")
    for node in nodes:
        demand(isinstance(node, list) and len(node) == 5 and texts(node[:3]), f"a node is {str(node)[:60]}")
        demand(texts(node[3]) and texts(node[4]), f"a node reads or makes {str(node[3:])[:60]}")
    kinds = {kind.value for kind in TensorKind}
    for tensor in tensors:
        demand(isinstance(tensor, list) and len(tensor) == 7, f"a tensor is {str(tensor)[:60]}")
        name, kind, dtype, shape, producer, consumers, is_output = tensor
        demand(texts([name, kind, dtype]) and kind in kinds, f"a tensor is {str(tensor)[:60]}")
        dims = shape is None or (isinstance(shape, list) and all(d is None or type(d) in (int, str) for d in shape))
        demand(dims, f"tensor {name!r} has the shape {str(shape)[:60]}")
        demand(type(producer) is int and -1 <= producer < len(nodes), f"tensor {name!r} is made by {producer!r}")
        places = isinstance(consumers, list) and all(type(c) is int and 0 <= c < len(nodes) for c in consumers)
        demand(places and type(is_output) is bool, f"tensor {name!r} is read by {str(consumers)[:60]}")
    known = {tensor[0] for tensor in tensors}
    demand(len(known) == len(tensors), "two tensors have one name")
    demand(all(name in known for node in nodes for name in node[4] if name), "a node makes a tensor that is not listed")
    for key in ("groups", "passing"):
        groups = data.get(key, [])
        listed = isinstance(groups, list) and all(texts(group) and set(group) <= known for group in groups)
        demand(listed and (key != "groups" or key in data), f"its {key} are no lists of its tensors")


@dataclass(frozen=True)
class NodeInfo:
    """One node of the graph. No two have one name: where the file gives none or gives it twice, one is made up."""

    index: int
    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class NetworkRow:
    """A row of TensorRT 8's cache.

    Attributes
    ----------
    name
        The row's.
    tensor
        The tensor whose values decide: one of the graph, or one of :attr:`NetworkRows.inner`; empty for a number.
    number
        What a constant holds that TensorRT's parser makes up.
    own
        The tensor whose values it has itself, where that is another one: a pool's output.
    fused
        Whether it is predicted to be inside a fused kernel: EntropyCalibration and Legacy have no such row.
    joins
        Whether it is the output of a Concat, for which Legacy has no row.
    """

    name: str
    tensor: str = ""
    number: float = 0.0
    own: str = ""
    fused: bool = False
    joins: bool = False


@dataclass(frozen=True)
class NetworkRows:
    """The rows that TensorRT 8.6 writes for the model; see :mod:`trtcal_widgets.model.trt8`.

    Attributes
    ----------
    rows
        In TensorRT's order.
    left_out
        Rows that cannot be predicted, with the reason; a number that is not known is a question mark.
    inner
        Names of tensors that no ONNX node makes and that are counted beside the model's.
    """

    rows: tuple[NetworkRow, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    inner: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "rows": [[r.name, r.tensor, r.number, r.own, r.fused, r.joins] for r in self.rows],
            "left_out": [list(pair) for pair in self.left_out],
            "inner": list(self.inner),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkRows:
        """Read what :meth:`to_json` returned."""
        with damage_as(ModelError, "the facts of a model are damaged", "Record the session again"):
            return cls._from_json(data)

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> NetworkRows:
        rows = tuple(
            NetworkRow(str(name), str(tensor), float(number), str(own), bool(fused), bool(joins))
            for name, tensor, number, own, fused, joins in data["rows"]
        )
        left_out = tuple((str(name), str(why)) for name, why in data["left_out"])
        return cls(rows, left_out, tuple(str(name) for name in data["inner"]))


@dataclass(frozen=True)
class ModelGraph:
    """A model as facts, in graph (topological) order.

    Attributes
    ----------
    name
        File name, for people.
    sha256
        Hash of the file's bytes (external data not included), hex: a saved session is refused on another model.
    opset
        Version of the default ONNX domain.
    tensors
        All tensors in graph order: inputs first, constants where they are first read.
    nodes
        All nodes of the main graph in topological order.
    groups
        Sets of float tensors that share one scale, each in graph order; the first member is the *leader*,
        whose histogram decides (see :mod:`trtcal_widgets.model.kinds`). Only groups of two and more.
    passing
        Sets of float tensors between which values are only moved or picked (``Reshape``, ``MaxPool``, …), in the
        same form: where one has no row in a cache, that of another fits it.
    trt8
        The rows that TensorRT 8.6 writes; none in facts that an older version saved.
    output_names
        The outputs in the file's order; none in facts that an older version saved.
    """

    name: str
    sha256: str
    opset: int
    tensors: Mapping[str, TensorInfo]
    nodes: tuple[NodeInfo, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    passing: tuple[tuple[str, ...], ...] = ()
    trt8: NetworkRows = NetworkRows()
    metadata: Mapping[str, str] = field(default_factory=dict)
    output_names: tuple[str, ...] = ()

    @cached_property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Graph inputs that must be fed, in the file's order."""
        return tuple(t for t in self.tensors.values() if t.kind is TensorKind.INPUT)

    @cached_property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Graph outputs, in the file's order: the first one is what people take for the result."""
        found = {t.name: t for t in self.tensors.values() if t.is_output}
        return tuple(found[name] for name in dict.fromkeys([*self.output_names, *found]) if name in found)

    @cached_property
    def float_tensors(self) -> tuple[str, ...]:
        """Names of all tensors that have a range: inputs, activations, constants and weights."""
        return tuple(t.name for t in self.tensors.values() if t.is_float)

    @cached_property
    def activations(self) -> tuple[str, ...]:
        """Names of the float tensors that nodes compute from the inputs."""
        return tuple(t.name for t in self.tensors.values() if t.is_float and t.kind is TensorKind.ACTIVATION)

    @cached_property
    def calibrated(self) -> tuple[str, ...]:
        """Names of the tensors that TensorRT gives a cache row: float, and not a weight."""
        return tuple(t.name for t in self.tensors.values() if t.is_float and t.kind is not TensorKind.WEIGHT)

    @cached_property
    def _group_index(self) -> Mapping[str, tuple[str, ...]]:
        return MappingProxyType({name: group for group in self.groups for name in group})

    @cached_property
    def _passing_index(self) -> Mapping[str, tuple[str, ...]]:
        return MappingProxyType({name: group for group in self.passing for name in group})

    def group_of(self, name: str) -> tuple[str, ...]:
        """Return the tensors that share a scale with ``name``, itself included, leader first."""
        return self._group_index.get(name) or (self.tensor(name).name,)

    def relatives(self, name: str) -> tuple[str, ...]:
        """Return the tensors that hold values of ``name``, moved or picked, or give them to it; itself included."""
        return self._passing_index.get(name) or (self.tensor(name).name,)

    def tensor(self, name: str) -> TensorInfo:
        """Return the facts of one tensor.

        Raises
        ------
        ModelError
            If the model has no tensor of that name; close names are suggested.
        """
        try:
            return self.tensors[name]
        except (KeyError, TypeError):
            if not isinstance(name, str):
                raise UsageError(f"a tensor's name is text, not {kind_of(name)}") from None
            raise ModelError(f"{self.name} has no tensor {name!r}{did_you_mean(name, self.tensors)}") from None

    def op_type(self, name: str) -> str:
        """Return the operator that makes a tensor, ``"Input"`` or ``"Constant"`` where there is none."""
        tensor = self.tensor(name)
        if tensor.producer >= 0:
            return self.nodes[tensor.producer].op_type
        return "Input" if tensor.kind is TensorKind.INPUT else "Constant"

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain JSON values; :meth:`from_json` reads them back."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "opset": self.opset,
            "metadata": dict(self.metadata),
            "groups": [list(group) for group in self.groups],
            "passing": [list(group) for group in self.passing],
            "trt8": self.trt8.to_json(),
            "outputs": list(self.output_names),
            "nodes": [[n.name, n.op_type, n.domain, list(n.inputs), list(n.outputs)] for n in self.nodes],
            "tensors": [
                [
                    t.name,
                    t.kind.value,
                    t.dtype,
                    None if t.shape is None else list(t.shape),
                    t.producer,
                    list(t.consumers),
                    t.is_output,
                ]
                for t in self.tensors.values()
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelGraph:
        """Make the facts from what :meth:`to_json` returned, in this version or an older one.

        Groups of an older one are found anew: they were those that are ``passing`` now.
        """
        from trtcal_widgets.model.kinds import find_groups

        check_facts(data)
        nodes = tuple(
            NodeInfo(i, name, op, domain, tuple(ins), tuple(outs))
            for i, (name, op, domain, ins, outs) in enumerate(data["nodes"])
        )
        listed = [
            TensorInfo(
                name=name,
                kind=TensorKind(kind),
                dtype=dtype,
                shape=None if shape is None else tuple(shape),
                producer=producer,
                consumers=tuple(consumers),
                is_output=is_output,
            )
            for name, kind, dtype, shape, producer, consumers, is_output in data["tensors"]
        ]
        tensors = {t.name: t for t in listed}
        trt8 = NetworkRows.from_json(data["trt8"]) if "trt8" in data else NetworkRows()
        known = {"", *tensors, *trt8.inner}
        if not all(row.tensor in known for row in trt8.rows):
            raise ModelError("the facts of a model are damaged: a row of TensorRT 8 is of a tensor that is not listed")
        groups = tuple(tuple(group) for group in data["groups"])
        return cls(
            name=data["name"],
            sha256=data["sha256"],
            opset=data["opset"],
            metadata=MappingProxyType(dict(data["metadata"])),
            groups=groups if "passing" in data else find_groups(nodes, tensors),
            passing=tuple(tuple(group) for group in data.get("passing", groups)),
            trt8=trt8,
            nodes=nodes,
            tensors=MappingProxyType(tensors),
            output_names=tuple(data.get("outputs", ())),
        )
