"""The exceptions of the package: one base, one subclass per kind of thing that is wrong.

Every message says what is wrong, with which file, tensor or batch, and what to do about it.
Catch :class:`TrtcalError` to catch them all.
"""

from __future__ import annotations

__all__ = [
    "CacheFormatError",
    "CancelledError",
    "DataError",
    "DeviceError",
    "EngineError",
    "EvaluationError",
    "ExportError",
    "MissingDependencyError",
    "ModelError",
    "OutOfDeviceMemoryError",
    "SessionError",
    "TrtcalError",
    "UsageError",
]


class TrtcalError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(TrtcalError, ValueError):
    """An argument that cannot be meant: an unknown method, a negative amax, a bad shape."""


class CacheFormatError(TrtcalError, ValueError):
    """A calibration cache or a neighbouring file that cannot be read."""


class ModelError(TrtcalError):
    """A model file that cannot be loaded or run, or a tensor that it does not have."""


class DataError(TrtcalError):
    """Calibration data that cannot be read or does not fit the model's inputs."""


class SessionError(TrtcalError):
    """A step that the session cannot take in its present state, or a saved session that does not fit."""


class ExportError(TrtcalError):
    """A file that cannot be written, or a choice that the file's format cannot hold."""


class CancelledError(TrtcalError):
    """A long run was cancelled; what was complete before it is kept."""


class MissingDependencyError(TrtcalError, ImportError):
    """An optional package is not installed; the message says which, and which road works without it."""


class EngineError(TrtcalError):
    """TensorRT refused to build, load or run an engine; the message has its own last error lines."""


class DeviceError(TrtcalError):
    """The GPU, its driver or its memory cannot do what was asked; the message says what to do about it."""


class OutOfDeviceMemoryError(DeviceError, MemoryError):
    """The GPU's memory is full.

    Attributes
    ----------
    requested, free, total
        In bytes: what was asked for in one piece, what was free then, and the size of the device's memory; 0 where it
        is not known.
    """

    def __init__(self, message: str, *, requested: int = 0, free: int = 0, total: int = 0) -> None:
        super().__init__(message)
        self.requested = requested
        self.free = free
        self.total = total


class EvaluationError(TrtcalError):
    """Labels that do not fit, or a user's own ``evaluate`` that failed; the message holds its traceback."""
