"""TensorRT: calibrators, engines, and FP32 activations from the GPU.

>>> from trtcal_widgets import trt
>>> calibrator = trt.make_calibrator(images, batch_size=32, cache="calibration.cache")     # doctest: +SKIP
>>> engine = trt.build("model.onnx", calibrator=calibrator)                              # doctest: +SKIP
>>> print(trt.compare(engine, "model.onnx", images, batch_size=32))                        # doctest: +SKIP

TensorRT, CUDA and ONNX are imported when something here is used, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.lazy import lazy

if TYPE_CHECKING:
    from trtcal_widgets.gpu.memory import open_memory
    from trtcal_widgets.trt.building import build
    from trtcal_widgets.trt.calibration.caches import (
        CacheReport,
        DlaReport,
        MergeReport,
        check_cache,
        check_dla,
        merge_caches,
    )
    from trtcal_widgets.trt.calibration.calibrator import guard_calibrator, make_calibrator
    from trtcal_widgets.trt.comparing import EngineComparison, compare
    from trtcal_widgets.trt.control import BuildControl, Progress
    from trtcal_widgets.trt.engine import Engine
    from trtcal_widgets.trt.execution import Execution
    from trtcal_widgets.trt.log import LogLine
    from trtcal_widgets.trt.measuring.device import EngineDevice
    from trtcal_widgets.trt.measuring.layers import LayerTime, layer_precisions
    from trtcal_widgets.trt.runner import TensorRTRunner
    from trtcal_widgets.trt.versions import Features, features, load_tensorrt

__all__ = [
    "BuildControl",
    "CacheReport",
    "DlaReport",
    "Engine",
    "EngineComparison",
    "EngineDevice",
    "Execution",
    "Features",
    "LayerTime",
    "LogLine",
    "MergeReport",
    "Progress",
    "TensorRTRunner",
    "build",
    "check_cache",
    "check_dla",
    "compare",
    "features",
    "guard_calibrator",
    "layer_precisions",
    "load_tensorrt",
    "make_calibrator",
    "merge_caches",
    "open_memory",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "gpu.memory": "open_memory",
        "trt.building": "build",
        "trt.calibration.caches": "CacheReport DlaReport MergeReport check_cache check_dla merge_caches",
        "trt.calibration.calibrator": "guard_calibrator make_calibrator",
        "trt.comparing": "EngineComparison compare",
        "trt.control": "BuildControl Progress",
        "trt.engine": "Engine",
        "trt.execution": "Execution",
        "trt.log": "LogLine",
        "trt.measuring.device": "EngineDevice",
        "trt.measuring.layers": "LayerTime layer_precisions",
        "trt.runner": "TensorRTRunner",
        "trt.versions": "Features features load_tensorrt",
    },
)
