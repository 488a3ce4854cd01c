"""The bundled LeNet with conv1's channels rescaled: the same in FP32, but one scale for pool1 starves channels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from trtcal_widgets import CalibrationSession, sample


def write_rescaled(path, spread: float = 3000.0) -> None:
    """Multiply conv1's output channel c by s_c > 0 and divide conv2's input channel c by it: max pooling commutes."""
    model = onnx.load(sample.model_path())
    weights = {w.name: w for w in model.graph.initializer}
    factors = np.random.default_rng(0).permutation(np.geomspace(1, spread, 20)).astype(np.float32)
    for name, factor in (
        ("conv1.weight", factors[:, None, None, None]),
        ("conv1.bias", factors),
        ("conv2.weight", 1 / factors[None, :, None, None]),
    ):
        scaled = numpy_helper.to_array(weights[name]) * factor
        weights[name].CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), name))
    onnx.save(model, path)


def write_rescaled_session(folder) -> None:
    """Write the model, which INT8 really hurts, as rescaled.onnx, and a calibrated session of it."""
    write_rescaled(folder / "rescaled.onnx")
    with CalibrationSession(folder / "rescaled.onnx", sample.calibration_images(), batch_size=50) as session:
        session.run()
        session.save(folder / "session.trtcal")
