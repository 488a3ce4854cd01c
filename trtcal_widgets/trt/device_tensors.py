"""Tensors that lie on the device, and how they come to the host."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.trt.memory import DeviceMemory

__all__ = ["DeviceTensor", "to_host"]


class DeviceTensor(NamedTuple):
    """A tensor on the device; it lasts until the next batch is run."""

    name: str
    ptr: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * _itemsize(self.dtype)


def to_host(memory: DeviceMemory, tensor: DeviceTensor, stream: int | None = None) -> NDArray[Any]:
    """Copy a tensor from the device; bfloat16 comes as float32, whose upper half it is.

    Parameters
    ----------
    memory
        The memory that it lies in, or any of the same device.
    tensor
        The tensor.
    stream
        A stream that must have made it; waited for. None: it is complete.
    """
    as_bits = tensor.dtype == "bfloat16"
    array = np.empty(tensor.shape, np.uint16 if as_bits else tensor.dtype)
    if array.size:
        with memory.current() as driver:
            if stream is not None:
                driver.synchronize(stream)
            driver.copy_out(array, tensor.ptr, None)
    return (array.astype(np.uint32) << 16).view(np.float32) if as_bits else array


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
