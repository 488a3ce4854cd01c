"""Values of shape tensors, as far as the network tells them: TensorRT works shapes out where its parser adds layers.

A Reshape to a concatenation of a batch size, 8 and 15 makes a tensor whose last two dimensions are known, and an
operator behind it that reads one of these needs no layer for it.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trtcal_widgets.model.trt8.network import Dims, Layer, Tensor

__all__ = ["Integers", "integers_of", "reshaped_dims", "sliced_dims"]

Integers = tuple[int | None, ...]
"""Values in order; None where one is not known."""

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
        return _values(given[0].dims)
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


def _values(dims: Dims | None) -> Integers | None:
    return None if dims is None else tuple(d if d >= 0 else None for d in dims)


def _all(tensor: Tensor) -> Integers | None:
    """Return the values, unknown ones where only their number is known."""
    found = integers_of(tensor)
    if found is not None or tensor.dims is None or len(tensor.dims) > 1 or -1 in tensor.dims:
        return found
    return (None,) * math.prod(tensor.dims)


def _picked(data: Integers | None, places: Integers | None) -> Integers | None:
    if data is None or places is None:
        return None
    return tuple(data[i] if i is not None and -len(data) <= i < len(data) else None for i in places)


def _combined(op_type: str, a: Integers | None, b: Integers | None) -> Integers | None:
    if not a or not b:
        return None
    f = _OPERATIONS[op_type]
    pairs = [(a[i % len(a)], b[i % len(b)]) for i in range(max(len(a), len(b)))]
    zero = op_type == "Mul"
    return tuple(0 if zero and 0 in (x, y) else f(x, y) if x is not None and y is not None else None for x, y in pairs)


def reshaped_dims(dims: Dims, wanted: Sequence[int | None], *, zero_copies: bool) -> Dims:
    """Return the dimensions after a reshape: 0 copies one, one -1 is worked out, None is not known."""
    out = [
        (dims[i] if i < len(dims) else -1) if v == 0 and zero_copies else -1 if v is None else v
        for i, v in enumerate(wanted)
    ]
    if list(wanted).count(-1) == 1 and None not in wanted and all(d >= 0 for d in dims):
        place = list(wanted).index(-1)
        rest = math.prod(v for i, v in enumerate(out) if i != place)
        out[place] = math.prod(dims) // rest if rest > 0 else -1
    return tuple(out)


def sliced_dims(sizes: Integers | None) -> Dims | None:
    """Return the dimensions that a slice of these sizes has."""
    return None if sizes is None else tuple(-1 if v is None or v < 0 else v for v in sizes)
