"""The tensors of a batch that are in memory while its pieces run: in buffers of ours, whose size is known before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trtcal_widgets.gpu.arrays import DeviceTensor, to_host
from trtcal_widgets.gpu.memory import footprint
from trtcal_widgets.model.ort import for_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.gpu.memory import DeviceBuffer, DeviceMemory

Value: TypeAlias = Any
"""A :class:`~trtcal_widgets.gpu.arrays.DeviceTensor` in a buffer of ours, or an ``OrtValue`` on the host."""

ON_DEVICE = frozenset({"float32", "float16"})
"""Types that stay on the device, where the kernels count them; all others go to the host."""

_ALIGNMENT = 256

Specs = dict[str, tuple[str, tuple[int, ...]]]
"""Tensor -> its type and its shape."""


def dtype_of(value: Any) -> str:
    """Return the element type of a tensor, by NumPy's name."""
    if isinstance(value, DeviceTensor):
        return value.dtype
    kind = str(value.data_type()).removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(kind, kind)


def nbytes_of(spec: tuple[str, tuple[int, ...]]) -> int:
    """Return the bytes of a tensor of such a type and shape."""
    return DeviceTensor("", 0, spec[1], spec[0]).nbytes


class KeptBlock:
    """The block of a batch that is kept for the next one; ``wanted``: whether it is."""

    def __init__(self) -> None:
        self.wanted = False
        self._block: DeviceBuffer | None = None

    def take(self) -> DeviceBuffer | None:
        """Return the block, which belongs to the caller now."""
        block, self._block = self._block, None
        return block

    def leave(self, block: DeviceBuffer | None) -> None:
        """Keep a block, or free it."""
        self.free()
        self._block = block
        if not self.wanted:
            self.free()

    def free(self) -> None:
        """Free the block."""
        if self._block is not None:
            self._block.free()
            self._block = None


class HeldTensors:
    """What a batch has in memory between its pieces; leaving the ``with`` block frees all of it.

    What dies with its piece lies in one block; what waits for later ones has a buffer of its own. ``kept``: where the
    block comes from and goes to.
    """

    def __init__(self, memory: DeviceMemory, kept: KeptBlock) -> None:
        self._memory = memory
        self._kept = kept
        self._values: dict[str, Value] = {}
        self._buffers: dict[str, DeviceBuffer] = {}
        self._block: DeviceBuffer | None = kept.take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._values.clear()
        block, self._block = self._block, None
        self._kept.leave(block)
        for name in list(self._buffers):
            self._buffers.pop(name).free()

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def feed(self, name: str, array: NDArray[np.generic]) -> None:
        """Take an input: to the device where it is counted there, else as ONNX Runtime's on the host."""
        if array.dtype.name not in ON_DEVICE or not array.size:
            self._values[name] = _wrapped(array)
            return
        self._buffers[name] = self._memory.alloc(array.nbytes)
        self._memory.upload(self._buffers[name], np.ascontiguousarray(array))
        self._values[name] = DeviceTensor(name, self._buffers[name].ptr, array.shape, array.dtype.name)

    def add(self, values: Mapping[str, Value]) -> None:
        """Take what a piece has made."""
        self._values.update(values)

    def place(self, dying: Specs, waiting: Specs) -> dict[str, DeviceTensor]:
        """Return where a piece is to put its outputs.

        Raises OutOfDeviceMemoryError where the device is full.
        """
        offsets, end = {}, 0
        for name, spec in dying.items():
            offsets[name] = end
            end += _aligned(nbytes_of(spec))
        if self._block is not None and self._block.nbytes != end:
            self.free_block()
        if end and self._block is None:
            self._block = self._memory.alloc(end)
        starts = {name: self._block.ptr + offset for name, offset in offsets.items() if self._block}
        for name, spec in waiting.items():
            self._buffers[name] = self._memory.alloc(nbytes_of(spec))
            starts[name] = self._buffers[name].ptr
        return {n: DeviceTensor(n, starts[n], shape, dtype) for n, (dtype, shape) in (dying | waiting).items()}

    def needed(self, dying: Specs, waiting: Specs) -> int:
        """Return what :meth:`place` takes of the device beyond what is there."""
        block = sum(_aligned(nbytes_of(spec)) for spec in dying.values())
        had = footprint(self._block.nbytes) if self._block is not None else 0
        return (footprint(block) if block else 0) - had + sum(footprint(nbytes_of(spec)) for spec in waiting.values())

    def withdraw(self, names: Iterable[str]) -> None:
        """Free where a piece that failed was to put its outputs."""
        self.free_block()
        for name in names:
            if name in self._buffers and name not in self._values:
                self._buffers.pop(name).free()

    def free_block(self) -> None:
        """Free what died with its piece."""
        if self._block is not None:
            self._block.free()
            self._block = None

    def keep(self, names: Iterable[str]) -> None:
        """Forget all but some tensors, which wait for later pieces."""
        wanted = set(names)
        self._values = {name: value for name, value in self._values.items() if name in wanted}
        if not self._kept.wanted:
            self.free_block()
        for name in self._buffers.keys() - wanted:
            self._buffers.pop(name).free()

    def movable(self, read: Iterable[str]) -> list[str]:
        """Return the tensors on the device that a piece does not read."""
        needed = set(read)
        return [name for name in self._buffers if name not in needed]

    def to_host(self, names: Iterable[str]) -> None:
        """Bring tensors to the host, and free what they had on the device."""
        import onnxruntime as ort

        for name in names:
            self._values[name] = ort.OrtValue.ortvalue_from_numpy(to_host(self._memory, self._values[name]))
            self._buffers.pop(name).free()


def _wrapped(array: NDArray[np.generic]) -> Value:
    import onnxruntime as ort

    made = for_onnxruntime(array)
    return ort.OrtValue.ortvalue_from_numpy(array) if made is array else made


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT
