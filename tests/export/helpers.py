"""Running models exactly, and the operands that Q/DQ should hand to an operator."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from trtcal_widgets.core.quantizer import fake_quantize
from trtcal_widgets.export.qdq import build_qdq


def session(model, folder=""):
    """A session that changes nothing: no fusion, no int8 kernels, one thread."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if folder:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(model, feeds, folder=""):
    ran = session(model, folder)
    names = [output.name for output in ran.get_outputs()]
    return dict(zip(names, ran.run(names, feeds), strict=True))


def checked(path, scales, **options):
    """Build, and let onnx check the model with its strict shape inference."""
    result = build_qdq(path, scales, **options)
    # The small models of tests do not state the shapes of their outputs, which the checker wants.
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result.proto), full_check=True)
    return result


def by_channel(weights, axis):
    """Fake-quantise along an axis with the quantiser of the package, one channel at a time."""
    rows = np.moveaxis(np.asarray(weights, np.float32), axis, 0)
    done = []
    for row in rows:
        amax = np.abs(row).max()
        scale = np.float32(amax) / np.float32(127) if amax > 0 else np.float32(1)
        done.append(fake_quantize(row, scale, q_min=-127))
    return np.moveaxis(np.stack(done), 0, axis)


def pair_inputs(proto):
    """Node output -> what it reads, with the names of what is behind DequantizeLinear marked by ``*``."""
    behind = {}
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear":
            behind[node.output[0]] = node.input[0]
    for node in proto.graph.node:
        if node.op_type == "DequantizeLinear":
            behind[node.output[0]] = behind[node.input[0]]
    return {
        node.output[0]: [f"*{behind[name]}" if name in behind else name for name in node.input]
        for node in proto.graph.node
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear", "Constant")
    }


def arrays(path):
    """All arrays of a model file, by name."""
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
