"""Which tensors of TensorRT's network have rows in its caches, in its order, and whose values they hold.

Learned from what TensorRT 8.6.0 wrote for 118 models (EntropyCalibration2 and MinMax). A floating-point tensor has a
row, except

* what nothing reads that leads to an output, and what is in a loop;
* tensors of rank 0;
* the output of a shuffle that changes nothing: the shuffle is gone, and its input takes its name where that is an
  output of the network;
* what is made of constants alone, or by a gather, scatter, select, grid sample or normalisation, and is read only by
  such layers, by comparisons and by the products of a loop;
* a softmax whose logarithm is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8.network import FLOATS, SameAs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.model.trt8.network import Layer, Network, Tensor, Value

_LEAVING = frozenset({"ITERATOR", "RECURRENCE", "TRIP_LIMIT"})
_NOT_CALIBRATED = frozenset({"GATHER", "GRID_SAMPLE", "NORMALIZATION", "SCATTER", "SELECT"})
"""Layers that want no scales: a tensor between two of them has no row."""

_OF_CONSTANTS = frozenset(
    {"CAST", "CONCATENATION", "CONSTANT", "ELEMENTWISE", "GATHER", "REDUCE", "SHAPE", "SHUFFLE", "SLICE", "UNARY"}
)
"""Layers that TensorRT can work out before it calibrates where they read constants alone."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One row.

    ``name``: the row's. ``tensor``: the tensor whose histogram decides: for a pool's output the pool's input. ``own``:
    the tensor itself. ``sure``: whether the name is certain.
    """

    name: str
    tensor: Tensor
    own: Tensor
    sure: bool


def resolved(tensor: Tensor) -> tuple[Tensor, Value]:
    """Return where the values of a tensor come from, past everything that only moves them."""
    while isinstance(tensor.value, SameAs):
        tensor = tensor.value.tensor
    return tensor, tensor.value


def _live(net: Network) -> list[Layer]:
    """Return the layers that lead to an output."""
    waiting = [tensor.layer for tensor in net.outputs]
    seen: set[int] = set()
    while waiting:
        layer = waiting.pop()
        if layer is not None and layer.index not in seen:
            seen.add(layer.index)
            waiting.extend(tensor.layer for tensor in layer.inputs if tensor is not None)
    return [layer for layer in net.layers if layer.index in seen]


def _changes_nothing(layer: Layer) -> bool:
    if layer.kind != "SHUFFLE" or layer.detail == "transpose" or layer.inputs[0] is None:
        return False
    before, after = layer.inputs[0].dims, layer.outputs[0].dims
    if before is None or before != after:
        return False
    return layer.detail == "same" or sum(d < 0 for d in before) <= 1


class NetworkTensors:
    """A network's tensors with their readers: what has a row, and whose values it holds.

    ``layers``: the layers that lead to an output.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self.layers = _live(net)
        self._outputs = {id(tensor) for tensor in net.outputs}
        self._readers: dict[int, list[tuple[Layer, int]]] = {}
        for layer in self.layers:
            for place, tensor in enumerate(layer.inputs):
                if tensor is not None:
                    self._readers.setdefault(id(tensor), []).append((layer, place))
        self._constant: set[int] = set()
        self._renamed: dict[int, str] = {}
        self._gone: set[int] = set()
        self._leaders: dict[int, Tensor] = {}
        for layer in self.layers:
            self._look_at(layer)

    def readers(self, tensor: Tensor) -> list[Layer]:
        """Return the layers that read a tensor, also behind a shuffle that changes nothing."""
        found = []
        for layer, _ in self._readers.get(id(tensor), ()):
            gone = layer.kind == "SHUFFLE" and id(layer.outputs[0]) in self._gone
            found += self.readers(layer.outputs[0]) if gone else [layer]
        return found

    def is_output(self, tensor: Tensor) -> bool:
        """Whether a tensor is an output of the network."""
        return id(tensor) in self._outputs

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether a tensor is made of constants alone."""
        return id(tensor) in self._constant

    def _look_at(self, layer: Layer) -> None:
        read = [tensor for tensor in layer.inputs if tensor is not None]
        if layer.kind in _OF_CONSTANTS and all(id(tensor) in self._constant for tensor in read):
            self._constant.update(id(tensor) for tensor in layer.outputs)
        if layer.kind == "POOLING":
            self._leaders[id(layer.outputs[0])] = self._leader(read[0])
        if _changes_nothing(layer):
            self._take_out(read[0], layer.outputs[0])

    def _take_out(self, before: Tensor, after: Tensor) -> None:
        if id(after) in self._outputs:
            if id(before) in self._outputs or before in self._net.inputs:
                return
            self._renamed[id(before)] = after.name
        self._gone.add(id(after))
        self._leaders[id(after)] = self._leader(before)

    def _leader(self, tensor: Tensor) -> Tensor:
        return self._leaders.get(id(tensor), tensor)

    def entries(self) -> Iterator[Entry]:
        """Yield the rows in TensorRT's order: inputs first, then layer by layer."""
        for tensor in self._net.inputs:
            if tensor.dtype in FLOATS:
                yield Entry(tensor.name, tensor, tensor, sure=True)
        for layer in self.layers:
            if layer.in_loop or layer.kind in _LEAVING:
                continue
            for tensor in layer.outputs:
                if self._has_row(tensor):
                    name = self._renamed.get(id(tensor))
                    yield Entry(name or tensor.name, self._leader(tensor), tensor, tensor.sure or name is not None)

    def _has_row(self, tensor: Tensor) -> bool:
        if tensor.dtype not in FLOATS or tensor.dims == () or id(tensor) in self._gone:
            return False
        layer = tensor.layer
        if id(tensor) in self._constant or (layer is not None and layer.kind in _NOT_CALIBRATED):
            return self.is_output(tensor) or self._is_wanted(tensor)
        return not (layer is not None and layer.kind == "SOFTMAX" and self._is_of_logarithm(tensor))

    def _is_of_logarithm(self, tensor: Tensor) -> bool:
        readers = self.readers(tensor)
        return len(readers) == 1 and readers[0].detail == "Log" and not self.is_output(tensor)

    def _is_wanted(self, tensor: Tensor) -> bool:
        return any(self._wants(layer) for layer, _ in self._readers.get(id(tensor), ()))

    def _wants(self, layer: Layer) -> bool:
        """Whether a layer wants the scales of what it reads."""
        if layer.kind in _NOT_CALIBRATED or (layer.in_loop and layer.kind == "MATRIX_MULTIPLY"):
            return False
        if layer.kind in ("SHUFFLE", "SLICE") and id(layer.outputs[0]) in self._constant:
            return self._is_wanted(layer.outputs[0])
        return layer.outputs[0].dtype in FLOATS
