"""Normalisations and softmax."""

from __future__ import annotations

from trtcal_widgets.model.trt8 import shapes
from trtcal_widgets.model.trt8.importing import Node, Parser, Result, Weights, imports
from trtcal_widgets.model.trt8.network import Computed, SameAs, Tensor
from trtcal_widgets.model.trt8.pointwise import unary

_SCALED_AS_THEY_ARE = (4, 5)
"""Ranks that a scale layer takes."""

_SOFTMAX_ALONG_ONE_AXIS = 13
"""Opset from which softmax works along one axis; before, it flattens."""


@imports("BatchNormalization")
def _batch_norm(node: Node) -> Result:
    if all(isinstance(node.given(i), Weights) for i in range(1, 5)):
        return [_scale(node.parser, node.tensor(0))]
    return [_batch_norm_of_tensors(node)]


def _scale(parser: Parser, x: Tensor) -> Tensor:
    """Add a scale layer, between two shuffles where the rank does not suit it."""
    net = parser.net
    old = shapes.shape_of(x)
    y = x
    if x.rank < min(_SCALED_AS_THEY_ARE):
        y = parser.unsqueeze(x, range(x.rank, 4))
    elif x.rank > max(_SCALED_AS_THEY_ARE):
        rest = shapes.product(net, old, 3, x.rank, 1)
        y = shapes.reshaped(net, x, shapes.concat(net, shapes.gather(net, old, shapes.iota(3)), rest))
    out = net.tensor("SCALE", [y], x.dtype, y.dims)
    if x.rank in _SCALED_AS_THEY_ARE:
        return out
    back = shapes.reshaped(net, out, old)
    back.dims = x.dims
    out.value = SameAs(back)
    return back


def _batch_norm_of_tensors(node: Node) -> Tensor:
    parser, x = node.parser, node.tensor(0)
    scale, bias, mean, variance = (node.tensor(i) for i in range(1, 5))
    if x.rank > 1:
        axes = [0, *range(2, x.rank)]
        scale, bias, mean, variance = (parser.unsqueeze(t, axes) for t in (scale, bias, mean, variance))
    epsilon = parser.number(node.number("epsilon", 1e-5), (1,) * x.rank)
    divisor = unary(parser, parser.pointwise("ELEMENTWISE", [variance, epsilon], "Add"), "Sqrt")
    centred = parser.pointwise("ELEMENTWISE", [x, mean], "Sub")
    quotient = parser.pointwise("ELEMENTWISE", [centred, divisor], "Div")
    scaled = parser.pointwise("ELEMENTWISE", [scale, quotient], "Mul")
    return parser.pointwise("ELEMENTWISE", [scaled, bias], "Add")


@imports("InstanceNormalization", "GroupNormalization")
def _channel_norm(node: Node) -> Result:
    x, scale, bias = node.tensors()
    axes = [i for i in range(x.rank) if i != 1]
    scale, bias = node.parser.unsqueeze(scale, axes), node.parser.unsqueeze(bias, axes)
    return [node.net.tensor("NORMALIZATION", [x, scale, bias], x.dtype, x.dims)]


@imports("LayerNormalization")
def _layer_norm(node: Node) -> Result:
    if len(node.out_dims) > 1:
        raise node.unsure("with more than one output is not taken by the parser")
    parser = node.parser
    x, scale = node.tensor(0), node.tensor(1)
    bias = parser.number(0.0) if node.given(2) is None else node.tensor(2)
    x, scale = parser.alike(x, scale)
    x, bias = parser.alike(x, bias)
    return [node.net.tensor("NORMALIZATION", [x, scale, bias], x.dtype, x.dims)]


@imports("MeanVarianceNormalization")
def _mean_variance_norm(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    axes = node.numbers("axes") or [0, 2, 3]
    centred = parser.pointwise("ELEMENTWISE", [x, parser.reduce(x, "ReduceMean", axes, keep=True)], "Sub")
    squares = parser.pointwise("ELEMENTWISE", [centred, centred], "Mul")
    deviation = unary(parser, parser.reduce(squares, "ReduceMean", axes, keep=True), "Sqrt")
    epsilon = parser.number(1e-9, (1,) * x.rank)
    deviation = parser.pointwise("ELEMENTWISE", [deviation, epsilon], "Add")
    return [parser.pointwise("ELEMENTWISE", [centred, deviation], "Div")]


@imports("LpNormalization")
def _lp_norm(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    axis = [node.whole("axis", -1)]
    zero = parser.ranked(parser.number(0.0), x.rank)
    if node.whole("p", 2) == 1:
        length = parser.reduce(unary(parser, x, "Abs"), "ReduceSum", axis, keep=True)
    else:
        squares = parser.pointwise("ELEMENTWISE", [x, x], "Mul")
        length = unary(parser, parser.reduce(squares, "ReduceSum", axis, keep=True), "Sqrt")
    empty = parser.pointwise("ELEMENTWISE", [length, zero], "Equal")
    one = parser.cast(empty, x.dtype)
    one.value = Computed("Cast", (empty,), {"to": 1})
    length = parser.pointwise("ELEMENTWISE", [length, one], "Add")
    return [parser.pointwise("ELEMENTWISE", [x, length], "Div")]


@imports("LRN")
def _lrn(node: Node) -> Result:
    x = node.tensor(0)
    return [node.net.tensor("LRN", [x], x.dtype, x.dims)]


def _softmax(node: Node, x: Tensor) -> Tensor:
    """Add a softmax layer, of a flattened tensor in older opsets."""
    net, y = node.net, x
    if node.parser.opset < _SOFTMAX_ALONG_ONE_AXIS:
        axis = node.whole("axis", 1) % max(x.rank, 1)
        old = shapes.shape_of(x)
        sides = [shapes.product(net, old, 0, axis, 1), shapes.product(net, old, axis, x.rank, 1)]
        y = shapes.add_shuffle(net, x, shapes.concat(net, *sides), zero_copies=False).outputs[0]
    return net.tensor("SOFTMAX", [y], x.dtype, y.dims)


def _shaped_as(node: Node, tensor: Tensor, x: Tensor) -> Tensor:
    layer = shapes.add_shuffle(node.net, tensor, shapes.shape_of(x))
    layer.outputs[0].dims = x.dims
    if tensor.dims == x.dims:
        layer.detail = "same"
    return layer.outputs[0]


@imports("Softmax")
def _softmax_node(node: Node) -> Result:
    x = node.tensor(0)
    made = _softmax(node, x)
    out = _shaped_as(node, made, x)
    made.value = SameAs(out)
    return [out]


@imports("LogSoftmax")
def _log_softmax(node: Node) -> Result:
    x = node.tensor(0)
    made = _softmax(node, x)
    logarithm = unary(node.parser, made, "Log")
    out = _shaped_as(node, logarithm, x)
    logarithm.value = SameAs(out)
    made.value = Computed("Exp", (out,))
    return [out]
