"""TensorRT's profiler: the time of each layer, as it runs."""

from __future__ import annotations

from typing import Any


def make_profiler(trt: Any, times: dict[str, list[float]]) -> Any:
    """Make TensorRT's ``IProfiler``, which adds to ``times``."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]  # tensorrt is Any
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            times.setdefault(str(layer_name), []).append(float(ms))

    return Profiler()
