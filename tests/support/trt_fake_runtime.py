"""The stand-in's runtime: engines that ONNX Runtime computes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.support.trt_fake_base import Dims, Machine, log, numpy_dtype, read, swallow, write

if TYPE_CHECKING:
    from types import ModuleType


class ICudaEngine:
    def __init__(self, trt: Any, machine: Machine, spec: dict[str, Any]) -> None:
        self._trt, self._machine, self._spec = trt, machine, spec
        self._io = spec["inputs"] | spec["outputs"]

    @property
    def num_io_tensors(self) -> int:
        return len(self._io)

    def get_tensor_name(self, index: int) -> str:
        return list(self._io)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return getattr(self._trt.TensorIOMode, "INPUT" if name in self._spec["inputs"] else "OUTPUT")

    def get_tensor_dtype(self, name: str) -> Any:
        return getattr(self._trt.DataType, self._io[name][0])

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(self._io[name][1])

    def get_tensor_location(self, name: str) -> Any:
        return self._trt.TensorLocation.DEVICE

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        shape = self._io[name][1]
        return [Dims(s) for s in self._spec["profiles"][profile_index].get(name, [shape] * 3)]

    def create_execution_context(self) -> IExecutionContext:
        return self._trt.IExecutionContext(self)

    def create_engine_inspector(self) -> EngineInspector:
        inspector = self._trt.EngineInspector()
        inspector._layers = list(self._spec.get("layers", ()))
        return inspector


class EngineInspector:
    _layers: list[Any]

    def get_engine_information(self, format: Any) -> str:  # noqa: A002 - TensorRT's own name
        """Describe the layers; an engine without detailed profiling has none to tell of."""
        return json.dumps({"Layers": self._layers})


class IExecutionContext:
    __slots__ = ("_addresses", "_engine", "_listener", "_profiler", "_shapes", "_unfused", "_watch")

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._shapes, self._addresses = engine, {}, {}
        self._listener, self._watch = None, False
        self._unfused = False
        self._profiler = None

    @property
    def profiler(self) -> Any:
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Any) -> None:
        self._profiler = profiler

    @property
    def unfused_tensors_debug_state(self) -> bool:
        return self._unfused

    @unfused_tensors_debug_state.setter
    def unfused_tensors_debug_state(self, flag: bool) -> None:
        self._unfused = flag

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        declared = tuple(self._engine.get_tensor_shape(name))
        if -1 in declared:
            low, _, high = self._engine.get_tensor_profile_shape(name, 0)
            fits = all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))
        else:
            fits = declared == tuple(shape)
        if fits:
            self._shapes[name] = tuple(shape)
        return fits

    def infer_shapes(self) -> list[str]:
        return [name for name in self._engine._spec["inputs"] if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(_run(self._engine, self._zeros(), [name])[0].shape)

    def _zeros(self) -> dict[str, np.ndarray]:
        return {n: np.zeros(s, self._dtype(n)) for n, s in self._shapes.items()}

    def _dtype(self, name: str) -> np.dtype:
        return numpy_dtype(self._engine._io[name][0])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return memory % 256 == 0

    def set_debug_listener(self, listener: Any) -> bool:
        self._listener = listener
        return True

    def set_all_tensors_debug_state(self, flag: bool) -> bool:
        self._watch = flag
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        engine, spec = self._engine, self._engine._spec
        memory = engine._machine.memory
        feeds = {n: read(memory, self._addresses[n], s, self._dtype(n)) for n, s in self._shapes.items()}
        inner = spec["debug"] if self._watch else []
        if self._unfused and spec["unfused"]:
            inner = spec["activations"]
        names = [*spec["outputs"], *inner]
        values = dict(zip(names, _run(engine, feeds, names), strict=True))
        for name in inner:
            self._show(name, np.ascontiguousarray(values[name]), stream_handle)
        for name in spec["outputs"]:
            write(memory, self._addresses[name], values[name])
        if self._profiler is not None:
            for index, layer in enumerate(spec.get("layers", ())):
                swallow(self._profiler.report_layer_time, layer["Name"], 0.001 * (index + 1))
        return True

    def _show(self, name: str, array: np.ndarray, stream: int) -> None:
        trt, memory = self._engine._trt, self._engine._machine.memory
        with memory.alloc(max(array.nbytes, 1)) as buffer:
            write(memory, buffer.ptr, array)
            swallow(
                self._listener.process_debug_tensor,
                buffer.ptr,
                trt.TensorLocation.DEVICE,
                trt.DataType.FLOAT,
                Dims(array.shape),
                name,
                stream,
            )


_SESSIONS: dict[str, ort.InferenceSession] = {}


def _run(engine: ICudaEngine, feeds: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    """Compute tensors in FP32; outputs that have a scale are quantised with it, so that INT8 differs from FP32."""
    spec = engine._spec
    values = compute(spec["path"], feeds, names)
    for index, name in enumerate(names):
        scale = spec["scales"].get(name, 0.0)
        if scale and name in spec["outputs"]:
            values[index] = (np.clip(np.rint(values[index] / scale), -128, 127) * scale).astype(np.float32)
    return values


def compute(path: str, feeds: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    if path not in _SESSIONS:
        model = onnx.load(path)
        present = {output.name for output in model.graph.output}
        for node in model.graph.node:
            for name in node.output:
                if name and name not in present:
                    model.graph.output.add(name=name)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        _SESSIONS[path] = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    session = _SESSIONS[path]
    want = {item.name: item.type for item in session.get_inputs()}
    cast = {n: a.astype(np.int64) if want[n] == "tensor(int64)" else a for n, a in feeds.items()}
    return session.run(names, cast)


def add_runtime(trt: ModuleType, machine: Machine) -> None:
    class Runtime:
        def __init__(self, logger: Any) -> None:
            self._logger = logger
            if machine.cuda_error:
                log(machine, logger, "ERROR", f"CUDA initialization failure with error: {machine.cuda_error}.")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            try:
                spec = json.loads(serialized_engine)
            except ValueError:
                log(machine, self._logger, "ERROR", "Serialization assertion failed: magic tag does not match.")
                return None
            if spec["version"] != machine.release:
                text = "The engine plan file is not compatible with this version of TensorRT"
                log(machine, self._logger, "ERROR", f"{text}, expecting {machine.release} got {spec['version']}.")
                return None
            if tuple(spec["compute_capability"]) != machine.compute_capability:
                text = "The engine plan file is generated on an incompatible device"
                log(machine, self._logger, "ERROR", f"{text}, please rebuild.")
                return None
            return trt.ICudaEngine(trt, machine, spec)

    trt.Runtime = Runtime
