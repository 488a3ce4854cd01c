"""The stand-in's builder: calls calibrator, monitor and logger as the C++ trampolines do."""

from __future__ import annotations

import ctypes
import json
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.support.trt_fake_base import ALGORITHMS, Machine, log, numpy_dtype, read, swallow
from tests.support.trt_fake_runtime import compute
from trtcal_widgets.formats.cache import CalibrationCache

if TYPE_CHECKING:
    from types import ModuleType

    from tests.support.trt_fake_network import INetworkDefinition, IOptimizationProfile, ITensor


def add_builder(trt: ModuleType, machine: Machine) -> None:
    class Builder:
        def __init__(self, logger: Any) -> None:
            assert logger._initialised, "ILogger.__init__ was not called"
            self._logger = logger
            if machine.cuda_error:
                log(machine, logger, "ERROR", f"CUDA initialization failure with error: {machine.cuda_error}.")
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


class _Building:
    def __init__(self, trt: Any, machine: Machine, logger: Any, network: INetworkDefinition, config: Any) -> None:
        self.trt, self.machine, self.logger, self.network, self.config = trt, machine, logger, network, config
        self.monitor = getattr(config, "progress_monitor", None)
        self.strong = False

    def log(self, severity: str, text: str) -> None:
        log(self.machine, self.logger, severity, text)

    def run(self) -> bytes | None:
        flags = self.network._flags
        kinds = self.trt.NetworkDefinitionCreationFlag
        self.strong = "STRONGLY_TYPED" in kinds.__members__ and bool(flags >> int(kinds.STRONGLY_TYPED) & 1)
        if not self._begin():
            return None
        if wrong := self._wrong_profiles():
            self.log("ERROR", wrong)
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

    def _wrong_profiles(self) -> str:
        dynamic = {t.name for t in self.network._inputs if -1 in t.shape}
        if dynamic and not any(dynamic <= set(profile._shapes) for profile in self.config._profiles):
            return "Network has dynamic or shape inputs, but no optimization profile has been defined."
        return "" if self._one_size_per_name() else "Input dimensions with this name are inconsistent"

    def _one_size_per_name(self) -> bool:
        """Whether dimensions of one name have one size in each corner of every profile, which TensorRT wants."""
        for profile in self.config._profiles:
            sizes: dict[tuple[str, int], set[int]] = {}
            for name, corners in profile._shapes.items():
                for corner, shape in enumerate(corners):
                    for called, size in zip(self.network._dimensions.get(name, ()), shape, strict=False):
                        sizes.setdefault((called, corner), set()).add(size)
            if any(len(found) > 1 for (called, _), found in sizes.items() if called):
                return False
        return True

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
        legacy = kind == "IInt8LegacyCalibrator"
        numbers = (swallow(calibrator.get_quantile), swallow(calibrator.get_regression_cutoff)) if legacy else None
        refused = False
        if isinstance(raw, bytes) and raw:
            if self._takes(raw, ALGORITHMS[kind], numbers):
                return dict(CalibrationCache.from_bytes(raw).scales)
            refused = True
        amax: dict[str, float] = {}
        names = [t.name for t in self.network._inputs]
        while True:
            addresses = swallow(calibrator.get_batch, names)
            if not addresses:
                break
            self._take(dict(zip(names, addresses, strict=True)), amax)
        if not amax:
            return None
        if legacy:
            self._legacy_histograms(calibrator)
        scales = {name: float(np.float32(value) / np.float32(127)) for name, value in amax.items()}
        data = CalibrationCache.build(scales, algorithm=ALGORITHMS[kind], version=self.machine.version).to_bytes()
        if numbers and self.machine.release.startswith("8"):
            quantile, cutoff = numbers
            data = (
                f"0 {struct.pack('>d', cutoff).hex()} {struct.pack('>d', quantile).hex()}".encode()
                + data[data.index(b"\n") :]
            )
        if refused and self.machine.release.startswith("8"):
            return scales  # 8.6.0 keeps the new ones to itself where it was given a cache that it ignored
        memory = ctypes.create_string_buffer(data, len(data))
        swallow(calibrator.write_calibration_cache, memoryview(memory).cast("B").toreadonly())
        ctypes.memset(memory, 0xEE, len(data))
        return scales

    def _legacy_histograms(self, calibrator: Any) -> None:
        """As 8.6.0: a length by value, then a nameless capsule and its length."""
        swallow(calibrator.read_histogram_cache, 0)
        memory = ctypes.create_string_buffer(b"histograms of all tensors")
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        swallow(calibrator.write_histogram_cache, make(ctypes.addressof(memory), None, None), len(memory.value))

    def _takes(self, raw: bytes, algorithm: str, numbers: tuple[float, float] | None) -> bool:
        """Whether a cache is used: 8.6.0 as it was seen to decide; of later releases it is not known, and they log."""
        if self.machine.takes_every_cache:
            return True
        header = raw.split(b"\n")[0].decode("utf-8", "replace").strip()
        if self.machine.release.startswith("8"):
            if numbers:  # quantile and cutoff must be those of the file
                return CalibrationCache.from_bytes(raw).legacy == numbers
            return bool(re.fullmatch(rf"TRT-[0-9]{{4}}-{algorithm}", header))
        cache = CalibrationCache.from_bytes(raw)
        fits = (cache.algorithm, cache.version) == (algorithm, tuple(map(int, self.machine.version.split("."))))
        if not fits:
            self.log("WARNING", "The cache does not fit this version; calibrating again.")
        return fits

    def _take(self, addresses: dict[str, int], amax: dict[str, float]) -> None:
        feeds = {}
        for itensor in self.network._inputs:
            shape = tuple(itensor.shape)
            if -1 in shape:
                profile = self.config._calibration or self.config._profiles[0]
                shape = profile._shapes[itensor.name][1]
            dtype = numpy_dtype(itensor.dtype.name)
            feeds[itensor.name] = read(self.machine.memory, addresses[itensor.name], shape, dtype)
        self.machine.calibrated_with.append(feeds)
        names = [t.name for t in self._tensors()[len(self.network._inputs) :] if t.dtype.name in ("FLOAT", "HALF")]
        values = dict(zip(names, compute(self.network._model, feeds, names), strict=True))
        for name, array in (feeds | values).items():
            if array.dtype.kind == "f":
                amax[name] = max(amax.get(name, 0.0), float(np.abs(array).max(initial=0)))

    def _told(self, layer: Any, scales: dict[str, float]) -> dict[str, Any]:
        """Describe a layer as the inspector does: INT8 where what it makes has a scale."""
        made = [tensor.name for tensor in layer._outputs]
        stored = "Row major Int8 format" if any(name in scales for name in made) else "Row major linear FP32"
        tensors = [{"Name": name, "Format/Datatype": stored} for name in made]
        return {"Name": layer.name, "LayerType": "Stand-in", "Inputs": tensors, "Outputs": tensors}

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
            "level": getattr(config, "builder_optimization_level", None),
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
        if getattr(getattr(config, "profiling_verbosity", None), "name", "") == "DETAILED":
            spec["layers"] = [self._told(layer, scales) for layer in network._layers]
        if config._timings is not None:
            config._timings._data += b"x"
        self.machine.built.append(spec)
        return json.dumps(spec).encode()
