"""What is known to be refused, and what to do about it: by the file alone, and by the builder's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trtcal_widgets.model.explicit.integers import is_dynamic, is_integer
from trtcal_widgets.trt.check.report import CheckProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
_DYNAMIC = (
    "TensorRT's scales are constants: quantise statically, with calibration data (quantize_static, or trtcal calibrate "
    "and then trtcal convert --to qdq)."
)
_TYPE = (
    "Quantise to INT8 (quantize_static with activation_type and weight_type QInt8), or make the pairs anew from the "
    "FP32 model with this one's ranges (trtcal convert FILE --to cache, then --to qdq)."
)
_TAKEN = frozenset({"int8", "uint8", "int4", "float8_e4m3fn", "float4_e2m1fn", ""})
"""Types that TensorRT quantises to; uint8 for activations alone."""
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
            r"MatMulNBits|input tensor A must be FP16",
            "Write the weights with DequantizeLinear (MatMulNBitsQuantizer with quant_format=QuantFormat.QDQ and "
            "is_symmetric=True), or convert the rest of the model to FP16.",
        ),
        (
            r"HW-specific datatypes: fp4",
            "FP4 needs a Blackwell GPU: check for the target SM120 (--for SM120), or write INT8.",
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
            "Say the shapes that the model is meant for: --shape x=1x3x640x640 (in Python: "
            "shapes={'x': (1, 3, 640, 640)}).",
        ),
        (
            r"has no runners|no implementation|could not find any implementation",
            "This builder has no kernel for it, for this GPU generation at least: TensorRT for RTX lacks some that "
            "TensorRT has. Check with TensorRT, or keep the operator out of the model (box suppression can run after "
            "the engine).",
        ),
        (
            r"dimensions must be conformable|dimensions? mismatch|mismatched dimensions",
            "Sizes do not fit each other inside the model: check with those that it runs at (--shape x=1x3x640x640); "
            "detectors and segmenters mostly want multiples of 32.",
        ),
        (r"out of memory|memory allocation", "Free memory, or check with smaller shapes (--shape)."),
    )
)
"""Words of the builder -> what to do."""


def problems_of_file(graph: ModelGraph, pairs: Sequence[QdqPair]) -> tuple[CheckProblem, ...]:
    """Return what TensorRT is known not to take, for all nodes at once: its parser stops at the first.

    What DLA takes with a flag of its own (asymmetric 8-bit values) counts as not taken.
    """
    return (*_of_pairs(pairs), *_of_nodes(graph))


def _of_pairs(pairs: Iterable[QdqPair]) -> Iterator[CheckProblem]:
    for pair in pairs:
        own = pair.quantize or pair.dequantize
        if not own:
            continue  # between integer operators, which are named themselves
        node, op_type = own[0], "QuantizeLinear" if pair.quantize else "DequantizeLinear"
        if pair.dtype == "int32":
            message = f"{pair.tensor!r} is dequantised from int32, which TensorRT has no type for (a quantised bias)"
            yield CheckProblem("model", node, op_type, message, _BIAS)
        elif pair.dtype not in _TAKEN or (pair.dtype == "uint8" and pair.is_constant):
            message = f"{pair.tensor!r} is quantised to {pair.dtype}, which TensorRT has no kernels for"
            yield CheckProblem("model", node, op_type, message, _TYPE)
        elif pair.zero_points.any():
            message = f"the zero point of {pair.tensor!r} is not 0: TensorRT quantises symmetrically"
            yield CheckProblem("model", node, op_type, message, _SYMMETRIC)
        elif not (pair.scales > 0).all():
            message = f"a scale of {pair.tensor!r} is not above 0"
            yield CheckProblem("model", node, op_type, message, "Calibrate it again, or leave out its pair.")


def _of_nodes(graph: ModelGraph) -> Iterator[CheckProblem]:
    for node in graph.nodes:
        if is_dynamic(node):
            message = f"{node.op_type} belongs to dynamic quantisation, whose scales are computed while it runs"
            yield CheckProblem("model", node.name, node.op_type, message, _DYNAMIC)
        elif is_integer(node):
            message = f"{node.op_type} is an operator of ONNX Runtime's integer format"
            yield CheckProblem("model", node.name, node.op_type, message, _INTEGER)


def shortened(problems: Sequence[CheckProblem]) -> tuple[CheckProblem, ...]:
    """Return the first problems, and how many more there are."""
    if len(problems) <= _LIMIT:
        return tuple(problems)
    return (*problems[:_LIMIT], CheckProblem("model", "", "", f"and {len(problems) - _LIMIT:,} more of these kinds"))


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
