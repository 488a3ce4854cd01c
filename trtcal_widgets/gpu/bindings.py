# ruff: noqa: D102 - the methods are documented in the interface, driver.Driver
"""The CUDA driver through NVIDIA's own binding, ``cuda.bindings.driver`` (PyPI: cuda-bindings)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.errors import DeviceError
from trtcal_widgets.gpu.driver import (
    NO_DEVICE,
    NO_DEVICE_TEXT,
    DeviceInfo,
    Driver,
    DriverCallError,
    Launch,
    MemInfo,
    check_device,
    check_driver_version,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STREAM_NON_BLOCKING = 1

_OVERLAP_FROM = (9, 0)
"""Compute capability from which launches can overlap."""


def device_names() -> list[str]:
    """Return the names of the GPUs that this process sees, without opening any."""
    from cuda.bindings import driver as api

    _call(api, "cuInit", 0)
    count = int(_call(api, "cuDeviceGetCount"))
    return [_name_of(api, _call(api, "cuDeviceGet", index)) for index in range(count)]


def _name_of(api: Any, handle: Any) -> str:
    return bytes(_call(api, "cuDeviceGetName", 256, handle)).split(b"\0")[0].decode()


def _call(api: Any, function: str, *arguments: Any) -> Any:
    """Call a driver function; return its result, or raise with its error."""
    code, *result = getattr(api, function)(*arguments)
    if code != 0:
        _, text = api.cuGetErrorString(code)
        reason = text.decode() if text else getattr(code, "name", "unknown error")
        raise DriverCallError(function, int(code), reason)
    return result[0] if result else None


class BindingsDriver(Driver):
    """``cuda.bindings.driver`` behind the :class:`~trtcal_widgets.gpu.driver.Driver` interface.

    If the calling thread has a current context of that device, it is used; otherwise the device's primary context,
    which TensorRT, PyTorch and everything else over the CUDA runtime share.
    """

    name = "cuda-bindings"

    def __init__(self, index: int) -> None:
        # cuda-bindings raises RuntimeErrors of its own while it looks for the driver library and its functions.
        try:
            from cuda.bindings import driver

            self._api = driver
            self._call("cuInit", 0)
            version = int(self._call("cuDriverGetVersion"))
        except DriverCallError as e:
            if e.code == NO_DEVICE:
                raise DeviceError(NO_DEVICE_TEXT) from e
            raise
        except RuntimeError as e:
            raise DeviceError(
                f"cuda-bindings cannot use an NVIDIA driver on this machine ({e}). Install or update the NVIDIA "
                "driver, or calibrate with ONNX Runtime, which needs no GPU"
            ) from e
        check_driver_version(version)
        check_device(index, int(self._call("cuDeviceGetCount")))
        handle = self._call("cuDeviceGet", index)
        self._primary: Any = None
        self._context = self._current_context_of(handle)
        if self._context is None:
            self._primary = handle
            self._context = self._call("cuDevicePrimaryCtxRetain", handle)
        self._configs: dict[tuple[int, int, int, int], Any] = {}
        self.device = self._describe(index, handle, version)

    def _describe(self, index: int, handle: Any, version: int) -> DeviceInfo:
        attribute = self._api.CUdevice_attribute
        major, minor, processors = (
            int(self._call("cuDeviceGetAttribute", which, handle))
            for which in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
            )
        )
        return DeviceInfo(index, _name_of(self._api, handle), (major, minor), processors, version)

    def _call(self, function: str, *arguments: Any) -> Any:
        return _call(self._api, function, *arguments)

    def _current_context_of(self, device: Any) -> Any:
        """Return the calling thread's context if it belongs to this device."""
        context = self._call("cuCtxGetCurrent")
        if int(context) == 0 or int(self._call("cuCtxGetDevice")) != int(device):
            return None
        return context

    def push(self) -> None:
        self._call("cuCtxPushCurrent", self._context)

    def pop(self) -> None:
        self._call("cuCtxPopCurrent")

    def mem_info(self) -> MemInfo:
        code, free, total = self._api.cuMemGetInfo()
        if code != 0:
            raise DriverCallError("cuMemGetInfo", int(code), code.name)
        return MemInfo(int(free), int(total))

    def alloc(self, nbytes: int) -> int:
        return int(self._call("cuMemAlloc", nbytes))

    def free(self, ptr: int) -> None:
        self._call("cuMemFree", ptr)

    def alloc_pinned(self, nbytes: int) -> NDArray[np.uint8]:
        address = int(self._call("cuMemHostAlloc", nbytes, 0))
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))

    def free_pinned(self, array: NDArray[np.uint8]) -> None:
        self._call("cuMemFreeHost", array.ctypes.data)

    def copy_in(self, ptr: int, host: NDArray[np.generic], stream: int | None) -> None:
        if stream is None:
            self._call("cuMemcpyHtoD", ptr, host.ctypes.data, host.nbytes)
        else:
            self._call("cuMemcpyHtoDAsync", ptr, host.ctypes.data, host.nbytes, stream)

    def copy_out(self, host: NDArray[np.generic], ptr: int, stream: int | None) -> None:
        if stream is None:
            self._call("cuMemcpyDtoH", host.ctypes.data, ptr, host.nbytes)
        else:
            self._call("cuMemcpyDtoHAsync", host.ctypes.data, ptr, host.nbytes, stream)

    def fill(self, ptr: int, value: int, nbytes: int) -> None:
        self._call("cuMemsetD8", ptr, value, nbytes)

    def new_stream(self) -> int:
        return int(self._call("cuStreamCreate", _STREAM_NON_BLOCKING))

    def free_stream(self, stream: int) -> None:
        self._call("cuStreamDestroy", stream)

    def synchronize(self, stream: int | None) -> None:
        if stream is None:
            self._call("cuCtxSynchronize")
        else:
            self._call("cuStreamSynchronize", stream)

    def load_module(self, image: bytes) -> Any:
        return self._call("cuModuleLoadData", image)

    def get_kernel(self, module: Any, name: str, *, shared: int = 0) -> Any:
        kernel = self._call("cuModuleGetFunction", module, name.encode())
        if shared:
            most = self._api.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._call("cuFuncSetAttribute", kernel, most, shared)
        return kernel

    def launch(self, kernel: Any, how: Launch) -> None:
        values = np.array(how.arguments, np.uint64)
        addresses = values.ctypes.data + 8 * np.arange(values.size, dtype=np.uint64)
        if how.overlap and self.device.compute_capability >= _OVERLAP_FROM:
            config = self._overlapping(how.grid, how.block, how.stream, how.shared)
            self._call("cuLaunchKernelEx", config, kernel, addresses.ctypes.data, 0)
        else:
            shape = (how.grid, 1, 1, how.block, 1, 1)
            self._call("cuLaunchKernel", kernel, *shape, how.shared, how.stream, addresses.ctypes.data, 0)

    def _overlapping(self, grid: int, block: int, stream: int, shared: int) -> Any:
        """Return the configuration of a launch that may overlap with the one before it."""
        key = grid, block, stream, shared
        if key not in self._configs:
            attribute = self._api.CUlaunchAttribute()
            attribute.id = self._api.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            attribute.value.programmaticStreamSerializationAllowed = 1
            config = self._api.CUlaunchConfig()
            config.gridDimX, config.gridDimY, config.gridDimZ = grid, 1, 1
            config.blockDimX, config.blockDimY, config.blockDimZ = block, 1, 1
            config.hStream = self._api.CUstream(stream)
            config.sharedMemBytes = shared
            config.attrs = [attribute]
            config.numAttrs = 1
            self._configs[key] = config
        return self._configs[key]

    def close(self) -> None:
        if self._primary is not None:
            self._call("cuDevicePrimaryCtxRelease", self._primary)
