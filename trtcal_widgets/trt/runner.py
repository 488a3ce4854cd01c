"""TensorRT as a runner: FP32 activations that stay on the GPU, where their histograms are made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.streams import stream_amax
from trtcal_widgets.errors import UsageError
from trtcal_widgets.gpu.arrays import DeviceTensor, to_host
from trtcal_widgets.gpu.histogram import DeviceArray, NamedHistograms
from trtcal_widgets.gpu.memory import checked_memory, open_memory
from trtcal_widgets.model.folding import constant_values
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.runners.feeds import check_feeds
from trtcal_widgets.trt.builder import Request
from trtcal_widgets.trt.building import build_network
from trtcal_widgets.trt.execution import Execution
from trtcal_widgets.trt.options import Settings, check_level, check_workspace, has_qdq
from trtcal_widgets.trt.versions import features, load_tensorrt

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.log import LogLine

_COUNTED = frozenset({"float32", "float16", "bfloat16"})
"""What the GPU's histogram takes."""


class TensorRTRunner:
    """Runs an ONNX model in FP32 with TensorRT and gives every float tensor away.

    All float activations are marked as outputs, which prevents fusions, so that the tensors of the file exist; TF32 is
    switched off. The engine is built for the shapes of the first batch, and built again if a later one has others.

    Parameters
    ----------
    model
        Path of the ``.onnx`` file, or a model that was loaded already.
    memory
        Device memory to work in; opened and closed here unless given.
    workspace
        Bytes of scratch memory that layers may use.
    level
        As for :func:`~trtcal_widgets.trt.build`. Unless told otherwise 0: each batch is run once or twice, so that an
        engine that is there in seconds is better than a faster one.
    log
        Called with TensorRT's log lines.

    Raises
    ------
    MissingDependencyError
        If TensorRT is not installed.
    ModelError
        If the file is missing or no model.
    UsageError
        If the model has Q/DQ already, or an argument cannot be meant.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | OnnxModel,
        *,
        memory: DeviceMemory | None = None,
        workspace: int | None = None,
        level: int | None = 0,
        log: Callable[[LogLine], object] | None = None,
    ) -> None:
        self._given_memory = checked_memory(memory)
        self._trt = load_tensorrt()
        self._has = features(self._trt)
        self._model = model if isinstance(model, OnnxModel) else load_model(model)
        if has_qdq(self.graph):
            raise UsageError(
                f"{self.graph.name} has QuantizeLinear nodes: calibrate the FP32 model that it was made from"
            )
        self._memory: DeviceMemory | None = None
        check_level(level)
        check_workspace(workspace)
        self._workspace, self._level = workspace, level
        self._log = log
        self._execution: Execution | None = None
        self._ranges: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self._histograms = NamedHistograms()
        self._closed = False
        self.missing: tuple[str, ...] = ()
        """Activations of the file that TensorRT's network does not have: folded away. Known once a batch was run."""

    @property
    def name(self) -> str:
        """What runs the model: ``"tensorrt 10.16.1.11 FP32 on NVIDIA H100"``."""
        device = f" on {self._memory.device.name}" if self._memory is not None and not self._memory.closed else ""
        return f"tensorrt {self._has.version} FP32{device}"

    @property
    def graph(self) -> ModelGraph:
        """The model's facts."""
        return self._model.graph

    @property
    def model(self) -> OnnxModel:
        """The loaded model."""
        return self._model

    def __enter__(self) -> Self:
        """Open the device and return the runner; the engine is built with the first batch."""
        self._closed = False
        self._device()
        return self

    def __exit__(self, *exc: object) -> None:
        """Free the engine and the device memory."""
        self.close()

    def close(self) -> None:
        """Free the engine and the device memory; ``with runner:`` opens it again."""
        self._closed = True
        self._drop_engine()
        if self._memory is not None and self._given_memory is None:
            self._memory.close()
        self._memory = None

    def _device(self) -> DeviceMemory:
        if self._closed:
            raise UsageError(f"the runner of {self.graph.name} is closed; use it inside its `with` block")
        if self._memory is None:
            self._memory = self._given_memory or open_memory()
        return self._memory

    def _drop_engine(self) -> None:
        self._histograms.close()
        if self._execution is not None:
            self._execution.close()
        self._execution = None

    def _ready(self, feeds: Mapping[str, NDArray[np.generic]]) -> Execution:
        """Return the engine, built anew if it was not built for these shapes."""
        if self._execution is None or not self._fits(feeds):
            self._drop_engine()
            self._widen(feeds)
            self._execution = self._build()
        return self._execution

    def _fits(self, feeds: Mapping[str, NDArray[np.generic]]) -> bool:
        return all(
            len(low) == array.ndim and all(a <= n <= b for a, n, b in zip(low, array.shape, high, strict=True))
            for name, array in feeds.items()
            for low, high in [self._ranges[name]]
        )

    def _widen(self, feeds: Mapping[str, NDArray[np.generic]]) -> None:
        """Take these shapes into what the engine is built for; any smaller batch is, too."""
        for name, array in feeds.items():
            low, high = self._ranges.get(name, (array.shape, array.shape))
            if len(low) != array.ndim:  # an input of open rank: begin anew
                low = high = array.shape
            low = tuple(map(min, low, array.shape))
            dynamic = self._is_open(name, 0)
            self._ranges[name] = ((1, *low[1:]) if low and dynamic else low, tuple(map(max, high, array.shape)))

    def _is_open(self, name: str, axis: int) -> bool:
        shape = self.graph.tensors[name].shape
        return shape is None or not isinstance(shape[axis], int)

    def _build(self) -> Execution:
        open_inputs = {
            name: (low, high, high)
            for name, (low, high) in self._ranges.items()
            if any(self._is_open(name, axis) for axis in range(len(low)))
        }
        settings = Settings(
            int8=False,
            tf32=False,
            strongly_typed=not self._has.calibrators,
            workspace=self._workspace,
            level=self._level,
        )
        request = Request(
            Path(self._model.path), self.graph, settings, profiles=open_inputs or None, outputs=self.graph.activations
        )
        engine = build_network(self._trt, request, log=self._log)
        execution = Execution(engine, memory=self._device(), log=self._log)
        there = set(execution.outputs)
        self.missing = tuple(name for name in self.graph.activations if name not in there)
        return execution

    def constants(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield every float constant and weight, read (or, where the model computes it, computed) once."""
        return constant_values(self._model)

    def _tensors(self, feeds: Mapping[str, NDArray[np.generic]]) -> tuple[Execution, list[DeviceTensor]]:
        """Run a batch; the float inputs and activations come in graph order."""
        self._device()
        checked = check_feeds(self.graph, feeds)
        execution = self._ready(checked)
        found = {tensor.name: tensor for tensor in execution.run_on_device(checked)}
        wanted = (*(tensor.name for tensor in self.graph.inputs), *self.graph.activations)
        return execution, [found[name] for name in wanted if name in found and found[name].dtype in _COUNTED]

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Run one batch and yield every float input and activation as (name, array), in graph order.

        Each tensor is copied from the device when it is its turn; bfloat16 comes as float32. Run no other batch
        before the last one is taken.

        Raises
        ------
        DataError
            If a feed does not fit the model's inputs by name, dtype or shape.
        OutOfDeviceMemoryError
            If the activations do not fit on the device; says how large a batch would.
        EngineError
            If TensorRT fails.
        """
        execution, tensors = self._tensors(feeds)
        return ((tensor.name, to_host(execution.memory, tensor)) for tensor in tensors)

    def histograms(
        self, feeds: Mapping[str, NDArray[np.generic]], bases: Mapping[str, float]
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch, count it on the device, and yield (name, histogram) for every tensor of :meth:`infer`.

        Only the counts come to the host. For the same activations they are what the CPU counts, bit for bit.

        Parameters
        ----------
        feeds
            As for :meth:`infer`.
        bases
            Name -> range R that the tensor's histogram starts from; a missing one starts from this batch's largest
            finite absolute value.
        """
        execution, tensors = self._tensors(feeds)
        names = tuple(tensor.name for tensor in tensors)
        counters = self._histograms.start(names, bases, execution.memory, execution.stream)
        counters.add([DeviceArray(i, t.ptr, t.size, t.dtype) for i, t in enumerate(tensors)])
        return iter(list(zip(names, counters.fetch(), strict=True)))

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|) for every tensor of :meth:`infer`; 0 where it has none."""
        workers = available_cores()
        with ThreadPoolExecutor(workers) as pool:
            yield from stream_amax(self.infer(feeds), pool, workers)
