"""Operators that pick, sort, resize and reduce, and those that make shapes into tensors."""

from __future__ import annotations

from trtcal_widgets.model.trt8 import shapes
from trtcal_widgets.model.trt8.importing import Given, Node, Parser, Result, imports
from trtcal_widgets.model.trt8.network import OfNumber, SameAs, Tensor
from trtcal_widgets.model.trt8.pointwise import unary
from trtcal_widgets.model.trt8.shapes import Shape

_SIZES_FROM = 11
_K_AS_INPUT = 10
_FLOAT_TYPES = frozenset({1, 10, 11, 16})


@imports("Resize", "Upsample")
def _resize(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    layer = node.net.add("RESIZE", [x], x.dtype, node.dims_or(x.rank))
    if node.op_type == "Resize" and parser.opset >= _SIZES_FROM:
        scales, sizes = node.given(2), node.given(3)
        if sizes is not None and node.text("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn":
            layer.inputs.append(parser.tensor(sizes))
            if node.out_dims[0] is None:
                layer.outputs[0].dims = shapes.dims_of(parser.shape(sizes))
            return layer.outputs
    else:
        scales = node.given(1)
    if isinstance(scales, Tensor):
        layer.inputs.append(_sizes_of(parser, x, scales))
    elif scales is not None and node.out_dims[0] is None:
        factors = scales.read().reshape(-1)
        layer.outputs[0].dims = tuple(
            int(d * float(f)) if d >= 0 else -1 for d, f in zip(x.known, factors, strict=True)
        )
    return layer.outputs


def _sizes_of(parser: Parser, x: Tensor, scales: Tensor) -> Tensor:
    """Multiply the shape by computed scales."""
    net = parser.net
    shape = parser.cast(shapes.shape_of(x).as_tensor(net), "float")
    product = net.tensor("ELEMENTWISE", [scales, shape], "float", shape.dims)
    return parser.cast(net.tensor("UNARY", [product], "float", shape.dims), "int")


@imports("Gather", "GatherElements", "GatherND")
def _gather(node: Node) -> Result:
    x, indices = node.tensors()
    dims = node.out_dims[0]
    if dims is None and node.op_type == "Gather":
        axis = node.whole("axis", 0) % max(x.rank, 1)
        dims = (*x.known[:axis], *indices.known, *x.known[axis + 1 :])
    return [node.net.tensor("GATHER", [x, indices], x.dtype, dims)]


@imports("ScatterND", "ScatterElements", "Scatter")
def _scatter(node: Node) -> Result:
    data, indices, updates = node.tensors()
    return [node.net.tensor("SCATTER", [data, indices, updates], data.dtype, data.dims)]


@imports("GridSample")
def _grid_sample(node: Node) -> Result:
    x, grid = node.tensors()
    return [node.net.tensor("GRID_SAMPLE", [x, grid], x.dtype, node.dims_or(x.rank))]


@imports("ReverseSequence")
def _reverse_sequence(node: Node) -> Result:
    x, lengths = node.tensors()
    return [node.net.tensor("REVERSE_SEQUENCE", [x, lengths], x.dtype, x.dims)]


def _scalar(parser: Parser, tensor: Tensor) -> Tensor:
    """Take the axes of a tensor of one value away."""
    return parser.net.tensor("SHUFFLE", [tensor], tensor.dtype, (), SameAs(tensor)) if tensor.rank else tensor


@imports("TopK")
def _topk(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    narrow, whole = x.rank == 1, x.dtype == "int"
    x = parser.unsqueeze(x, [1]) if narrow else x
    x = parser.cast(x, "float") if whole else x
    dims = node.dims_or(x.rank - narrow)
    layer = node.net.add("TOPK", [x], x.dtype, (*dims, 1) if narrow else dims, n_outputs=2)
    if parser.opset >= _K_AS_INPUT:
        layer.inputs.append(_scalar(parser, node.tensor(1)))
    values, indices = layer.outputs
    indices.dtype = "int"
    if narrow:
        squeezed = parser.squeeze(values, [1])
        values.value = SameAs(squeezed)
        values, indices = squeezed, parser.squeeze(indices, [1])
    return [parser.cast(values, "int") if whole else values, indices]


@imports("ArgMax", "ArgMin")
def _arg(node: Node) -> Result:
    if node.whole("select_last_index", 0):
        raise node.unsure("with select_last_index is not followed")
    parser, x = node.parser, node.tensor(0)
    x = parser.cast(x, "float") if x.dtype == "int" else x
    axis = node.whole("axis", 0) % x.rank
    dims = tuple(1 if i == axis else d for i, d in enumerate(x.known))
    indices = node.net.add("TOPK", [x], x.dtype, dims, n_outputs=2).outputs[1]
    indices.dtype = "int"
    return [indices if node.whole("keepdims", 1) else parser.squeeze(indices, [axis])]


@imports("OneHot")
def _one_hot(node: Node) -> Result:
    parser = node.parser
    values, indices = node.tensor(2), node.tensor(0)
    indices = indices if indices.dtype == "int" else parser.cast(indices, "int")
    depth = node.tensor(1)
    depth = _scalar(parser, depth if depth.dtype == "int" else parser.cast(depth, "int"))
    return [node.net.tensor("ONE_HOT", [indices, values, depth], values.dtype, node.out_dims[0])]


@imports("NonZero")
def _non_zero(node: Node) -> Result:
    x = node.tensor(0)
    return [node.net.tensor("NON_ZERO", [x], "int", (x.rank, -1))]


@imports("NonMaxSuppression")
def _nms(node: Node) -> Result:
    net, parser = node.net, node.parser
    boxes, scores = node.tensor(0), node.tensor(1)
    limits = []
    for i in range(2, 5):
        given = node.given(i)
        if isinstance(given, Tensor):
            limits.append(_scalar(parser, given))
        elif given is not None or i == 2:
            limits.append(net.tensor("CONSTANT", [], "int", ()))
    dims = tuple(scores.known[i] for i in (0, 2, 1))
    turned = net.tensor("SHUFFLE", [scores], scores.dtype, dims, SameAs(scores), detail="transpose")
    return net.add("NMS", [boxes, turned, *limits], "int", (-1, 3), n_outputs=2).outputs[:1]


@imports("Shape")
def _shape(node: Node) -> Result:
    x = node.tensor(0)
    return [node.net.tensor("SHAPE", [x], "int", (x.rank,))]


@imports("Size")
def _size(node: Node) -> Result:
    given = node.given(0)
    if given is None:
        raise node.unsure("has no input")
    dims = shapes.shape_of(given) if isinstance(given, Tensor) else Shape(given.dims)
    return [shapes.product(node.net, dims, 0, dims.length, 0).as_tensor(node.net)]


@imports("ConstantOfShape")
def _constant_of_shape(node: Node) -> Result:
    from onnx import numpy_helper

    wanted = node.tensor(0)
    stated = next((a.t for a in node.proto.attribute if a.name == "value"), None)
    value, dtype, dims = 0.0, "float", (1,)
    if stated is not None:
        value = float(numpy_helper.to_array(stated).reshape(-1)[0])
        dtype = "float" if stated.data_type in _FLOAT_TYPES else "int"
        dims = tuple(stated.dims)
    return [filled(node.parser, node.parser.number(value, dims, dtype), wanted)]


def filled(parser: Parser, constant: Tensor, wanted: Tensor) -> Tensor:
    """Repeat a constant of one value up to a computed shape."""
    net = parser.net
    size = Shape.of(wanted, 0)
    zeros = shapes.similar(net, size, 0)
    data = shapes.reshaped(net, constant, shapes.similar(net, size, 1))
    layer = shapes.add_slice(net, data, zeros, size, zeros)
    layer.detail = "broadcast"
    layer.outputs[0].value = constant.value if isinstance(constant.value, OfNumber) else None
    return layer.outputs[0]


@imports("Range")
def _range(node: Node) -> Result:
    net, parser = node.net, node.parser
    if any(given is None or given.dtype == "float" for given in node.inputs):
        raise node.unsure("of floating-point numbers is not followed")
    start, limit, delta = (parser.shape(given) for given in node.inputs)
    steps, zero = shapes.floor_div(net, shapes.sub(net, start, limit), delta), shapes.scalar(0)
    count = shapes.to_1d(net, shapes.largest(net, shapes.sub(net, zero, steps), zero))
    layer = net.add("FILL", [], "int", shapes.dims_of(count) or (-1,))
    if not count.known:
        layer.inputs.append(count.as_tensor(net))
    if not (start.known and delta.known):
        layer.inputs.append(start.as_tensor(net))
        layer.inputs.append(shapes.to_1d(net, delta).as_tensor(net))
    return layer.outputs


def _reduced(node: Node, tensor: Tensor, op_type: str, axes: Given = None) -> Tensor:
    if isinstance(axes, Tensor):
        raise node.unsure("with computed axes is not taken by the parser")
    along = node.numbers("axes") or (axes.ints() if axes is not None else [])
    return node.parser.reduce(tensor, op_type, along or range(tensor.rank), keep=bool(node.whole("keepdims", 1)))


@imports("ReduceSum")
def _reduce_sum(node: Node) -> Result:
    return [_reduced(node, node.tensor(0), "ReduceSum", node.given(1))]


@imports("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd")
def _reduce(node: Node) -> Result:
    if node.given(1) is not None:
        raise node.unsure("takes its axes from an input since opset 18, which the parser of 8.6 does not read")
    return [_reduced(node, node.tensor(0), node.op_type)]


@imports("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def _reduce_more(node: Node) -> Result:
    if node.given(1) is not None:
        raise node.unsure("takes its axes from an input since opset 18, which the parser of 8.6 does not read")
    parser, x = node.parser, node.tensor(0)
    if node.op_type == "ReduceL1":
        return [_reduced(node, unary(parser, x, "Abs"), "ReduceSum")]
    if node.op_type in ("ReduceL2", "ReduceSumSquare"):
        total = _reduced(node, parser.pointwise("ELEMENTWISE", [x, x], "Mul"), "ReduceSum")
        return [unary(parser, total, "Sqrt") if node.op_type == "ReduceL2" else total]
    x = unary(parser, x, "Exp") if node.op_type == "ReduceLogSumExp" else x
    return [unary(parser, _reduced(node, x, "ReduceSum"), "Log")]


@imports("EyeLike")
def _eye_like(node: Node) -> Result:
    x = node.tensor(0)
    made = node.net.tensor("CONSTANT", [], "int", x.known)
    return [node.parser.cast(made, "float") if node.whole("dtype", 1) in _FLOAT_TYPES else made]
