"""What an importer of one operator works with: the node, the constants, and layers that many importers add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.model.trt8 import shapes
from trtcal_widgets.model.trt8.network import (
    Computed,
    Dims,
    Network,
    OfGraph,
    OfNumber,
    SameAs,
    Tensor,
    UnsureError,
)
from trtcal_widgets.model.trt8.shapes import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto


@dataclass(frozen=True, eq=False)
class Weights:
    """A stored constant, which becomes a layer only where an importer wants a tensor."""

    name: str
    dtype: str
    dims: Dims
    read: Callable[[], NDArray[np.generic]]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.dims)

    def ints(self) -> list[int]:
        """Return its values as integers."""
        return [int(v) for v in self.read().reshape(-1)]

    def number(self) -> float:
        """Return its only value."""
        values = self.read().reshape(-1)
        if len(values) != 1:
            raise UnsureError(f"the constant {self.name!r} must have one value")
        return float(values[0])


Given = Tensor | Weights | None
Result = Sequence[Tensor | Weights]
Importer = Callable[["Node"], Result]

IMPORTERS: dict[str, Importer] = {}
"""Operator of the default domain -> what makes its layers."""

_LONGEST_SHAPE = 64
"""Longer vectors of integers are no shapes, and are not read."""

_COMPARING = frozenset({"And", "Equal", "Greater", "IsInf", "Less", "Not", "Or", "Xor"})


def imports(*op_types: str) -> Callable[[Importer], Importer]:
    """Register an importer."""

    def register(importer: Importer) -> Importer:
        IMPORTERS.update(dict.fromkeys(op_types, importer))
        return importer

    return register


def spread(*dims: Dims | None) -> Dims | None:
    """Return the shape that shapes broadcast to."""
    if any(d is None for d in dims):
        return None
    known = [d for d in dims if d is not None]
    rank = max(len(d) for d in known)
    out = []
    for i in range(rank):
        seen = {d[i - rank + len(d)] for d in known if i - rank + len(d) >= 0} - {1}
        out.append(max(seen, default=1))
    return tuple(out)


class Parser:
    """The network so far, and what ONNX's names stand for in it."""

    def __init__(self, opset: int, activations: frozenset[str]) -> None:
        self.net = Network()
        self.opset = opset
        self.tensors: dict[str, Tensor | Weights] = {}
        self._activations = activations
        self._constants: dict[str, Tensor] = {}

    def tensor(self, given: Given) -> Tensor:
        """Return a tensor; a stored constant becomes one constant layer, wherever it is read."""
        if isinstance(given, Tensor):
            return given
        if given is None:
            raise UnsureError("an input is missing")
        if given.name not in self._constants:
            made = self.net.tensor("CONSTANT", [], given.dtype, given.dims, OfGraph(given.name))
            if (
                given.dtype == "int"
                and given.rank <= 1
                and sum(given.dims) <= _LONGEST_SHAPE
                and made.layer is not None
            ):
                made.layer.integers, made.layer.looked = tuple(given.ints()), True
            self._constants[given.name] = made
        return self._constants[given.name]

    def number(self, value: float, dims: Dims = (), dtype: str = "float") -> Tensor:
        """Add a constant that the parser makes up."""
        return self.net.tensor("CONSTANT", [], dtype, dims, OfNumber(value))

    def ints(self, n: int) -> Tensor:
        """Add a vector of integers, whose values do not matter here."""
        return self.net.tensor("CONSTANT", [], "int", (n,))

    def shape(self, given: Given) -> Shape:
        """Return an input that says a shape: known where it is stored."""
        if isinstance(given, Weights) and given.dtype != "float":
            return Shape(given.ints(), given.rank)
        return Shape.of(self.tensor(given), 0)

    def ranked(self, tensor: Tensor, rank: int) -> Tensor:
        """Put ones before a shape until it has a rank."""
        if tensor.rank > rank:
            raise UnsureError("ranks do not broadcast")
        if tensor.rank == rank:
            return tensor
        ones = shapes.fill(self.net, 1, shapes.vector(rank - tensor.rank))
        new = shapes.concat(self.net, ones, shapes.shape_of(tensor))
        return shapes.add_shuffle(self.net, tensor, new).outputs[0]

    def alike(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Give two tensors one rank."""
        rank = max(a.rank, b.rank)
        return self.ranked(a, rank), self.ranked(b, rank)

    def unsqueeze(self, tensor: Tensor, axes: Iterable[int]) -> Tensor:
        """Add axes of length 1."""
        old = shapes.shape_of(tensor)
        subscripts, dims = list(range(tensor.rank)), list(tensor.known)
        for axis in sorted(set(axes)):
            subscripts.insert(axis, tensor.rank)
            dims.insert(axis, 1)
        new = shapes.interlace(self.net, old, shapes.vector(1), Shape(subscripts))
        return self._moved(tensor, new, tuple(dims))

    def squeeze(self, tensor: Tensor, axes: Iterable[int]) -> Tensor:
        """Take axes away."""
        kept = [i for i in range(tensor.rank) if i not in set(axes)]
        new = shapes.gather(self.net, shapes.shape_of(tensor), Shape(kept))
        return self._moved(tensor, new, tuple(tensor.known[i] for i in kept))

    def _moved(self, tensor: Tensor, new: Shape, dims: Dims) -> Tensor:
        out = shapes.add_shuffle(self.net, tensor, new).outputs[0]
        out.dims = dims
        return out

    def elementwise(self, given: Sequence[Given], op_type: str) -> Tensor:
        """Combine tensors one after the other, all brought to one rank; ``op_type`` is ONNX's operator of two."""
        ranks = [x.rank for x in given if x is not None]
        tensors = [self.ranked(self.tensor(x), max(ranks)) for x in given]
        combined = tensors[0]
        if len(tensors) == 1:
            return self.identity(combined)
        for tensor in tensors[1:]:
            combined = self.pointwise("ELEMENTWISE", [combined, tensor], op_type)
        return combined

    def pointwise(
        self, kind: str, inputs: Sequence[Tensor], op_type: str, attributes: Mapping[str, object] | None = None
    ) -> Tensor:
        """Add a layer that works value by value; ``op_type`` is the ONNX operator of the same meaning."""
        dtype = "bool" if op_type in _COMPARING else inputs[0].dtype
        value = Computed(op_type, tuple(inputs), attributes or {})
        return self.net.tensor(kind, inputs, dtype, spread(*(t.dims for t in inputs)), value, detail=op_type)

    def identity(self, tensor: Tensor) -> Tensor:
        """Add an identity layer."""
        return self.net.tensor("IDENTITY", [tensor], tensor.dtype, tensor.dims, SameAs(tensor))

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        """Add a cast of the parser's own, which is an identity layer with another output type."""
        return self.net.tensor("IDENTITY", [tensor], dtype, tensor.dims, SameAs(tensor))

    def reduce(self, tensor: Tensor, op_type: str, axes: Iterable[int], *, keep: bool) -> Tensor:
        """Add a reduction; ``op_type`` is ONNX's."""
        folded = sorted({axis % max(tensor.rank, 1) for axis in axes})
        dims = tuple(1 if i in folded else d for i, d in enumerate(tensor.known) if keep or i not in folded)
        value = Computed(op_type, (tensor,), {"axes": folded, "keepdims": int(keep)})
        return self.net.tensor("REDUCE", [tensor], tensor.dtype, dims, value)

    def register(self, made: Tensor | Weights, name: str) -> None:
        """Give what a node made its ONNX name."""
        if isinstance(made, Tensor):
            made.name, made.sure = name, True
            if name in self._activations:
                made.value = OfGraph(name)
        self.tensors[name] = made


class Node:
    """One ONNX node.

    ``inputs``: what it reads; None for an input that is left out. ``out_dims``, ``out_dtypes``: what ONNX's shape
    inference says about its outputs.
    """

    def __init__(
        self,
        proto: NodeProto,
        parser: Parser,
        inputs: Sequence[Given],
        out_dims: Sequence[Dims | None],
        out_dtypes: Sequence[str],
    ) -> None:
        self.op_type = proto.op_type
        self.proto = proto
        self.parser = parser
        self.net = parser.net
        self.inputs = inputs
        self.out_dims = out_dims
        self.out_dtypes = out_dtypes
        self._attributes = {a.name: a for a in proto.attribute}

    def has(self, name: str) -> bool:
        """Whether an attribute is given."""
        return name in self._attributes

    def number(self, name: str, default: float) -> float:
        """Return an attribute of one number."""
        return float(self._value(name, default))

    def whole(self, name: str, default: int) -> int:
        """Return an attribute of one integer."""
        return int(self._value(name, default))

    def numbers(self, name: str) -> list[int]:
        """Return an attribute of integers; none where it is not given."""
        return [int(v) for v in self._value(name, ())]

    def text(self, name: str, default: str) -> str:
        """Return an attribute of text."""
        value = self._value(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _value(self, name: str, default: Any) -> Any:
        import onnx

        return onnx.helper.get_attribute_value(self._attributes[name]) if self.has(name) else default

    def given(self, index: int) -> Given:
        """Return an input, None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int) -> Tensor:
        """Return an input as a tensor."""
        return self.parser.tensor(self.given(index))

    def tensors(self) -> list[Tensor]:
        """Return all inputs as tensors."""
        return [self.parser.tensor(given) for given in self.inputs]

    def dims_or(self, rank: int) -> Dims:
        """Return the shape of the first output; dynamic dimensions of a rank where inference knows none."""
        dims = self.out_dims[0] if self.out_dims else None
        return (-1,) * rank if dims is None else dims

    def unsure(self, why: str) -> UnsureError:
        """Return the error of a form of the operator that is not followed."""
        return UnsureError(f"{self.op_type} {why}")
