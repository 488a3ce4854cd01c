"""Shapes as the parser computes with them: what is known is folded, what is not becomes layers.

Where a C++ call has two operands that make layers, the second one's come first, as the parser's compiler had it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8.integers import dimensions_of, integers_of, reshaped_dims
from trtcal_widgets.model.trt8.network import SameAs, UnsureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trtcal_widgets.model.trt8.integers import Integers
    from trtcal_widgets.model.trt8.network import Dims, Layer, Network, Tensor

_LEAST, _MOST = -(2**63), 2**63 - 1
_SHAPE_OF_SHAPE = 2


class Shape:
    """A vector or scalar of integers: known values, the shape of a tensor (depth 1), or a tensor's values (depth 0)."""

    def __init__(self, values: Iterable[int] | None = None, rank: int = 1) -> None:
        self.values = None if values is None else list(values)
        self.rank = rank
        self.size = None if self.values is None else len(self.values)
        self.known = self.values is not None
        self.tensor: Tensor | None = None
        self.depth = 0

    @classmethod
    def of(cls, tensor: Tensor, depth: int) -> Shape:
        """Return the values (depth 0), the shape (1) or the rank (2) of a tensor."""
        dims = tensor.known
        if depth > _SHAPE_OF_SHAPE:
            return cls([1])
        shape = cls(None if depth == 0 else dims if depth == 1 else [len(dims)])
        shape.tensor, shape.depth = tensor, depth
        if depth == 0:
            shape.rank = len(dims)
            shape.size = 1 if not dims else dims[0] if dims[0] >= 0 else None
        else:
            shape.known = all(d >= 0 for d in shape.values or ())
        return shape

    def knows(self, index: int) -> bool:
        """Whether one value is known."""
        return self.known or (self.values is not None and self.values[index] >= 0)

    def all_are(self, value: int) -> bool:
        """Whether every value is known to be this one."""
        return self.known and all(v == value for v in self.listed)

    @property
    def listed(self) -> list[int]:
        """The known values."""
        if self.values is None:
            raise UnsureError("a shape is computed where it must be known")
        return self.values

    @property
    def length(self) -> int:
        """The number of values, which must be known."""
        if self.size is None:
            raise UnsureError("the length of a computed shape is not known")
        return self.size

    def as_tensor(self, net: Network) -> Tensor:
        """Return a tensor of these values: a constant, or shape layers."""
        if self.tensor is None or self.depth:
            if self.known:
                self.tensor = net.integers(self.listed, self.rank)
                self.depth = 0
            while self.depth > 0 and self.tensor is not None:
                self.tensor = net.tensor("SHAPE", [self.tensor], "int", (self.tensor.rank,))
                self.depth -= 1
        assert self.tensor is not None
        return self.tensor


def vector(*values: int) -> Shape:
    """Return known values."""
    return Shape(values)


def scalar(value: int) -> Shape:
    """Return one known value of rank 0."""
    return Shape([value], 0)


def iota(n: int) -> Shape:
    """Return 0, 1, … n - 1."""
    return Shape(range(n))


def shape_of(x: Tensor | Shape) -> Shape:
    """Return the shape of a tensor, or of a shape."""
    if not isinstance(x, Shape):
        return Shape.of(x, 1)
    if x.tensor is not None:
        return Shape.of(x.tensor, x.depth + 1)
    return Shape([], 0) if x.rank == 0 else Shape([x.length])


def fill(net: Network, value: int, count: Shape) -> Shape:
    """Return ``count`` times a value."""
    if count.known:
        return Shape([value] * count.listed[0])
    one = vector(value).as_tensor(net)
    return Shape.of(add_slice(net, one, vector(0), count, vector(0)).outputs[0], 0)


def similar(net: Network, like: Shape, value: int) -> Shape:
    """Return a value as often as another shape has values."""
    return fill(net, value, shape_of(like))


def _operate(
    net: Network, op_type: str, x: Shape, y: Shape, neutral: int, f: Callable[[int, int], int], *, commutes: bool = True
) -> Shape:
    if x.size is not None and y.size is not None:
        if y.all_are(neutral) and y.size <= x.size:
            return copy.copy(x)
        if commutes and x.all_are(neutral) and x.size <= y.size:
            return copy.copy(y)
    if x.known and y.known:
        a, b = x.listed, y.listed
        return Shape([f(a[i % len(a)], b[i % len(b)]) for i in range(max(len(a), len(b)))], x.rank)
    right = y.as_tensor(net)
    left = x.as_tensor(net)
    dims = left.dims if left.dims != (1,) else right.dims
    return Shape.of(net.tensor("ELEMENTWISE", [left, right], "int", dims, detail=op_type), 0)


def add(net: Network, x: Shape, y: Shape) -> Shape:
    """Return x + y."""
    return _operate(net, "Add", x, y, 0, lambda a, b: a + b)


def sub(net: Network, x: Shape, y: Shape) -> Shape:
    """Return x - y."""
    return _operate(net, "Sub", x, y, 0, lambda a, b: a - b, commutes=False)


def mul(net: Network, x: Shape, y: Shape) -> Shape:
    """Return x * y."""
    return _operate(net, "Mul", x, y, 1, lambda a, b: a * b)


def smallest(net: Network, x: Shape, y: Shape) -> Shape:
    """Return min(x, y)."""
    return _operate(net, "Min", x, y, _MOST, min)


def largest(net: Network, x: Shape, y: Shape) -> Shape:
    """Return max(x, y)."""
    return _operate(net, "Max", x, y, _LEAST, max)


def floor_div(net: Network, x: Shape, y: Shape) -> Shape:
    """Return x // y."""
    return _operate(net, "Div", x, y, 1, lambda a, b: a // b if b else 0, commutes=False)


def broadcast(net: Network, x: Shape, y: Shape) -> Shape:
    """Return the shape that two shapes of one rank broadcast to."""
    low = smallest(net, x, smallest(net, y, similar(net, y, 1)))
    high = largest(net, x, y)
    return mul(net, high, low)


def product(net: Network, x: Shape, first: int, last: int, rank: int) -> Shape:
    """Return the product of some neighbouring values."""
    total = Shape([1], rank)
    for i in range(first, last):
        total = mul(net, total, gather(net, x, Shape([i], rank)))
    return total


def concat(net: Network, x: Shape, y: Shape) -> Shape:
    """Return the values of x, then those of y."""
    if x.size == 0:
        return copy.copy(y)
    if y.size == 0:
        return copy.copy(x)
    if x.known and y.known:
        return Shape([*x.listed, *y.listed])
    tensors = [x.as_tensor(net), y.as_tensor(net)]
    size = -1 if x.size is None or y.size is None else x.size + y.size
    return Shape.of(net.tensor("CONCATENATION", tensors, "int", (size,)), 0)


def joined(net: Network, parts: Sequence[Shape]) -> Shape:
    """Concatenate from the right, as nested calls do."""
    out = parts[-1]
    for part in parts[-2::-1]:
        out = concat(net, part, out)
    return out


def gather(net: Network, data: Shape, indices: Shape) -> Shape:
    """Return the values at some places."""
    if indices.known and all(data.knows(i) for i in indices.listed):
        return Shape([data.listed[i] for i in indices.listed], indices.rank)
    right = indices.as_tensor(net)
    left = data.as_tensor(net)
    return Shape.of(net.tensor("GATHER", [left, right], "int", right.dims), 0)


def interlace(net: Network, x: Shape, y: Shape, subscripts: Shape) -> Shape:
    """Return values of x and y in the order of the subscripts, which count through both."""
    return gather(net, concat(net, x, y), subscripts)


def to_1d(net: Network, x: Shape) -> Shape:
    """Return a scalar as a vector."""
    if x.knows(0):
        return vector(x.listed[0])
    return Shape.of(add_shuffle(net, x.as_tensor(net), vector(1)).outputs[0], 0)


def _partly(shape: Shape) -> Integers | None:
    """Return the values as far as TensorRT knows them; its parser may not, and adds layers for them."""
    if shape.known:
        return tuple(shape.listed)
    if shape.depth == 0 and shape.tensor is not None:
        return integers_of(shape.tensor)
    if shape.depth == 1 and shape.tensor is not None:
        return dimensions_of(shape.tensor)
    return None


def dims_of(shape: Shape) -> Dims | None:
    """Return the dimensions of what has this shape; None where not even the rank is known."""
    values = _partly(shape)
    if values is not None:
        return tuple(v if isinstance(v, int) and v >= 0 else -1 for v in values)
    return None if shape.size is None else (-1,) * shape.size


def add_shuffle(net: Network, data: Tensor, new: Shape, *, zero_copies: bool = True) -> Layer:
    """Add a reshape."""
    wanted = _partly(new)
    if wanted is not None and data.dims is not None:
        dims: Dims | None = reshaped_dims(data, wanted, zero_copies=zero_copies)
    else:
        dims = dims_of(new)
    layer = net.add("SHUFFLE", [data], data.dtype, dims, SameAs(data))
    if not new.known:
        layer.inputs.append(new.as_tensor(net))
    return layer


def reshaped(net: Network, data: Tensor, new: Shape) -> Tensor:
    """Reshape, unless it is the shape already."""
    old = shape_of(data)
    known = old.known and new.known
    same = old.values == new.values if known else (old.tensor is new.tensor and old.depth == new.depth)
    return data if same else add_shuffle(net, data, new).outputs[0]


def add_slice(net: Network, data: Tensor, starts: Shape, sizes: Shape, strides: Shape) -> Layer:
    """Add a slice; what of the three is not known becomes an input of it, behind the layer itself."""
    layer = net.add("SLICE", [data], data.dtype, dims_of(sizes))
    layer.integers, layer.looked = _cut(data, starts, sizes, strides), True
    extra = [None if s.known else s.as_tensor(net) for s in (starts, sizes, strides)]
    while extra and extra[-1] is None:
        extra.pop()
    layer.inputs.extend(extra)
    return layer


def _cut(data: Tensor, starts: Shape, sizes: Shape, strides: Shape) -> Integers | None:
    """Return what a slice takes of a vector of integers."""
    values = integers_of(data)
    if values is None or not (starts.known and sizes.known and strides.known):
        return None
    (first,), (count,), (step,) = starts.listed, sizes.listed, strides.listed
    places = [first + i * step for i in range(count)]
    return tuple(values[i] if 0 <= i < len(values) else None for i in places)
