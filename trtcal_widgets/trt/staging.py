"""Buffers of one user of a device memory that several may share: named apart, and freed when the user is done."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from trtcal_widgets.trt.memory import BatchStage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.trt.memory import DeviceMemory

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
        self._used: set[str] = set()

    def put(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        """Copy a batch to the device in one piece and return each array's address there.

        Raises
        ------
        OutOfDeviceMemoryError
            If it does not fit; says how large a batch would.
        """
        self._used.add(self._name)
        return self._batches.put(arrays)

    def room(self, nbytes: int) -> int:
        """Return the address of room for outputs; what was there is lost if it must grow.

        Raises
        ------
        OutOfDeviceMemoryError
            If there is not so much.
        """
        name = f"{self._name} outputs"
        self._used.add(name)
        return self._memory.reserve(name, nbytes).ptr

    def free(self) -> None:
        """Free the buffers; a second call does nothing."""
        if not self._memory.closed:
            for name in self._used:
                # Asked for no bytes, reserve returns the buffer as it is.
                self._memory.reserve(name, 0).free()
                self._memory.reserve_pinned(name, 0).free()
        self._used.clear()
