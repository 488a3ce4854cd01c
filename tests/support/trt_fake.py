"""A stand-in for TensorRT that makes the calls which its documentation describes, on the CPU.

It parses ONNX, calibrates by calling the calibrator as the C++ trampolines do (what the Python side raises is printed
and swallowed, a cache is written all the same), reports progress and logs, and "runs" engines with ONNX Runtime.
Device memory is read and written through :class:`DeviceMemory`, wherever that is.

It offers nothing but what :mod:`trtcal_widgets.trt.api` lists for the release (a test compares the two), so code that
uses anything else fails here; that the list is right is shown with the real bindings. It is no proof of what TensorRT
computes: nothing here is TensorRT.
"""

from __future__ import annotations

import ctypes
import json
import traceback
from dataclasses import dataclass, field
from enum import IntEnum
from types import MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort

from trtcal_widgets.core.cache import CalibrationCache
from trtcal_widgets.trt import api
from trtcal_widgets.trt.versions import Features

if TYPE_CHECKING:
    from trtcal_widgets.trt.memory import DeviceMemory

FEATURES = {
    "8.6.1": Features("8.6.1", True, False, False, False, False, True, False),
    "10.0.1": Features("10.0.1", True, True, True, True, False, True, True),
    "10.16.1.11": Features("10.16.1.11", True, True, True, True, True, True, True),
    "11.4.0.106": Features("11.4.0.106", False, True, True, True, True, True, True),
}
"""What each release has; test_fake.py compares it with the bindings."""

ALGORITHMS = {
    "IInt8EntropyCalibrator2": "EntropyCalibration2",
    "IInt8EntropyCalibrator": "EntropyCalibration",
    "IInt8MinMaxCalibrator": "MinMaxCalibration",
    "IInt8LegacyCalibrator": "LegacyCalibration",
}


@dataclass
class Machine:
    """What the stand-in pretends of the machine, and what it saw. Not part of TensorRT's API."""

    release: str
    memory: DeviceMemory
    cuda_error: int = 0
    build_error: str = ""
    dla_cores: int = 0
    compute_capability: tuple[int, int] = (9, 0)
    takes_every_cache: bool = False
    parser_error: str = ""
    built: list[dict[str, Any]] = field(default_factory=list)
    calibrated_with: list[dict[str, np.ndarray]] = field(default_factory=list)

    @property
    def version(self) -> str:
        return ".".join(self.release.split(".")[:3])


def swallow(call: Any, *arguments: Any, otherwise: Any = None) -> Any:
    """Call into Python as a C++ trampoline does: exceptions are printed and gone."""
    try:
        return call(*arguments)
    except BaseException:  # noqa: BLE001 - that is what is being shown
        traceback.print_exc()
        return otherwise


def _enum(name: str, members: list[str], first: int) -> type[IntEnum]:
    return IntEnum(name, {member: first + index for index, member in enumerate(members)})  # type: ignore[return-value]


class Dims(tuple):
    """TensorRT's Dims: a sequence of sizes."""

    __slots__ = ()


class ITensor:
    __slots__ = ("_is_input", "_is_output", "_range", "dtype", "is_shape_tensor", "name", "shape")

    def __init__(self, name: str, dtype: Any, shape: tuple[int, ...], is_input: bool = False) -> None:
        self.name, self.dtype, self.shape = name, dtype, Dims(shape)
        self.is_shape_tensor = False
        self._is_input, self._is_output, self._range = is_input, False, None

    @property
    def is_network_input(self) -> bool:
        return self._is_input

    @property
    def is_network_output(self) -> bool:
        return self._is_output

    def set_dynamic_range(self, min: float, max: float) -> bool:  # noqa: A002 - TensorRT's names
        if not min < max:
            return False
        self._range = (min, max)
        return True


class ILayer:
    __slots__ = ("_outputs", "_precision", "_types", "metadata", "name")

    def __init__(self, name: str, outputs: list[ITensor], metadata: str) -> None:
        self.name, self._outputs, self.metadata = name, outputs, metadata
        self._precision, self._types = None, {}

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, dtype: Any) -> None:
        self._precision = dtype

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._types[index] = dtype


class INetworkDefinition:
    __slots__ = ("_debug", "_flags", "_inputs", "_layers", "_model", "_outputs", "_unfused")

    def __init__(self, flags: int) -> None:
        self._flags, self._inputs, self._layers, self._outputs = flags, [], [], []
        self._debug, self._unfused, self._model = [], False, None

    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    num_layers = property(lambda self: len(self._layers))

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]

    def get_layer(self, index: int) -> ILayer:
        return self._layers[index]

    def mark_output(self, tensor: ITensor) -> None:
        assert not tensor._is_output, "TensorRT logs an error when a tensor is marked twice"
        tensor._is_output = True
        self._outputs.append(tensor)

    def mark_debug(self, tensor: ITensor) -> bool:
        self._debug.append(tensor.name)
        return True

    def mark_unfused_tensors_as_debug_tensors(self) -> bool:
        self._unfused = True
        return True


class IOptimizationProfile:
    __slots__ = ("_shapes",)

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        self._shapes[input] = (tuple(min), tuple(opt), tuple(max))

    set_shape_input = set_shape


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return 3

    def node_name(self) -> str:
        return "odd"

    def node_operator(self) -> str:
        return "Frobnicate"


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


class IExecutionContext:
    __slots__ = ("_addresses", "_engine", "_listener", "_shapes", "_unfused", "_watch")

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._shapes, self._addresses = engine, {}, {}
        self._listener, self._watch = None, False
        self._unfused = False

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
        return np.dtype({"FLOAT": "float32", "HALF": "float16"}.get(self._engine._io[name][0], "int32"))

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
        feeds = {n: _read(memory, self._addresses[n], s, self._dtype(n)) for n, s in self._shapes.items()}
        inner = spec["debug"] if self._watch else []
        if self._unfused and spec["unfused"]:
            inner = spec["activations"]
        names = [*spec["outputs"], *inner]
        values = dict(zip(names, _run(engine, feeds, names), strict=True))
        for name in inner:
            self._show(name, np.ascontiguousarray(values[name]), stream_handle)
        for name in spec["outputs"]:
            _write(memory, self._addresses[name], values[name])
        return True

    def _show(self, name: str, array: np.ndarray, stream: int) -> None:
        trt, memory = self._engine._trt, self._engine._machine.memory
        with memory.alloc(max(array.nbytes, 1)) as buffer:
            _write(memory, buffer.ptr, array)
            swallow(
                self._listener.process_debug_tensor,
                buffer.ptr,
                trt.TensorLocation.DEVICE,
                trt.DataType.FLOAT,
                Dims(array.shape),
                name,
                stream,
            )


def _read(memory: DeviceMemory, address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    array = np.empty(shape, dtype)
    with memory.current() as driver:
        driver.copy_out(array, address, None)
    return array


def _write(memory: DeviceMemory, address: int, array: np.ndarray) -> None:
    with memory.current() as driver:
        driver.copy_in(address, np.ascontiguousarray(array), None)


_SESSIONS: dict[str, ort.InferenceSession] = {}


def _run(engine: ICudaEngine, feeds: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
    """Compute tensors in FP32; outputs that have a scale are quantised with it, so that INT8 differs from FP32."""
    spec = engine._spec
    values = _compute(spec["path"], feeds, names)
    for index, name in enumerate(names):
        scale = spec["scales"].get(name, 0.0)
        if scale and name in spec["outputs"]:
            values[index] = (np.clip(np.rint(values[index] / scale), -128, 127) * scale).astype(np.float32)
    return values


def _compute(path: str, feeds: dict[str, np.ndarray], names: list[str]) -> list[np.ndarray]:
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


def make_fake(machine: Machine) -> ModuleType:
    """Make a module that can stand in ``sys.modules["tensorrt"]``."""
    has = FEATURES[machine.release]
    trt = ModuleType("tensorrt")
    trt.__version__ = machine.release
    _add_enums(trt, has)
    _add_interfaces(trt, has)
    for cls in (ITensor, ILayer, INetworkDefinition, IOptimizationProfile, ParserError, ICudaEngine, IExecutionContext):
        setattr(trt, cls.__name__, _only_listed(cls, has))
    trt.IBuilderConfig = _config_class(has)
    _add_parser(trt, machine)
    _add_builder(trt, machine)
    _add_runtime(trt, machine)
    return trt


def _listed(owner: str, has: Features) -> set[str]:
    return {u.name for u in api.USES if u.owner == owner and (not u.feature or getattr(has, u.feature))}


def _only_listed(cls: type, has: Features) -> type:
    """Return the class without what the release does not have."""
    hidden = {name for name in vars(cls) if not name.startswith("_")} - _listed(cls.__name__, has)
    kept = {
        name: value
        for name, value in vars(cls).items()
        if name not in hidden
        and name not in ("__dict__", "__weakref__")
        and not isinstance(value, MemberDescriptorType)
    }
    return type(cls.__name__, (), kept)


def _add_enums(trt: ModuleType, has: Features) -> None:
    first = 0 if has.calibrators else 40  # TensorRT 11 numbers anew
    for use in api.USES:
        if use.kind == "class" and use.name in {u.owner for u in api.USES if u.kind == "value"}:
            if use.feature and not getattr(has, use.feature):
                continue
            members = sorted(_listed(use.name, has))
            if use.name == "TensorIOMode":
                members.append("OUTPUT")
            if use.name == "DataType":
                members += ["INT32", "INT64", "BOOL", "FP8"]
            setattr(trt, use.name, _enum(use.name, members, first))


def _add_interfaces(trt: ModuleType, has: Features) -> None:
    def plain(name: str) -> type:
        def initialise(self: Any) -> None:
            self._initialised = True

        return type(name, (), {"__init__": initialise})

    trt.ILogger = plain("ILogger")
    if has.progress_monitor:
        trt.IProgressMonitor = plain("IProgressMonitor")
    if has.debug_tensors:
        trt.IDebugListener = plain("IDebugListener")
    if has.calibrators:
        trt.IInt8Calibrator = plain("IInt8Calibrator")
        for name in ALGORITHMS:
            setattr(trt, name, type(name, (trt.IInt8Calibrator,), {"__init__": lambda self: None}))


def _config_class(has: Features) -> type:
    properties = sorted(u.name for u in api.USES if u.owner == "IBuilderConfig" and u.kind == "property")
    there = [name for name in properties if name in _listed("IBuilderConfig", has)]

    class IBuilderConfig:
        __slots__ = ("_calibration", "_flags", "_pools", "_profiles", "_quantization", *there)

        def __init__(self) -> None:
            self._flags, self._pools, self._profiles, self._quantization = {"TF32"}, {}, [], set()
            self._calibration = None

        def set_flag(self, flag: Any) -> None:
            self._flags.add(flag.name)

        def clear_flag(self, flag: Any) -> None:
            self._flags.discard(flag.name)

        def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
            self._pools[pool.name] = pool_size

        def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
            self._profiles.append(profile)
            return len(self._profiles) - 1

        def set_calibration_profile(self, profile: IOptimizationProfile) -> bool:
            self._calibration = profile
            return True

        def set_quantization_flag(self, flag: Any) -> None:
            self._quantization.add(flag.name)

    return _only_listed(IBuilderConfig, has)


def _log(machine: Machine, logger: Any, severity: str, text: str) -> None:
    class Severity:
        name = severity

    swallow(logger.log, Severity, text)


def _add_parser(trt: ModuleType, machine: Machine) -> None:
    class OnnxParser:
        def __init__(self, network: INetworkDefinition, logger: Any) -> None:
            self._network, self._logger, self._errors = network, logger, []

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> ParserError:
            return self._errors[index]

        def parse_from_file(self, model: str) -> bool:
            if machine.parser_error:
                self._errors.append(trt.ParserError(machine.parser_error))
                return False
            _parse(trt, machine, self._network, model)
            return True

    trt.OnnxParser = OnnxParser


def _add_builder(trt: ModuleType, machine: Machine) -> None:
    class Builder:
        def __init__(self, logger: Any) -> None:
            assert logger._initialised, "ILogger.__init__ was not called"
            self._logger = logger
            if machine.cuda_error:
                _log(machine, logger, "ERROR", f"CUDA initialization failure with error: {machine.cuda_error}.")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        @property
        def num_DLA_cores(self) -> int:
            return machine.dla_cores

        def create_network(self, flags: int = 0) -> INetworkDefinition:
            return trt.INetworkDefinition(flags)

        def create_builder_config(self) -> Any:
            return trt.IBuilderConfig()

        def create_optimization_profile(self) -> IOptimizationProfile:
            return trt.IOptimizationProfile()

        def build_serialized_network(self, network: INetworkDefinition, config: Any) -> bytes | None:
            return _Building(trt, machine, self._logger, network, config).run()

    trt.Builder = Builder


def _parse(trt: Any, machine: Machine, network: INetworkDefinition, path: str) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    old = machine.release.startswith("8")
    types = {1: "FLOAT", 10: "HALF", 6: "INT32", 7: "INT32" if old else "INT64", 9: "BOOL"}
    infos = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info, *graph.output)}

    def tensor(name: str, is_input: bool = False) -> ITensor:
        info = infos.get(name)
        shape = () if info is None else (d.dim_value if d.HasField("dim_value") else -1 for d in info.shape.dim)
        dtype = types.get(info.elem_type if info is not None else 1, "FLOAT")
        return trt.ITensor(name, getattr(trt.DataType, dtype), tuple(shape), is_input)

    network._inputs = [tensor(v.name, is_input=True) for v in graph.input if v.name not in constants]
    made = {}
    for index, node in enumerate(graph.node):
        outputs = [tensor(name) for name in node.output if name]
        made |= {t.name: t for t in outputs}
        name = node.name or f"(Unnamed Layer* {index}) [{node.op_type}]"
        network._layers.append(trt.ILayer(name, outputs, f"[ONNX Layer: {node.name}]"))
    for output in graph.output:
        made[output.name]._is_output = True
        network._outputs.append(made[output.name])
    network._model = path


class _Building:
    def __init__(self, trt: Any, machine: Machine, logger: Any, network: INetworkDefinition, config: Any) -> None:
        self.trt, self.machine, self.logger, self.network, self.config = trt, machine, logger, network, config
        self.monitor = getattr(config, "progress_monitor", None)
        self.strong = False

    def log(self, severity: str, text: str) -> None:
        _log(self.machine, self.logger, severity, text)

    def run(self) -> bytes | None:
        flags = self.network._flags
        kinds = self.trt.NetworkDefinitionCreationFlag
        self.strong = "STRONGLY_TYPED" in kinds.__members__ and bool(flags >> int(kinds.STRONGLY_TYPED) & 1)
        if not self._begin():
            return None
        dynamic = {t.name for t in self.network._inputs if -1 in t.shape}
        if dynamic and not any(dynamic <= set(profile._shapes) for profile in self.config._profiles):
            self.log("ERROR", "Network has dynamic or shape inputs, but no optimization profile has been defined.")
            return None
        scales = {t.name: t._range[1] / 127 for t in self._tensors() if t._range}
        calibrator = getattr(self.config, "int8_calibrator", None)
        if calibrator is not None and "INT8" in self.config._flags:
            found = self._calibrate(calibrator)
            if found is None:
                self.log("ERROR", "Calibration failure occurred with no scaling factors detected.")
                return None
            scales = found
        if self.machine.build_error:
            self.log("ERROR", self.machine.build_error)
            return None
        if not self._step("Building", 1):
            return None
        self._finish()
        return self._serialise(scales)

    def _begin(self) -> bool:
        self.log("INFO", "Building")
        self.log("VERBOSE", "chatter")
        if self.monitor is not None:
            swallow(self.monitor.phase_start, "Building", None, 2)
        return self._step("Building", 0)

    def _step(self, phase: str, step: int) -> bool:
        if self.monitor is None:
            return True
        go_on = swallow(self.monitor.step_complete, phase, step, otherwise=False)
        if go_on is not True:
            self.log("ERROR", "The build was cancelled by the user.")
        return go_on is True

    def _finish(self) -> None:
        if self.monitor is not None:
            swallow(self.monitor.phase_finish, "Building")

    def _tensors(self) -> list[ITensor]:
        return [*self.network._inputs, *(t for layer in self.network._layers for t in layer._outputs)]

    def _calibrate(self, calibrator: Any) -> dict[str, float] | None:
        """As TensorRT: ask for a cache; if it fits, use it; else run batches until none comes, and write a cache."""
        kind = next(cls.__name__ for cls in type(calibrator).__mro__ if cls.__name__ in ALGORITHMS)
        swallow(calibrator.get_batch_size)
        raw = swallow(calibrator.read_calibration_cache)
        if isinstance(raw, bytes) and raw:
            cache = CalibrationCache.from_bytes(raw)
            fits = (cache.algorithm, cache.version) == (
                ALGORITHMS[kind],
                tuple(map(int, self.machine.version.split("."))),
            )
            if fits or self.machine.takes_every_cache:
                return dict(cache.scales)
            self.log("WARNING", "The cache does not fit this version; calibrating again.")
        amax: dict[str, float] = {}
        names = [t.name for t in self.network._inputs]
        while True:
            addresses = swallow(calibrator.get_batch, names)
            if not addresses:
                break
            self._take(dict(zip(names, addresses, strict=True)), amax)
        if not amax:
            return None
        scales = {name: float(np.float32(value) / np.float32(127)) for name, value in amax.items()}
        data = CalibrationCache.build(scales, algorithm=ALGORITHMS[kind], version=self.machine.version).to_bytes()
        memory = ctypes.create_string_buffer(data, len(data))
        swallow(calibrator.write_calibration_cache, memoryview(memory).cast("B").toreadonly())
        ctypes.memset(memory, 0xEE, len(data))
        return scales

    def _take(self, addresses: dict[str, int], amax: dict[str, float]) -> None:
        feeds = {}
        for itensor in self.network._inputs:
            shape = tuple(itensor.shape)
            if -1 in shape:
                profile = self.config._calibration or self.config._profiles[0]
                shape = profile._shapes[itensor.name][1]
            dtype = {"FLOAT": "float32", "HALF": "float16"}.get(itensor.dtype.name, "int32")
            feeds[itensor.name] = _read(self.machine.memory, addresses[itensor.name], shape, np.dtype(dtype))
        self.machine.calibrated_with.append(feeds)
        names = [t.name for t in self._tensors()[len(self.network._inputs) :] if t.dtype.name in ("FLOAT", "HALF")]
        values = dict(zip(names, _compute(self.network._model, feeds, names), strict=True))
        for name, array in (feeds | values).items():
            if array.dtype.kind == "f":
                amax[name] = max(amax.get(name, 0.0), float(np.abs(array).max(initial=0)))

    def _serialise(self, scales: dict[str, float]) -> bytes:
        network, config = self.network, self.config
        spec = {
            "magic": "stand-in",
            "version": self.machine.release,
            "compute_capability": self.machine.compute_capability,
            "path": network._model,
            "inputs": {t.name: (t.dtype.name, list(t.shape)) for t in network._inputs},
            "outputs": {t.name: (t.dtype.name, list(t.shape)) for t in network._outputs},
            "activations": [t.name for layer in network._layers for t in layer._outputs if t.dtype.name == "FLOAT"],
            "debug": network._debug,
            "unfused": network._unfused,
            "profiles": [p._shapes for p in config._profiles] or [{}],
            "calibration_profile": config._calibration and config._calibration._shapes,
            "scales": scales,
            "strongly_typed": self.strong,
            "flags": sorted(config._flags),
            "quantization_flags": sorted(config._quantization),
            "pools": config._pools,
            "dla": [
                getattr(config, "DLA_core", None),
                getattr(getattr(config, "default_device_type", None), "name", None),
            ],
            "precisions": {
                layer.name: [layer._precision.name, {i: t.name for i, t in layer._types.items()}]
                for layer in network._layers
                if layer._precision is not None
            },
        }
        self.machine.built.append(spec)
        return json.dumps(spec).encode()


def _add_runtime(trt: ModuleType, machine: Machine) -> None:
    class Runtime:
        def __init__(self, logger: Any) -> None:
            self._logger = logger
            if machine.cuda_error:
                _log(machine, logger, "ERROR", f"CUDA initialization failure with error: {machine.cuda_error}.")
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
            try:
                spec = json.loads(serialized_engine)
            except ValueError:
                _log(machine, self._logger, "ERROR", "Serialization assertion failed: magic tag does not match.")
                return None
            if spec["version"] != machine.release:
                text = "The engine plan file is not compatible with this version of TensorRT"
                _log(machine, self._logger, "ERROR", f"{text}, expecting {machine.release} got {spec['version']}.")
                return None
            if tuple(spec["compute_capability"]) != machine.compute_capability:
                text = "The engine plan file is generated on an incompatible device"
                _log(machine, self._logger, "ERROR", f"{text}, please rebuild.")
                return None
            return trt.ICudaEngine(trt, machine, spec)

    trt.Runtime = Runtime
