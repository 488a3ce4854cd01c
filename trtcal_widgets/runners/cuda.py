"""Counting what ONNX Runtime's CUDA provider computes where it lies: on the GPU.

ONNX Runtime writes its outputs into buffers on the device, and the kernels of :mod:`trtcal_widgets.gpu` count them
there; only the counts come to the host. All tensors of a batch are on the device together, where they fit; else the
model is run piece by piece (:mod:`trtcal_widgets.runners.pieces`), to the same bits.
"""

from __future__ import annotations

import gc
import importlib.util
import math
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import OutOfDeviceMemoryError, UsageError
from trtcal_widgets.gpu.arrays import DeviceTensor, to_host
from trtcal_widgets.gpu.choice import device_names
from trtcal_widgets.gpu.histogram import DeviceArray, NamedHistograms
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model.ort import CUDA, provider_name, provider_options
from trtcal_widgets.runners.held import ON_DEVICE, dtype_of
from trtcal_widgets.runners.pieces import LayerTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.gpu.histogram import GpuHistograms
    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.runners.pieces import ModelInPieces
    from trtcal_widgets.runners.tap import OnnxRuntimeTap

_VISIBLE = "CUDA_VISIBLE_DEVICES"

_COUNTED_ON_HOST = frozenset({"float64", "bfloat16"})
"""What the kernels do not count. bfloat16 that is computed comes as float32."""

_SHARE = 0.95
"""How much of the free memory is taken where a batch does not fit as a whole; others may ask for the rest."""

_LESS = 0.8
"""Of the bound, what is tried next where the device is fuller than was thought."""

_LEAST = 1 << 20
"""Bytes below which no bound is tried."""


def cuda_device(providers: Sequence[Any] | None) -> int | None:
    """Return the device that activations lie on and can be counted on; None where they come to the host.

    That is where the CUDA provider is not the first one, or neither cuda-bindings nor PyCUDA is installed.
    """
    first = (providers or [""])[0]
    if provider_name(first) != CUDA or not _can_count():
        return None
    return _whole_option(first, "device_id") or 0


def devices_in_turn(providers: Sequence[Any] | None) -> list[dict[str, str]]:
    """Return what the environment of each process says that is to have a GPU of its own, where there are several alike.

    Those of another kind add in another order: the result would not be that of one process. None are named where the
    user has chosen a device.
    """
    if cuda_device(providers) is None or "device_id" in provider_options((providers or [""])[0]):
        return []
    names = device_names()
    shown = os.environ.get(_VISIBLE)
    ids = shown.split(",") if shown else map(str, range(len(names)))
    alike = [one.strip() for one, name in zip(ids, names, strict=False) if name == names[0]]
    return [{_VISIBLE: one} for one in alike] if len(alike) > 1 else []


def memory_limit(providers: Sequence[Any] | None) -> int | None:
    """Return the limit of the device's memory that the CUDA provider is given (``gpu_mem_limit``), if any."""
    return _whole_option((providers or [""])[0], "gpu_mem_limit")


def _whole_option(provider: Any, name: str) -> int | None:
    """Return an option of a provider that is a whole number, mostly written as text; None where it is not given."""
    given = provider_options(provider).get(name)
    try:
        return None if given is None else int(given)
    except (TypeError, ValueError):
        raise UsageError(f"the option {name} of {provider_name(provider)} is a whole number, not {given!r}") from None


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
    bound
        Bytes of the device that may be taken at any time. None: as many as are free at the first batch.
    """

    def __init__(
        self,
        tap: OnnxRuntimeTap,
        device: int,
        *,
        memory: DeviceMemory | None = None,
        place: str = "cuda",
        bound: int | None = None,
    ) -> None:
        self._tap = tap
        self._place = (place, device)
        self._owns_memory = memory is None
        self._memory = memory or open_memory(device=device)
        self._histograms = NamedHistograms()
        self._bound = bound

    @cached_property
    def _pieces(self) -> ModelInPieces:
        return self._tap.in_pieces(self._memory, *self._place)

    @property
    def device_name(self) -> str:
        """Name of the GPU."""
        return self._memory.device.name

    @property
    def n_pieces(self) -> int:
        """In how many pieces batches are run."""
        return max(1, len(self._pieces.pieces))

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
            except LayerTooLargeError:
                raise
            except OutOfDeviceMemoryError as error:
                self._check_bounded_less(error)
            self._bound_less()  # behind the handler: its error holds what was on the device

    def arrays(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run one batch and yield the outputs as (name, array on the host), as they are made; raises as histograms."""
        left = set(outputs)
        while left:
            try:
                for found in self._run(feeds):
                    for name in [name for name in outputs if name in left and name in found]:
                        left.discard(name)
                        yield name, self._on_host(found.pop(name))
                    found.clear()
            except LayerTooLargeError:
                raise
            except OutOfDeviceMemoryError as error:
                self._check_bounded_less(error)
            else:
                return
            self._bound_less()

    def _on_host(self, value: Any) -> NDArray[Any]:
        if isinstance(value, DeviceTensor):
            return to_host(self._memory, value)
        array: NDArray[Any] = value.numpy()
        return array

    def _check_bounded_less(self, error: OutOfDeviceMemoryError) -> None:
        """Raise an error for which it does not help to take less."""
        if self._bound is not None and self._bound < _LEAST:
            raise error

    def _bound_less(self) -> None:
        """Free the device of what is there, and from now on take no more than is free, and less than before."""
        gc.collect()
        self._pieces.close()
        self._bound = min(self._free(), int(_LESS * (self._bound or self._free())))

    def _free(self) -> int:
        return int(_SHARE * (self._memory.mem_info().free + self._memory.taken))

    def _run(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[dict[str, Any]]:
        """Run a batch and yield its inputs and its tensors, piece by piece where they are too large."""
        if self._bound is None:
            self._bound = self._free()
        yield from self._pieces.run(feeds, self._bound)

    def _counted(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str], bases: Mapping[str, float]
    ) -> list[tuple[str, Histogram]]:
        names = (*feeds, *outputs)
        counters = self._histograms.start(names, bases, self._memory)
        slots = {name: i for i, name in enumerate(names)}
        on_host = {
            name: Histogram.of(array, bases.get(name) or None)
            for name, array in feeds.items()
            if array.dtype.name in _COUNTED_ON_HOST
        }
        skipped = {n for n, a in feeds.items() if n not in on_host and a.dtype.name not in ON_DEVICE}
        for found in self._run(feeds):
            counted = {name: value for name, value in found.items() if name not in on_host and name not in skipped}
            self._count(counters, slots, counted, bases, on_host)
            found.clear()
        fetched = zip(names, counters.fetch(), strict=True)
        return [(name, on_host.get(name, h)) for name, h in fetched if name not in skipped]

    def _count(
        self,
        counters: GpuHistograms,
        slots: Mapping[str, int],
        values: Mapping[str, Any],
        bases: Mapping[str, float],
        on_host: dict[str, Histogram],
    ) -> None:
        """Count arrays of ONNX Runtime, and wait until their memory may be used for others."""
        arrays = []
        for name, value in values.items():
            tensor = self._found(name, value)
            if tensor is not None:
                arrays.append(DeviceArray(slots[name], tensor.ptr, tensor.size, tensor.dtype))
            elif dtype_of(value) in ON_DEVICE or dtype_of(value) in _COUNTED_ON_HOST:
                on_host[name] = Histogram.of(value.numpy(), bases.get(name) or None)
        counters.add(arrays)
        self._memory.synchronize()

    def _found(self, name: str, value: Any) -> DeviceTensor | None:
        """Return where the kernels find a tensor; None where it is on the host, or of a type that they do not count."""
        if isinstance(value, DeviceTensor):
            return value
        if dtype_of(value) not in ON_DEVICE or value.device_name() != self._place[0]:
            return None
        return DeviceTensor(name, value.data_ptr(), tuple(value.shape()), dtype_of(value))

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|), as :meth:`histograms` does."""
        return ((name, h.amax if math.isfinite(h.amax) else 0.0) for name, h in self.histograms(feeds, outputs, {}))

    def close(self) -> None:
        """Free the counters' memory, and the model's where it is in pieces."""
        if "_pieces" in self.__dict__:
            self._pieces.close()
        self._histograms.close()
        if self._owns_memory:
            self._memory.close()
