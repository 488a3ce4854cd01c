"""A GPU that measures variants of a model: what tuning needs of it, and TensorRT behind that."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from trtcal_widgets.common.closing import Closing
from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.runners.feeds import check_feeds
from trtcal_widgets.trt.measuring.layers import LayerTime, profile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

Kind = Literal["fp32", "fp16", "implicit", "explicit"]
_KINDS = ("fp32", "fp16", "implicit", "explicit")


@dataclass(frozen=True)
class Variant:
    """One way to build a model.

    ``kind``: ``"fp32"``, ``"fp16"``: the model without INT8; ``"implicit"``: with a calibration cache; ``"explicit"``:
    with Q/DQ pairs. ``model``: the ONNX file: for ``"explicit"`` the one with pairs. ``cache``: the scales of
    ``"implicit"``. ``half``: whether layers that are not in INT8 may run in FP16.
    """

    kind: Kind
    model: Path
    cache: CalibrationCache | None = None
    half: bool = True


@dataclass(frozen=True)
class Measured:
    """What a variant costs on a device.

    ``ms``: median milliseconds of a batch, copies to and from the device not included. ``layers``: its layers, in the
    order in which they run. ``ran``: which nodes ran in INT8; None where the device does not tell.
    """

    ms: float
    layers: tuple[LayerTime, ...] = ()
    ran: LayerPrecisions | None = None


class MeasuringDevice(Protocol):
    """What tuning asks of a GPU. The same variant has the same answer, as far as clocks allow."""

    @property
    def name(self) -> str:
        """What measures, for people and for a journal: ``"NVIDIA H100 80GB HBM3, TensorRT 8.6.0"``."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of variants that it can build: TensorRT 11 has neither implicit INT8 nor a choice of FP16."""

    def measure(self, variant: Variant, graph: ModelGraph) -> Measured:
        """Build a variant and run it; ``graph``: the model without pairs."""


def _is_dynamic(tensor: TensorInfo) -> bool:
    return tensor.shape is None or not all(isinstance(dim, int) for dim in tensor.shape)


class EngineDevice(Closing):
    """TensorRT on this machine's GPU. A context manager.

    Parameters
    ----------
    feeds
        The batch that is measured, input name -> array; ``""`` is the only input.
    level
        How long TensorRT looks for fast kernels, as for :func:`~trtcal_widgets.trt.build`.
    timing_cache
        Keeps times of kernels, so that later builds are quick: one file for each kind of variant, whose names begin
        with this one.
    runs
        How often each engine is run.

    Raises
    ------
    MissingDependencyError, DeviceError
        If TensorRT is not installed, or there is no usable GPU.
    """

    def __init__(
        self,
        feeds: Mapping[str, NDArray[Any]],
        *,
        level: int | None = None,
        timing_cache: str | os.PathLike[str] | None = None,
        runs: int = 100,
    ) -> None:
        from trtcal_widgets.gpu.memory import open_memory
        from trtcal_widgets.trt.versions import features, load_tensorrt

        self._feeds, self._level, self._runs = dict(feeds), level, runs
        self._timing_cache = None if timing_cache is None else Path(timing_cache)
        self._has = features(load_tensorrt())
        self._open = ExitStack()
        self._memory = self._open.enter_context(open_memory())
        self.kinds = frozenset(_KINDS if self._has.calibrators else {"fp32", "explicit"})
        self.name = f"{self._memory.device.name}, TensorRT {self._has.version}"

    def measure(self, variant: Variant, graph: ModelGraph) -> Measured:
        """Build a variant and run it.

        Raises
        ------
        UsageError
            If this TensorRT cannot build its kind.
        EngineError, DeviceError
            If it cannot be built or run.
        """
        from trtcal_widgets.trt.building import build
        from trtcal_widgets.trt.control import BuildControl
        from trtcal_widgets.trt.execution import Execution
        from trtcal_widgets.trt.waiting import run_aside

        if variant.kind not in self.kinds:
            what = "implicit INT8" if variant.kind == "implicit" else "choice of FP16: types come from the model"
            raise UsageError(f"TensorRT {self._has.version} has no {what}. Measure fp32 and explicit variants")
        feeds = check_feeds(graph, self._feeds)  # by the model's own names: data without one are the only input's
        shapes = {tensor.name: feeds[tensor.name].shape for tensor in graph.inputs if _is_dynamic(tensor)}
        control = BuildControl()
        engine = run_aside(
            lambda: build(
                variant.model,
                int8=variant.kind in ("implicit", "explicit"),
                cache=variant.cache,
                fp16=variant.half and variant.kind != "fp32" and "fp16" in self.kinds,
                profiles=shapes or None,
                level=self._level,
                timing_cache=self._times(variant),
                control=control,
            ),
            waiting=_nothing,
            stop=control.cancel,
        )
        with Execution(engine, memory=self._memory) as execution:
            latency = execution.latency(feeds, runs=self._runs)
            layers, text = profile(execution, feeds, graph)
        return Measured(latency.median, layers, LayerPrecisions.from_inspector(text, graph))

    def _times(self, variant: Variant) -> Path | None:
        """Return the file of times for variants of a kind: TensorRT 8.6 took compiled FP32 kernels for FP16 ones."""
        path = self._timing_cache
        return None if path is None else path.with_name(f"{path.name}.{variant.kind}{'.fp16' if variant.half else ''}")

    def close(self) -> None:
        """Free the device; a second call does nothing."""
        self._open.close()


def _nothing() -> None:
    """Say nothing while TensorRT builds."""
