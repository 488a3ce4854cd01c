# ruff: noqa: D102 - the methods are documented in the interface, driver.Driver
"""The CUDA driver through PyCUDA, ``pycuda.driver``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.errors import DeviceError, UsageError
from trtcal_widgets.gpu.driver import (
    INVALID_CONTEXT,
    NO_DEVICE_TEXT,
    OUT_OF_MEMORY,
    UNKNOWN,
    DeviceInfo,
    Driver,
    DriverCallError,
    Launch,
    MemInfo,
    check_device,
    check_driver_version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_PRIMARY: dict[int, Any] = {}
"""Primary contexts, kept for good: PyCUDA leaves the context stack unbalanced when it lets go of one."""


def device_names() -> list[str]:
    """Return the names of the GPUs that this process sees, without opening any."""
    import pycuda.driver as api

    try:
        api.init()
        return [str(api.Device(index).name()) for index in range(api.Device.count())]
    except api.Error as error:
        raise DeviceError(str(error)) from error


class PyCudaDriver(Driver):
    """``pycuda.driver`` behind the :class:`~trtcal_widgets.gpu.driver.Driver` interface.

    If PyCUDA has a current context of that device on the calling thread (``pycuda.autoinit`` makes one), it is
    used; otherwise the device's primary context.
    """

    name = "pycuda"

    def __init__(self, index: int) -> None:
        # Without libcuda.so.1 PyCUDA's extension module cannot be loaded at all.
        try:
            import pycuda.driver as api
        except ModuleNotFoundError:
            raise
        except ImportError as e:
            raise DeviceError(
                f"PyCUDA cannot be loaded ({e}). Install the NVIDIA driver, rebuild PyCUDA for the CUDA version that "
                "is installed, or calibrate with ONNX Runtime, which needs no GPU"
            ) from e
        self._api = api
        with self._errors("cuInit"):
            api.init()
            count = api.Device.count()
        version = int(api.get_driver_version())
        check_driver_version(version)
        check_device(index, count)
        device = api.Device(index)
        self._context = self._context_of(device, index)
        processors = device.get_attribute(api.device_attribute.MULTIPROCESSOR_COUNT)
        major, minor = device.compute_capability()
        self.device = DeviceInfo(index, device.name(), (int(major), int(minor)), int(processors), version)
        self._allocations: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}

    def _context_of(self, device: Any, index: int) -> Any:
        current = self._api.Context.get_current()
        if current is not None and current.get_device() == device:
            return current
        if index not in _PRIMARY:
            with self._errors("cuDevicePrimaryCtxRetain"):
                _PRIMARY[index] = device.retain_primary_context()
        return _PRIMARY[index]

    @contextmanager
    def _errors(self, call: str) -> Iterator[None]:
        """Turn PyCUDA's exceptions, which have a text but no code, into ours."""
        try:
            yield
        except self._api.MemoryError as e:
            raise DriverCallError(call, OUT_OF_MEMORY, str(e)) from e
        except self._api.Error as e:
            text = str(e)
            if "no CUDA-capable device" in text:
                raise DeviceError(NO_DEVICE_TEXT) from e
            gone = "context" in text or "deinitialized" in text
            raise DriverCallError(call, INVALID_CONTEXT if gone else UNKNOWN, text) from e

    def _stream(self, handle: int) -> Any:
        """Return PyCUDA's object for a stream handle: it takes no others."""
        if handle == 0:
            return None
        if handle not in self._streams:
            raise UsageError(
                "PyCUDA can use only streams that it made: use the memory's new_stream(), or prefer='cuda-bindings'"
            )
        return self._streams[handle]

    def push(self) -> None:
        self._context.push()

    def pop(self) -> None:
        self._api.Context.pop()

    def mem_info(self) -> MemInfo:
        with self._errors("cuMemGetInfo"):
            free, total = self._api.mem_get_info()
        return MemInfo(int(free), int(total))

    def alloc(self, nbytes: int) -> int:
        with self._errors("cuMemAlloc"):
            allocation = self._api.mem_alloc(nbytes)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, ptr: int) -> None:
        with self._errors("cuMemFree"):
            self._allocations.pop(ptr).free()

    def alloc_pinned(self, nbytes: int) -> NDArray[np.uint8]:
        with self._errors("cuMemHostAlloc"):
            array: NDArray[np.uint8] = self._api.pagelocked_empty(nbytes, np.uint8)
        return array

    def free_pinned(self, array: NDArray[np.uint8]) -> None:
        with self._errors("cuMemFreeHost"):
            array.base.free()  # type: ignore[union-attr]  # PyCUDA's allocation object

    def copy_in(self, ptr: int, host: NDArray[np.generic], stream: int | None) -> None:
        with self._errors("cuMemcpyHtoD"):
            if stream is None:
                self._api.memcpy_htod(ptr, host)
            else:
                self._api.memcpy_htod_async(ptr, host, self._stream(stream))

    def copy_out(self, host: NDArray[np.generic], ptr: int, stream: int | None) -> None:
        with self._errors("cuMemcpyDtoH"):
            if stream is None:
                self._api.memcpy_dtoh(host, ptr)
            else:
                self._api.memcpy_dtoh_async(host, ptr, self._stream(stream))

    def fill(self, ptr: int, value: int, nbytes: int) -> None:
        with self._errors("cuMemsetD8"):
            self._api.memset_d8(ptr, value, nbytes)

    def new_stream(self) -> int:
        with self._errors("cuStreamCreate"):
            stream = self._api.Stream(1)
        self._streams[int(stream.handle)] = stream
        return int(stream.handle)

    def free_stream(self, stream: int) -> None:
        # PyCUDA destroys the stream with its object.
        self._streams.pop(stream)

    def synchronize(self, stream: int | None) -> None:
        with self._errors("cuStreamSynchronize"):
            if not stream:
                self._api.Context.synchronize()
            else:
                self._stream(stream).synchronize()

    def load_module(self, image: bytes) -> Any:
        with self._errors("cuModuleLoadData"):
            return self._api.module_from_buffer(image)

    def get_kernel(self, module: Any, name: str, *, shared: int = 0) -> Any:
        with self._errors("cuModuleGetFunction"):
            kernel = module.get_function(name)
        if shared:
            with self._errors("cuFuncSetAttribute"):
                kernel.set_attribute(self._api.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
        return kernel

    def launch(self, kernel: Any, how: Launch) -> None:
        # PyCUDA has no launch attributes, so nothing overlaps.
        values = [np.uint64(a) for a in how.arguments]
        with self._errors("cuLaunchKernel"):
            kernel(
                *values,
                grid=(how.grid, 1),
                block=(how.block, 1, 1),
                stream=self._stream(how.stream),
                shared=how.shared,
            )

    def close(self) -> None:
        self._allocations.clear()
        self._streams.clear()
