"""Explicit quantisation: an ONNX model with QuantizeLinear and DequantizeLinear, made from calibrated scales."""

from __future__ import annotations

from trtcal_widgets.export.qdq.build import (
    PLACEMENTS,
    LeftNode,
    MissingScale,
    QdqBuilder,
    QdqReport,
    QdqResult,
    QuantizedTensor,
    UnusedRow,
    build_qdq,
    qdq_bytes,
    quantized_inputs,
)

__all__ = [
    "PLACEMENTS",
    "LeftNode",
    "MissingScale",
    "QdqBuilder",
    "QdqReport",
    "QdqResult",
    "QuantizedTensor",
    "UnusedRow",
    "build_qdq",
    "qdq_bytes",
    "quantized_inputs",
]
