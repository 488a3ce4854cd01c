"""Buffers of one user of a device memory that several may share: named apart, and freed when the user is done."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import OutOfDeviceMemoryError
from trtcal_widgets.trt.memory import BatchStage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.trt.memory import DeviceBuffer, DeviceMemory

__all__ = ["Staging"]

_numbers = count()


class Staging:
    """The buffers of one calibrator or engine, which grow as needed.

    Parameters
    ----------
    memory
        Where they lie.
    """

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._name = f"staging {next(_numbers)}"
        self._batches = BatchStage(memory, self._name)
        self._staged = False
        self._room: DeviceBuffer | None = None

    def put(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        """Copy a batch to the device in one piece and return each array's address there.

        Raises
        ------
        OutOfDeviceMemoryError
            If it does not fit; says how large a batch would.
        """
        self._staged = True
        return self._batches.put(arrays)

    def room(self, nbytes: int) -> int:
        """Return the address of room for outputs; what was there is lost if it must grow.

        Raises
        ------
        OutOfDeviceMemoryError
            If there is not so much.
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
