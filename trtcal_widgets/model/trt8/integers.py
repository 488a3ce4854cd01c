"""Values of shape tensors, as far as the network tells them: TensorRT works shapes out where its parser adds layers.

A Reshape to a concatenation of a batch size, 8 and 15 makes a tensor whose last two dimensions are known, and an
operator behind it that reads one of these needs no layer for it.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.model.trt8.network import Dims, Layer, Tensor

Integers = tuple[int | str | None, ...]
"""Values in order: a dimension that is not known but has a symbol is that symbol, None is not known at all."""

_VALUE_BY_VALUE = frozenset(
    {"ACTIVATION", "CAST", "ELEMENTWISE", "IDENTITY", "PARAMETRIC_RELU", "SCALE", "SELECT", "SOFTMAX", "UNARY"}
)
_SAMPLE_BY_SAMPLE = frozenset({"CONVOLUTION", "DECONVOLUTION", "POOLING", "RESIZE"})

_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": lambda a, b: a // b if b else 0,
    "Min": min,
    "Max": max,
}


def integers_of(tensor: Tensor) -> Integers | None:
    """Return the values of a scalar or vector of integers; None where not even their number is known."""
    layer = tensor.layer
    if layer is None or tensor.dtype != "int" or tensor.dims is None or len(tensor.dims) > 1:
        return None
    if not layer.looked:
        layer.looked = True
        layer.integers = _found(layer)
    return layer.integers


def _found(layer: Layer) -> Integers | None:
    given = [tensor for tensor in layer.inputs if tensor is not None]
    if layer.kind == "SHAPE":
        return dimensions_of(given[0])
    if layer.kind in ("CAST", "IDENTITY", "SHUFFLE"):
        return integers_of(given[0])
    if layer.kind == "CONCATENATION":
        parts = [_all(tensor) for tensor in given]
        return None if None in parts else tuple(value for part in parts if part is not None for value in part)
    if layer.kind == "GATHER" and len(given) > 1:
        return _picked(integers_of(given[0]), integers_of(given[1]))
    if layer.kind == "ELEMENTWISE" and layer.detail in _OPERATIONS and len(given) > 1:
        return _combined(layer.detail, _all(given[0]), _all(given[1]))
    return None


def _all(tensor: Tensor) -> Integers | None:
    """Return the values, unknown ones where only their number is known."""
    found = integers_of(tensor)
    if found is not None or tensor.dims is None or len(tensor.dims) > 1 or -1 in tensor.dims:
        return found
    return (None,) * math.prod(tensor.dims)


def _picked(data: Integers | None, places: Integers | None) -> Integers | None:
    if data is None or places is None:
        return None
    return tuple(data[i] if isinstance(i, int) and -len(data) <= i < len(data) else None for i in places)


def _combined(op_type: str, a: Integers | None, b: Integers | None) -> Integers | None:
    if not a or not b:
        return None
    pairs = [(a[i % len(a)], b[i % len(b)]) for i in range(max(len(a), len(b)))]
    return tuple(_value(op_type, x, y) for x, y in pairs)


def _value(op_type: str, x: int | str | None, y: int | str | None) -> int | str | None:
    if op_type == "Mul" and 0 in (x, y):
        return 0
    if isinstance(x, int) and isinstance(y, int):
        return _OPERATIONS[op_type](x, y)
    if (x, op_type) in ((0, "Add"), (1, "Mul")):
        return y
    if (y, op_type) in ((0, "Add"), (0, "Sub"), (1, "Mul"), (1, "Div")):
        return x
    return x if x == y and op_type in ("Min", "Max") else None


def dimensions_of(tensor: Tensor) -> Integers | None:
    """Return a tensor's dimensions; for one that is not known its symbol, None without any."""
    if tensor.dims is None:
        return None
    return tuple(d if d >= 0 else symbol_of(tensor, axis) for axis, d in enumerate(tensor.dims))


def symbol_of(tensor: Tensor, axis: int) -> str | None:
    """Return the symbol of a dimension: two tensors with the same symbol have the same dimension there."""
    if axis < len(tensor.symbols) and tensor.symbols[axis] is not None:
        return tensor.symbols[axis]
    layer = tensor.layer
    if layer is None:
        return None
    given = [t for t in layer.inputs if t is not None and t.dims is not None and len(t.dims) > 0]
    if not given:
        return None
    if layer.kind in _VALUE_BY_VALUE or (layer.kind in _SAMPLE_BY_SAMPLE and axis == 0):
        same = [t for t in given if t.rank == tensor.rank and t.known[axis] < 0]
        found = symbol_of(same[0], axis) if same else None
    elif layer.kind == "MATRIX_MULTIPLY":
        found = _symbol_of_product(given[0], given[-1], axis, tensor.rank)
    elif layer.order:
        found = symbol_of(given[0], layer.order[axis])
    else:
        found = _symbol_of_new_shape(layer, given[0], axis) if layer.kind in ("SHUFFLE", "SLICE") else None
    return found


def _symbol_of_new_shape(layer: Layer, data: Tensor, axis: int) -> str | None:
    wanted = layer.inputs[-1] if len(layer.inputs) > 1 else None
    values = None if wanted is None else integers_of(wanted)
    value = values[axis] if values is not None and axis < len(values) else None
    if value == 0 and layer.kind == "SHUFFLE" and axis < data.rank:
        return symbol_of(data, axis)
    return value if isinstance(value, str) else None


def _symbol_of_product(a: Tensor, b: Tensor, axis: int, rank: int) -> str | None:
    if axis == rank - 1:
        return symbol_of(b, b.rank - 1)
    for given in (a, b) if axis < rank - 2 else (a,):
        place = axis - rank + given.rank
        if place >= 0 and given.known[place] < 0:
            return symbol_of(given, place)
    return None


def reshaped_dims(data: Tensor, wanted: Integers, *, zero_copies: bool) -> Dims:
    """Return the dimensions after a reshape: 0 copies one, one -1 is worked out."""
    old = dimensions_of(data) or ()
    new = [(old[i] if i < len(old) else None) if v == 0 and zero_copies else v for i, v in enumerate(wanted)]
    dims = [v if isinstance(v, int) else -1 for v in new]
    others = [v for v in new if v != -1]
    if len(others) != len(new) - 1 or None in old or None in others:
        return tuple(dims)
    unknown = [sorted(v for v in values if isinstance(v, str)) for values in (old, others)]
    total, rest = (math.prod(v for v in values if isinstance(v, int)) for values in (old, others))
    if unknown[0] == unknown[1] and rest > 0:
        dims[new.index(-1)] = total // rest
    return tuple(dims)
