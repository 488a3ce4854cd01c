"""The runner that works everywhere: ONNX Runtime, on the CPU unless told otherwise."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.common.cores import MOST_CORES, available_cores
from trtcal_widgets.core.steps import StepKind
from trtcal_widgets.core.streams import Family, stream_amax, stream_histograms
from trtcal_widgets.errors import OutOfDeviceMemoryError, UsageError
from trtcal_widgets.model.folding import constant_values
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.ort import CPU, OPTIMIZATIONS, provider_name
from trtcal_widgets.runners.cuda import OnDevice, cuda_device, devices_in_turn, memory_limit
from trtcal_widgets.runners.feeds import check_feeds, samples_fed
from trtcal_widgets.runners.tap import OnnxRuntimeTap

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["FAST", "OnnxRuntimeRunner"]

FAST = ", fast"
"""How the name of a runner ends that does not give the exact bits."""

_Result = TypeVar("_Result")


class OnnxRuntimeRunner:
    """Runs an ONNX model with ONNX Runtime and gives every float tensor away.

    All float activations are marked as outputs of a copy of the model first and the copy is optimised after, so
    that every tensor of the file exists, bit for bit as in the unoptimised graph. The model's folder is
    never written to.

    To be counted, tensors that follow from another one value by value need not leave ONNX Runtime at all: they are made
    while the other one is counted (:mod:`trtcal_widgets.model.derived`), to the same bits.

    Parameters
    ----------
    model
        Path of the ``.onnx`` file, or a model that was loaded already.
    providers
        ONNX Runtime execution providers by preference; None for the CPU. With ``CUDAExecutionProvider`` first, tensors
        stay on the GPU and are counted there, where cuda-bindings or PyCUDA is installed.
    threads
        Cores to use for the model and for counting; None for all that the process may use.
    optimization
        ONNX Runtime's graph optimisation: ``"off"``, ``"basic"``, ``"extended"`` (all three bit-identical),
        or ``"layout"``/``"all"``, which change results by up to 2.4e-5 of a tensor's amax.
    fast
        Optimise all, and still leave out what can be made of other tensors: about a third less time, for activations
        that are off by up to 2.4e-5 of amax, and differ between :meth:`infer` and :meth:`histograms`. Some thresholds
        move by it: docs/algorithm.md counts them. For the CPU.
    gpu_memory
        Bytes of a GPU that may be taken at any time, beside what CUDA has for itself: where a batch needs more, the
        model is run piece by piece, to the same bits. None: as many as are free. The provider's own
        ``gpu_mem_limit`` is the same.

    Raises
    ------
    ModelError
        If the file is missing or no model.
    UsageError
        If an argument cannot be meant.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | OnnxModel,
        *,
        providers: Sequence[Any] | None = None,
        threads: int | None = None,
        optimization: str = "extended",
        fast: bool = False,
        gpu_memory: int | None = None,
    ) -> None:
        if fast and optimization != "extended":
            raise UsageError(f"fast=True optimises all, so optimization={optimization!r} cannot be meant as well")
        if optimization not in OPTIMIZATIONS:
            raise UsageError(f"optimization={optimization!r} is unknown; choose one of {', '.join(OPTIMIZATIONS)}")
        if threads is not None:
            threads = whole_number(threads, "threads (None for all cores)", 1)
            if threads > MOST_CORES:
                raise UsageError(f"threads={threads} is more than any machine has cores: use {available_cores()}, say")
        if providers is not None and not isinstance(providers, (str, list, tuple)):
            raise UsageError(
                "providers is a list such as ['CUDAExecutionProvider', 'CPUExecutionProvider'], not "
                f"{kind_of(providers)}"
            )
        if gpu_memory is not None:
            gpu_memory = whole_number(gpu_memory, "gpu_memory (bytes, None for as many as fit)", 1)
        self._model = model if isinstance(model, OnnxModel) else load_model(model)
        self._providers = [providers] if isinstance(providers, str) else providers
        self._spinning = True
        self._threads = threads or available_cores()
        self._fast = bool(fast)
        self._tap = OnnxRuntimeTap(
            self._model,
            providers=self._providers,
            threads=self._threads,
            optimization="all" if fast else optimization,
            fast=self._fast,
        )
        self._made_with: dict[str, Any] = {
            "providers": self._providers,
            "threads": self._threads,
            "optimization": optimization,
            "fast": fast,
            "gpu_memory": gpu_memory,
        }
        self._on_device: OnDevice | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made anew in another process, from the file: what was loaded stays here."""
        return _made_anew, (str(self._model.path.absolute()), self._made_with, self._spinning)

    def one_of(self, workers: int) -> OnnxRuntimeRunner:
        """Return another runner of this model, not open yet, for one of so many processes that run it side by side.

        It has as many threads as this one: on some layers ONNX Runtime's sums depend on their number (PP-OCR detection
        at batch size 1, seen with 2 and 3). Where they are more than there are cores, they do not spin while they wait.
        """
        other = OnnxRuntimeRunner(self._model, **self._made_with)
        other.spin(waiting=workers * self._threads <= available_cores())
        return other

    def spin(self, *, waiting: bool) -> None:
        """Say whether threads that wait between two operators keep a core busy, which is quicker where one is free."""
        self._spinning = self._tap.spinning = waiting

    @property
    def name(self) -> str:
        """What runs the model: ``"onnxruntime 1.23.0 CPU"``, or ``"onnxruntime 1.23.0 CPU, fast"``."""
        import onnxruntime as ort

        first = (self._providers or [CPU])[0]
        where = provider_name(first).removesuffix("ExecutionProvider")
        return f"onnxruntime {ort.__version__} {where}{FAST if self._fast else ''}"

    @property
    def counts_samples(self) -> bool:
        """Whether :meth:`histograms` takes ``kept``: where tensors are counted on the CPU."""
        return cuda_device(self._providers) is None

    def environments(self) -> list[dict[str, str]]:
        """Return what processes that run the model are told in turn, as variables of their environment.

        Where it runs on CUDA, no device is chosen and there are several GPUs alike, each process has one of its own.
        """
        return devices_in_turn(self._providers)

    @property
    def graph(self) -> ModelGraph:
        """The model's facts."""
        return self._model.graph

    @property
    def model(self) -> OnnxModel:
        """The loaded model."""
        return self._model

    def __enter__(self) -> Self:
        """Load the model into ONNX Runtime, unless that was done already, and return the runner.

        Raises
        ------
        ModelError
            If ONNX Runtime does not take the model.
        MissingDependencyError
            If an execution provider is not there.
        """
        self._closed = False
        if cuda_device(self._providers) is None:
            self._open(lean=self._tap.lean or not self._tap.is_open)
        elif self._on_device is None:
            with suppress(OutOfDeviceMemoryError):  # what does not fit as a whole is run in pieces
                self._tap.open(lean=False, gpu_limit=self._gpu_memory)
            self._tap.close()
        return self

    def __exit__(self, *exc: object) -> None:
        """Free ONNX Runtime's memory and the threads."""
        self.close()

    def close(self) -> None:
        """Free ONNX Runtime's memory and the threads; ``with runner:`` opens it again."""
        self._closed = True
        if self._on_device is not None:
            self._on_device.close()
            self._on_device = None
        self._tap.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(
                f"the runner of {self.graph.name} is closed; use it inside its `with` block, or open it again"
            )

    def _open(self, *, lean: bool) -> ThreadPoolExecutor:
        self._check_open()
        self._tap.open(lean=lean)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "trtcal-histogram")
        return self._pool

    def _device(self) -> OnDevice | None:
        """Return what counts on the GPU, where the model runs there and it can be counted there."""
        self._check_open()
        index = cuda_device(self._providers)
        if index is not None and self._on_device is None:
            self._on_device = OnDevice(self._tap, index, bound=self._gpu_memory)
        return self._on_device

    @property
    def _gpu_memory(self) -> int | None:
        """Bytes of a GPU that may be taken; None for as many as are free."""
        limits = [self._made_with["gpu_memory"], memory_limit(self._providers)]
        return min((limit for limit in limits if limit is not None), default=None)

    def constants(self) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Yield every float constant and weight, read (or, where the model computes it, computed) once.

        Raises
        ------
        ModelError
            If external data cannot be read.
        """
        return constant_values(self._model)

    def infer(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """Run one batch and yield every float input and activation as (name, array), in graph order.

        The runner drops each array when it is yielded: keep no reference and its memory is free.
        bfloat16 activations come as float32.

        Raises
        ------
        DataError
            If a feed does not fit the model's inputs by name, dtype or shape, or an operator refuses a value.
        ModelError
            If an operator fails; the message names it.
        """
        device = self._device()
        if device is not None:
            return self._from_device(device, check_feeds(self.graph, feeds))
        self._open(lean=False)
        return self._stream(feeds)

    def _from_device(
        self, device: OnDevice, feeds: dict[str, NDArray[np.generic]]
    ) -> Iterator[tuple[str, NDArray[np.generic]]]:
        yield from ((tensor.name, feeds[tensor.name]) for tensor in self.graph.inputs if tensor.is_float)
        yield from device.arrays(feeds, self._tap.outputs)

    def _stream(
        self, feeds: Mapping[str, NDArray[np.generic]], more: Sequence[str] = ()
    ) -> Iterator[tuple[str, NDArray[np.generic]]]:
        checked = check_feeds(self.graph, feeds)
        return self._give_away(checked, [*self._tap.outputs, *more], self._tap.run(checked, more))

    def _give_away(
        self, feeds: dict[str, NDArray[np.generic]], outputs: list[str], values: list[Any]
    ) -> Iterator[tuple[str, NDArray[np.generic]]]:
        for tensor in self.graph.inputs:
            if tensor.is_float:
                yield tensor.name, feeds.pop(tensor.name)
        feeds.clear()
        values.reverse()
        for name in outputs:
            yield name, values.pop()

    def histograms(
        self,
        feeds: Mapping[str, NDArray[np.generic]],
        bases: Mapping[str, float],
        kept: NDArray[np.bool_] | None = None,
        shared: Collection[str] = (),
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch and yield (name, histogram) for every tensor of :meth:`infer`, and for TensorRT's inner ones.

        Parameters
        ----------
        feeds
            As for :meth:`infer`.
        bases
            Name -> range R that the tensor's histogram starts from; a missing one starts from the
            largest finite |x| of this batch.
        kept
            For each sample that is fed whether it is counted, of all tensors whose first axis is the samples'; None:
            all are. (Not on a GPU.)
        shared
            Inputs that are all samples' at once, whatever their shape.

        Yields
        ------
        (name, Histogram)
            In graph order, but for tensors that are made of another one, which follow that.
        """
        device = self._device()
        if device is not None:
            if kept is not None:
                raise UsageError("single samples are counted on the CPU: open the session with the CPU's provider")
            names = [*self._tap.outputs, *self._model.inner.names]
            return device.histograms(check_feeds(self.graph, feeds), names, bases)
        pool = self._open(lean=True)
        families = self._tap.families
        n_fed = samples_fed(feeds)
        stream = self._stream(feeds, self._model.inner.names)
        if kept is not None:
            stream, n_fed = _only(stream, kept, shared), int(kept.sum())
        found = stream_histograms(stream, bases, pool, self._threads, families, n_fed)
        return self._certain(found, families, lambda h: h.nans > 0, lambda: self.histograms(feeds, bases, kept, shared))

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|) for every tensor, as :meth:`histograms` does."""
        device = self._device()
        if device is not None:
            names = [*self._tap.outputs, *self._model.inner.names]
            return device.ranges(check_feeds(self.graph, feeds), names)
        pool = self._open(lean=True)
        families = self._tap.families
        found = stream_amax(self._stream(feeds, self._model.inner.names), pool, self._threads, families)
        return self._certain(found, families, math.isnan, lambda: self.ranges(feeds))

    def _certain(
        self,
        found: Iterator[tuple[str, _Result]],
        families: Mapping[str, Family],
        doubtful: Callable[[_Result], bool],
        again: Callable[[], Iterator[tuple[str, _Result]]],
    ) -> Iterator[tuple[str, _Result]]:
        """Yield what was found, and what engines may differ in (a NaN that is clipped) from a run with all tensors.

        One such batch is seldom the only one: from then on all tensors are read.
        """
        left_out: set[str] = set()
        for name, result in found:
            family = families.get(name)
            if family is None or all(step.kind is not StepKind.CLIP for step in family.steps):
                yield name, result
                continue
            made = [result, *(following for _, following in islice(found, len(family.names)))]
            if any(map(doubtful, made)):
                left_out.update(family.names)
                made = made[:1]
            yield from zip((name, *family.names), made, strict=False)
        if left_out:
            self._tap.read_everything = True
            yield from ((name, result) for name, result in again() if name in left_out)


def _made_anew(path: str, made_with: dict[str, Any], spinning: bool) -> OnnxRuntimeRunner:
    """Make the runner that another process has described."""
    made = OnnxRuntimeRunner(path, **made_with)
    made.spin(waiting=spinning)
    return made


def _only(
    stream: Iterator[tuple[str, NDArray[np.generic]]], kept: NDArray[np.bool_], shared: Collection[str]
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yield some samples of each array whose first axis is theirs, and all of any other."""
    for name, array in stream:
        yield name, array[kept] if array.ndim and len(array) == len(kept) and name not in shared else array
