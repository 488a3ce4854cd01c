"""Arrays that live on a GPU already, whatever library made them: DLPack and ``__cuda_array_interface__``."""

from __future__ import annotations

import ctypes
import math
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory

_CUDA = frozenset({2, 13})
"""DLPack's kDLCUDA and kDLCUDAManaged."""

_DLPACK_KINDS = {(2, 32): "float32", (2, 16): "float16", (4, 16): "bfloat16"}
"""DLPack's (type code, bits) of what the kernels count."""


class Borrowed(NamedTuple):
    """A dense device array of someone else's, alive as long as this is.

    ``ptr``, ``n``, ``dtype``: its address, its number of elements and the name of their type. ``device``: index of its
    device; None if its producer does not tell. ``keep``: what keeps it alive.
    """

    ptr: int
    n: int
    dtype: str
    device: int | None
    keep: Any


def borrow(array: Any, stream: int = 0) -> Borrowed:
    """Return where a device array lies, without copying it.

    ``array``: anything with ``__dlpack__`` (PyTorch, CuPy, JAX, ...) or ``__cuda_array_interface__`` (Numba, ...). Its
    elements may be in any order, but must fill one piece of memory. ``stream``: the stream that will read it; its
    producer makes that stream wait for the array's values. Raises UsageError if it is not on a CUDA device, not dense,
    or of another type than float32, float16 and bfloat16.
    """
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return _from_dlpack(array, stream)
    if hasattr(array, "__cuda_array_interface__"):
        return _from_interface(array)
    raise UsageError(
        f"a {type(array).__name__} is not an array on the GPU: neither __dlpack__ nor __cuda_array_interface__. "
        "Histogram.of counts arrays in host memory"
    )


def _dense(shape: Sequence[int], strides: Sequence[int] | None) -> bool:
    """Whether elements with these strides (in elements) fill a piece of memory, in whatever order of axes."""
    if strides is None or prod(shape) <= 1:
        return True
    expected = 1
    for stride, length in sorted((s, n) for n, s in zip(shape, strides, strict=True) if n > 1):
        if stride != expected:
            return False
        expected *= length
    return True


def _require_dense(shape: Sequence[int], strides: Sequence[int] | None) -> None:
    if not _dense(shape, strides):
        raise UsageError(
            f"the array of shape {tuple(shape)} has gaps or repeats (strides {tuple(strides or ())}): "
            "make it contiguous first"
        )


class _DLTensor(ctypes.Structure):
    """DLTensor of dlpack.h, with its device and dtype written out."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _from_dlpack(array: Any, stream: int) -> Borrowed:
    if int(array.__dlpack_device__()[0]) not in _CUDA:
        raise UsageError("the array is not in a CUDA device's memory: Histogram.of counts arrays in host memory")
    # In DLPack, 1 is CUDA's legacy default stream; 0 is not allowed, because it is ambiguous.
    try:
        capsule = array.__dlpack__(stream=stream or 1)
    except (BufferError, RuntimeError, TypeError) as e:
        raise UsageError(f"the array cannot be shared: {e}") from e
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    # The capsule stays unconsumed: when `keep` dies, it lets go of the array.
    tensor = _DLTensor.from_address(pointer(capsule, b"dltensor"))
    dtype = _DLPACK_KINDS.get((tensor.code, tensor.bits))
    if dtype is None or tensor.lanes != 1:
        raise UsageError(
            f"histograms on the GPU count float32, float16 and bfloat16, not {tensor.bits}-bit values of DLPack "
            f"type {tensor.code}"
        )
    shape = tensor.shape[: tensor.ndim]
    _require_dense(shape, tensor.strides[: tensor.ndim] if tensor.strides else None)
    return Borrowed((tensor.data or 0) + tensor.byte_offset, prod(shape), dtype, int(tensor.device_id), capsule)


def _from_interface(array: Any) -> Borrowed:
    interface = array.__cuda_array_interface__
    dtype = np.dtype(interface["typestr"])
    if dtype.name not in ("float32", "float16") or not dtype.isnative:
        raise UsageError(f"histograms on the GPU count float32, float16 and bfloat16, not {dtype}")
    if interface.get("mask") is not None:
        raise UsageError("arrays with a mask cannot be counted")
    shape = interface["shape"]
    strides = interface.get("strides")
    _require_dense(shape, strides and [s // dtype.itemsize for s in strides])
    return Borrowed(int(interface["data"][0] or 0), prod(shape), dtype.name, None, array)


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
        return self.size * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


def to_host(memory: DeviceMemory, tensor: DeviceTensor, stream: int | None = None) -> NDArray[Any]:
    """Copy a tensor from the device; bfloat16 comes as float32, whose upper half it is.

    ``memory``: the memory that it lies in, or any of the same device. ``stream``: a stream that must have made it;
    waited for. None: it is complete.
    """
    as_bits = tensor.dtype == "bfloat16"
    array = np.empty(tensor.shape, np.uint16 if as_bits else tensor.dtype)
    if array.size:
        with memory.current() as driver:
            if stream is not None:
                driver.synchronize(stream)
            driver.copy_out(array, tensor.ptr, None)
    return (array.astype(np.uint32) << 16).view(np.float32) if as_bits else array
