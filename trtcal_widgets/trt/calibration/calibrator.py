"""TensorRT's INT8 calibrators over this package's batch sources.

>>> calibrator = make_calibrator(ImageFolder("calib"), batch_size=32, cache="calibration.cache")   # doctest: +SKIP
>>> config.int8_calibrator = calibrator                                                           # doctest: +SKIP
>>> engine = builder.build_serialized_network(network, config)                                    # doctest: +SKIP
>>> calibrator.raise_if_failed()                                                                  # doctest: +SKIP

:func:`trtcal_widgets.trt.build` does the last three lines, and more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder, kind_of, one_of, to_path
from trtcal_widgets.data.plan import BatchPlan, KeptBatches
from trtcal_widgets.errors import CacheFormatError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.fit import FOUR_DIGITS_BELOW
from trtcal_widgets.formats.header import parse_version
from trtcal_widgets.trt.calibration.caches import CacheReport, check_algorithm, check_cache
from trtcal_widgets.trt.calibration.feed import CacheFile, DataFeed, Stale, check_legacy
from trtcal_widgets.trt.calibration.guard import Guard, guarded
from trtcal_widgets.trt.versions import features, load_tensorrt, no_calibrators

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.gpu.memory import DeviceMemory

_CLASSES = {
    "entropy2": "IInt8EntropyCalibrator2",
    "entropy": "IInt8EntropyCalibrator",
    "minmax": "IInt8MinMaxCalibrator",
    "legacy": "IInt8LegacyCalibrator",
}


def make_calibrator(
    source: Any,
    algorithm: str = "entropy2",
    *,
    cache: str | os.PathLike[str] | CalibrationCache | None = None,
    stale: Stale = "error",
    on_batch: Callable[[int, Batch], object] | None = None,
    batch_size: int | None = None,
    network_inputs: Any = None,
    quantile: float | None = None,
    regression_cutoff: float | None = None,
    histogram_cache: str | os.PathLike[str] | None = None,
    memory: DeviceMemory | None = None,
) -> Any:
    """Make a calibrator: an instance of a subclass of TensorRT's own class.

    Parameters
    ----------
    source
        A session (its batches, without those that it leaves out at this moment), a :class:`BatchPlan`, anything that
        :func:`trtcal_widgets.data.as_source` takes (with ``batch_size``), or None to hand over ``cache`` alone.
    algorithm
        ``"entropy2"`` (what most models and all DLA builds use), ``"entropy"``, ``"minmax"`` or ``"legacy"``.
    cache
        A file: used instead of calibrating if it is there and fits, written if TensorRT calibrates. Or a
        :class:`CalibrationCache`, which is used and not written.
    stale
        What becomes of a cache of another TensorRT version, another algorithm, or (where the network is known) another
        model: ``"error"`` says so and stops; ``"recalibrate"`` ignores it and replaces the file; ``"use"`` hands it
        over with its header changed to one that fits. ``calibrator.report`` says what was found.
    on_batch
        Called with (index, batch) before each batch goes to TensorRT. ``index`` is the batch's place in the data, also
        where the session leaves earlier ones out. :class:`~trtcal_widgets.trt.control.BuildControl` pauses and cancels
        with it.
    batch_size
        Samples per batch, where ``source`` does not come in batches.
    network_inputs
        What the network takes, so that dtypes and shapes are checked: the ``INetworkDefinition`` (best: the cache is
        then compared with the model too), a :class:`ModelGraph`, or ``{name: (dtype, shape)}``.
    quantile, regression_cutoff
        For ``"legacy"``; those of the cache, where there is one, else 1 and 1.
    histogram_cache
        For ``"legacy"``: file that TensorRT's histograms are written to. It cannot be read back: see
        :meth:`~trtcal_widgets.trt.calibration.guard.LegacyGuard.read_histogram_cache`.
    memory
        Where batches go on the device; opened and closed by the calibrator unless given.

    Returns
    -------
    calibrator
        For ``IBuilderConfig.int8_calibrator`` and for :func:`trtcal_widgets.trt.build`. Besides TensorRT's methods it
        has ``raise_if_failed()``, ``failed``, ``cache`` (what TensorRT made), ``report``, ``served``, ``close()``, and
        is a context manager.

    Raises
    ------
    MissingDependencyError
        If TensorRT is not installed.
    UsageError
        If TensorRT has no calibrators (11 and later), or an argument cannot be meant.
    CacheFormatError
        If the cache file cannot be read or does not fit.
    """
    trt = load_tensorrt()
    has = features(trt)
    if not has.calibrators:
        raise no_calibrators(has.version, "A calibrator")
    check_algorithm(algorithm)
    legacy = check_legacy(quantile, regression_cutoff, algorithm)
    if histogram_cache is not None and algorithm != "legacy":
        raise UsageError(f"histogram_cache belongs to algorithm='legacy', not to {algorithm!r}")
    if on_batch is not None and not callable(on_batch):
        raise UsageError(f"on_batch must be a function of (index, batch), not {kind_of(on_batch)}")
    path, given = _cache_of(cache, source)
    file = CacheFile(path, given, algorithm=algorithm, version=has.version, stale=_stale(stale, source), legacy=legacy)
    feed = DataFeed(
        _plan(source, batch_size),
        file,
        on_batch=on_batch,
        memory=memory,
        histogram_path=None if histogram_cache is None else _to_write(histogram_cache, "the histogram cache"),
    )
    calibrator = guarded(trt, getattr(trt, _CLASSES[algorithm]), feed)
    feed.know(network_inputs)
    return calibrator


def guard_calibrator(trt: Any, calibrator: Any) -> Any:
    """Return a calibrator whose errors are not lost: ours as it is, a user's own within a guard.

    Raises
    ------
    UsageError
        If it is not an instance of one of TensorRT's calibrator classes, or TensorRT has none (11 and later).
    """
    has = features(trt)
    if not has.calibrators:
        raise no_calibrators(has.version, "A calibrator")
    if isinstance(calibrator, Guard):
        return calibrator
    if isinstance(calibrator, type):
        raise UsageError(f"calibrator must be an instance; {calibrator.__name__} is a class: call it")
    if not isinstance(calibrator, trt.IInt8Calibrator):
        names = ", ".join(_CLASSES.values())
        raise UsageError(
            f"calibrator is {kind_of(calibrator)}, which TensorRT does not take: make one of data or of a session with "
            f"make_calibrator(source), or derive your class from one of {names}"
        )
    own = [getattr(trt, name) for name in (*_CLASSES.values(), "IInt8Calibrator")]
    base = next(cls for cls in type(calibrator).__mro__ if cls in own)
    short = {name: short for short, name in _CLASSES.items()}.get(base.__name__, "")
    return guarded(trt, base, UserWork(calibrator, short, has.version))


class UserWork:
    """Work of a calibrator that the user wrote: its own methods, with the guard between them and TensorRT."""

    def __init__(self, calibrator: Any, algorithm: str, version: str) -> None:
        self.calibrator = calibrator
        self.report: CacheReport | None = None
        self._algorithm, self._version = algorithm, version

    def batch_size(self) -> int:
        """Ask the user's calibrator."""
        return int(self.calibrator.get_batch_size())

    def next_batch(self, names: Sequence[str]) -> object:
        """Ask the user's calibrator."""
        return self.calibrator.get_batch(names)

    def read_cache(self) -> object:
        """Ask the user's calibrator. What TensorRT would ignore is kept from it: it would not write the new cache."""
        answer = self.calibrator.read_calibration_cache()
        if not isinstance(answer, bytes | bytearray | memoryview) or not bytes(answer) or not self._algorithm:
            return answer
        if parse_version(self._version)[0] >= FOUR_DIGITS_BELOW:
            return answer  # what later releases ignore is not known
        try:
            cache = CalibrationCache.from_bytes(bytes(answer), source="the calibrator's cache")
        except CacheFormatError as error:
            self.report = CacheReport("the calibrator's cache", str(error))
            return None
        self.report = check_cache(cache, version=self._version, algorithm=self._algorithm)
        return answer if self.report.fits else None

    def write_cache(self, data: bytes) -> None:
        """Hand the cache to the user's calibrator."""
        self.calibrator.write_calibration_cache(data)

    def write_histogram(self, data: bytes) -> None:
        """Hand the histograms to the user's calibrator."""
        self.calibrator.write_histogram_cache(data, len(data))

    def quantile(self) -> float:
        """Ask the user's calibrator."""
        return float(self.calibrator.get_quantile())

    def regression_cutoff(self) -> float:
        """Ask the user's calibrator."""
        return float(self.calibrator.get_regression_cutoff())

    def close(self) -> None:
        """Leave the user's calibrator to its owner."""


def _plan(source: Any, batch_size: int | None) -> KeptBatches | None:
    if source is None:
        if batch_size is not None:
            raise UsageError("batch_size= is given without a source, so there are no batches: leave it out")
        return None
    left_out = samples_out = frozenset[int]()
    if hasattr(source, "to_cache"):  # a session
        if source.plan is None:
            raise UsageError(
                "this session was loaded without its data, so TensorRT cannot calibrate with them: load it with model= "
                "and source=, or take its own scales, trt.build(model, session=session)"
            )
        source, left_out, samples_out = source.plan, source.state.excluded, source.state.samples_out
    if isinstance(source, BatchPlan):
        if batch_size not in (None, source.batch_size):
            raise UsageError(f"batch_size={batch_size}, but the plan has batches of {source.batch_size}")
        plan = source
    else:
        from trtcal_widgets.data import as_source

        plan = BatchPlan(as_source(source), batch_size)
    if plan.last == "keep":
        raise UsageError(
            "TensorRT's calibrators take whole batches only: make the session or BatchPlan with last='drop' or 'pad'"
        )
    return KeptBatches(plan, left_out, samples_out)


def _cache_of(
    cache: str | os.PathLike[str] | CalibrationCache | None, source: Any
) -> tuple[Path | None, CalibrationCache | None]:
    if isinstance(cache, CalibrationCache):
        if source is not None:
            raise UsageError(
                "source and a CalibrationCache in memory were both given, so nothing would be calibrated: pass one of "
                "them, or the path of a cache file to write"
            )
        return None, cache
    if cache is None:
        if source is None:
            raise UsageError("there is neither data to calibrate with nor a cache: pass source=, or cache=")
        return None, None
    if source is None:
        return None, CalibrationCache.read(cache)
    return _to_write(cache, "the calibration cache"), None


def _to_write(path: str | os.PathLike[str], what: str) -> Path:
    """Return the path of a file that is written after the calibration: what is wrong with it is better said before."""
    found = to_path(path, what)
    if not is_folder(found.parent, UsageError):
        raise UsageError(f"{what} is to be written to {found}, but there is no folder {found.parent}: create it")
    if is_folder(found, UsageError):
        raise UsageError(f"{what} is to be written to {found}, which is a folder: name a file in it")
    return found


def _stale(stale: Stale, source: Any) -> Stale:
    one_of(stale, ("error", "recalibrate", "use"), "stale")
    if stale == "recalibrate" and source is None:
        raise UsageError("stale='recalibrate' needs data to calibrate with: pass source=")
    return stale
