"""A stand-in for TensorRT that makes the calls which its documentation describes, on the CPU.

It parses ONNX, calibrates by calling the calibrator as the C++ trampolines do (what the Python side raises is printed
and swallowed, a cache is written all the same), reports progress and logs, and "runs" engines with ONNX Runtime.
Device memory is read and written through :class:`DeviceMemory`, wherever that is.

It offers nothing but what :mod:`tests.support.trt_api` lists for the release (a test compares the two), so code that
uses anything else fails here; that the list is right is shown with the real bindings. It is no proof of what TensorRT
computes: nothing here is TensorRT.
"""

from __future__ import annotations

from enum import IntEnum
from types import MemberDescriptorType, ModuleType
from typing import Any

from tests.support import trt_api as api
from tests.support.trt_fake_base import ALGORITHMS, Machine
from tests.support.trt_fake_builder import add_builder
from tests.support.trt_fake_network import (
    ILayer,
    INetworkDefinition,
    IOptimizationProfile,
    ITensor,
    ParserError,
    add_parser,
)
from tests.support.trt_fake_runtime import EngineInspector, ICudaEngine, IExecutionContext, add_runtime
from trtcal_widgets.trt.versions import Features

FEATURES = {
    "8.6.1": Features("8.6.1", True, False, False, False, False, True, False),
    "10.0.1": Features("10.0.1", True, True, True, True, False, True, True),
    "10.16.1.11": Features("10.16.1.11", True, True, True, True, True, True, True),
    "11.4.0.106": Features("11.4.0.106", False, True, True, True, True, True, True),
}
"""What each release has; test_fake.py compares it with the bindings."""


def _enum(name: str, members: list[str], first: int) -> type[IntEnum]:
    return IntEnum(name, {member: first + index for index, member in enumerate(members)})  # type: ignore[return-value]


def make_fake(machine: Machine) -> ModuleType:
    """Make a module that can stand in ``sys.modules["tensorrt"]``."""
    has = FEATURES[machine.release]
    trt = ModuleType("tensorrt")
    trt.__version__ = machine.release
    _add_enums(trt, has)
    _add_interfaces(trt, has)
    classes = (ITensor, ILayer, INetworkDefinition, IOptimizationProfile, ParserError)
    for cls in (*classes, ITimingCache, ICudaEngine, EngineInspector, IExecutionContext):
        setattr(trt, cls.__name__, _only_listed(cls, has))
    trt.IBuilderConfig = _config_class(has)
    add_parser(trt, machine)
    add_builder(trt, machine)
    add_runtime(trt, machine)
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
    trt.IProfiler = plain("IProfiler")
    if has.progress_monitor:
        trt.IProgressMonitor = plain("IProgressMonitor")
    if has.debug_tensors:
        trt.IDebugListener = plain("IDebugListener")
    if has.calibrators:
        trt.IInt8Calibrator = plain("IInt8Calibrator")
        for name in ALGORITHMS:
            setattr(trt, name, type(name, (trt.IInt8Calibrator,), {"__init__": lambda self: None}))


class ITimingCache:
    def __init__(self, data: bytes) -> None:
        self._data = data or b"times:"

    def serialize(self) -> bytes:
        return self._data


def _config_class(has: Features) -> type:
    properties = sorted(u.name for u in api.USES if u.owner == "IBuilderConfig" and u.kind == "property")
    there = [name for name in properties if name in _listed("IBuilderConfig", has)]

    class IBuilderConfig:
        __slots__ = ("_timings", "_calibration", "_flags", "_pools", "_profiles", "_quantization", *there)

        def __init__(self) -> None:
            self._flags, self._pools, self._profiles, self._quantization = {"TF32"}, {}, [], set()
            self._calibration = None
            self._timings = None

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

        def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
            """Take bytes that start as those of :meth:`ITimingCache.serialize`, or none; refuse others."""
            return ITimingCache(serialized_timing_cache) if serialized_timing_cache[:6] in (b"", b"times:") else None

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            self._timings = cache
            return True

        def set_quantization_flag(self, flag: Any) -> None:
            self._quantization.add(flag.name)

    return _only_listed(IBuilderConfig, has)
