"""Q/DQ models as other tools write them, made of the bundled LeNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from trtcal_widgets import sample

if TYPE_CHECKING:
    from pathlib import Path


def by_onnxruntime(path: Path, **options: Any) -> Path:
    """Write what ONNX Runtime's ``quantize_static`` makes; ``options``: its own."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            batch = np.random.default_rng(0).random((8, 1, 28, 28), dtype=np.float32)
            self.left = [{"data": batch}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantize_static(str(sample.model_path()), str(path), Batches(), **{"quant_format": QuantFormat.QDQ, **options})
    return path


def symmetric(path: Path) -> Path:
    """Write ONNX Runtime's model with the options that TensorRT needs."""
    from onnxruntime.quantization import QuantType

    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    types = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    return by_onnxruntime(path, per_channel=True, extra_options=extra, **types)


def by_exporter(path: Path) -> Path:
    """Write pairs as PyTorch's exporter does for ModelOpt, and PPQ: scales in Constant nodes, names of their own.

    conv1's input is ``data``; its weight is in FP32 in front of Q, conv2's is stored in INT8 in front of DQ alone.
    """
    proto = onnx.load(sample.model_path())
    graph = proto.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)))
        return name

    def pair(source: str, scale: np.ndarray, count: int, *, axis: int | None = None, stored: bool = False) -> str:
        zero = constant(f"PPQ_Variable_{count}_z", np.zeros(scale.shape, np.int8))
        step = constant(f"PPQ_Variable_{count}_s", scale.astype(np.float32))
        made, given = f"PPQ_Variable_{count}", f"PPQ_Variable_{count + 1}"
        kept = {} if axis is None else {"axis": axis}
        if stored:
            rounded = np.rint(weights[source] / scale.reshape(-1, 1, 1, 1)).clip(-127, 127).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(rounded, f"{source}_quantized"))
            made = f"{source}_quantized"
        else:
            nodes.append(helper.make_node("QuantizeLinear", [source, step, zero], [made], **kept))
        nodes.append(helper.make_node("DequantizeLinear", [made, step, zero], [given], **kept))
        return given

    for node in graph.node:
        if node.op_type == "Conv":
            first = node.name == "conv1"
            amax = np.abs(weights[node.input[1]]).max(axis=(1, 2, 3))
            node.input[0] = pair(node.input[0], np.float32(0.008 if first else 0.015), 10 if first else 20)
            node.input[1] = pair(node.input[1], amax / 127, 30 if first else 40, axis=0, stored=not first)
        nodes.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    proto.opset_import[0].version = max(proto.opset_import[0].version, 13)
    onnx.save(proto, path)
    return path
