"""Device memory that is host memory: the real :class:`DeviceMemory` over a driver that allocates with NumPy."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from trtcal_widgets.gpu.driver import DeviceInfo, Driver, DriverCallError, Launch, MemInfo
from trtcal_widgets.gpu.memory import DeviceMemory

_ALIGNMENT = 256
"""What cuMemAlloc gives, and TensorRT asks for."""


class HostDriver(Driver):
    """The calls of :class:`trtcal_widgets.gpu.driver.Driver`; ``capacity`` bytes can be allocated."""

    name = "host"
    device = DeviceInfo(0, "Host GPU", (9, 0), 132, 13000)

    def __init__(self, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self.blocks: dict[int, np.ndarray] = {}
        self.copies = 0

    def push(self) -> None:
        """There is no context."""

    def pop(self) -> None:
        """There is no context."""

    @property
    def used(self) -> int:
        return sum(block.nbytes for block in self.blocks.values())

    def mem_info(self) -> MemInfo:
        return MemInfo(self.capacity - self.used, self.capacity)

    def alloc(self, nbytes: int) -> int:
        if nbytes > self.capacity - self.used:
            raise DriverCallError("cuMemAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY")
        room = np.zeros(nbytes + _ALIGNMENT, np.uint8)
        start = -room.ctypes.data % _ALIGNMENT
        block = room[start : start + nbytes]
        self.blocks[block.ctypes.data] = block
        return block.ctypes.data

    def free(self, ptr: int) -> None:
        del self.blocks[ptr]

    def alloc_pinned(self, nbytes: int) -> np.ndarray:
        return np.zeros(nbytes, np.uint8)

    def free_pinned(self, array: np.ndarray) -> None:
        """NumPy frees it."""

    def copy_in(self, ptr: int, host: np.ndarray, stream: int | None) -> None:
        self.copies += 1
        ctypes.memmove(ptr, host.ctypes.data, host.nbytes)

    def copy_out(self, host: np.ndarray, ptr: int, stream: int | None) -> None:
        ctypes.memmove(host.ctypes.data, ptr, host.nbytes)

    def fill(self, ptr: int, value: int, nbytes: int) -> None:
        ctypes.memset(ptr, value, nbytes)

    def new_stream(self) -> int:
        return 7

    def free_stream(self, stream: int) -> None:
        """There is nothing behind it."""

    def synchronize(self, stream: int | None) -> None:
        """Everything is done at once."""

    def load_module(self, image: bytes) -> Any:
        raise NotImplementedError

    def get_kernel(self, module: Any, name: str, *, shared: int = 0) -> Any:
        raise NotImplementedError

    def launch(self, kernel: Any, how: Launch) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """There is no context."""


def host_memory(capacity: int = 1 << 30) -> tuple[DeviceMemory, HostDriver]:
    """Return device memory on the host, and its driver, which counts."""
    driver = HostDriver(capacity)
    return DeviceMemory(driver), driver


def read_back(address: int, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Copy what lies at an address, as TensorRT would read it."""
    kind = np.dtype(dtype)
    count = int(np.prod(shape))
    return np.frombuffer(ctypes.string_at(address, count * kind.itemsize), kind).reshape(shape)
