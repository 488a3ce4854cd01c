"""Convolutions, pools and matrix products."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8 import shapes
from trtcal_widgets.model.trt8.importing import Node, Result, Weights, imports, spread
from trtcal_widgets.model.trt8.network import Computed, Dims, OfGraph, SameAs, Tensor
from trtcal_widgets.model.trt8.pointwise import unary

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_ONE_AXIS = 3
"""Rank of what is convolved or pooled along one axis: TensorRT gives it a second axis first."""


def _spread_out(node: Node) -> tuple[Tensor, bool]:
    """Return the first input, with a second axis to work along where it has one, and whether that was added."""
    x = node.tensor(0)
    narrow = x.rank == _OF_ONE_AXIS
    return (node.parser.unsqueeze(x, [3]) if narrow else x), narrow


def _layer(node: Node, kind: str, inputs: Sequence[Tensor], *, narrow: bool) -> Tensor:
    dims = _dims(node, kind, inputs[0], inputs[0].rank - narrow)
    out = node.net.tensor(kind, inputs, inputs[0].dtype, (*dims, 1) if narrow else dims)
    if not narrow:
        return out
    squeezed = node.parser.squeeze(out, [3])
    out.value = SameAs(squeezed)
    return squeezed


def _dims(node: Node, kind: str, x: Tensor, rank: int) -> Dims:
    """Return the output's shape; where inference does not know it, what the input's tells."""
    inferred, weight = node.out_dims[0], node.given(1)
    if inferred is not None:
        return inferred
    channels, kernel = x.known[1], node.numbers("kernel_shape")
    if kind != "POOLING":
        stored = weight.dims if isinstance(weight, Weights) else ()
        channels, kernel = (stored[0], list(stored[2:])) if stored and kind == "CONVOLUTION" else (-1, [])
    return (x.known[0], channels, *(_along(node, x.known[2 + i], i, kernel) for i in range(rank - 2)))


def _along(node: Node, length: int, i: int, kernel: Sequence[int]) -> int:
    """Return the output's length along a spatial axis; -1 where it is not known."""
    n_axes = len(kernel)
    if length < 0 or i >= n_axes or node.text("auto_pad", "NOTSET") != "NOTSET":
        return -1
    pads, strides = node.numbers("pads") or [0] * (2 * n_axes), node.numbers("strides") or [1] * n_axes
    spread_to = (kernel[i] - 1) * (node.numbers("dilations") or [1] * n_axes)[i] + 1
    over = length + pads[i] + pads[n_axes + i] - spread_to
    return (-(-over // strides[i]) if node.whole("ceil_mode", 0) else over // strides[i]) + 1


@imports("Conv")
def _conv(node: Node) -> Result:
    x, narrow = _spread_out(node)
    inputs = [x]
    weight, bias = node.given(1), node.given(2)
    if isinstance(weight, Tensor):
        inputs.append(node.parser.unsqueeze(weight, [3]) if narrow else weight)
    if isinstance(bias, Tensor):
        inputs.append(bias)
    return [_layer(node, "CONVOLUTION", inputs, narrow=narrow)]


@imports("MaxPool", "AveragePool")
def _pool(node: Node) -> Result:
    x, narrow = _spread_out(node)
    return [_layer(node, "POOLING", [x], narrow=narrow)]


@imports("ConvTranspose")
def _conv_transpose(node: Node) -> Result:
    if node.has("output_shape"):
        raise node.unsure("with output_shape is not followed")
    x, narrow = _spread_out(node)
    inputs = [x]
    weight = node.given(1)
    if isinstance(weight, Tensor):
        inputs.append(node.parser.unsqueeze(weight, [3]) if narrow else weight)
    if isinstance(node.given(2), Tensor):
        inputs.append(node.tensor(2))
    n_axes = x.rank - 2 - narrow
    missing = _not_covered(node, n_axes)
    if not any(missing):
        return [_layer(node, "DECONVOLUTION", inputs, narrow=narrow)]
    return [_padded_afterwards(node, inputs, missing, narrow=narrow)]


def _not_covered(node: Node, n_axes: int) -> list[int]:
    """Return how much of the output padding a smaller padding at the end does not make up for."""
    wanted = (node.numbers("output_padding") + [0] * n_axes)[:n_axes]
    pads = node.numbers("pads") or [0] * (2 * n_axes)
    if node.text("auto_pad", "NOTSET") != "NOTSET" or len(pads) != 2 * n_axes:
        return [0] * n_axes
    return [max(0, more - end) for more, end in zip(wanted, pads[n_axes:], strict=True)]


def _padded_afterwards(node: Node, inputs: Sequence[Tensor], missing: Sequence[int], *, narrow: bool) -> Tensor:
    """Add the rest with a padding slice; the bias stands behind it then."""
    net, parser = node.net, node.parser
    dims = node.dims_or(inputs[0].rank - narrow)
    dims = (*dims, 1) if narrow else dims
    cut = [0, 0, *missing, *([0] if narrow else [])]
    smaller = tuple(d if d < 0 else d - more for d, more in zip(dims, cut, strict=True))
    out = net.tensor("DECONVOLUTION", inputs, inputs[0].dtype, smaller)
    start, total = parser.ints(len(dims)), parser.ints(len(dims))
    shape = shapes.shape_of(out).as_tensor(net)
    size = net.tensor("ELEMENTWISE", [shape, total], "int", (len(dims),))
    out = net.tensor("SLICE", [out, start, size], out.dtype, dims)
    bias = node.given(2)
    if isinstance(bias, Weights):
        per_channel = tuple(bias.dims[0] if i == 1 else 1 for i in range(len(dims)))
        constant = net.tensor("CONSTANT", [], "float", per_channel, OfGraph(bias.name))
        out = net.tensor("ELEMENTWISE", [out, constant], out.dtype, dims)
    return parser.squeeze(out, [3]) if narrow else out


@imports("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: Node) -> Result:
    x = node.tensor(0)
    op_type = "ReduceMean" if node.op_type == "GlobalAveragePool" else "ReduceMax"
    return [node.parser.reduce(x, op_type, range(2, x.rank), keep=True)]


@imports("GlobalLpPool")
def _global_lp_pool(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    power = float(node.whole("p", 2))
    up, down = (parser.number(value, (1,) * x.rank) for value in (power, 1.0 / power))
    raised = parser.pointwise("ELEMENTWISE", [x, up], "Pow")
    total = parser.reduce(raised, "ReduceSum", range(2, x.rank), keep=True)
    return [parser.pointwise("ELEMENTWISE", [total, down], "Pow")]


@imports("LpPool")
def _lp_pool(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    kernel = node.numbers("kernel_shape")
    size = parser.number(float(math.prod(kernel)), (1,) * x.rank)
    squared = node.whole("p", 2) != 1
    y = parser.pointwise("ELEMENTWISE", [x, x], "Mul") if squared else unary(parser, x, "Abs")
    given = [key for key in ("kernel_shape", "strides", "pads") if node.has(key)]
    options: dict[str, object] = {key: node.numbers(key) for key in given}
    options |= {"auto_pad": node.text("auto_pad", "NOTSET"), "count_include_pad": 1}
    pooled = node.net.tensor("POOLING", [y], x.dtype, node.dims_or(x.rank), Computed("AveragePool", (y,), options))
    y = parser.pointwise("ELEMENTWISE", [pooled, size], "Mul")
    return [unary(parser, y, "Sqrt") if squared else y]


@imports("Gemm")
def _gemm(node: Node) -> Result:
    parser = node.parser
    a, b = node.tensor(0), node.tensor(1)
    turned = {"transA": node.whole("transA", 0), "transB": node.whole("transB", 0)}
    dims = (a.known[1 if turned["transA"] else 0], b.known[0 if turned["transB"] else 1])
    y = node.net.tensor("MATRIX_MULTIPLY", [a, b], a.dtype, dims, Computed("Gemm", (a, b), turned))
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if alpha != 1.0:
        y = _scaled(node, y, alpha)
    if node.given(2) is None:
        return [y]
    bias = node.tensor(2)
    if beta != 1.0:
        bias = _scaled(node, bias, beta)
    y, bias = parser.alike(y, bias)
    return [parser.pointwise("ELEMENTWISE", [y, bias], "Add")]


def _scaled(node: Node, tensor: Tensor, factor: float) -> Tensor:
    constant, tensor = node.parser.alike(node.parser.number(factor), tensor)
    return node.parser.pointwise("ELEMENTWISE", [constant, tensor], "Mul")


@imports("MatMul")
def _matmul(node: Node) -> Result:
    parser = node.parser
    a, b = node.tensor(0), node.tensor(1)
    row, column = a.rank == 1 < b.rank, b.rank == 1 < a.rank
    if column:
        b = parser.unsqueeze(b, [1])
    a, b = parser.alike(a, b)
    dims = list(node.dims_or(max(a.rank - row - column, 0)))
    if row:
        dims.insert(max(len(dims) - 1, 0), 1)
    if column:
        dims.append(1)
    own = (*(spread(a.known[:-2], b.known[:-2]) or ()), a.known[-2], b.known[-1])
    dims = [d if d >= 0 else inferred for d, inferred in zip(own, dims, strict=True)]
    y = node.net.tensor("MATRIX_MULTIPLY", [a, b], a.dtype, tuple(dims))
    out = parser.squeeze(y, [0]) if row else y
    if column:
        out = parser.squeeze(out, [out.rank - 1])
    if out is not y:
        y.value = SameAs(out)
    return [out]


@imports("Einsum")
def _einsum(node: Node) -> Result:
    if len(node.inputs) > 2 or "..." in node.text("equation", ""):
        raise node.unsure("of more than two tensors or with an ellipsis is not followed")
    tensors = node.tensors()
    dims: Dims | None = node.out_dims[0]
    return [node.net.tensor("EINSUM", tensors, tensors[0].dtype, dims)]
