"""The runner that works everywhere: ONNX Runtime, on the CPU unless told otherwise."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from trtcal_widgets.core.arguments import kind_of, whole_number
from trtcal_widgets.core.steps import StepKind
from trtcal_widgets.errors import DataError, ModelError, UsageError
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.model.folding import constant_values
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.ort import CPU, OPTIMIZATIONS, SILENT, failure, open_session, provider_name
from trtcal_widgets.model.tap import as_float32_names, with_outputs
from trtcal_widgets.runners.feeds import check_feeds
from trtcal_widgets.runners.histograms import NO_FAMILIES, Family, available_cores, stream_amax, stream_histograms

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["OnnxRuntimeRunner"]

_Result = TypeVar("_Result")

_EXACT = frozenset({"off", "basic", "extended"})
"""Optimisations that give the same bits whichever tensors are asked for."""


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
        ONNX Runtime execution providers by preference; None for the CPU.
    threads
        Cores to use for the model and for counting; None for all that the process may use.
    optimization
        ONNX Runtime's graph optimisation: ``"off"``, ``"basic"``, ``"extended"`` (all three bit-identical),
        or ``"layout"``/``"all"``, which change results by up to 2.4e-5 of a tensor's amax.

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
    ) -> None:
        if optimization not in OPTIMIZATIONS:
            raise UsageError(f"optimization={optimization!r} is unknown; choose one of {', '.join(OPTIMIZATIONS)}")
        if threads is not None:
            threads = whole_number(threads, "threads (None for all cores)", 1)
        if providers is not None and not isinstance(providers, (str, list, tuple)):
            raise UsageError(
                "providers is a list such as ['CUDAExecutionProvider', 'CPUExecutionProvider'], not "
                f"{kind_of(providers)}"
            )
        self._model = model if isinstance(model, OnnxModel) else load_model(model)
        self._providers = [providers] if isinstance(providers, str) else providers
        self._threads = threads or available_cores()
        self._optimization = optimization
        self._session: Any = None
        self._lean = False
        self._read_everything = optimization not in _EXACT or any(
            provider_name(p) != CPU for p in self._providers or ()
        )
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._activations = [
            t.name for t in self.graph.tensors.values() if t.is_float and t.kind is TensorKind.ACTIVATION
        ]
        self._aliases = as_float32_names(self.graph, self._activations)

    @property
    def name(self) -> str:
        """What runs the model: ``"onnxruntime 1.23.0 CPU"``."""
        import onnxruntime as ort

        first = (self._providers or [CPU])[0]
        return f"onnxruntime {ort.__version__} {provider_name(first).removesuffix('ExecutionProvider')}"

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
        self._open(lean=self._lean or self._session is None)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free ONNX Runtime's memory and the threads."""
        self.close()

    def close(self) -> None:
        """Free ONNX Runtime's memory and the threads; ``with runner:`` opens it again."""
        self._closed = True
        self._session = None
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    @cached_property
    def _families(self) -> Mapping[str, Family]:
        """What is made of which tensor where tensors are only counted; nothing where the engine has the last word."""
        families: dict[str, Family] = {}
        for name, (read, step) in derived_tensors(self._model).items():
            names, steps = families.get(read, Family((), ()))
            families[read] = Family((*names, name), (*steps, step))
        return families

    def _open(self, *, lean: bool) -> tuple[Any, ThreadPoolExecutor]:
        """Return a session with all float tensors as outputs, or (lean) without those that are made of others.

        The model is in memory once: asked for the other kind, the runner loads it anew.
        """
        if self._closed:
            raise UsageError(
                f"the runner of {self.graph.name} is closed; use it inside its `with` block, or open it again"
            )
        lean = lean and not self._read_everything
        if self._session is None or lean != self._lean:
            self._session = None
            outputs = self._outputs(lean=lean)
            present = {t.name for t in self.graph.outputs}
            self._session = open_session(
                with_outputs(
                    self._model.proto,
                    [n for n in outputs if n not in present and n not in self._aliases],
                    as_float32=self._aliases,
                ),
                self._model.path.parent,
                name=self.graph.name,
                providers=self._providers,
                threads=self._threads,
                optimization=self._optimization,
            )
            self._lean = lean
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "trtcal-histogram")
        return self._session, self._pool

    def _outputs(self, *, lean: bool) -> list[str]:
        made = {name for family in self._families.values() for name in family.names} if lean else set()
        return [name for name in self._activations if name not in made]

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
        return self._stream(feeds, lean=False)

    def _stream(
        self, feeds: Mapping[str, NDArray[np.generic]], *, lean: bool
    ) -> Iterator[tuple[str, NDArray[np.generic]]]:
        session, _ = self._open(lean=lean)
        checked = check_feeds(self.graph, feeds)
        outputs = self._outputs(lean=self._lean)
        values = self._run(session, checked, outputs)
        return self._give_away(checked, outputs, values)

    def _run(self, session: Any, feeds: dict[str, NDArray[np.generic]], outputs: list[str]) -> list[Any]:
        import onnxruntime as ort

        options = ort.RunOptions()
        options.log_severity_level = SILENT  # what it would log is raised
        names = [self._aliases.get(name, name) for name in outputs]
        try:
            fed = {name: _for_onnxruntime(array) for name, array in feeds.items()}
            values: list[Any] = session.run(names, fed, options)
        except Exception as error:  # noqa: BLE001 - ORT's exceptions have no common base but Exception
            self._explain(error, feeds)
        return values

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

    def _explain(self, error: Exception, feeds: Mapping[str, NDArray[np.generic]]) -> NoReturn:
        """Raise what an ONNX Runtime error means, with the node and the shapes it was given."""
        where, why = failure(error)
        shapes = ", ".join(f"{name!r} {array.dtype} {array.shape}" for name, array in feeds.items())
        if "out of data bounds" in why:
            raise DataError(
                f"{self.graph.name}: {where} was given an index that its table does not have: {why}. Fed: "
                f"{shapes}. Are the token ids of this model's own vocabulary?"
            ) from error
        if "allocate memory" in why or "bad_alloc" in why:
            raise ModelError(
                f"{self.graph.name} does not fit into memory with a batch of {shapes} ({where}: {why}); "
                "use a smaller batch_size"
            ) from error
        raise ModelError(
            f"{self.graph.name}: {where} failed: {why}. Fed: {shapes}. If the model runs with another batch or "
            "image size, that size is fixed inside its graph: use it, or export with dynamic axes"
        ) from error

    def histograms(
        self, feeds: Mapping[str, NDArray[np.generic]], bases: Mapping[str, float]
    ) -> Iterator[tuple[str, Histogram]]:
        """Run one batch and yield (name, histogram) for every tensor of :meth:`infer`.

        Parameters
        ----------
        feeds
            As for :meth:`infer`.
        bases
            Name -> range R that the tensor's histogram starts from; a missing one starts from the
            largest finite |x| of this batch.

        Yields
        ------
        (name, Histogram)
            In graph order, but for tensors that are made of another one, which follow that.
        """
        stream = self._stream(feeds, lean=True)
        _, pool = self._open(lean=self._lean)
        families = self._families if self._lean else NO_FAMILIES
        found = stream_histograms(stream, bases, pool, self._threads, families)
        return self._certain(found, families, lambda h: h.nans > 0, lambda: self.histograms(feeds, bases))

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|) for every tensor, as :meth:`histograms` does."""
        stream = self._stream(feeds, lean=True)
        _, pool = self._open(lean=self._lean)
        families = self._families if self._lean else NO_FAMILIES
        found = stream_amax(stream, pool, self._threads, families)
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
            self._read_everything = True
            yield from ((name, result) for name, result in again() if name in left_out)


def _for_onnxruntime(array: NDArray[np.generic]) -> Any:
    """Wrap an array of bfloat16, a type that NumPy does not have and ONNX Runtime takes as 16-bit words."""
    if array.dtype.name != "bfloat16":
        return array
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)
