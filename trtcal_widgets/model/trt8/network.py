"""Layers and tensors of TensorRT's network, and where each tensor's values come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trtcal_widgets.model.trt8.integers import Integers

Dims = tuple[int, ...]
"""A shape as TensorRT's parser knows it: -1 where a dimension is dynamic."""

FLOATS = frozenset({"float", "half"})
"""Element types of tensors that have a range; the others are ``int`` and ``bool``."""


class UnsureError(Exception):
    """It cannot be told which layers a node becomes; never leaves this package."""


@dataclass(frozen=True, eq=False)
class OfGraph:
    """The values of a tensor of the ONNX graph: an input, an activation or a stored constant."""

    name: str


@dataclass(frozen=True, eq=False)
class OfNumber:
    """One number that the parser writes down itself, such as a Gemm's alpha."""

    value: float


@dataclass(frozen=True, eq=False)
class SameAs:
    """The values of another tensor in another order or shape."""

    tensor: Tensor


@dataclass(frozen=True, eq=False)
class Computed:
    """What a standard ONNX operator makes of other tensors: no tensor of the graph has these values.

    ``integers`` are inputs behind the tensors.
    """

    op_type: str
    inputs: tuple[Tensor, ...]
    attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    integers: tuple[tuple[int, ...], ...] = ()


Value = OfGraph | OfNumber | SameAs | Computed | None


@dataclass(eq=False)
class Tensor:
    """One tensor of the network.

    Attributes
    ----------
    name
        What TensorRT calls it, and so its row.
    dtype
        ``float``, ``half``, ``int`` or ``bool``.
    dims
        Its shape; None where not even the rank is known.
    value
        Where its values come from; None where they cannot be had.
    sure
        Whether the number in the name is certain.
    layer
        What makes it; None for an input.
    symbols
        Names of the dimensions that are not known, where ONNX's inference has names: equal names, equal dimensions.
    """

    name: str
    dtype: str
    dims: Dims | None
    value: Value = None
    sure: bool = True
    layer: Layer | None = None
    symbols: tuple[str | None, ...] = ()

    @property
    def known(self) -> Dims:
        """The shape, whose rank must be known."""
        if self.dims is None:
            raise UnsureError("a shape is not known")
        return self.dims

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.known)


@dataclass(eq=False)
class Layer:
    """One layer; ``detail`` is ``transpose``, ``broadcast``, ``same``, or ONNX's operator of its meaning.

    ``integers`` are the values of an integer output, as far as they were ``looked`` for and are known; ``order`` is
    that of the axes of a transposition.
    """

    index: int
    kind: str
    inputs: list[Tensor | None]
    outputs: list[Tensor] = field(default_factory=list)
    detail: str = ""
    in_loop: bool = False
    integers: Integers | None = None
    looked: bool = False
    order: tuple[int, ...] = ()


_TITLES = {
    "MATRIX_MULTIPLY": "Matrix Multiply",
    "ELEMENTWISE": "ElementWise",
    "LRN": "LRN",
    "NMS": "NMS",
    "PARAMETRIC_RELU": "ParametricReLU",
    "TOPK": "TopK",
}


def _title(kind: str) -> str:
    """``LOOP_OUTPUT`` -> ``LoopOutput``, as a default name spells it."""
    return _TITLES.get(kind) or "".join(word.capitalize() for word in kind.split("_"))


class Network:
    """The layers so far.

    ``unsure``: why the count of layers cannot be trusted from here on; empty while it can.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.unsure = ""

    def input(self, name: str, dtype: str, dims: Dims | None) -> Tensor:
        """Add an input of the network."""
        tensor = Tensor(name, dtype, dims, OfGraph(name))
        self.inputs.append(tensor)
        return tensor

    def add(
        self,
        kind: str,
        inputs: Iterable[Tensor | None],
        dtype: str = "float",
        dims: Dims | None = None,
        value: Value = None,
        *,
        detail: str = "",
        n_outputs: int = 1,
    ) -> Layer:
        """Add a layer, whose outputs get TensorRT's default names."""
        layer = Layer(len(self.layers), kind, list(inputs), detail=detail)
        for i in range(n_outputs):
            suffix = "" if n_outputs == 1 else f"_{i + 1}"
            name = f"(Unnamed Layer* {layer.index}) [{_title(kind)}]_output{suffix}"
            layer.outputs.append(Tensor(name, dtype, dims, value, not self.unsure, layer))
        self.layers.append(layer)
        return layer

    def tensor(
        self,
        kind: str,
        inputs: Iterable[Tensor | None],
        dtype: str = "float",
        dims: Dims | None = None,
        value: Value = None,
        *,
        detail: str = "",
    ) -> Tensor:
        """Add a layer with one output, and return that."""
        return self.add(kind, inputs, dtype, dims, value, detail=detail).outputs[0]

    def integers(self, values: Sequence[int], rank: int = 1) -> Tensor:
        """Add a constant of known integers."""
        made = self.add("CONSTANT", [], "int", (len(values),) if rank else ())
        made.integers, made.looked = tuple(values), True
        return made.outputs[0]
