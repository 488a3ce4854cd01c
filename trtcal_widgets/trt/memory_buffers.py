"""What :class:`~trtcal_widgets.trt.memory.DeviceMemory` hands out: pieces of device and of page-locked memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.trt.memory import DeviceMemory

__all__ = ["DeviceBuffer", "PinnedBuffer", "check_span"]


class DeviceBuffer:
    """A piece of device memory.

    Attributes
    ----------
    nbytes
        Its size.
    owner
        The memory that it came from.
    """

    def __init__(self, owner: DeviceMemory, ptr: int, nbytes: int) -> None:
        self.owner = owner
        self.nbytes = nbytes
        self._ptr = ptr

    @property
    def ptr(self) -> int:
        """Its address; 0 once it or its owner's memory has been freed."""
        return 0 if self.owner.closed else self._ptr

    def forget(self) -> None:
        """Note that the memory is gone. For the owner alone: :meth:`free` is for everybody."""
        self._ptr = 0

    def free(self) -> None:
        """Give the memory back; a second call does nothing."""
        self.owner.free(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.free()

    def __repr__(self) -> str:
        where = f"at {self.ptr:#x}" if self.ptr else "freed"
        return f"<DeviceBuffer of {self.nbytes} bytes, {where}>"


class PinnedBuffer(DeviceBuffer):
    """A piece of page-locked host memory: copies from and to it are fast and can be queued on a stream.

    Attributes
    ----------
    array
        uint8, shape (nbytes,). It and its views must not be used after :meth:`free`.
    """

    def __init__(self, owner: DeviceMemory, array: NDArray[np.uint8]) -> None:
        super().__init__(owner, array.ctypes.data, array.nbytes)
        self._array = array

    @property
    def array(self) -> NDArray[np.uint8]:
        """The memory as bytes."""
        if not self.ptr:
            raise UsageError("this page-locked buffer has been freed")
        return self._array

    def view(self, shape: Sequence[int], dtype: Any, offset: int = 0) -> NDArray[Any]:
        """Return a part of the buffer as an array of the given shape and dtype."""
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        if offset + nbytes > self.nbytes:
            raise UsageError(f"{nbytes} bytes at {offset} do not fit a buffer of {self.nbytes}")
        part: NDArray[Any] = self.array[offset : offset + nbytes].view(kind).reshape(shape)
        return part


def check_span(buffer: DeviceBuffer, array: NDArray[Any], offset: int) -> None:
    """Raise unless an array can be copied to or from ``offset`` bytes behind the start of a buffer."""
    if not array.flags.c_contiguous:
        raise UsageError("only C-contiguous arrays can be copied: use numpy.ascontiguousarray")
    if not buffer.ptr:
        raise UsageError("this device buffer has been freed")
    if offset < 0 or offset + array.nbytes > buffer.nbytes:
        raise UsageError(f"{array.nbytes} bytes at {offset} do not fit a buffer of {buffer.nbytes}")
