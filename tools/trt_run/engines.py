"""Engines for measuring: built with one timing cache, run side by side, their layers timed and listed."""

from __future__ import annotations

import statistics
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FLAGS = {
    "implicit": ("INT8",), "explicit": ("INT8",), "rules": ("INT8",), "map": ("INT8",), "fp16": ("FP16",), "fp32": (),
    "implicit_fp16": ("INT8", "FP16"), "explicit_fp16": ("INT8", "FP16"), "rules_fp16": ("INT8", "FP16"),
    "map_fp16": ("INT8", "FP16"),
}  # fmt: skip
"""Kind of engine -> what TensorRT may choose besides FP32; any other kind is a Q/DQ model, as ``rules`` and ``map``."""


def listening() -> Any:
    """Return a logger that keeps TensorRT's warnings and errors."""
    import tensorrt as trt

    class Kept(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity.name in ("ERROR", "INTERNAL_ERROR", "WARNING"):
                self.lines.append(f"{severity.name}: {msg}"[:300])

    return Kept()


def reading(cache: bytes, batch: int) -> Any:
    """Return a calibrator that has its scales already."""
    import tensorrt as trt

    class Reading(trt.IInt8EntropyCalibrator2):
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return batch

        def get_batch(self, names: Any, *_: Any) -> None:
            del names

        def read_calibration_cache(self, *_: Any) -> bytes:
            return cache

        def write_calibration_cache(self, cache: Any, *_: Any) -> None:
            del cache

    return Reading()


def build(
    model: bytes,
    kind: str,
    feeds: dict[str, np.ndarray],
    *,
    level: int,
    cache: bytes = b"",
    timing: bytes = b"",
    marks: tuple[str, ...] = (),
) -> tuple[bytes, bytes, dict[str, Any]]:
    """Build an engine; return it, the timing cache, and what is to be told of the build."""
    import tensorrt as trt

    log, began = listening(), time.perf_counter()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        raise RuntimeError("; ".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    for flag in FLAGS.get(kind, ("INT8",)):
        if flag == "INT8" and not kind.startswith("implicit") and b"QuantizeLinear" not in model:
            continue  # no pairs, and TensorRT would calibrate
        config.set_flag(getattr(trt.BuilderFlag, flag))
    config.clear_flag(trt.BuilderFlag.TF32)
    config.builder_optimization_level = level
    sources = (trt.TacticSource.EDGE_MASK_CONVOLUTIONS, trt.TacticSource.JIT_CONVOLUTIONS)
    config.set_tactic_sources(sum(1 << int(source) for source in sources))
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 4 << 30)
    profile, dynamic = builder.create_optimization_profile(), False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tuple(tensor.shape):
            shape, dynamic = feeds[tensor.name].shape, True
            profile.set_shape(tensor.name, shape, shape, shape)
    if dynamic:
        config.add_optimization_profile(profile)
    calibrator = None
    if kind.startswith("implicit"):
        calibrator = config.int8_calibrator = reading(cache, next(iter(feeds.values())).shape[0])
        if dynamic:
            config.set_calibration_profile(profile)
    missing = mark(network, marks)
    timings = config.create_timing_cache(timing)
    config.set_timing_cache(timings, False)
    plan = builder.build_serialized_network(network, config)
    del calibrator
    told = {"seconds": round(time.perf_counter() - began, 2), "log": log.lines[-12:], "unmarked": missing}
    if plan is None:
        raise RuntimeError(f"not built: {log.lines[-4:]}")
    return bytes(plan), bytes(timings.serialize()), told


def mark(network: Any, names: tuple[str, ...]) -> list[str]:
    """Make tensors outputs; return those that the network does not have."""
    left = dict.fromkeys(names)
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        for output in range(layer.num_outputs):
            tensor = layer.get_output(output)
            if tensor is not None and tensor.name in left:
                del left[tensor.name]
                if not tensor.is_network_output:
                    network.mark_output(tensor)
    return list(left)


def opened(plan: bytes) -> Any:
    """Return the package's execution of an engine."""
    from trtcal_widgets.trt.engine import Engine
    from trtcal_widgets.trt.execution import Execution

    return Execution(Engine(plan, MappingProxyType({})))


def graph_latency(execution: Any, feeds: dict[str, np.ndarray], runs: int = 40, repeat: int = 5) -> float:
    """Return milliseconds of a run in a CUDA graph: the GPU's time, without that of launching kernel by kernel."""
    import ctypes

    cuda, stream = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(execution.stream)

    def call(name: str, *arguments: Any) -> None:
        if code := getattr(cuda, name)(*arguments):
            raise RuntimeError(f"{name}: CUDA error {code}")

    execution.run_on_device(feeds)
    execution.run_on_device(feeds)
    with execution.memory.current():
        graph, runnable = ctypes.c_void_p(), ctypes.c_void_p()
        call("cuStreamBeginCapture_v2", stream, ctypes.c_int(2))  # relaxed
        try:
            execution.context.execute_async_v3(execution.stream)
        finally:
            call("cuStreamEndCapture", stream, ctypes.byref(graph))
        call("cuGraphInstantiateWithFlags", ctypes.byref(runnable), graph, ctypes.c_ulonglong(0))
        taken = []
        for _ in range(repeat + 1):
            call("cuStreamSynchronize", stream)
            began = time.perf_counter()
            for _ in range(runs):
                call("cuGraphLaunch", runnable, stream)
            call("cuStreamSynchronize", stream)
            taken.append((time.perf_counter() - began) * 1e3 / runs)
        call("cuGraphExecDestroy", runnable)
        call("cuGraphDestroy", graph)
    return statistics.median(taken[1:])


def inspected(execution: Any) -> str:
    """Return the inspector's JSON."""
    import tensorrt as trt

    inspector = execution._cuda_engine.create_engine_inspector()  # noqa: SLF001 - the package keeps it to itself
    return inspector.get_engine_information(trt.LayerInformationFormat.JSON)


def layer_times(execution: Any, feeds: dict[str, np.ndarray], runs: int = 20) -> dict[str, float]:
    """Return the median milliseconds of each layer, in the order in which they run."""
    import tensorrt as trt

    times: dict[str, list[float]] = {}

    class Profiler(trt.IProfiler):
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, name: str, ms: float) -> None:
            times.setdefault(name, []).append(ms)

    profiler = Profiler()
    execution.context.profiler = profiler
    for _ in range(runs):
        execution.run_on_device(feeds)
    return {name: round(statistics.median(found), 6) for name, found in times.items()}
