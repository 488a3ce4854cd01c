"""Device memory for calibrators, runners and histograms: one small interface over cuda-bindings or PyCUDA.

>>> with open_memory() as memory:                              # doctest: +SKIP
...     stage = BatchStage(memory)
...     pointers = stage.put({"images": batch})                # one copy; {"images": 139862616735944}

Every method makes the context current for its own duration, so it may be called from any thread: a notebook runs
TensorRT's builder in a worker.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.closing import Closing
from trtcal_widgets.errors import DeviceError, OutOfDeviceMemoryError, UsageError
from trtcal_widgets.gpu.choice import open_driver
from trtcal_widgets.gpu.driver import (
    GONE,
    OUT_OF_MEMORY,
    DeviceInfo,
    Driver,
    DriverCallError,
    MemInfo,
    readable_size,
)
from trtcal_widgets.gpu.stage import BatchStage, largest_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = [
    "BatchStage",
    "DeviceBuffer",
    "DeviceError",
    "DeviceMemory",
    "DriverCallError",
    "MemInfo",
    "OutOfDeviceMemoryError",
    "PinnedBuffer",
    "check_span",
    "checked_memory",
    "largest_batch",
    "open_memory",
]


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

    def __exit__(self, *exc: object) -> None:
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


_PAGE = 2 << 20


def footprint(nbytes: int) -> int:
    """Return what a buffer takes of the device, which is dealt out in pages; small buffers share one."""
    unit = _PAGE if nbytes > _PAGE // 2 else 512
    return -(-max(1, nbytes) // unit) * unit


_T = TypeVar("_T")
_Buffer = TypeVar("_Buffer", bound=DeviceBuffer)


def open_memory(prefer: str | None = None, device: int = 0) -> DeviceMemory:
    """Open a device's memory.

    Parameters
    ----------
    prefer
        ``"cuda-bindings"`` or ``"pycuda"``. None: PyCUDA if it has a current context on this thread, otherwise
        cuda-bindings, otherwise PyCUDA if only that is installed.
    device
        Index of the device, from 0. If the calling thread has a current context of this device, it is used;
        otherwise the device's primary context, which TensorRT and PyTorch use.

    Raises
    ------
    MissingDependencyError
        If the package (None: both) is not installed.
    DeviceError
        If there is no driver, no such device, or the driver is too old.
    UsageError
        If ``prefer`` names neither, or ``device`` is no index.
    """
    return DeviceMemory(open_driver(prefer, device))


def checked_memory(memory: DeviceMemory | None) -> DeviceMemory | None:
    """Return device memory that a caller may have given.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if memory is None or isinstance(memory, DeviceMemory):
        return memory
    raise UsageError(f"memory= is what open_memory() returns, or None, not {kind_of(memory)}")


class DeviceMemory(Closing):
    """The memory of one device: allocation, copies, streams, and the context they need. Made by :func:`open_memory`.

    Everything that it handed out is freed by :meth:`close`, by leaving the ``with`` block, or when the object dies.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        # Address -> None, or the array of page-locked memory. Nothing here may refer to this object: the finalizer
        # would keep it alive.
        self._live: dict[int, Any] = {}
        self._named: dict[str, DeviceBuffer] = {}
        self._streams: set[int] = set()
        self._sizes: dict[int, int] = {}  # of device memory alone
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, _release, driver, self._live, self._streams)

    @property
    def name(self) -> str:
        """The binding in use: ``"cuda-bindings"`` or ``"pycuda"``."""
        return self._driver.name

    @property
    def device(self) -> DeviceInfo:
        """Index, name, compute capability, multiprocessors and driver version of the device."""
        return self._driver.device

    @property
    def closed(self) -> bool:
        """Whether everything has been freed."""
        return not self._finalizer.alive

    @contextmanager
    def current(self) -> Iterator[Driver]:
        """Make the context current on the calling thread, whichever that is, for a ``with`` block.

        Yields
        ------
        Driver
            The binding, for calls that this class does not have.
        """
        if self.closed:
            raise UsageError("this device memory has been closed: open_memory() opens it anew")
        self._driver.push()
        try:
            yield self._driver
        finally:
            self._driver.pop()

    def mem_info(self) -> MemInfo:
        """Return free and total device memory in bytes."""
        with self.current() as driver:
            return driver.mem_info()

    @property
    def taken(self) -> int:
        """Bytes of the device that this object's buffers take, as the driver deals them out."""
        return sum(self._sizes.values())

    def alloc(self, nbytes: int) -> DeviceBuffer:
        """Allocate device memory.

        Raises
        ------
        OutOfDeviceMemoryError
            If it does not fit; the error says how much was asked for and how much is free.
        """
        with self.current() as driver:
            ptr = self._allocated(nbytes, driver.alloc)
        self._live[ptr] = None
        self._sizes[ptr] = footprint(nbytes)
        return DeviceBuffer(self, ptr, nbytes)

    def alloc_pinned(self, nbytes: int) -> PinnedBuffer:
        """Allocate page-locked host memory.

        Raises
        ------
        OutOfDeviceMemoryError
            If the system gives no more of it.
        """
        with self.current() as driver:
            array = self._allocated(nbytes, driver.alloc_pinned)
        self._live[array.ctypes.data] = array
        return PinnedBuffer(self, array)

    def free(self, buffer: DeviceBuffer) -> None:
        """Free a buffer; one that was freed already is left alone."""
        if buffer.owner is not self:
            raise UsageError("a buffer must be freed by the memory that it came from")
        with self._lock:
            ptr = buffer.ptr
            if ptr not in self._live:
                return
            array = self._live.pop(ptr)
            self._sizes.pop(ptr, None)
            buffer.forget()
            with self.current() as driver:
                _free(driver, ptr, array)

    def reserve(self, name: str, nbytes: int) -> DeviceBuffer:
        """Return the device buffer of that name with room for ``nbytes``; it grows, and never shrinks.

        Its contents and address last until a later call asks for more than there is.
        """
        return self._reserved("device:" + name, nbytes, self.alloc)

    def reserve_pinned(self, name: str, nbytes: int) -> PinnedBuffer:
        """Return the page-locked buffer of that name with room for ``nbytes``; it grows, and never shrinks."""
        return self._reserved("pinned:" + name, nbytes, self.alloc_pinned)

    def upload(self, buffer: DeviceBuffer, array: NDArray[Any], *, offset: int = 0, stream: int | None = None) -> None:
        """Copy a contiguous array to the device.

        Parameters
        ----------
        buffer, offset
            Where to, in bytes from the buffer's start.
        array
            From where. On a stream it must lie in page-locked memory and stay unchanged until the copy is done.
        stream
            None: return when the copy is done. A stream's handle: queue the copy there.
        """
        check_span(buffer, array, offset)
        if array.nbytes:
            with self.current() as driver:
                driver.copy_in(buffer.ptr + offset, array, stream)

    def download(
        self, buffer: DeviceBuffer, array: NDArray[Any], *, offset: int = 0, stream: int | None = None
    ) -> None:
        """Copy from the device into a contiguous array; the parameters are those of :meth:`upload`."""
        check_span(buffer, array, offset)
        if array.nbytes:
            with self.current() as driver:
                driver.copy_out(array, buffer.ptr + offset, stream)

    def fill(self, buffer: DeviceBuffer, value: int = 0) -> None:
        """Set every byte of a buffer to ``value``, on the default stream."""
        with self.current() as driver:
            driver.fill(buffer.ptr, value, buffer.nbytes)

    def new_stream(self) -> int:
        """Create a stream and return its handle, an integer as TensorRT takes it. It lives until close."""
        with self.current() as driver:
            stream = driver.new_stream()
        self._streams.add(stream)
        return stream

    def synchronize(self, stream: int | None = None) -> None:
        """Wait until a stream (None: the whole device) is idle."""
        with self.current() as driver:
            driver.synchronize(stream)

    def close(self) -> None:
        """Free everything that was allocated here; a second call does nothing."""
        self._named.clear()
        self._sizes.clear()
        self._finalizer()

    def _allocated(self, nbytes: int, allocate: Callable[[int], _T]) -> _T:
        """Allocate; a zero-sized request gets one byte, because CUDA refuses none."""
        if nbytes < 0:
            raise UsageError(f"a buffer cannot have {nbytes} bytes")
        try:
            return allocate(max(1, nbytes))
        except DriverCallError as e:
            if e.code != OUT_OF_MEMORY:
                raise
            free, total = self._driver.mem_info()
            raise OutOfDeviceMemoryError(
                f"out of device memory on {self.device.name}: {readable_size(nbytes)} were asked for in one piece, "
                f"{readable_size(free)} of {readable_size(total)} are free. Use a smaller batch, or free what other "
                "programs and notebooks hold there (nvidia-smi lists them)",
                requested=nbytes,
                free=free,
                total=total,
            ) from e

    def _reserved(self, key: str, nbytes: int, allocate: Callable[[int], _Buffer]) -> _Buffer:
        with self._lock:
            had: Any = self._named.get(key)
            if had is not None and had.ptr and had.nbytes >= nbytes:
                return cast("_Buffer", had)
            if had is not None:
                self.free(had)
            buffer = allocate(nbytes)
            self._named[key] = buffer
            return buffer


def _free(driver: Driver, ptr: int, array: Any) -> None:
    """Free device memory, or page-locked memory if there is an array of it."""
    if array is None:
        driver.free(ptr)
    else:
        driver.free_pinned(array)


def _release(driver: Driver, live: dict[int, Any], streams: set[int]) -> None:
    """Free everything. If the context is gone already (at exit), the driver has freed it all."""
    try:
        driver.push()
        try:
            while live:
                _free(driver, *live.popitem())
            while streams:
                driver.free_stream(streams.pop())
        finally:
            driver.pop()
        driver.close()
    except DriverCallError as e:
        if e.code not in GONE:
            raise
