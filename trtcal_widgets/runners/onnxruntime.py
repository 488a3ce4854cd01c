"""The runner that works everywhere: ONNX Runtime, on the CPU unless told otherwise."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.common.cores import available_cores
from trtcal_widgets.core.steps import StepKind
from trtcal_widgets.core.streams import NO_FAMILIES, Family, stream_amax, stream_histograms
from trtcal_widgets.errors import DataError, ModelError, UsageError
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.model.folding import constant_values
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.ort import CPU, OPTIMIZATIONS, SILENT, failure, open_session, provider_name
from trtcal_widgets.model.tap import as_float32_names, with_outputs
from trtcal_widgets.runners.feeds import check_feeds

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["OnnxRuntimeRunner", "OnnxRuntimeTap"]

_EXACT = frozenset({"off", "basic", "extended"})
"""Optimisations that give the same bits whichever tensors are asked for."""


class OnnxRuntimeTap:
    """One ONNX Runtime session with float activations as outputs: all of them, or only those that have to be read.

    The model is in memory once: asked for the other kind, it is loaded anew.

    Parameters
    ----------
    model
        The model.
    providers
        Execution providers by preference; None for the CPU.
    threads
        Threads inside one operator.
    optimization
        One of :data:`~trtcal_widgets.model.ort.OPTIMIZATIONS`.

    Attributes
    ----------
    lean
        Whether the session leaves out what is made of other tensors; see :mod:`trtcal_widgets.model.derived`.
    read_everything
        Set it, and from the next :meth:`open` on nothing is left out.
    """

    def __init__(self, model: OnnxModel, *, providers: Sequence[Any] | None, threads: int, optimization: str) -> None:
        self.lean = False
        self.read_everything = optimization not in _EXACT or any(provider_name(p) != CPU for p in providers or ())
        self._model = model
        self._providers = providers
        self._threads = threads
        self._optimization = optimization
        self._session: Any = None
        self._activations = [
            t.name for t in model.graph.tensors.values() if t.is_float and t.kind is TensorKind.ACTIVATION
        ]
        self._aliases = as_float32_names(model.graph, self._activations)

    @property
    def is_open(self) -> bool:
        """Whether the model is in ONNX Runtime's memory."""
        return self._session is not None

    @property
    def families(self) -> Mapping[str, Family]:
        """What the open session leaves out, by the tensor that it is made of."""
        return self._families if self.lean else NO_FAMILIES

    @cached_property
    def _families(self) -> Mapping[str, Family]:
        families: dict[str, Family] = {}
        for name, (read, step) in derived_tensors(self._model).items():
            names, steps = families.get(read, Family((), ()))
            families[read] = Family((*names, name), (*steps, step))
        return families

    @property
    def outputs(self) -> list[str]:
        """The activations that the open session gives, in graph order."""
        made = {name for family in self.families.values() for name in family.names}
        return [name for name in self._activations if name not in made]

    def open(self, *, lean: bool) -> None:
        """Load the model, unless it is there in this kind.

        Raises
        ------
        ModelError
            If ONNX Runtime does not take the model.
        MissingDependencyError
            If an execution provider is not there.
        """
        lean = lean and not self.read_everything
        if self._session is not None and lean == self.lean:
            return
        self._session = None
        self.lean = lean
        present = {t.name for t in self._model.graph.outputs}
        plain = [n for n in self.outputs if n not in present and n not in self._aliases]
        self._session = open_session(
            with_outputs(self._model.proto, plain, as_float32=self._aliases),
            self._model.path.parent,
            name=self._model.graph.name,
            providers=self._providers,
            threads=self._threads,
            optimization=self._optimization,
        )

    def close(self) -> None:
        """Free ONNX Runtime's memory."""
        self._session = None

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> list[Any]:
        """Return the arrays of :attr:`outputs`.

        Raises
        ------
        DataError
            If an operator refuses a value.
        ModelError
            If an operator fails; the message names it.
        """
        import onnxruntime as ort

        options = ort.RunOptions()
        options.log_severity_level = SILENT  # what it would log is raised
        names = [self._aliases.get(name, name) for name in self.outputs]
        try:
            fed = {name: _for_onnxruntime(array) for name, array in feeds.items()}
            values: list[Any] = self._session.run(names, fed, options)
        except Exception as error:  # noqa: BLE001 - ORT's exceptions have no common base but Exception
            self._explain(error, feeds)
        return values

    def _explain(self, error: Exception, feeds: Mapping[str, NDArray[np.generic]]) -> NoReturn:
        """Raise what an ONNX Runtime error means, with the node and the shapes it was given."""
        where, why = failure(error)
        shapes = ", ".join(f"{name!r} {array.dtype} {array.shape}" for name, array in feeds.items())
        if "out of data bounds" in why:
            raise DataError(
                f"{self._model.graph.name}: {where} was given an index that its table does not have: {why}. Fed: "
                f"{shapes}. Are the token ids of this model's own vocabulary?"
            ) from error
        if "allocate memory" in why or "bad_alloc" in why:
            raise ModelError(
                f"{self._model.graph.name} does not fit into memory with a batch of {shapes} ({where}: {why}); "
                "use a smaller batch_size"
            ) from error
        raise ModelError(
            f"{self._model.graph.name}: {where} failed: {why}. Fed: {shapes}. If the model runs with another batch or "
            "image size, that size is fixed inside its graph: use it, or export with dynamic axes"
        ) from error


def _for_onnxruntime(array: NDArray[np.generic]) -> Any:
    """Wrap an array of bfloat16, a type that NumPy does not have and ONNX Runtime takes as 16-bit words."""
    if array.dtype.name != "bfloat16":
        return array
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)


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
        self._tap = OnnxRuntimeTap(
            self._model, providers=self._providers, threads=self._threads, optimization=optimization
        )
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

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
        self._open(lean=self._tap.lean or not self._tap.is_open)
        return self

    def __exit__(self, *exc: object) -> None:
        """Free ONNX Runtime's memory and the threads."""
        self.close()

    def close(self) -> None:
        """Free ONNX Runtime's memory and the threads; ``with runner:`` opens it again."""
        self._closed = True
        self._tap.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _open(self, *, lean: bool) -> ThreadPoolExecutor:
        if self._closed:
            raise UsageError(
                f"the runner of {self.graph.name} is closed; use it inside its `with` block, or open it again"
            )
        self._tap.open(lean=lean)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "trtcal-histogram")
        return self._pool

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
        self._open(lean=False)
        return self._stream(feeds)

    def _stream(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, NDArray[np.generic]]]:
        checked = check_feeds(self.graph, feeds)
        return self._give_away(checked, self._tap.outputs, self._tap.run(checked))

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
        pool = self._open(lean=True)
        families = self._tap.families
        found = stream_histograms(self._stream(feeds), bases, pool, self._threads, families)
        return self._certain(found, families, lambda h: h.nans > 0, lambda: self.histograms(feeds, bases))

    def ranges(self, feeds: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, float]]:
        """Run one batch and yield (name, largest finite |x|) for every tensor, as :meth:`histograms` does."""
        pool = self._open(lean=True)
        families = self._tap.families
        found = stream_amax(self._stream(feeds), pool, self._threads, families)
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
