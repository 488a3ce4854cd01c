"""Counting what ONNX Runtime's CUDA provider computes where it lies: on the GPU.

ONNX Runtime is told to leave its outputs in device memory, and the kernels of :mod:`trtcal_widgets.gpu` count them
there; only the counts come to the host. All tensors of a batch are on the device together, where they fit; else the
model is run piece by piece (:mod:`trtcal_widgets.runners.pieces`), to the same bits.
"""

from __future__ import annotations

import gc
import importlib.util
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import OutOfDeviceMemoryError
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model.ort import CUDA, provider_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.runners.pieces import ModelInPieces, Shapes
    from trtcal_widgets.runners.tap import OnnxRuntimeTap

_COUNTED = {"tensor(float)": "float32", "tensor(float16)": "float16"}
"""What the kernels count, by ONNX Runtime's names. bfloat16 comes as float32."""

_OTHER_FLOATS = frozenset({"tensor(double)", "tensor(bfloat16)"})
"""What is counted on the host."""

_SHARE = 0.8
"""How much of the free memory tensors may take; the rest is for what operators need while they run."""


def cuda_device(providers: Sequence[Any] | None) -> int | None:
    """Return the device that activations lie on and can be counted on; None where they come to the host.

    That is where the CUDA provider is not the first one, or neither cuda-bindings nor PyCUDA is installed.
    """
    first = (providers or [""])[0]
    if provider_name(first) != CUDA or not _can_count():
        return None
    options = first[1] if isinstance(first, tuple | list) and len(first) > 1 else {}
    return int(options.get("device_id", 0))


def memory_limit(providers: Sequence[Any] | None) -> int | None:
    """Return the limit of the device's memory that the CUDA provider is given (``gpu_mem_limit``), if any."""
    first = (providers or [""])[0]
    options = first[1] if isinstance(first, tuple | list) and len(first) > 1 else {}
    return int(options["gpu_mem_limit"]) if "gpu_mem_limit" in options else None


def _shapes(values: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a batch's inputs, NumPy's arrays or ONNX Runtime's."""
    shapes = ((name, v.shape() if callable(v.shape) else v.shape) for name, v in values.items())
    return tuple((name, tuple(shape)) for name, shape in shapes)


def _can_count() -> bool:
    bindings = importlib.util.find_spec("cuda") is not None and importlib.util.find_spec("cuda.bindings") is not None
    return bindings or importlib.util.find_spec("pycuda") is not None


class OnDevice:
    """Runs batches in ONNX Runtime and counts their tensors on the device.

    Parameters
    ----------
    tap
        The open model, asked for all its tensors.
    device
        Index of the GPU.
    memory
        The device's memory; opened and closed here unless given.
    place
        ONNX Runtime's name for where outputs are left.
    room
        Bytes that a batch's tensors may have on the device together. None: a batch is run as a whole until one does not
        fit, and then in pieces that do.
    """

    def __init__(
        self,
        tap: OnnxRuntimeTap,
        device: int,
        *,
        memory: DeviceMemory | None = None,
        place: str = "cuda",
        room: int | None = None,
    ) -> None:
        self._tap = tap
        self._place = (place, device)
        self._owns_memory = memory is None
        self._memory = memory or open_memory(device=device)
        self._histograms: Any = None
        self._slots: tuple[str, ...] = ()
        self._room = room

    @cached_property
    def _pieces(self) -> ModelInPieces:
        return self._tap.in_pieces(*self._place)

    @property
    def device_name(self) -> str:
        """Name of the GPU."""
        return self._memory.device.name

    @property
    def n_pieces(self) -> int:
        """In how many pieces batches are run."""
        return 1 if self._room is None else max(1, len(self._pieces.pieces))

    def histograms(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str], bases: Mapping[str, float]
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch and yield (name, histogram) for its float inputs and the outputs, in this order.

        ``feeds``: checked. ``outputs``: tensors of the model. ``bases``: as for a runner. Raises what the tap raises;
        OutOfDeviceMemoryError where not even the smallest pieces of the batch fit.
        """
        while True:
            try:
                return iter(self._counted(feeds, outputs, bases))
            except OutOfDeviceMemoryError as error:
                room = self._less(feeds, error)
            self._make_room(room)  # behind the handler: its error holds what was on the device

    def arrays(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run one batch and yield the outputs as (name, array on the host), as they are made; raises as histograms."""
        left = set(outputs)
        while left:
            try:
                for found in self._run(self._placed(feeds), outputs):
                    for name in [name for name in outputs if name in left and name in found]:
                        left.discard(name)
                        yield name, found.pop(name).numpy()
                    found.clear()
            except OutOfDeviceMemoryError as error:
                room = self._less(feeds, error)
            else:
                return
            self._make_room(room)

    def _less(self, feeds: Mapping[str, NDArray[np.generic]], error: OutOfDeviceMemoryError) -> int:
        """Return a room in which a batch takes less than now; raise the error where there is none."""
        room = self._pieces.smaller_room(_shapes(feeds))
        if room is None:
            raise error
        return room

    def _make_room(self, room: int) -> None:
        """Free the device of what is there, and take no more than so much of it, nor nearly all."""
        gc.collect()
        self._tap.close()
        self._pieces.close()
        self._room = min(room, int(_SHARE * self._memory.mem_info().free))

    def _placed(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, Any]:
        return {name: self._tap.to_place(array, *self._place) for name, array in feeds.items()}

    def _run(self, values: Mapping[str, Any], outputs: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run a batch and yield its tensors, piece by piece where they are too large; the caller empties each."""
        if self._room is not None:
            shapes = _shapes(values)
            if self._pieces.pieces or self._pieces.total(shapes) > self._room:
                self._tap.close()
                self._pieces.cut(shapes, self._room)
                yield from self._pieces.run(values)
                return
        self._tap.open(lean=False)
        yield dict(zip(outputs, self._tap.run_in_place(values, outputs, *self._place), strict=True))

    def _counted(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str], bases: Mapping[str, float]
    ) -> list[tuple[str, Histogram]]:
        names = (*feeds, *outputs)
        ranges = [bases.get(name) or None for name in names]
        counters = self._counters(names, ranges)
        slots = {name: i for i, name in enumerate(names)}
        on_host: dict[str, Histogram] = {}
        values = self._placed(feeds)
        on_host.update(
            (name, Histogram.of(array, bases.get(name) or None))
            for name, array in feeds.items()
            if values[name].data_type() in _OTHER_FLOATS
        )
        counted = {name: value for name, value in values.items() if value.data_type() in _COUNTED}
        self._count(counters, slots, counted, bases, on_host)
        skipped = {name for name in feeds if name not in counted and name not in on_host}
        for found in self._run(values, outputs):
            self._count(counters, slots, found, bases, on_host)
            found.clear()
        fetched = zip(names, counters.fetch(), strict=True)
        return [(name, on_host.get(name, h)) for name, h in fetched if name not in skipped]

    def _counters(self, names: tuple[str, ...], ranges: Sequence[float | None]) -> Any:
        from trtcal_widgets.gpu.histogram import GpuHistograms

        if self._histograms is None or names != self._slots:
            if self._histograms is not None:
                self._histograms.close()
                self._histograms = None
            self._histograms = GpuHistograms(len(names), ranges, memory=self._memory)
            self._slots = names
        else:
            self._histograms.reset(ranges)
        return self._histograms

    def _count(
        self,
        counters: Any,
        slots: Mapping[str, int],
        values: Mapping[str, Any],
        bases: Mapping[str, float],
        on_host: dict[str, Histogram],
    ) -> None:
        """Count arrays of ONNX Runtime, and wait until their memory may be used for others."""
        from trtcal_widgets.gpu.histogram import DeviceArray

        arrays = []
        for name, value in values.items():
            kind = value.data_type()
            if kind in _COUNTED:
                tensor = DeviceTensor(name, value.data_ptr(), tuple(value.shape()), _COUNTED[kind])
                arrays.append(DeviceArray(slots[name], tensor.ptr, tensor.size, tensor.dtype))
            elif kind in _OTHER_FLOATS:
                on_host[name] = Histogram.of(value.numpy(), bases.get(name) or None)
        counters.add(arrays)
        self._memory.synchronize()

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|), as :meth:`histograms` does."""
        return ((name, h.amax if math.isfinite(h.amax) else 0.0) for name, h in self.histograms(feeds, outputs, {}))

    def close(self) -> None:
        """Free the counters' memory, and the model's where it is in pieces."""
        if self._room is not None:
            self._pieces.close()
        if self._histograms is not None:
            self._histograms.close()
            self._histograms = None
        if self._owns_memory:
            self._memory.close()
