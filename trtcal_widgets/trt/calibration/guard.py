"""A TensorRT calibrator whose errors are not lost.

TensorRT's binding calls a calibrator's Python methods from C++ and swallows what they raise: an exception in
``get_batch`` is taken for "no more data", and a cache is then made from the part that was seen. A list that is too
short is read out of bounds, a generator crashes the process, a ``str`` is ignored. Everything between TensorRT and
a :class:`Work` is checked here; what fails is kept, the calibration ends, no cache is written, and whoever builds
asks :meth:`Guard.raise_if_failed`.
"""

from __future__ import annotations

import ctypes
import operator
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from trtcal_widgets.common.closing import Closing
from trtcal_widgets.common.words import count_of
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import CalibrationCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trtcal_widgets.trt.calibration.caches import CacheReport

_T = TypeVar("_T")


class Work(Protocol):
    """What a calibrator does. Any method may raise."""

    def batch_size(self) -> int:
        """Return the samples per batch."""

    def next_batch(self, names: Sequence[str]) -> object:
        """Return the device addresses of the next batch's inputs in the order of ``names``; None at the end."""

    def read_cache(self) -> object:
        """Return the bytes of a cache that TensorRT is to use, or None to calibrate."""

    def write_cache(self, data: bytes) -> None:
        """Keep the cache that TensorRT made."""

    def write_histogram(self, data: bytes) -> None:
        """Keep the histogram cache of the legacy calibrator."""

    def quantile(self) -> float:
        """Return the legacy calibrator's quantile."""

    def regression_cutoff(self) -> float:
        """Return the legacy calibrator's regression cutoff."""

    def close(self) -> None:
        """Free what is held."""

    @property
    def report(self) -> CacheReport | None:
        """What is to be said about the cache that is used; None where there is none."""


class Guard(Closing):
    """The Python half of a calibrator; the other half is one of TensorRT's classes (see :func:`guarded`)."""

    work: Work
    served: int = 0
    """Batches that TensorRT was given."""
    before_batch: Callable[[int], object] | None = None
    """Called with a batch's number when TensorRT asks for it; it may wait, and what it raises ends the calibration."""
    _failure: BaseException | None = None
    _made: bytes | None = None

    @property
    def cache(self) -> CalibrationCache | None:
        """What TensorRT calibrated; None where it did not, or where it failed."""
        return None if self._made is None else CalibrationCache(self._made, source="<calibrated>")

    @property
    def report(self) -> CacheReport | None:
        """What was found about a cache that was there already; None where there was none."""
        return self.work.report

    @property
    def failed(self) -> bool:
        """Whether something was raised while TensorRT called."""
        return self._failure is not None

    def raise_if_failed(self) -> None:
        """Raise what was raised while TensorRT called, if anything. Throw the engine away then.

        A build that goes through :func:`trtcal_widgets.trt.build` does this itself.
        """
        if self._failure is not None:
            raise self._failure

    def begin(self) -> None:
        """Forget an earlier run: its failure, its batches, its cache. :func:`trtcal_widgets.trt.build` does this."""
        self._failure = self._made = None
        self.served = 0

    def fail(self, error: BaseException) -> None:
        """Keep the first failure; the calibration ends and no cache is written."""
        if self._failure is None:
            self._failure = error

    def close(self) -> None:
        """Free device memory. ``with calibrator:`` does it too."""
        self.work.close()

    def get_batch_size(self) -> int:
        """Return the samples per batch (TensorRT calls this)."""
        return self._ask(lambda: operator.index(self.work.batch_size()), 1)

    def get_batch(self, names: Sequence[str]) -> list[int] | None:
        """Return one device address per name, or None when there is no more data (TensorRT calls this)."""
        if self.failed:
            return None
        addresses = self._ask(lambda: self._next(names), None)
        self.served += addresses is not None
        return addresses

    def _next(self, names: Sequence[str]) -> list[int] | None:
        if self.before_batch is not None:
            self.before_batch(self.served)
        return _addresses(self.work.next_batch(names), names)

    def read_calibration_cache(self) -> bytes | None:
        """Return a cache for TensorRT to use instead of calibrating, or None (TensorRT calls this)."""
        return None if self.failed else self._ask(lambda: _cache_bytes(self.work.read_cache()), None)

    def write_calibration_cache(self, cache: Any) -> None:
        """Take the cache that TensorRT made (TensorRT calls this). Refused after a failure: it is made of a part."""
        if not self.failed:
            self._ask(lambda: self._keep(bytes(cache)), None)  # the buffer is TensorRT's and gone after this call

    def _keep(self, made: bytes) -> None:
        self.work.write_cache(made)
        self._made = made

    def _ask(self, call: Callable[[], _T], otherwise: _T) -> _T:
        """Return what a call gives; what it raises is kept, since TensorRT's binding would swallow it."""
        try:
            return call()
        except BaseException as error:  # noqa: BLE001 - raise_if_failed raises it
            self.fail(error)
            return otherwise


class LegacyGuard(Guard):
    """What ``IInt8LegacyCalibrator`` asks on top."""

    def get_quantile(self) -> float:
        """Return the quantile of |x| that becomes amax (TensorRT calls this)."""
        return self._ask(lambda: float(self.work.quantile()), 1.0)

    def get_regression_cutoff(self) -> float:
        """Return the regression cutoff (TensorRT calls this)."""
        return self._ask(lambda: float(self.work.regression_cutoff()), 1.0)

    def read_histogram_cache(self, _length: int) -> None:
        """Return None (TensorRT calls this).

        The binding passes the length by value and takes back a bare pointer: Python cannot tell TensorRT how long a
        histogram cache is, so none can be handed over. TensorRT then makes the histograms again.
        """

    def write_histogram_cache(self, pointer: Any, length: int) -> None:
        """Take the histograms that TensorRT made (TensorRT calls this)."""
        if not self.failed:
            self._ask(lambda: self.work.write_histogram(_copy_out(pointer, length)), None)


def guarded(trt: Any, base: type, work: Work) -> Any:
    """Make an instance of a subclass of a TensorRT calibrator class that does ``work``."""
    return _class_of(base, LegacyGuard if issubclass(base, trt.IInt8LegacyCalibrator) else Guard)(work)


@cache
def _class_of(base: Any, half: type[Guard]) -> type:
    def initialise(self: Any, work: Work) -> None:
        base.__init__(self)  # pybind11 wants its own called by name
        self.work = work

    def fill(namespace: dict[str, Any]) -> None:
        namespace["__init__"] = initialise
        namespace["__doc__"] = f"A {base.__name__} whose errors are not lost; see trtcal_widgets.trt.calibration.guard."

    return types.new_class(f"Guarded{base.__name__[1:]}", (half, base), exec_body=fill)


def _addresses(answer: object, names: Sequence[str]) -> list[int] | None:
    """Return the addresses as the list that the binding copies from, exactly as long as ``names``."""
    if answer is None:
        return None
    if not isinstance(answer, list | tuple):
        raise UsageError(
            f"get_batch returned a {type(answer).__name__}; TensorRT takes a list of device addresses (int), one per "
            f"input ({', '.join(map(repr, names))}), or None when there is no more data"
        )
    if not answer:
        return None
    if len(answer) != len(names):
        addresses = count_of(len(answer), "address", "addresses")
        raise UsageError(
            f"get_batch returned {addresses} for {count_of(len(names), 'input')} ({', '.join(map(repr, names))}); "
            "TensorRT would read beyond the list"
        )
    return [_address(item, name) for item, name in zip(answer, names, strict=True)]


def _address(item: Any, name: str) -> int:
    if isinstance(item, str | bytes | float | bool) or not hasattr(item, "__int__"):
        raise UsageError(f"get_batch returned {item!r:.80} for input {name!r}; a device address is an int")
    address = int(item)  # pycuda's DeviceAllocation too
    if not 0 < address < 1 << 64:
        raise UsageError(f"get_batch returned {address} for input {name!r}, which is no device address")
    return address


def _cache_bytes(answer: Any) -> bytes | None:
    if answer is None:
        return None
    if isinstance(answer, str):
        raise UsageError(
            "read_calibration_cache returned a str, which TensorRT ignores without a word; return bytes: "
            "open the file with mode 'rb'"
        )
    try:
        return bytes(memoryview(answer)) or None
    except TypeError:
        raise UsageError(
            f"read_calibration_cache returned a {type(answer).__name__}; TensorRT takes bytes, or None to calibrate"
        ) from None


def _copy_out(pointer: Any, length: int) -> bytes:
    """Copy the memory that a nameless capsule (or an address) points to."""
    if not isinstance(pointer, int):
        ask = ctypes.pythonapi.PyCapsule_GetPointer
        ask.restype, ask.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        pointer = ask(pointer, None)
    return ctypes.string_at(pointer, length)
