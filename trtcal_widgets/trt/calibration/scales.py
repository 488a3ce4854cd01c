"""Where a build has its INT8 scales from: a calibrator, a cache, a session, or ranges set by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import did_you_mean
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.header import row_of
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.trt.calibration.caches import ALGORITHMS, check_dla
from trtcal_widgets.trt.calibration.calibrator import guard_calibrator, make_calibrator
from trtcal_widgets.trt.calibration.feed import DataFeed, Stale
from trtcal_widgets.trt.inputs import arrange, constant_tensors, inputs_of, network_tensors
from trtcal_widgets.trt.options import set_ranges
from trtcal_widgets.trt.profiles import Fed

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.calibration.guard import Guard
    from trtcal_widgets.trt.versions import Features


@dataclass(frozen=True)
class Scales:
    """What the user gave; at most one of ``calibrator``, ``cache`` and ``session``.

    Attributes
    ----------
    calibrator
        One of TensorRT's calibrators: ours or the user's own.
    cache
        A cache or its path.
    session
        A session: its ``to_cache()`` is used.
    amax
        Tensor name -> threshold in real units: changes rows of the cache, or is all there is.
    stale
        What becomes of a cache that does not fit.
    """

    calibrator: Any = None
    cache: CalibrationCache | str | os.PathLike[str] | None = None
    session: Any = None
    amax: Mapping[str, float] = field(default_factory=dict)
    stale: Stale = "error"

    @property
    def given(self) -> str:
        """Name of the argument that the scales come from; empty where there is none.

        Raises UsageError if there are several.
        """
        names = [name for name in ("calibrator", "cache", "session") if getattr(self, name) is not None]
        if self.session is not None and not hasattr(self.session, "to_cache"):
            raise UsageError(
                f"session must be a CalibrationSession, not a {type(self.session).__name__}; of a saved one: "
                "CalibrationSession.load(path)"
            )
        if len(names) > 1:
            raise UsageError(f"scales can come from one place only: {' and '.join(names)} were given")
        if names == ["calibrator"] and self.amax:
            raise UsageError(
                "amax= (or the plan's) changes scales that are there already; which of the two TensorRT takes when it "
                "calibrates too is not documented. Calibrate first: engine = build(model, calibrator=…), then "
                "build(model, cache=engine.cache, amax=…)"
            )
        return names[0] if names else "amax" if self.amax else ""


@dataclass(frozen=True)
class ScalesUsed:
    """What was attached to the build.

    ``guard``: the calibrator that TensorRT calls; None where ranges were set by hand, or there are no scales.
    ``owned``: whether it was made here, and is to be closed here. ``facts``: what goes into the engine's JSON.
    """

    guard: Guard | None
    owned: bool
    facts: Mapping[str, Any]


def attach(
    trt: Any, has: Features, scales: Scales, network: Any, config: Any, dla_for: ModelGraph | None = None
) -> ScalesUsed:
    """Give the scales to a build.

    ``dla_for``: the model, where it is built for DLA: then the scales are checked against what DLA needs. Raises
    UsageError if an amax names no tensor of the network, the calibrator is none of TensorRT's, or DLA takes none of its
    kind; CacheFormatError if a cache does not fit and is not to be used all the same.
    """
    given = scales.given
    if not given:
        return ScalesUsed(None, owned=False, facts={})
    if given == "amax":
        missing = set_ranges(network, scales.amax)
        facts = {"from": "amax", "amax": dict(scales.amax), "tensors_without": list(missing)}
        return ScalesUsed(None, owned=False, facts=facts)
    if given == "calibrator":
        guard: Guard = guard_calibrator(trt, scales.calibrator)
        guard.begin()
        if isinstance(guard.work, DataFeed):
            guard.work.know(network)
    else:
        guard = _from_cache(has, scales, network, for_dla=dla_for is not None)
    facts = _facts(given, guard, scales)
    if dla_for is not None:
        facts["dla"] = _check_dla(trt, guard, dla_for)
    config.int8_calibrator = guard
    return ScalesUsed(guard, owned=guard is not scales.calibrator, facts=facts)


def _check_dla(trt: Any, guard: Guard, graph: ModelGraph) -> str:
    """Return what DLA lacks, in words; refuse what it does not take at all."""
    if not isinstance(guard, trt.IInt8EntropyCalibrator2):
        raise UsageError(
            "DLA takes scales of EntropyCalibration2 only, and this is another calibrator or cache: calibrate with "
            "make_calibrator(data, 'entropy2')"
        )
    cache = guard.work.cache.judge() if isinstance(guard.work, DataFeed) else None
    return "" if cache is None else str(check_dla(graph, cache))


def _from_cache(has: Features, scales: Scales, network: Any, *, for_dla: bool) -> Guard:
    version = ".".join(has.version.split(".")[:3])
    if scales.session is not None:
        cache = scales.session.to_cache(ALGORITHMS["entropy2"] if for_dla else None, version=version)
        cache = _in_names_of(cache, constant_tensors(network, scales.session.graph), version)
    elif isinstance(scales.cache, CalibrationCache):
        cache = scales.cache
    else:
        assert scales.cache is not None  # given says so
        cache = CalibrationCache.read(scales.cache)
    if scales.amax:
        _check_names(scales.amax, network)
        changed = {name: float(scale_of_amax(value)) for name, value in scales.amax.items()}
        cache = cache.with_scales(changed, add_missing=True)
    short = {long: name for name, long in ALGORITHMS.items()}
    algorithm = short.get(cache.algorithm, "entropy2")
    made: Guard = make_calibrator(None, algorithm, cache=cache, stale=scales.stale, network_inputs=network)
    return made


def _in_names_of(cache: CalibrationCache, names: Mapping[str, str], version: str) -> CalibrationCache:
    """Return a session's cache with the rows of constants under the names that this network has for them."""
    renamed = {row_of(name, cache.scales): theirs for name, theirs in names.items()}
    rows = {renamed.get(row, row): scale for row, scale in cache.scales.items()}
    return CalibrationCache.build(rows, algorithm=cache.algorithm, version=version)


def _check_names(amax: Mapping[str, float], network: Any) -> None:
    names = network_tensors(network)
    unknown = [name for name in amax if name not in names.ranged]
    if unknown:
        hint = did_you_mean(unknown[0], names.ranged)
        raise UsageError(f"amax names {unknown[0]!r}, which is no float tensor of TensorRT's network{hint}")


def _facts(given: str, guard: Guard, scales: Scales) -> dict[str, Any]:
    facts: dict[str, Any] = {"from": given, "class": type(guard).__bases__[1].__name__}
    if isinstance(guard.work, DataFeed):
        facts["algorithm"] = ALGORITHMS[guard.work.cache.algorithm]
        if guard.work.plan is not None:
            plan = guard.work.plan
            facts |= {"data": plan.source.describe(), "batch_size": plan.batch_size, "left_out_samples": plan.dropped}
            facts["left_out_batches"] = list(plan.left_out)
    if guard.report is not None:
        facts["cache_report"] = str(guard.report)
    if scales.amax:
        facts["amax"] = dict(scales.amax)
    return facts


def batch_shapes(scales: Scales, guard: Guard | None, network: Any) -> dict[str, Fed]:
    """Return the shapes of the first calibration batch, the calibrator's or the session's, and where its samples are.

    There are none where there is no data, or a user's own class hides it. Raises DataError if the batch cannot be read
    or does not fit the network.
    """
    plan = getattr(guard.work if guard is not None else None, "plan", None) or getattr(scales.session, "plan", None)
    if plan is None:
        return {}
    names = [str(network.get_input(index).name) for index in range(network.num_inputs)]
    batch = plan.load(0)
    arrays = arrange(batch, names, inputs_of(network))
    axes = batch.sample_axes
    if not axes:  # where no input is known to have samples, the first axis may be theirs
        return {name: Fed(tuple(array.shape)) for name, array in zip(names, arrays, strict=True)}
    only = axes.get(ONLY_INPUT)
    return {name: Fed(tuple(a.shape), axes.get(name, only)) for name, a in zip(names, arrays, strict=True)}
