"""Operators that work value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8.importing import Node, Parser, Result, Weights, imports, spread
from trtcal_widgets.model.trt8.network import Computed, SameAs, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAME_NAME = ("Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mul", "Or", "Pow", "Sub", "Xor")
_OF_TWO = {**{op: op for op in _SAME_NAME}, "Sum": "Add"}
_UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "Log"),
    *("Neg", "Not", "Reciprocal", "Round", "Sign", "Sin", "Sinh", "Sqrt", "Tan"),
)
_ACTIVATIONS = (
    *("Elu", "HardSigmoid", "LeakyRelu", "ParametricSoftplus", "Relu", "ScaledTanh", "Selu", "Sigmoid", "Softplus"),
    *("Softsign", "Tanh", "ThresholdedRelu"),
)
_FIRST_BOUNDS_AS_INPUTS = 11
_DTYPES = {1: "float", 9: "bool", 10: "half", 11: "float", 16: "half"}


@imports(*_OF_TWO)
def _elementwise(node: Node) -> Result:
    return [node.parser.elementwise(node.inputs, _OF_TWO[node.op_type])]


def unary(parser: Parser, tensor: Tensor, op_type: str) -> Tensor:
    """Add a unary layer; an integer is negated by a subtraction."""
    if op_type == "Neg" and tensor.dtype == "int":
        zero, tensor = parser.alike(parser.number(0, (), "int"), tensor)
        return parser.elementwise([zero, tensor], "Sub")
    return parser.pointwise("UNARY", [tensor], op_type)


@imports(*_UNARY)
def _unary(node: Node) -> Result:
    return [unary(node.parser, node.tensor(0), node.op_type)]


def _activation(parser: Parser, tensor: Tensor, op_type: str, attributes: Mapping[str, object] | None = None) -> Tensor:
    return parser.pointwise("ACTIVATION", [tensor], op_type, attributes)


@imports(*_ACTIVATIONS)
def _activations(node: Node) -> Result:
    return [_activation(node.parser, node.tensor(0), node.op_type)]


@imports("HardSwish")
def _hard_swish(node: Node) -> Result:
    x = node.tensor(0)
    gate = _activation(node.parser, x, "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5})
    return [node.parser.elementwise([x, gate], "Mul")]


@imports("Clip")
def _clip(node: Node) -> Result:
    """Clip is an activation; with computed or empty bounds or integers a maximum and a minimum."""
    parser, bounds = node.parser, [node.given(1), node.given(2)]
    x = node.given(0)
    stored = all(isinstance(bound, Weights) for bound in bounds[: len(node.proto.input) - 1])
    if stored and not (x is not None and x.dtype == "int"):
        return [_activation(parser, parser.tensor(x), "Clip")]
    tensor = parser.tensor(x)
    made = []
    for bound in bounds:
        stated = bound if parser.opset >= _FIRST_BOUNDS_AS_INPUTS else None
        made.append(parser.number(0.0, (), tensor.dtype) if stated is None else parser.tensor(stated))
    tensor, low = parser.alike(tensor, made[0])
    tensor, high = parser.alike(tensor, made[1])
    lower = parser.pointwise("ELEMENTWISE", [tensor, low], "Max")
    if bounds[0] is None:
        lower.value = None  # the least number of float32 is the parser's bound
    return [parser.pointwise("ELEMENTWISE", [lower, high], "Min")]


@imports("PRelu")
def _prelu(node: Node) -> Result:
    x, slope = node.parser.alike(node.tensor(0), node.tensor(1))
    return [node.net.tensor("PARAMETRIC_RELU", [x, slope], x.dtype, x.dims)]


@imports("Celu")
def _celu(node: Node) -> Result:
    parser = node.parser
    given = node.given(0)
    rank = given.rank if given is not None else 0
    x = parser.ranked(parser.tensor(given), rank)
    zero, one, alpha = (parser.ranked(parser.number(value), rank) for value in (0.0, 1.0, node.number("alpha", 1.0)))
    power = unary(parser, parser.pointwise("ELEMENTWISE", [x, alpha], "Div"), "Exp")
    positive = parser.pointwise("ELEMENTWISE", [x, zero], "Max")
    less = parser.pointwise("ELEMENTWISE", [power, one], "Sub")
    scaled = parser.pointwise("ELEMENTWISE", [alpha, less], "Mul")
    negative = parser.pointwise("ELEMENTWISE", [zero, scaled], "Min")
    return [parser.pointwise("ELEMENTWISE", [positive, negative], "Add")]


@imports("GreaterOrEqual", "LessOrEqual")
def _or_equal(node: Node) -> Result:
    b, a = node.tensor(1), node.tensor(0)  # the second argument is made first
    return [at_least(node.parser, a, b, greater=node.op_type == "GreaterOrEqual")]


def at_least(parser: Parser, a: Tensor, b: Tensor, *, greater: bool) -> Tensor:
    """Add a comparison that holds for equal values too."""
    first = parser.elementwise([a, b], "Greater" if greater else "Less")
    equal = parser.elementwise([a, b], "Equal")
    return parser.elementwise([first, equal], "Or")


@imports("Where")
def _where(node: Node) -> Result:
    parser = node.parser
    condition, x, y = node.tensors()
    rank = max(condition.rank, x.rank, y.rank)
    x, y, condition = (parser.ranked(t, rank) for t in (x, y, condition))
    return [select(parser, condition, x, y)]


def select(parser: Parser, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Add a choice between two tensors."""
    dims = spread(condition.dims, x.dims, y.dims)
    return parser.net.tensor("SELECT", [condition, x, y], x.dtype, dims, Computed("Where", (condition, x, y)))


@imports("Cast")
def _cast(node: Node) -> Result:
    x = node.tensor(0)
    return [node.net.tensor("CAST", [x], _DTYPES.get(node.whole("to", 1), "int"), x.dims, SameAs(x))]


@imports("Identity")
def _identity(node: Node) -> Result:
    return [node.parser.identity(node.tensor(0))]


@imports("Dropout")
def _dropout(node: Node) -> Result:
    given = node.given(0)
    if len(node.out_dims) > 1:
        x = node.tensor(0)  # beside a mask the input itself gets the output's name
        return [x, node.parser.pointwise("ELEMENTWISE", [x, x], "Equal")]
    return [given if isinstance(given, Weights) else node.parser.identity(node.tensor(0))]


@imports("Mean")
def _mean(node: Node) -> Result:
    total = node.parser.elementwise(node.inputs, "Add")
    share = node.parser.number(1.0 / len(node.inputs), (1,) * total.rank)
    return [node.parser.pointwise("ELEMENTWISE", [total, share], "Mul")]


@imports("Mod")
def _mod(node: Node) -> Result:
    parser = node.parser
    a, b = parser.alike(node.tensor(0), node.tensor(1))
    if not node.whole("fmod", 0) or a.dtype == "int":
        quotient = parser.pointwise("ELEMENTWISE", [a, b], "Div")
        return [_rest(parser, a, b, quotient)]
    quotient = parser.elementwise([a, b], "Div")
    down, up = (_rest(parser, a, b, unary(parser, quotient, op)) for op in ("Floor", "Ceil"))
    zero = parser.cast(parser.number(0.0), quotient.dtype)
    zero, quotient = parser.alike(zero, quotient)
    zero = parser.pointwise("ELEMENTWISE", [quotient, zero], "Mul")
    return [select(parser, at_least(parser, quotient, zero, greater=True), down, up)]


def _rest(parser: Parser, a: Tensor, b: Tensor, quotient: Tensor) -> Tensor:
    taken = parser.pointwise("ELEMENTWISE", [b, quotient], "Mul")
    return parser.pointwise("ELEMENTWISE", [a, taken], "Sub")


@imports("Shrink")
def _shrink(node: Node) -> Result:
    parser, given = node.parser, node.tensor(0)
    x = parser.cast(given, "float")
    threshold, bias = node.number("lambd", 0.5), node.number("bias", 0.0)
    numbers = (threshold, -threshold, bias, 0.0)
    high, low, moved, zero = (parser.alike(parser.number(value), x)[0] for value in numbers)
    above = parser.elementwise([x, high], "Greater")
    less = parser.elementwise([x, moved], "Sub")
    out = select(parser, above, less, zero)
    below = parser.elementwise([x, low], "Less")
    more = parser.elementwise([x, moved], "Add")
    return [parser.cast(select(parser, below, more, out), given.dtype)]


@imports("IsNaN")
def _is_nan(node: Node) -> Result:
    x = node.given(0)
    return [unary(node.parser, node.parser.elementwise([x, x], "Equal"), "Not")]


@imports("IsInf")
def _is_inf(node: Node) -> Result:
    parser, x = node.parser, node.tensor(0)
    negative, positive = node.whole("detect_negative", 1), node.whole("detect_positive", 1)
    if negative and positive:
        return [unary(parser, x, "IsInf")]
    zero = parser.number(0.0, (1,) * x.rank)
    if negative or positive:
        a = parser.pointwise("ELEMENTWISE", [x, zero], "Less" if negative else "Greater")
        b = unary(parser, x, "IsInf")
    else:
        a = parser.pointwise("ELEMENTWISE", [x, zero], "Greater")
        b = parser.pointwise("ELEMENTWISE", [x, zero], "Less")
    return [parser.pointwise("ELEMENTWISE", [a, b], "And")]
