"""Batches on their way to the device, and how large they may be."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of
from trtcal_widgets.errors import OutOfDeviceMemoryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceBuffer, DeviceMemory

ALIGNMENT = 256
"""Every tensor starts at a multiple of this many bytes: what cuMemAlloc gives and TensorRT asks for."""


_numbers = count()


def largest_batch(bytes_per_sample: int, free: int, *, fixed: int = 0) -> int:
    """Return how many samples fit into the memory that is free; 0 if not even one does.

    Parameters
    ----------
    bytes_per_sample, free
        In bytes; ``free`` as :meth:`DeviceMemory.mem_info` gives it.
    fixed
        Bytes that are needed once, whatever the batch size.
    """
    if bytes_per_sample <= 0:
        raise UsageError(f"a sample must have at least one byte, not {bytes_per_sample}")
    return max(0, (free - fixed) // bytes_per_sample)


class BatchStage:
    """Brings batches to the device: gathered in page-locked memory, then one copy for all inputs together.

    The addresses stay the same from batch to batch unless a batch is larger than every one before it.

    Parameters
    ----------
    memory
        Where the batches go.
    name
        Of the reserved buffers; None: a name of its own. Two stages of one name overwrite each other's batches.
    """

    def __init__(self, memory: DeviceMemory, name: str | None = None) -> None:
        self._memory = memory
        self._name = f"batches {next(_numbers)}" if name is None else name

    def put(self, arrays: Mapping[str, NDArray[Any]], samples: int | None = None) -> dict[str, int]:
        """Copy a batch to the device and return each array's address there, once all of it has arrived.

        Parameters
        ----------
        arrays
            Input name -> array of any shape, dtype and memory layout; it arrives in C order.
        samples
            How many samples that are, for the error; None: the longest first axis.

        Raises
        ------
        OutOfDeviceMemoryError
            If it does not fit; the error says how large a batch would.
        """
        starts: dict[str, int] = {}
        size = 0
        for name, array in arrays.items():
            starts[name] = size
            size += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        try:
            target = self._memory.reserve(self._name, size)
        except OutOfDeviceMemoryError as e:
            held = samples or max((a.shape[0] for a in arrays.values() if a.ndim), default=1)
            raise with_advice(e, held, f"This batch has {count_of(held, 'sample')}") from e
        staging = self._memory.reserve_pinned(self._name, size)
        for name, array in arrays.items():
            np.copyto(staging.view(array.shape, array.dtype, starts[name]), array)
        self._memory.upload(target, staging.array[:size])
        return {name: target.ptr + start for name, start in starts.items()}


def with_advice(error: OutOfDeviceMemoryError, samples: int, held: str) -> OutOfDeviceMemoryError:
    """Return the error with the batch size that would fit.

    ``samples``: how many samples the memory was for. ``held``: what was to be kept there, as a sentence.
    """
    fits = largest_batch(max(1, -(-error.requested // max(1, samples))), error.free)
    advice = f"at most {fits} would fit into what is free" if fits else "not even one would fit into what is free"
    return OutOfDeviceMemoryError(
        f"{error}. {held}; {advice}", requested=error.requested, free=error.free, total=error.total
    )


_stagings = count()


class Staging:
    """The buffers of one calibrator or engine, which grow as needed."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._name = f"staging {next(_stagings)}"
        self._batches = BatchStage(memory, self._name)
        self._staged = False
        self._room: DeviceBuffer | None = None

    def put(self, arrays: Mapping[str, NDArray[Any]], samples: int | None = None) -> dict[str, int]:
        """Copy a batch to the device in one piece and return each array's address there (:meth:`BatchStage.put`).

        Raises OutOfDeviceMemoryError if it does not fit; says how large a batch would.
        """
        self._staged = True
        return self._batches.put(arrays, samples)

    def room(self, nbytes: int) -> int:
        """Return the address of room for outputs; what was there is lost if it must grow.

        Raises OutOfDeviceMemoryError if there is not so much.
        """
        if self._room is None or self._room.nbytes < nbytes:
            if self._room is not None:
                self._room.free()
                self._room = None
            self._room = self._memory.alloc(nbytes)
        return self._room.ptr

    def free(self) -> None:
        """Free the buffers; a second call does nothing."""
        if self._memory.closed:
            return
        if self._room is not None:
            self._room.free()
            self._room = None
        if self._staged:
            self._staged = False
            # Asked for no bytes, reserve returns the buffer as it is. Where it has none (the device was too full for
            # it), there is nothing to free.
            with suppress(OutOfDeviceMemoryError):
                self._memory.reserve(self._name, 0).free()
                self._memory.reserve_pinned(self._name, 0).free()
