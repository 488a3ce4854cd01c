"""An engine in use: loaded, with device buffers for its inputs and outputs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import whole_number
from trtcal_widgets.common.closing import Closing
from trtcal_widgets.common.words import count_of
from trtcal_widgets.errors import DataError, EngineError, OutOfDeviceMemoryError, UsageError
from trtcal_widgets.gpu.arrays import DeviceTensor, to_host
from trtcal_widgets.gpu.memory import DeviceMemory, checked_memory, open_memory
from trtcal_widgets.gpu.stage import ALIGNMENT, Staging, with_advice
from trtcal_widgets.runners.feeds import check_feeds
from trtcal_widgets.trt.callbacks import make_profiler
from trtcal_widgets.trt.engine import Engine, as_engine, deserialize
from trtcal_widgets.trt.inputs import NUMPY_NAMES, facts_of_inputs
from trtcal_widgets.trt.log import capture, out_of_memory
from trtcal_widgets.trt.network import start_failed
from trtcal_widgets.trt.versions import load_tensorrt

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.trt.log import LogLine


@dataclass(frozen=True)
class Latency:
    """How long the engine takes for one batch, in milliseconds, copies not included.

    ``median``, ``p90``, ``p99``: of all runs after the warm-up, measured on the host around execution and
    synchronisation. ``runs``: how many. ``batch_size``: samples per batch.
    """

    median: float
    p90: float
    p99: float
    runs: int
    batch_size: int


class Execution(Closing):
    """Runs an engine. A context manager; it may be used from any thread, one at a time.

    Parameters
    ----------
    engine
        The engine, or its path.
    memory
        Device memory to work in; opened and closed here unless given.
    log
        Called with TensorRT's log lines.

    Raises
    ------
    DeviceError
        If there is no usable GPU.
    EngineError
        If the engine is of another TensorRT or kind of GPU, or damaged.
    """

    def __init__(
        self,
        engine: Engine | str | os.PathLike[str],
        *,
        memory: DeviceMemory | None = None,
        log: Callable[[LogLine], object] | None = None,
    ) -> None:
        given = checked_memory(memory)
        self.engine = as_engine(engine)
        self._trt = load_tensorrt()
        self._open = ExitStack()
        try:
            self.memory = given or self._open.enter_context(open_memory())
            self._logger, self.book = self._open.enter_context(capture(self._trt, log))
            self._load()
        except BaseException:
            self._open.close()
            raise

    def _load(self) -> None:
        trt = self._trt
        with self.memory.current():
            try:
                runtime = trt.Runtime(self._logger)
            except (TypeError, RuntimeError) as error:
                raise start_failed("TensorRT could not start its runtime", self.book) from error
            cuda_engine = deserialize(trt, runtime, self.engine, self.book, self.memory.device)
        context = self._context_of(cuda_engine)
        self._read_signature(cuda_engine)
        self.context, self._cuda_engine, self._runtime = context, cuda_engine, runtime
        self._staging = Staging(self.memory)
        self._stream = self.memory.new_stream()

    def _read_signature(self, cuda_engine: Any) -> None:
        """Take in names, types and shapes of the inputs and outputs."""
        trt = self._trt
        names = [str(cuda_engine.get_tensor_name(index)) for index in range(cuda_engine.num_io_tensors)]
        dtypes = {name: NUMPY_NAMES.get(cuda_engine.get_tensor_dtype(name).name, "") for name in names}
        strange = [name for name in names if not dtypes[name]]
        if strange:
            raise EngineError(
                f"{strange[0]!r} of this engine has a type that no array can hold; run it with polygraphy or trtexec"
            )
        on_host = [n for n in names if cuda_engine.get_tensor_location(n) == trt.TensorLocation.HOST]
        if on_host:
            raise EngineError(
                f"{on_host[0]!r} of this engine is a shape tensor in host memory, which is not supported here; run it "
                "with polygraphy or trtexec"
            )
        is_input = {name: cuda_engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
        self.dtypes = dtypes
        self.outputs = tuple(name for name in names if not is_input[name])
        self.inputs = facts_of_inputs(
            "the engine", {n: (dtypes[n], tuple(cuda_engine.get_tensor_shape(n))) for n in names if is_input[n]}
        )

    def _context_of(self, cuda_engine: Any) -> Any:
        """Make what runs an engine."""
        with self.memory.current():
            context = cuda_engine.create_execution_context()
        if context is None:
            raise self._no_context()
        return context

    def _no_context(self) -> EngineError | OutOfDeviceMemoryError:
        """Return why there is no execution context: mostly because its memory cannot be had."""
        if not out_of_memory(self.book.last_errors()):
            return self._failed("create an execution context")
        info = self.memory.mem_info()
        return OutOfDeviceMemoryError(
            f"out of device memory while TensorRT made room to run the engine; {info.free >> 20:,} MiB of "
            f"{info.total >> 20:,} are free. Free what other programs and notebooks hold there (nvidia-smi lists "
            f"them), or build the engine for smaller batches. TensorRT says: {self.book.last_errors()}",
            free=info.free,
            total=info.total,
        )

    def _failed(self, what: str) -> EngineError:
        return EngineError(f"TensorRT could not {what}. It says: {self.book.last_errors()}")

    @property
    def stream(self) -> int:
        """Handle of the stream that the engine runs on."""
        return self._stream

    def run_on_device(self, feeds: Mapping[str, NDArray[np.generic]]) -> tuple[DeviceTensor, ...]:
        """Run one batch and leave everything on the device, complete.

        Parameters
        ----------
        feeds
            Input name -> array, as for :meth:`Runner.infer`.

        Returns
        -------
        tuple of DeviceTensor
            Inputs, then outputs. They are overwritten by the next batch.

        Raises
        ------
        DataError
            If a feed does not fit the engine.
        OutOfDeviceMemoryError
            If inputs and outputs do not fit on the device; says how large a batch would.
        EngineError
            If TensorRT fails.
        UsageError
            If this is closed.
        """
        arrays = check_feeds(self.inputs, feeds)
        tensors = self._bind(arrays)
        self._execute()
        return tensors

    def _check_open(self) -> None:
        if self.context is None:
            raise UsageError("this engine's execution is closed: make another one, or use it inside its `with` block")

    def _bind(self, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[DeviceTensor, ...]:
        self._check_open()
        for name, array in arrays.items():
            if not self.context.set_input_shape(name, tuple(array.shape)):
                raise DataError(self._bad_shape(name, array.shape))
        unknown = self.context.infer_shapes()
        if unknown:
            raise self._failed(f"work out the shapes of {', '.join(map(repr, unknown))}")
        shapes = {name: tuple(int(n) for n in self.context.get_tensor_shape(name)) for name in self.outputs}
        for name, shape in shapes.items():
            if -1 in shape:
                raise EngineError(
                    f"the shape of output {name!r} depends on the data {shape}, which is not supported here; run the "
                    "engine with polygraphy or trtexec"
                )
        addresses = self._staging.put(arrays)
        inputs = [DeviceTensor(n, addresses[n], tuple(a.shape), a.dtype.name) for n, a in arrays.items()]
        tensors = (*inputs, *self._place_outputs(shapes, arrays))
        for tensor in tensors:
            if not self.context.set_tensor_address(tensor.name, tensor.ptr):
                raise self._failed(f"take the address of {tensor.name!r}")
        return tensors

    def _place_outputs(
        self, shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, NDArray[np.generic]]
    ) -> list[DeviceTensor]:
        placed = [DeviceTensor(name, 0, shape, self.dtypes[name]) for name, shape in shapes.items()]
        room = [-(-tensor.nbytes // ALIGNMENT) * ALIGNMENT for tensor in placed]
        starts = np.cumsum([0, *room])
        try:
            base = self._staging.room(int(starts[-1]))
        except OutOfDeviceMemoryError as error:
            samples = next((a.shape[0] for a in arrays.values() if a.ndim), 1)
            held = f"The engine's {count_of(len(placed), 'output')} for {count_of(samples, 'sample')} are kept there"
            raise with_advice(error, samples, held) from error
        return [t._replace(ptr=base + int(start)) for t, start in zip(placed, starts[:-1], strict=True)]

    def _bad_shape(self, name: str, shape: tuple[int, ...]) -> str:
        low, _, high = (tuple(dims) for dims in self._cuda_engine.get_tensor_profile_shape(name, 0))
        return (
            f"input {name!r} of shape {shape} is outside what the engine was built for, {low} to {high}: build it with "
            "profiles= that hold this shape, or use another batch size"
        )

    def _execute(self) -> None:
        with self.memory.current():
            if not self.context.execute_async_v3(self._stream):
                raise self._failed("run the engine")
        self.memory.synchronize(self._stream)

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[Any]]:
        """Run one batch (feeds and errors as for :meth:`run_on_device`) and return its outputs.

        By name, in the type and shape that the engine gives; bfloat16 comes as float32.
        """
        tensors = self.run_on_device(feeds)
        names = set(self.outputs)
        return {tensor.name: to_host(self.memory, tensor) for tensor in tensors if tensor.name in names}

    def latency(
        self,
        feeds: Mapping[str, NDArray[np.generic]],
        *,
        runs: int = 50,
        warmup: int = 10,
        samples: int | None = None,
    ) -> Latency:
        """Measure how long one batch takes, copies not included; feeds and errors as for :meth:`run_on_device`.

        Parameters
        ----------
        feeds
            The batch.
        runs, warmup
            How often it is run, and how often before that without being measured.
        samples
            How many samples the batch has; None: the length of the first axis of its first input that has one.
        """
        whole_number(runs, "runs", 1)
        whole_number(warmup, "warmup", 0)
        arrays = check_feeds(self.inputs, feeds)
        self._bind(arrays)
        for _ in range(warmup):
            self._execute()
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            self._execute()
            times.append((time.perf_counter() - start) * 1e3)
        median, p90, p99 = (float(v) for v in np.percentile(times, [50, 90, 99]))
        if samples is None:
            samples = next((int(array.shape[0]) for array in arrays.values() if array.ndim), 1)
        return Latency(median, p90, p99, runs, samples)

    def layer_times(self, feeds: Mapping[str, NDArray[np.generic]], *, runs: int = 20) -> dict[str, float]:
        """Measure each layer with TensorRT's profiler; feeds and errors as for :meth:`run_on_device`.

        Parameters
        ----------
        feeds
            The batch.
        runs
            How often it is run.

        Returns
        -------
        dict
            Layer -> median milliseconds, in the order in which they run. The profiler runs one layer after the other:
            their sum may exceed :meth:`latency`.
        """
        whole_number(runs, "runs", 1)
        arrays = check_feeds(self.inputs, feeds)
        self._bind(arrays)
        self._execute()
        times: dict[str, list[float]] = {}
        self.context.profiler = profiler = make_profiler(self._trt, times)
        try:
            for _ in range(runs):
                self._execute()
        finally:  # a profiler belongs to its context for good, and slows down all that runs there
            with self.memory.current():
                self.context = None
            self.context = self._context_of(self._cuda_engine)
        del profiler
        return {name: float(np.median(found)) for name, found in times.items()}

    def inspect(self) -> str:
        """Return what TensorRT's inspector says of the engine's layers, as JSON.

        Only engines that were built with detailed profiling (:func:`~trtcal_widgets.trt.build` does) tell more than
        names.
        """
        self._check_open()
        inspector = self._cuda_engine.create_engine_inspector()
        return str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def close(self) -> None:
        """Free the engine, and the memory if it was opened here; a second call does nothing."""
        if not self.memory.closed:
            with self.memory.current():
                # In this order: a context must not outlive its engine, nor the engine its runtime.
                self.context = None
                self._cuda_engine = None
                self._runtime = None
            self._staging.free()
        self._open.close()
