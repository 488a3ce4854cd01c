"""One run of TensorRT's builder: parse, mark, configure, attach the scales, build, and look for what went wrong."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.common.version import __version__
from trtcal_widgets.errors import (
    DeviceError,
    EngineError,
    ExportError,
    MissingDependencyError,
    OutOfDeviceMemoryError,
    UsageError,
)
from trtcal_widgets.gpu.capacity import advice
from trtcal_widgets.gpu.memory import open_memory
from trtcal_widgets.model.dimensions import words_of_dimensions
from trtcal_widgets.trt.calibration.feed import DataFeed
from trtcal_widgets.trt.calibration.scales import Scales, ScalesUsed, attach, batch_shapes
from trtcal_widgets.trt.control import BuildControl, Progress, make_monitor
from trtcal_widgets.trt.engine import FORMAT, Engine
from trtcal_widgets.trt.log import out_of_memory
from trtcal_widgets.trt.network import create_builder, mark_debug, mark_outputs, parse
from trtcal_widgets.trt.options import Settings, apply_plan, configure
from trtcal_widgets.trt.profiles import add_profiles, dynamic_inputs, resolve_profiles, set_calibration_profile
from trtcal_widgets.trt.waiting import interrupts_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from trtcal_widgets.gpu.driver import MemInfo
    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.calibration.guard import Guard
    from trtcal_widgets.trt.log import LogBook
    from trtcal_widgets.trt.options import PlanLike
    from trtcal_widgets.trt.versions import Features

_T = TypeVar("_T")
_LARGEST_TIMES = 1 << 30


@dataclass(frozen=True)
class Request:
    """A build that was found possible.

    Attributes
    ----------
    path, graph
        The model.
    settings, scales, plan, profiles
        See :func:`trtcal_widgets.trt.build`.
    debug
        Tensors to mark: None for none, () for all that are not fused.
    outputs
        Tensors to mark as outputs.
    timing_cache
        File that keeps the times of kernels from one build to the next.
    """

    path: Path
    graph: ModelGraph
    settings: Settings
    scales: Scales = field(default_factory=Scales)
    plan: PlanLike | None = None
    profiles: Any = None
    debug: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    timing_cache: Path | None = None


class Build:
    """One run of the builder."""

    def __init__(
        self,
        trt: Any,
        has: Features,
        logger: Any,
        book: LogBook,
        request: Request,
        report: Callable[[Progress], object],
        control: BuildControl,
    ) -> None:
        self.trt, self.has, self.logger, self.book = trt, has, logger, book
        self.request, self.report, self.control = request, report, control
        self.facts: dict[str, Any] = {}

    def run(self) -> Engine:
        """Build the engine."""
        trt, request = self.trt, self.request
        self.report(Progress("Parse"))
        builder = create_builder(trt, self.logger, self.book)
        parsed = parse(trt, builder, self.logger, request.path, strongly_typed=request.settings.strongly_typed)
        network = parsed.network
        if parsed.dimensions:
            self.facts["dimensions"] = {name: list(names) for name, names in parsed.dimensions.items()}
            self.book.add("info", words_of_dimensions(parsed.dimensions))
        with self._quoting():
            self._mark(network)
        config = builder.create_builder_config()
        configure(trt, builder, config, request.settings)
        if request.plan is not None and request.plan.keep:
            self._keep(network, config, request.plan)
        dla_for = None if request.settings.dla is None else request.graph
        with self._quoting():
            used = attach(trt, self.has, request.scales, network, config, dla_for)
        try:
            return self._build(builder, network, config, used)
        finally:
            if used.guard is not None:
                used.guard.before_batch = None
                if used.owned:
                    used.guard.close()

    @contextmanager
    def _quoting(self) -> Iterator[None]:
        """Add what TensorRT logged to an error that says what it refused."""
        try:
            yield
        except EngineError as error:
            raise EngineError(f"{error}. TensorRT says: {self.book.last_errors()}") from error

    def _keep(self, network: Any, config: Any, plan: PlanLike) -> None:
        flags = self.trt.BuilderFlag
        obey = self.request.settings.obey
        config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS if obey else flags.PREFER_PRECISION_CONSTRAINTS)
        applied = apply_plan(self.trt, network, plan, self.request.graph)
        self.facts["plan"] = {
            "keep": list(plan.keep),
            "precision": plan.precision,
            "layers": {name: list(own) for name, own in applied.set_on.items()},
            "without_layer": list(applied.without_layer),
        }

    def _mark(self, network: Any) -> None:
        request = self.request
        missing = mark_outputs(network, request.outputs)
        if request.debug is None:
            return
        if self.has.debug_tensors:
            missing += mark_debug(network, request.debug or None)
            kind = "marked" if request.debug else "unfused"
        else:
            missing += mark_outputs(network, request.debug)
            kind = "outputs"
        if request.debug and set(missing) >= set(request.debug):
            raise UsageError(
                f"TensorRT's network has none of the tensors to debug ({', '.join(map(repr, missing[:3]))}): they were "
                "folded away, or the model calls them otherwise"
            )
        self.facts["debug"] = {"kind": kind, "names": list(request.debug), "missing": list(missing)}

    def _build(self, builder: Any, network: Any, config: Any, used: ScalesUsed) -> Engine:
        with self._quoting():
            self._set_profiles(builder, network, config, used)
        guard = used.guard
        self.report(Progress("Build"))
        self.control.raise_if_cancelled()
        free = _of_memory(lambda memory: memory.mem_info())
        timings = None if self.request.timing_cache is None else use_timing_cache(config, self.request.timing_cache)
        raise_if_monitor_failed = _nothing
        with interrupts_kept() as raise_if_interrupted:
            if guard is not None:
                guard.before_batch = self._hook(guard, raise_if_interrupted)
            if self.has.progress_monitor:
                config.progress_monitor, raise_if_monitor_failed = make_monitor(
                    self.trt, self.report, self.control.raise_if_cancelled, raise_if_interrupted
                )
            memory = builder.build_serialized_network(network, config)
        raise_if_interrupted()
        # What stopped the build comes before what TensorRT says of it: it may have built an engine all the same.
        if guard is not None:
            guard.raise_if_failed()
        raise_if_monitor_failed()
        self.book.raise_if_failed()
        self.control.raise_if_cancelled()
        if memory is None:
            raise self._refused(used, free)
        if timings is not None and self.request.timing_cache is not None:
            self._keep_times(self.request.timing_cache, bytes(timings.serialize()))
        engine = Engine(bytes(memory), self._provenance(used), self.book.lines, guard.cache if guard else None)
        self.report(Progress("Build", finished=True))
        return engine

    def _keep_times(self, path: Path, times: bytes) -> None:
        """Write the times of kernels; an engine that took minutes is not thrown away because that fails."""
        try:
            write_atomic(path, times)
        except ExportError as error:
            self.book.add("warning", f"The times of kernels are not kept for a later build: {error}")

    def _set_profiles(self, builder: Any, network: Any, config: Any, used: ScalesUsed) -> None:
        inputs = dynamic_inputs(network)
        shapes = batch_shapes(self.request.scales, used.guard, network) if inputs else {}
        calibrates = self.request.scales.given == "calibrator"
        profiles, calibration = resolve_profiles(self.request.profiles, inputs, shapes, calibrates=calibrates)
        add_profiles(builder, config, profiles, inputs)
        self.facts["profiles"] = [one.to_json() for one in profiles]
        if calibration is not None:
            set_calibration_profile(builder, config, calibration, inputs)
            self.facts["calibration_profile"] = calibration.to_json()

    def _hook(self, guard: Guard, raise_if_interrupted: Callable[[], None]) -> Callable[[int], None]:
        """Return what is called before each batch that TensorRT asks for."""
        total = getattr(getattr(guard.work, "plan", None), "n_batches", None) or 0

        def before_batch(index: int) -> None:
            raise_if_interrupted()
            self._before_batch(index, total, guard)

        return before_batch

    def _before_batch(self, index: int, total: int, guard: Guard) -> None:
        self.report(Progress("Calibrate", done=index, total=total))
        if total and index >= total:
            return  # TensorRT asks once more, to be told that there are no more
        # A control that is the calibrator's on_batch as well waits there, with the batch loaded.
        if not (isinstance(guard.work, DataFeed) and guard.work.on_batch is self.control):
            self.control.wait()

    def _refused(self, used: ScalesUsed, free: MemInfo | None) -> EngineError | OutOfDeviceMemoryError:
        reason = self.book.last_errors()
        name = self.request.graph.name
        if not out_of_memory(reason):
            return EngineError(f"TensorRT {self.has.version} did not build {name}: {reason}")
        size = used.facts.get("batch_size")
        return OutOfDeviceMemoryError(
            f"out of device memory while TensorRT built {name}. {advice(self.request.graph, size, free)}. "
            f"TensorRT says: {reason}",
            free=free.free if free else 0,
            total=free.total if free else 0,
        )

    def _provenance(self, used: ScalesUsed) -> Mapping[str, Any]:
        graph, device = self.request.graph, _of_memory(lambda memory: memory.device)
        scales = dict(used.facts)
        if used.guard is not None:
            scales["batches"] = used.guard.served
            if used.guard.cache is not None:
                scales["cache_sha256"] = hashlib.sha256(used.guard.cache.to_bytes()).hexdigest()
        warnings = [line.text for line in self.book.lines if line.severity not in ("info", "verbose")]
        return MappingProxyType(
            {
                "format": FORMAT,
                "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "made_by": f"trtcal_widgets {__version__}",
                "model": {"file": graph.name, "sha256": graph.sha256, "opset": graph.opset},
                "tensorrt": self.has.version,
                "device": device
                and {"name": device.name, "compute_capability": list(device.compute_capability),
                     "driver": device.driver_version},
                "settings": self.request.settings.to_json(),
                "scales": scales,
                **self.facts,
                "warnings": warnings[:100],
            }
        )  # fmt: skip


def _nothing() -> None:
    """Nothing can have failed."""


def _of_memory(ask: Callable[[DeviceMemory], _T]) -> _T | None:
    """Return what the GPU's memory says, where this package can ask it."""
    try:
        with open_memory() as memory:
            return ask(memory)
    except (MissingDependencyError, DeviceError):
        return None


def use_timing_cache(config: Any, path: Path) -> Any:
    """Let a builder configuration use a file's times of kernels on this GPU; return TensorRT's cache, which grows.

    One that this TensorRT or GPU does not take (it logs why) is made anew.
    """
    there = is_folder(path, UsageError) is not None
    data = read_whole(path, error=UsageError, what="the timing cache", limit=_LARGEST_TIMES) if there else b""
    timings = config.create_timing_cache(data)
    if timings is None or not config.set_timing_cache(timings, False):
        timings = config.create_timing_cache(b"")
        config.set_timing_cache(timings, False)
    return timings
