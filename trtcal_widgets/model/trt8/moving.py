"""Operators that reshape, cut, join, repeat and pad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8 import shapes
from trtcal_widgets.model.trt8.importing import Node, Result, Weights, imports
from trtcal_widgets.model.trt8.network import SameAs, Tensor
from trtcal_widgets.model.trt8.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trtcal_widgets.model.trt8.network import Dims, Network

_AXES_AS_INPUT = 13
_SLICE_INPUTS = 10
_PADS_AS_INPUT = 11


@imports("Concat")
def _concat(node: Node) -> Result:
    tensors = node.tensors()
    axis = node.whole("axis", 0) % max(tensors[0].rank, 1)
    lengths = [tensor.known[axis] for tensor in tensors]
    total = -1 if min(lengths) < 0 else sum(lengths)
    dims = tuple(total if i == axis else d for i, d in enumerate(tensors[0].known))
    return [node.net.tensor("CONCATENATION", tensors, tensors[0].dtype, dims)]


@imports("Flatten")
def _flatten(node: Node) -> Result:
    net, x = node.net, node.tensor(0)
    axis = node.whole("axis", 1)
    axis += x.rank if axis < 0 else 0
    if x.rank == 2 and axis == 1:
        return [node.parser.identity(x)]
    old = shapes.shape_of(x)
    sides = [shapes.product(net, old, 0, axis, 1), shapes.product(net, old, axis, x.rank, 1)]
    return shapes.add_shuffle(net, x, shapes.concat(net, *sides), zero_copies=False).outputs


@imports("Reshape")
def _reshape(node: Node) -> Result:
    x = node.tensor(0)
    wanted = node.parser.shape(node.given(1))
    return shapes.add_shuffle(node.net, x, wanted, zero_copies=not node.whole("allowzero", 0)).outputs


def _axes(node: Node) -> list[int]:
    """Return the axes, from an input or an attribute; none where they are left out."""
    given = node.given(1)
    if node.parser.opset < _AXES_AS_INPUT or given is None:
        return node.numbers("axes")
    if isinstance(given, Tensor):
        raise node.unsure("with computed axes is not taken by the parser")
    return given.ints()


@imports("Squeeze")
def _squeeze(node: Node) -> Result:
    x = node.tensor(0)
    axes = _axes(node) or [i for i, d in enumerate(x.known) if d == 1]
    return [node.parser.squeeze(x, [axis % x.rank for axis in axes])]


@imports("Unsqueeze")
def _unsqueeze(node: Node) -> Result:
    x = node.tensor(0)
    axes = _axes(node)
    return [node.parser.unsqueeze(x, [axis % (x.rank + len(axes)) for axis in axes])]


@imports("Transpose")
def _transpose(node: Node) -> Result:
    x = node.tensor(0)
    order = node.numbers("perm") or list(range(x.rank))[::-1]
    dims = tuple(x.known[i] for i in order)
    detail = "transpose" if _moves(x.known, order) else ""
    layer = node.net.add("SHUFFLE", [x], x.dtype, dims, SameAs(x), detail=detail)
    layer.order = tuple(order)
    return layer.outputs


def _moves(dims: Dims, order: Sequence[int]) -> bool:
    """Whether a transposition moves values, not only axes of length 1."""
    last = 0
    for axis in order:
        if dims[axis] != 1:
            if dims[axis] == -1 or axis < last:
                return True
            last = axis
    return False


@imports("DepthToSpace", "SpaceToDepth")
def _depth_and_space(node: Node) -> Result:
    net, x = node.net, node.tensor(0)
    block = shapes.vector(node.whole("blocksize", 1))
    old = shapes.shape_of(x)
    n, c, h, w = (shapes.gather(net, old, shapes.vector(i)) for i in range(4))
    if node.op_type == "DepthToSpace":
        depth = shapes.floor_div(net, c, shapes.mul(net, block, block))
        height, width = shapes.mul(net, h, block), shapes.mul(net, w, block)
        between = [block, block, depth] if node.text("mode", "DCR") == "DCR" else [depth, block, block]
        parts = [n, *between, h, w]
    else:
        depth = shapes.mul(net, c, shapes.mul(net, block, block))
        height, width = shapes.floor_div(net, h, block), shapes.floor_div(net, w, block)
        parts = [n, c, height, block, width, block]
    first = shapes.add_shuffle(net, x, shapes.joined(net, parts))
    first.detail = "transpose"
    return shapes.add_shuffle(net, first.outputs[0], shapes.joined(net, [n, depth, height, width])).outputs


@imports("Expand")
def _expand(node: Node) -> Result:
    net, x = node.net, node.tensor(0)
    dims = shapes.shape_of(x)
    rank = shapes.shape_of(dims)
    wanted = node.parser.shape(node.given(1))
    length = shapes.shape_of(wanted)
    new_rank = shapes.largest(net, length, rank)
    new_dims = shapes.concat(net, shapes.fill(net, 1, shapes.sub(net, new_rank, rank)), dims)
    data = shapes.reshaped(net, x, new_dims)
    new_shape = shapes.concat(net, shapes.fill(net, 1, shapes.sub(net, new_rank, length)), wanted)
    starts = shapes.similar(net, new_dims, 0)
    sizes = shapes.broadcast(net, new_dims, new_shape)
    one = shapes.vector(1)
    strides = shapes.smallest(net, one, shapes.sub(net, new_dims, one))
    layer = shapes.add_slice(net, data, starts, sizes, strides)
    layer.detail = "broadcast"
    return layer.outputs


@imports("Tile")
def _tile(node: Node) -> Result:
    net, x = node.net, node.tensor(0)
    dims = shapes.shape_of(x)
    size = shapes.mul(net, dims, node.parser.shape(node.given(1)))
    ones = shapes.similar(net, dims, 1)
    return shapes.add_slice(net, x, shapes.similar(net, dims, 0), size, ones).outputs


@imports("Slice")
def _slice(node: Node) -> Result:
    net, parser, x = node.net, node.parser, node.tensor(0)
    dims = shapes.shape_of(x)
    if parser.opset >= _SLICE_INPUTS:
        starts, ends = parser.shape(node.given(1)), parser.shape(node.given(2))
        given_axes, given_steps = node.given(3), node.given(4)
        axes = shapes.iota(x.rank) if given_axes is None else parser.shape(given_axes)
        steps = shapes.similar(net, starts, 1) if given_steps is None else parser.shape(given_steps)
    else:
        starts, ends = Shape(node.numbers("starts")), Shape(node.numbers("ends"))
        axes = Shape(node.numbers("axes")) if node.has("axes") else shapes.iota(starts.length)
        steps = shapes.similar(net, starts, 1)
    if not axes.known:
        raise node.unsure("with computed axes is not taken by the parser")
    along = [axis % x.rank for axis in axes.listed]
    if along != list(range(x.rank)):
        places = list(range(x.rank))
        for i, axis in enumerate(along):
            places[axis] = x.rank + i
        subscripts = Shape(places)
        starts = shapes.interlace(net, shapes.similar(net, dims, 0), starts, subscripts)
        ends = shapes.interlace(net, dims, ends, subscripts)
        steps = shapes.interlace(net, shapes.similar(net, dims, 1), steps, subscripts)
    starts, ends = _inside(net, dims, steps, starts, ends)
    sizes = shapes.largest(net, shapes.similar(net, dims, 0), _sizes(net, starts, ends, steps, dims))
    return shapes.add_slice(net, x, starts, sizes, steps).outputs


def _clamped(net: Network, x: Shape, low: Shape, high: Shape) -> Shape:
    return shapes.smallest(net, shapes.largest(net, x, low), high)


def _from_the_end(net: Network, dims: Shape, indices: Shape) -> Shape:
    """Negative indices count from the end."""
    signs = _clamped(net, indices, shapes.vector(-1), shapes.vector(0))
    return shapes.sub(net, indices, shapes.mul(net, signs, dims))


def _inside(net: Network, dims: Shape, steps: Shape, starts: Shape, ends: Shape) -> tuple[Shape, Shape]:
    """Return the starts and the ends, moved to where values are."""
    sign = _clamped(net, steps, shapes.vector(-1), shapes.vector(0))
    starts = _from_the_end(net, dims, starts)
    starts = _clamped(net, starts, shapes.vector(0), shapes.add(net, dims, sign))
    ends = _from_the_end(net, dims, ends)
    return starts, _clamped(net, ends, sign, dims)


def _sizes(net: Network, starts: Shape, ends: Shape, steps: Shape, dims: Shape) -> Shape:
    if steps.all_are(1):
        return shapes.sub(net, ends, starts)
    steps_back = shapes.floor_div(net, shapes.sub(net, starts, ends), steps)
    return shapes.sub(net, shapes.similar(net, dims, 0), steps_back)


@imports("Split")
def _split(node: Node) -> Result:
    net, parser, x = node.net, node.parser, node.tensor(0)
    dims = shapes.shape_of(x)
    axis = node.whole("axis", 0) % max(x.rank, 1)
    subscripts = Shape([x.rank if i == axis else i for i in range(x.rank)])
    parts = len(node.out_dims)
    lengths = _split_lengths(node)
    along = start = shapes.vector(0)
    if lengths is None:
        along = shapes.floor_div(net, shapes.gather(net, dims, shapes.vector(axis)), shapes.vector(parts))
    sizes = dims if lengths is not None else shapes.interlace(net, dims, along, subscripts)
    zeros, ones = shapes.similar(net, dims, 0), shapes.similar(net, dims, 1)
    starts, out = zeros, []
    for i in range(parts):
        if i:
            start = shapes.add(net, start, along)
            starts = shapes.interlace(net, zeros, start, subscripts)
        if lengths is not None:
            along = shapes.gather(net, lengths, shapes.vector(i))
            sizes = shapes.interlace(net, dims, along, subscripts)
        out.extend(shapes.add_slice(net, parser.tensor(x), starts, sizes, ones).outputs)
    return out


def _split_lengths(node: Node) -> Shape | None:
    if node.parser.opset < _AXES_AS_INPUT:
        return Shape(node.numbers("split")) if node.has("split") else None
    given = node.given(1)
    return None if given is None else node.parser.shape(given)


@imports("Pad")
def _pad(node: Node) -> Result:
    net, parser, x = node.net, node.parser, node.tensor(0)
    given = node.given(1) if parser.opset >= _PADS_AS_INPUT else None
    filling = _filling(node)
    if parser.opset >= _PADS_AS_INPUT and isinstance(given, Tensor):
        pre, post = (net.tensor("SLICE", [given], "int", (x.rank,)) for _ in range(2))
        zeros = parser.ints(x.rank)
        start = net.tensor("ELEMENTWISE", [zeros, pre], "int", (x.rank,))
        total = net.tensor("ELEMENTWISE", [pre, post], "int", (x.rank,))
    else:
        pads = given.ints() if isinstance(given, Weights) else node.numbers("pads")
        start = parser.ints(x.rank)
        total = net.integers([a + b for a, b in zip(pads[: x.rank], pads[x.rank :], strict=True)])
    shape = shapes.shape_of(x).as_tensor(net)
    size = net.tensor("ELEMENTWISE", [shape, total], "int", (x.rank,), detail="Add")
    dims = shapes.dims_of(Shape.of(size, 0)) if node.out_dims[0] is None else node.out_dims[0]
    layer = net.add("SLICE", [x, start, size], x.dtype, dims)
    if node.text("mode", "constant") == "constant":
        if isinstance(filling, Tensor):
            layer.inputs.extend([None, filling])
        elif filling:
            layer.inputs.extend([None, parser.number(filling, (), x.dtype)])
    return layer.outputs


def _filling(node: Node) -> Tensor | float:
    """Return what pads: a number, or a tensor where it is computed or an integer."""
    if node.parser.opset < _PADS_AS_INPUT:
        return node.number("value", 0.0)
    given = node.given(2)
    if given is None:
        return 0.0
    return given.number() if isinstance(given, Weights) and given.dtype == "float" else node.parser.tensor(given)
