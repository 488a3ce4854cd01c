"""What every part of the stand-in for TensorRT knows: the machine it pretends, and how C++ calls Python."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trtcal_widgets.gpu.memory import DeviceMemory

ALGORITHMS = {
    "IInt8EntropyCalibrator2": "EntropyCalibration2",
    "IInt8EntropyCalibrator": "EntropyCalibration",
    "IInt8MinMaxCalibrator": "MinMaxCalibration",
    "IInt8LegacyCalibrator": "LegacyCalibration",
}


@dataclass
class Machine:
    """What the stand-in pretends of the machine, and what it saw. Not part of TensorRT's API."""

    release: str
    memory: DeviceMemory
    cuda_error: int = 0
    build_error: str = ""
    dla_cores: int = 0
    compute_capability: tuple[int, int] = (9, 0)
    takes_every_cache: bool = False
    parser_error: str = ""
    built: list[dict[str, Any]] = field(default_factory=list)
    calibrated_with: list[dict[str, np.ndarray]] = field(default_factory=list)

    @property
    def version(self) -> str:
        return ".".join(self.release.split(".")[:3])


def swallow(call: Any, *arguments: Any, otherwise: Any = None) -> Any:
    """Call into Python as a C++ trampoline does: exceptions are printed and gone."""
    try:
        return call(*arguments)
    except BaseException:  # noqa: BLE001 - that is what is being shown
        traceback.print_exc()
        return otherwise


def log(machine: Machine, logger: Any, severity: str, text: str) -> None:
    class Severity:
        name = severity

    swallow(logger.log, Severity, text)


class Dims(tuple):
    """TensorRT's Dims: a sequence of sizes."""

    __slots__ = ()


def read(memory: DeviceMemory, address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Read device memory as the engine would."""
    array = np.empty(shape, dtype)
    with memory.current() as driver:
        driver.copy_out(array, address, None)
    return array


def write(memory: DeviceMemory, address: int, array: np.ndarray) -> None:
    """Write device memory as the engine would."""
    with memory.current() as driver:
        driver.copy_in(address, np.ascontiguousarray(array), None)


def numpy_dtype(name: str) -> np.dtype:
    """NumPy's dtype of the types that inputs have here."""
    return np.dtype({"FLOAT": "float32", "HALF": "float16", "INT64": "int64"}.get(name, "int32"))
