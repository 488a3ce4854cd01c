"""Counting what ONNX Runtime's CUDA provider computes where it lies: on the GPU.

ONNX Runtime is told to leave its outputs in device memory, and the kernels of :mod:`trtcal_widgets.gpu` count them
there; only the counts come to the host. All tensors of a batch are on the device together: ONNX Runtime keeps whatever
is marked as an output until the run ends, also where nobody asks for it (seen on an H100), so asking for fewer at a
time would save nothing. A smaller batch does.
"""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.gpu.arrays import DeviceTensor
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model.ort import CUDA, provider_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.runners.tap import OnnxRuntimeTap

_COUNTED = {"tensor(float)": "float32", "tensor(float16)": "float16"}
"""What the kernels count, by ONNX Runtime's names. bfloat16 comes as float32."""

_OTHER_FLOATS = frozenset({"tensor(double)", "tensor(bfloat16)"})
"""What is counted on the host."""


def cuda_device(providers: Sequence[Any] | None) -> int | None:
    """Return the device that activations lie on and can be counted on; None where they come to the host.

    That is where the CUDA provider is not the first one, or neither cuda-bindings nor PyCUDA is installed.
    """
    first = (providers or [""])[0]
    if provider_name(first) != CUDA or not _can_count():
        return None
    options = first[1] if isinstance(first, tuple | list) and len(first) > 1 else {}
    return int(options.get("device_id", 0))


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
    """

    def __init__(
        self,
        tap: OnnxRuntimeTap,
        device: int,
        *,
        memory: DeviceMemory | None = None,
        place: str = "cuda",
    ) -> None:
        self._tap = tap
        self._place = (place, device)
        self._owns_memory = memory is None
        self._memory = memory or open_memory(device=device)
        self._histograms: Any = None
        self._slots: tuple[str, ...] = ()

    @property
    def device_name(self) -> str:
        """Name of the GPU."""
        return self._memory.device.name

    def histograms(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str], bases: Mapping[str, float]
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch and yield (name, histogram) for its float inputs and the outputs, in this order.

        ``feeds``: checked. ``outputs``: tensors of the model. ``bases``: as for a runner. Raises what the tap raises;
        OutOfDeviceMemoryError where the batch does not fit.
        """
        names = (*feeds, *outputs)
        ranges = [bases.get(name) or None for name in names]
        counters = self._counters(names, ranges)
        slots = {name: i for i, name in enumerate(names)}
        on_host: dict[str, Histogram] = {}
        values = {name: self._tap.to_place(array, *self._place) for name, array in feeds.items()}
        on_host.update(
            (name, Histogram.of(array, bases.get(name) or None))
            for name, array in feeds.items()
            if values[name].data_type() in _OTHER_FLOATS
        )
        counted = {name: value for name, value in values.items() if value.data_type() in _COUNTED}
        self._count(counters, slots, counted, bases, on_host)
        skipped = {name for name in feeds if name not in counted and name not in on_host}
        found = self._tap.run_in_place(values, outputs, *self._place)
        self._count(counters, slots, dict(zip(outputs, found, strict=True)), bases, on_host)
        del found
        fetched = zip(names, counters.fetch(), strict=True)
        return iter([(name, on_host.get(name, h)) for name, h in fetched if name not in skipped])

    def _counters(self, names: tuple[str, ...], ranges: Sequence[float | None]) -> Any:
        from trtcal_widgets.gpu.histogram import GpuHistograms

        if self._histograms is None or names != self._slots:
            if self._histograms is not None:
                self._histograms.close()
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
        """Free the counters' memory."""
        if self._histograms is not None:
            self._histograms.close()
            self._histograms = None
        if self._owns_memory:
            self._memory.close()
