"""Calling a Python object the way TensorRT's C++ does: through the virtual table of its C++ half.

An instance of a class that pybind11 bound begins, after CPython's object head, with the pointer to its C++ object,
whose first word is the address of its virtual table (Itanium ABI). From TensorRT 10 on every interface begins with
the four entries of ``IVersionedInterface``; before, an interface's own methods come first.
"""

from __future__ import annotations

import ctypes
from typing import Any

import tensorrt as trt

_MAJOR = int(trt.__version__.split(".")[0])
_OLD = _MAJOR < 10
_FIRST = 0 if _OLD else 4


class Dims(ctypes.Structure):
    """``nvinfer1::Dims64`` (TensorRT 10 and later)."""

    _fields_ = (("count", ctypes.c_int32), ("sizes", ctypes.c_int64 * 8))


def _method(target: Any, slot: int, result: Any, *types: Any) -> Any:
    pointer = ctypes.c_void_p.from_address(id(target) + 2 * ctypes.sizeof(ctypes.c_void_p)).value
    table = ctypes.cast(pointer, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))[0]
    function = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *types)(table[slot])
    return lambda *arguments: function(pointer, *arguments)


class CppCalibrator:
    """A calibrator as ``nvinfer1::IInt8Calibrator*``."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def get_batch_size(self) -> int:
        return _method(self.target, _FIRST, ctypes.c_int32)()

    def get_batch(self, *names: str) -> list[int] | None:
        """The addresses that TensorRT would read, or None for "no more data"."""
        addresses = (ctypes.c_uint64 * len(names))()
        pointers = (ctypes.c_char_p * len(names))(*(name.encode() for name in names))
        types = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
        more = _method(self.target, _FIRST + 1, ctypes.c_bool, *types)(
            ctypes.addressof(addresses), ctypes.addressof(pointers), len(names)
        )
        return list(addresses) if more else None

    def read_calibration_cache(self) -> bytes | None:
        length = ctypes.c_size_t(0)
        pointer = _method(self.target, _FIRST + 2, ctypes.c_void_p, ctypes.c_void_p)(ctypes.addressof(length))
        return None if pointer is None else ctypes.string_at(pointer, length.value)

    def write_calibration_cache(self, data: bytes) -> None:
        """Hand over memory that is overwritten after the call, as TensorRT's is."""
        memory = ctypes.create_string_buffer(data, len(data))
        types = (ctypes.c_void_p, ctypes.c_size_t)
        _method(self.target, _FIRST + 3, None, *types)(ctypes.addressof(memory), len(data))
        ctypes.memset(memory, 0xEE, len(data))

    def get_algorithm(self) -> int:
        return _method(self.target, _FIRST + 4, ctypes.c_int32)()


class CppLegacyCalibrator(CppCalibrator):
    """A calibrator as ``nvinfer1::IInt8LegacyCalibrator*``."""

    # 8.6 has its two destructors before these, 10 has them among the first four.
    _OWN = 7 if _OLD else 9

    def get_quantile(self) -> float:
        return _method(self.target, self._OWN, ctypes.c_double)()

    def get_regression_cutoff(self) -> float:
        return _method(self.target, self._OWN + 1, ctypes.c_double)()

    def read_histogram_cache(self) -> tuple[int | None, int]:
        length = ctypes.c_size_t(123)
        pointer = _method(self.target, self._OWN + 2, ctypes.c_void_p, ctypes.c_void_p)(ctypes.addressof(length))
        return pointer, length.value

    def write_histogram_cache(self, data: bytes) -> None:
        memory = ctypes.create_string_buffer(data, len(data))
        types = (ctypes.c_void_p, ctypes.c_size_t)
        _method(self.target, self._OWN + 3, None, *types)(ctypes.addressof(memory), len(data))
        ctypes.memset(memory, 0xEE, len(data))


def cpp_log(logger: Any, severity: int, text: bytes) -> None:
    """``nvinfer1::ILogger::log``; a logger is a versioned interface from TensorRT 11 on."""
    _method(logger, 0 if _MAJOR < 11 else _FIRST, None, ctypes.c_int32, ctypes.c_char_p)(severity, text)


class CppMonitor:
    """A progress monitor as ``nvinfer1::IProgressMonitor*``."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def phase_start(self, name: bytes, parent: bytes | None, steps: int) -> None:
        _method(self.target, _FIRST, None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32)(name, parent, steps)

    def step_complete(self, name: bytes, step: int) -> bool:
        return _method(self.target, _FIRST + 1, ctypes.c_bool, ctypes.c_char_p, ctypes.c_int32)(name, step)

    def phase_finish(self, name: bytes) -> None:
        _method(self.target, _FIRST + 2, None, ctypes.c_char_p)(name)


def cpp_debug_tensor(listener: Any, address: int, dtype: int, shape: tuple[int, ...], name: bytes, stream: int) -> bool:
    """``nvinfer1::IDebugListener::processDebugTensor`` for a tensor in device memory."""
    dims = Dims(len(shape), (ctypes.c_int64 * 8)(*shape))
    types = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    method = _method(listener, _FIRST, ctypes.c_bool, *types)
    return method(address, 0, dtype, ctypes.addressof(dims), name, stream)
