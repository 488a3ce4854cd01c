"""What this package's calibrator does when TensorRT calls it: batches to the device, the cache from and to its file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.common.arguments import is_folder, number
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.data.plan import NoSuchBatchError
from trtcal_widgets.errors import CacheFormatError, DataError, EngineError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.gpu.memory import checked_memory, open_memory
from trtcal_widgets.gpu.stage import Staging
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.model.rows import constants_of
from trtcal_widgets.trt.calibration.caches import ALGORITHMS, CacheReport, check_cache
from trtcal_widgets.trt.inputs import NetworkNames, arrange, inputs_of, network_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.data.plan import KeptBatches
    from trtcal_widgets.gpu.memory import DeviceMemory

Stale = Literal["error", "recalibrate", "use"]
"""What becomes of a cache that does not fit: see :func:`~trtcal_widgets.trt.calibration.calibrator.make_calibrator`."""


class CacheFile:
    """The cache of a calibrator: read and judged, written as TensorRT made it.

    ``path``: the file, or None for a calibrator that keeps no cache. ``given``: a cache that is in memory already; it
    is used instead of a file and none is written. ``version``: TensorRT's version, as it calls itself. ``stale``: what
    becomes of a cache that does not fit. ``legacy``: quantile and regression cutoff that were asked for; None: those of
    the file, or 1 and 1. TensorRT 8.6.0 takes a legacy cache only with the numbers that are in it (run).
    """

    def __init__(
        self,
        path: Path | None,
        given: CalibrationCache | None,
        *,
        algorithm: str,
        version: str,
        stale: Stale,
        legacy: tuple[float, float] | None = None,
    ) -> None:
        self.path = path
        self.algorithm = algorithm
        self.version = version
        self.stale = stale
        self.legacy = legacy
        self.names = NetworkNames((), ())
        self.report: CacheReport | None = None
        self._given = given

    def judge(self) -> CalibrationCache | None:
        """Return the cache that TensorRT is to be given, after comparing it with what it is for.

        Raises CacheFormatError if the file is no cache, or does not fit and ``stale`` is ``"error"``.
        """
        cache = self._given
        if cache is None and self.path is not None and is_folder(self.path, CacheFormatError) is not None:
            cache = CalibrationCache.read(self.path)
        if cache is None:
            return None
        self.report = check_cache(
            cache,
            version=self.version,
            algorithm=self.algorithm,
            tensors=self.names.ranged,
            also_known=self.names.others,
            constants=self.names.constants,
        )
        if self.legacy and cache.legacy and cache.legacy != self.legacy:
            numbers = "quantile {} and regression cutoff {}".format
            header = f"it was made with {numbers(*cache.legacy)} and is to be read with {numbers(*self.legacy)}"
            self.report = replace(self.report, header=header)
        if not self.report.fits:
            if self.stale == "error":
                raise CacheFormatError(
                    f"{self.report}\nPass stale='recalibrate' to calibrate anew (the file is then replaced), or "
                    "stale='use' to hand it to TensorRT with a header that fits; or name another file."
                )
            if self.stale == "recalibrate":
                return None
            if self.algorithm == "legacy":
                quantile, cutoff = self.legacy or cache.legacy or (1.0, 1.0)
                return CalibrationCache.build_legacy(cache.scales, quantile=quantile, regression_cutoff=cutoff)
            version = ".".join(self.version.split(".")[:3])
            cache = cache.with_header(algorithm=ALGORITHMS[self.algorithm], version=version)
        return cache

    def keep(self, data: bytes) -> None:
        """Write what TensorRT made to the file, if there is to be one.

        Raises ExportError if the file cannot be written; the old one is then unchanged.
        """
        if self.path is not None:
            write_atomic(self.path, data)


class DataFeed:
    """Work of a calibrator: the batches of a plan, in order, once.

    ``plan``: the batches; None for a calibrator that only hands over a cache. ``cache``: its cache. ``on_batch``:
    called with (index, batch) before the batch is given to TensorRT, the index being the batch's place in the data,
    batches that are left out counted too. It may wait, and it may raise: then the calibration ends, no cache is kept,
    and the build raises the same exception. ``memory``: where batches go; None: this package's choice, opened at the
    first batch and closed with the feed.
    """

    def __init__(
        self,
        plan: KeptBatches | None,
        cache: CacheFile,
        *,
        on_batch: Callable[[int, Batch], object] | None = None,
        memory: DeviceMemory | None = None,
        histogram_path: Path | None = None,
    ) -> None:
        self.plan = plan
        self.cache = cache
        self.inputs: ModelGraph | None = None
        self.on_batch = on_batch
        self.served = 0
        self._memory = checked_memory(memory)
        self._own_memory = self._memory is None
        self._staging: Staging | None = None
        self._shapes: dict[str, tuple[tuple[int, ...], str]] = {}
        self._legacy = cache.legacy or (1.0, 1.0)
        self._histogram_path = histogram_path

    def know(self, network: Any) -> None:
        """Take in what the network is (see :func:`~trtcal_widgets.trt.inputs.inputs_of`), and judge the cache by it.

        Raises CacheFormatError if the cache does not fit and ``stale`` is ``"error"``.
        """
        self.inputs = inputs_of(network)
        if isinstance(network, ModelGraph):
            graph = network
            wanted = graph.calibrated
            others = tuple(name for name in graph.tensors if name not in wanted)
            self.cache.names = NetworkNames(wanted, others, constants_of(graph))
        elif hasattr(network, "num_layers"):
            self.cache.names = network_tensors(network)
        self.cache.judge()

    @property
    def report(self) -> CacheReport | None:
        """What was found about the cache; None where there is none."""
        return self.cache.report

    def batch_size(self) -> int:
        """Return the samples per batch; loads the first batch where only it can tell."""
        if self.plan is None:
            return 1
        if self.plan.batch_size is None:
            self.plan.load(0)
        size = self.plan.batch_size
        assert size is not None  # known once a batch was loaded
        return size

    def next_batch(self, names: Sequence[str]) -> list[int] | None:
        """Load the next batch, report it, and bring it to the device.

        Returns list of int, or None: device addresses in the order of ``names``; None when there are no more batches.
        Raises DataError if a batch cannot be read, does not fit the network, holds NaN, or differs in size from the
        first one. Raises OutOfDeviceMemoryError if a batch does not fit on the device; says how large one would. Raises
        EngineError if TensorRT asks for data although it was given a cache.
        """
        if self.plan is None:
            raise EngineError(
                "TensorRT did not take the calibration cache and asks for data. Its header or its rows do not fit: "
                f"{self.cache.report}. Calibrate with data instead: make_calibrator(source, ...)"
            )
        try:
            batch = self.plan.load(self.served)
        except NoSuchBatchError:
            if not self.served:
                raise
            return None
        arrays = arrange(batch, names, self.inputs)
        self._check(batch.index, dict(zip(names, arrays, strict=True)))
        if self.on_batch is not None:
            self.on_batch(batch.index, batch)
        addresses = self._stage().put(dict(zip(names, arrays, strict=True)), batch.n_fed)
        self.served += 1
        return [addresses[name] for name in names]

    def _check(self, index: int, arrays: dict[str, Any]) -> None:
        """Refuse a batch of another size (TensorRT reads as many bytes as the profile says), and NaN."""
        for name, array in arrays.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise DataError(
                    f"batch {index}, input {name!r} holds NaN, from which TensorRT would make scales without a word. "
                    "Look at how it is loaded and normalised"
                )
            first = self._shapes.setdefault(name, (array.shape, array.dtype.name))
            if first != (array.shape, array.dtype.name):
                raise DataError(
                    f"batch {index}, input {name!r} is {array.dtype.name} {array.shape}, the first batch had "
                    f"{first[1]} {first[0]}: TensorRT calibrates with batches of one shape. Resize or pad them to "
                    "one, or use last='drop' if only the last one is short"
                )

    def _stage(self) -> Staging:
        if self._memory is None:
            self._memory = open_memory()
        if self._staging is None:
            self._staging = Staging(self._memory)
        return self._staging

    def read_cache(self) -> bytes | None:
        """Return the cache for TensorRT, if there is one that fits. A new build begins: start at the first batch."""
        self.served = 0
        cache = self.cache.judge()
        self._legacy = self.cache.legacy or (cache and cache.legacy) or (1.0, 1.0)
        return None if cache is None else cache.to_bytes()

    def write_cache(self, data: bytes) -> None:
        """Keep the cache that TensorRT made."""
        self.cache.keep(data)

    def write_histogram(self, data: bytes) -> None:
        """Write the legacy calibrator's histograms to their file, if one was named."""
        if self._histogram_path is not None:
            write_atomic(self._histogram_path, data)

    def quantile(self) -> float:
        """Return the legacy calibrator's quantile."""
        return self._legacy[0]

    def regression_cutoff(self) -> float:
        """Return the legacy calibrator's regression cutoff."""
        return self._legacy[1]

    def close(self) -> None:
        """Free what lies on the device."""
        if self._staging is not None:
            self._staging.free()
            self._staging = None
        if self._own_memory and self._memory is not None:
            self._memory.close()
            self._memory = None


def check_legacy(quantile: float | None, regression_cutoff: float | None, algorithm: str) -> tuple[float, float] | None:
    """Return both numbers of the legacy calibrator, checked, 1 where one is not given; None where neither is.

    Raises UsageError if one is not in [0, 1], or the algorithm is not ``"legacy"``.
    """
    if quantile is None and regression_cutoff is None:
        return None
    given = {"quantile": quantile, "regression_cutoff": regression_cutoff}
    for name, value in given.items():
        if value is None:
            continue
        if algorithm != "legacy":
            raise UsageError(f"{name} belongs to algorithm='legacy', not to {algorithm!r}")
        if not 0 <= number(value, name) <= 1:
            raise UsageError(f"{name} must be a number from 0 to 1, not {value!r}")
    return (1.0 if quantile is None else quantile, 1.0 if regression_cutoff is None else regression_cutoff)
