"""What is known to be refused, and what to do about it: by the file alone, and by the builder's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trtcal_widgets.trt.check.report import CheckProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trtcal_widgets.model.explicit.pairs import QdqPair
    from trtcal_widgets.model.graph import ModelGraph

_SYMMETRIC = (
    "Quantise symmetrically: ONNX Runtime's quantize_static with activation_type and weight_type QInt8 and "
    "extra_options={'ActivationSymmetric': True, 'WeightSymmetric': True}; or take its ranges as a cache "
    "(trtcal convert FILE --to cache) and make the pairs anew from the FP32 model (--to qdq)."
)
_BIAS = (
    "Leave biases in floating point: quantize_static with extra_options={'QuantizeBias': False}, or make the pairs "
    "anew from the FP32 model (trtcal convert FILE --to cache, then --to qdq)."
)
_INTEGER = "Export with QuantizeLinear and DequantizeLinear instead: quantize_static with quant_format=QuantFormat.QDQ."
_INTEGER_OPS = frozenset({
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QLinearAdd", "QGemm", "QLinearGlobalAveragePool",
    "QLinearSoftmax", "QLinearSigmoid", "QLinearConcat", "QLinearMul", "QLinearLeakyRelu", "QLinearAveragePool",
})  # fmt: skip
_LIMIT = 20

_BY_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (r"zero point", _SYMMETRIC),
        (r"type Int32 but must have type", _BIAS),
        (
            r"HW-specific datatypes: fp8",
            "FP8 needs an Ada, Hopper or Blackwell GPU: check for the target SM89 or newer (--for SM89), or write "
            "INT8.",
        ),
        (
            r"Turing|SM75",
            "This GPU generation lacks kernels that newer ones have: check for the target SM86 or newer (--for SM86), "
            "or with TensorRT.",
        ),
        (
            r"(no importer|unsupported|not supported).*(op|operator|node)|no plugin|find plugin|plugin not found",
            "The operator has no counterpart: export it from operators that TensorRT has, or load the plugin that "
            "makes it.",
        ),
        (
            r"optimization profile|dynamic (dim|shape|input)|shape.{0,40}(mismatch|incompatible)|mismatching dim",
            "Say the shapes that the model is meant for: shapes={'x': (1, 3, 640, 640)} (--shape x=1x3x640x640).",
        ),
        (
            r"has no runners|no implementation|could not find any implementation",
            "This builder has no kernel for it, for this GPU generation at least: TensorRT for RTX lacks some that "
            "TensorRT has. Check with TensorRT, or keep the operator out of the model (box suppression can run after "
            "the engine).",
        ),
        (r"out of memory|memory allocation", "Free memory, or check with smaller shapes (--shape)."),
    )
)
"""Words of the builder -> what to do."""


def problems_of_file(graph: ModelGraph, pairs: Sequence[QdqPair]) -> tuple[CheckProblem, ...]:
    """Return what TensorRT is known not to take, for all nodes at once: its parser stops at the first.

    What DLA takes with a flag of its own (asymmetric 8-bit values) counts as not taken.
    """
    found: list[CheckProblem] = []
    for pair in pairs:
        node, op_type = (pair.quantize or pair.dequantize)[0], "QuantizeLinear" if pair.quantize else "DequantizeLinear"
        if pair.dtype == "int32":
            message = f"{pair.tensor!r} is dequantised from int32, which TensorRT has no type for (a quantised bias)"
            found.append(CheckProblem("model", node, op_type, message, _BIAS))
        elif pair.zero_points.any():
            message = f"the zero point of {pair.tensor!r} is not 0: TensorRT quantises symmetrically"
            found.append(CheckProblem("model", node, op_type, message, _SYMMETRIC))
        elif not (pair.scales > 0).all():
            message = f"a scale of {pair.tensor!r} is not above 0"
            found.append(CheckProblem("model", node, op_type, message, "Calibrate it again, or leave out its pair."))
    for graph_node in graph.nodes:
        if graph_node.op_type in _INTEGER_OPS:
            message = f"{graph_node.op_type} is an operator of ONNX Runtime's integer format"
            found.append(CheckProblem("model", graph_node.name, graph_node.op_type, message, _INTEGER))
    if len(found) > _LIMIT:
        more = CheckProblem("model", "", "", f"and {len(found) - _LIMIT:,} more of these kinds")
        return (*found[:_LIMIT], more)
    return tuple(found)


def without_places(message: str) -> str:
    """Return the builder's words without the lines of its sources that they come from."""
    return re.sub(r"\s*\bIn [\w:~<>]+ at /_src/[\w./-]+:\d+", "", message).replace(" )", ")").strip()


def advice_for(message: str) -> str:
    """Return what to do about the builder's words; empty where nothing is known."""
    return next((text for pattern, text in _BY_WORDS if pattern.search(message)), "")


def node_named(message: str, names: Iterable[str]) -> str:
    """Return the longest of the names that a message has as a word of its own; empty where it has none.

    A layer that is one of several for a node is called after it with a number behind: ``nms_1``.
    """
    there = [n for n in names if n and n in message and re.search(rf"(?<![\w.]){re.escape(n)}(?:_\d+)?(?!\w)", message)]
    return max(there, key=len, default="")
