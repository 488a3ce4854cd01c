"""Which rows the caches of EntropyCalibration (the first one) and Legacy lack, because they calibrate after fusion.

Rules that explain all 146 caches of these two kinds that TensorRT 8.6.0 wrote for 119 models; a prediction elsewhere.
A tensor has no row where it lies inside

* a convolution with what runs in its kernel: a scale, a number or one number a channel that is added or multiplied, a
  residual that is added before a ReLU, then ReLU and Clip;
* a matrix product of a constant with its bias, a flattening before it and a transposition behind it; a transposition
  before the product of two tensors;
* a chain of operators that work value by value;
* two shuffles that are one;
* x · x, its sum and the root of that: one reduction.

Constants have no row where a shuffle, a product or such a kernel takes them in, or where they hold one number. Legacy
has none for the output of a Concat either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8.network import FLOATS

if TYPE_CHECKING:
    from trtcal_widgets.model.trt8.network import Layer, Tensor
    from trtcal_widgets.model.trt8.rows import NetworkTensors

_CONVOLVING = frozenset({"CONVOLUTION", "DECONVOLUTION"})
_VALUE_BY_VALUE = frozenset({"ACTIVATION", "ELEMENTWISE", "PARAMETRIC_RELU", "SCALE", "UNARY"})
_IN_THE_KERNEL = frozenset({"Clip", "Relu"})
_NOT_IN_A_CHAIN = frozenset({"Sign"})
_LINEAR = frozenset({"Add", "Div", "Mul", "Sub"})
_MATRIX = 2
_CHANNELS_FIRST = 3


def fused_tensors(tensors: NetworkTensors) -> frozenset[int]:
    """Return the identities of the tensors that have no row in the caches that are made after fusion."""
    return _Fusion(tensors).found()


class _Fusion:
    """One way through the layers, kernel by kernel."""

    def __init__(self, tensors: NetworkTensors) -> None:
        self._tensors = tensors
        self._fused: set[int] = set()
        self._taken: set[int] = set()  # layers that belong to the kernel of another

    def found(self) -> frozenset[int]:
        layers = [layer for layer in self._tensors.layers if not layer.in_loop]
        for layer in layers:
            if layer.kind in _CONVOLVING:
                self._convolution(layer)
            elif layer.kind == "MATRIX_MULTIPLY":
                self._product(layer)
        for layer in layers:
            self._norm(layer)
        for layer in layers:
            reader = self._reader(layer.outputs[0]) if self._in_chain(layer) else None
            if reader is not None and self._in_chain(reader):
                self._fused.add(id(layer.outputs[0]))
        for layer in layers:
            self._shuffles(layer)
        for layer in layers:
            self._constants(layer)
        return frozenset(self._fused)

    def _reader(self, tensor: Tensor) -> Layer | None:
        """Return the only layer that reads a tensor, which is no output of the network."""
        readers = self._tensors.readers(tensor)
        return readers[0] if len(readers) == 1 and not self._tensors.is_output(tensor) else None

    def _take(self, tensor: Tensor, layer: Layer) -> None:
        """Have a layer run in the kernel that makes the tensor."""
        self._fused.add(id(tensor))
        self._taken.add(id(layer))

    def _constants_of(self, layer: Layer) -> list[Tensor]:
        return [t for t in layer.inputs if t is not None and self._tensors.is_constant(t)]

    def _convolution(self, layer: Layer) -> None:
        tensor, activated, added = layer.outputs[0], False, False
        while True:
            reader = self._reader(tensor)
            if reader is None or id(reader) in self._taken:
                return
            residual = not added and not activated and self._is_residual(reader)
            if not (residual or self._runs_behind(reader, activated=activated)):
                return
            added = added or residual
            activated = activated or reader.kind == "ACTIVATION"
            self._take(tensor, reader)
            tensor = reader.outputs[0]

    def _runs_behind(self, layer: Layer, *, activated: bool) -> bool:
        """Whether a layer runs in the kernel of the convolution before it."""
        if layer.kind == "ACTIVATION":
            return layer.detail in _IN_THE_KERNEL
        if layer.kind == "SCALE":
            return not activated
        constants = self._constants_of(layer)
        if layer.kind != "ELEMENTWISE" or len(constants) != 1:
            return False
        if activated:
            return layer.detail == "Min" and _is_number(constants[0])  # a ReLU with a ceiling
        return layer.detail in _LINEAR and (_is_number(constants[0]) or _is_per_channel(constants[0]))

    def _is_residual(self, layer: Layer) -> bool:
        if layer.kind != "ELEMENTWISE" or layer.detail != "Add" or self._constants_of(layer):
            return False
        behind = self._reader(layer.outputs[0])
        dims = {t.dims for t in layer.inputs if t is not None}
        return len(dims) == 1 and behind is not None and behind.detail == "Relu"

    def _product(self, layer: Layer) -> None:
        a, b = layer.inputs[:2]
        assert a is not None
        assert b is not None
        if self._tensors.is_constant(b):
            self._product_of_constant(layer, a)
            return
        for operand in (a, b):
            made = operand.layer
            if made is None or not _transposes(made) or self._reader(operand) is not layer:
                continue
            source = made.inputs[0]
            if source is None or id(source) not in self._fused:
                self._fused.add(id(operand))

    def _product_of_constant(self, layer: Layer, a: Tensor) -> None:
        tensor = layer.outputs[0]
        bias = self._reader(tensor)
        if bias is not None and bias.detail == "Add" and self._constants_of(bias) and tensor.rank == _MATRIX:
            self._take(tensor, bias)
            tensor = bias.outputs[0]
        flat = a.layer is not None and a.layer.kind == "SHUFFLE" and a.rank == _MATRIX
        if flat and self._reader(a) is layer:
            self._fused.add(id(a))
        reader = self._reader(tensor)
        if reader is not None and _transposes(reader):
            self._fused.add(id(tensor))
        elif reader is not None and reader.detail == "Relu" and self._feeds_product(reader.outputs[0]):
            self._take(tensor, reader)
            self._fused.add(id(reader.outputs[0]))

    def _feeds_product(self, tensor: Tensor) -> bool:
        """Whether a matrix is only multiplied by a constant: two fully connected layers in a row."""
        reader = self._reader(tensor)
        if reader is None or reader.kind != "MATRIX_MULTIPLY" or reader.inputs[1] is None:
            return False
        return self._tensors.is_constant(reader.inputs[1]) and tensor.rank == _MATRIX

    def _norm(self, layer: Layer) -> None:
        if layer.kind != "ELEMENTWISE" or layer.detail != "Mul" or layer.inputs[0] is not layer.inputs[1]:
            return
        total = self._reader(layer.outputs[0])
        root = self._reader(total.outputs[0]) if total is not None and total.kind == "REDUCE" else None
        if total is not None and root is not None and root.detail == "Sqrt":
            self._take(layer.outputs[0], layer)
            self._take(total.outputs[0], root)

    def _in_chain(self, layer: Layer) -> bool:
        return (
            layer.kind in _VALUE_BY_VALUE
            and layer.detail not in _NOT_IN_A_CHAIN
            and layer.outputs[0].dtype in FLOATS
            and id(layer) not in self._taken
        )

    def _shuffles(self, layer: Layer) -> None:
        if layer.kind != "SHUFFLE" or self._tensors.is_constant(layer.outputs[0]):
            return
        reader = self._reader(layer.outputs[0])
        if reader is None or reader.kind != "SHUFFLE" or _reshapes_and_transposes(layer):
            return
        self._fused.add(id(layer.outputs[0]))
        out, source = reader.outputs[0], layer.inputs[0]
        undone = source is not None and source.dims == out.dims and not (_transposes(layer) or _transposes(reader))
        if undone and not self._tensors.is_output(out):
            self._fused.add(id(out))

    def _constants(self, layer: Layer) -> None:
        for tensor in layer.outputs:
            if not self._tensors.is_constant(tensor):
                continue
            readers = self._tensors.readers(tensor)
            taken_in = {"MATRIX_MULTIPLY", "RECURRENCE", "SHUFFLE", "SLICE"}
            if _is_number(tensor) or any(r.kind in taken_in or id(r) in self._taken for r in readers):
                self._fused.add(id(tensor))


def _transposes(layer: Layer) -> bool:
    return layer.kind == "SHUFFLE" and layer.detail == "transpose"


def _reshapes_and_transposes(layer: Layer) -> bool:
    """Whether a shuffle does both, as DepthToSpace's first: a reshape behind it is a second shuffle then."""
    source = layer.inputs[0]
    return _transposes(layer) and source is not None and source.rank != layer.outputs[0].rank


def _is_number(tensor: Tensor) -> bool:
    return tensor.dims is not None and all(d == 1 for d in tensor.dims)


def _is_per_channel(tensor: Tensor) -> bool:
    dims = tensor.dims
    return dims is not None and len(dims) >= _CHANNELS_FIRST and all(d == 1 for axis, d in enumerate(dims) if axis != 1)
