"""What a binding of the CUDA driver must offer to :mod:`trtcal_widgets.gpu.memory`, and the error of a failed call.

A :class:`Driver` is thin on purpose: one method per driver call, no bookkeeping. Which buffers are alive, what is
reused and what a full device means to the user is decided once, in :class:`~trtcal_widgets.gpu.memory.DeviceMemory`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from trtcal_widgets.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "OLDEST_DRIVER",
    "DeviceError",
    "DeviceInfo",
    "Driver",
    "DriverCallError",
    "Launch",
    "MemInfo",
    "check_device",
    "check_driver_version",
    "readable_size",
]

OLDEST_DRIVER = 11000
"""Oldest CUDA version (1000 * major + 10 * minor) whose driver will do: TensorRT 8 asks for as much."""

OUT_OF_MEMORY = 2
NO_DEVICE = 100
INVALID_CONTEXT = 201
UNKNOWN = 999
GONE = frozenset({4, INVALID_CONTEXT, 709})
"""CUDA_ERROR_DEINITIALIZED, INVALID_CONTEXT, CONTEXT_IS_DESTROYED: whatever was allocated is freed already."""


class DriverCallError(DeviceError):
    """A call of the CUDA driver failed.

    Attributes
    ----------
    call
        The driver function, such as ``cuMemAlloc``.
    code
        Its CUresult.
    """

    def __init__(self, call: str, code: int, reason: str) -> None:
        super().__init__(f"the CUDA driver's {call} failed with error {code} ({reason})")
        self.call = call
        self.code = code


class MemInfo(NamedTuple):
    """Free and total device memory in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class DeviceInfo:
    """What there is to know about the device before it is used."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    multiprocessors: int
    driver_version: int


class Launch(NamedTuple):
    """How a kernel is started: numbers of blocks and of threads in each, its parameters, and on which stream.

    The parameters are 64-bit integers or pointers. ``shared`` is in bytes, of shared memory that the kernel does not
    ask for itself. With ``overlap``, where binding and device can do it, its blocks may start while the kernel before
    it is ending; it must wait for that one itself (``griddepcontrol.wait``) before it reads what others write.
    """

    grid: int
    block: int
    arguments: Sequence[int]
    stream: int
    overlap: bool = False
    shared: int = 0


class Driver(ABC):
    """The calls of the CUDA driver API that this package needs, over one Python binding of it.

    Pointers and streams are plain integers, as TensorRT's Python API has them; stream 0 is the default stream.
    Every call but ``push`` and ``close`` needs the context current on the calling thread.

    Attributes
    ----------
    name
        The binding's name, as its users know it: ``"cuda-bindings"`` or ``"pycuda"``.
    device
        The device that the context belongs to.
    """

    name: ClassVar[str]
    device: DeviceInfo

    @abstractmethod
    def push(self) -> None:
        """Make the context current on this thread."""

    @abstractmethod
    def pop(self) -> None:
        """Make the context that was current before :meth:`push` current again."""

    @abstractmethod
    def mem_info(self) -> MemInfo:
        """Return free and total device memory."""

    @abstractmethod
    def alloc(self, nbytes: int) -> int:
        """Allocate device memory (> 0 bytes) and return its address."""

    @abstractmethod
    def free(self, ptr: int) -> None:
        """Free what :meth:`alloc` returned."""

    @abstractmethod
    def alloc_pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Allocate page-locked host memory (> 0 bytes)."""

    @abstractmethod
    def free_pinned(self, array: NDArray[np.uint8]) -> None:
        """Free what :meth:`alloc_pinned` returned; no view of it may be used any more."""

    @abstractmethod
    def copy_in(self, ptr: int, host: NDArray[np.generic], stream: int | None) -> None:
        """Copy a contiguous host array to the device; with a stream: queue the copy and return."""

    @abstractmethod
    def copy_out(self, host: NDArray[np.generic], ptr: int, stream: int | None) -> None:
        """Copy from the device to a contiguous host array; with a stream: queue the copy and return."""

    @abstractmethod
    def fill(self, ptr: int, value: int, nbytes: int) -> None:
        """Set every byte to ``value``, on the default stream."""

    @abstractmethod
    def new_stream(self) -> int:
        """Create a stream that does not wait for the default stream, and return its handle."""

    @abstractmethod
    def free_stream(self, stream: int) -> None:
        """Destroy a stream of :meth:`new_stream`."""

    @abstractmethod
    def synchronize(self, stream: int | None) -> None:
        """Wait for one stream; None: for everything on the device."""

    @abstractmethod
    def load_module(self, image: bytes) -> Any:
        """Load compiled device code (a cubin or PTX)."""

    @abstractmethod
    def get_kernel(self, module: Any, name: str, *, shared: int = 0) -> Any:
        """Return a kernel of a loaded module, which may be launched with up to ``shared`` bytes."""

    @abstractmethod
    def launch(self, kernel: Any, how: Launch) -> None:
        """Queue a kernel."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the context. Called once, with the context not pushed."""


NO_DEVICE_TEXT = (
    "the NVIDIA driver finds no CUDA device (CUDA_VISIBLE_DEVICES may hide it; nvidia-smi lists what is there). "
    "Calibrating with ONNX Runtime needs no GPU"
)


def check_device(index: int, count: int) -> None:
    """Raise if there is no device of this index among ``count``."""
    if count == 0:
        raise DeviceError(NO_DEVICE_TEXT)
    if not 0 <= index < count:
        raise DeviceError(
            f"there is no CUDA device {index}: this machine shows {count} of them, counted from 0 "
            "(CUDA_VISIBLE_DEVICES may hide others)"
        )


def check_driver_version(version: int) -> None:
    """Raise if the driver is older than this package (and any TensorRT it supports) can use.

    Parameters
    ----------
    version
        As cuDriverGetVersion gives it: 1000 * major + 10 * minor of the newest CUDA that the driver supports.
    """
    if version >= OLDEST_DRIVER:
        return
    had = f"{version // 1000}.{version % 1000 // 10}"
    raise DeviceError(
        f"the NVIDIA driver is too old: it supports CUDA up to {had}, and "
        f"{OLDEST_DRIVER // 1000}.{OLDEST_DRIVER % 1000 // 10} is the least that works. Update the driver "
        "(nvidia-smi shows its version), or calibrate with ONNX Runtime, which needs no GPU"
    )


def readable_size(nbytes: int) -> str:
    """Return a size for people."""
    size = float(nbytes)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
