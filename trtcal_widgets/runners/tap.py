"""One ONNX Runtime session whose activations can be read."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn

from trtcal_widgets.core.streams import NO_FAMILIES, Family
from trtcal_widgets.errors import DataError, ModelError, OutOfDeviceMemoryError
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.model.ort import CPU, SILENT, failure, for_onnxruntime, is_full, open_session, provider_name
from trtcal_widgets.model.tap import as_float32_names, unrounded, with_outputs
from trtcal_widgets.runners.cutting import CutModel
from trtcal_widgets.runners.feeds import fed_in_words
from trtcal_widgets.runners.pieces import ModelInPieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.model.load import OnnxModel

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
    fast
        Leave out what is made of other tensors even where what is read then differs in its last bits.

    Attributes
    ----------
    lean
        Whether the session leaves out what is made of other tensors; see :mod:`trtcal_widgets.model.derived`.
    read_everything
        Set it, and from the next :meth:`open` on nothing is left out.
    spinning
        Whether threads of the next session that is opened keep a core busy while they wait.
    """

    def __init__(
        self, model: OnnxModel, *, providers: Sequence[Any] | None, threads: int, optimization: str, fast: bool = False
    ) -> None:
        self.lean = False
        self.spinning = True
        exact = fast or optimization in _EXACT
        self.read_everything = not exact or any(provider_name(p) != CPU for p in providers or ())
        self._model = model
        self._providers = providers
        self._threads = threads
        self._optimization = optimization
        self._session: Any = None
        self._activations = model.graph.activations
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

    def open(self, *, lean: bool, gpu_limit: int | None = None) -> None:
        """Load the model, unless it is there in this kind; ``gpu_limit``: bytes of a GPU that it may take.

        Raises ModelError if ONNX Runtime does not take the model; MissingDependencyError if an execution provider is
        not there.
        """
        lean = lean and not self.read_everything
        if self._session is not None and lean == self.lean:
            return
        self._session = None
        self.lean = lean
        present = {t.name for t in self._model.graph.outputs}
        plain = [n for n in self.outputs if n not in present and n not in self._aliases]
        self._session = self._open_session(
            with_outputs(
                unrounded(self._model.proto, self._model.graph),
                plain,
                as_float32=self._aliases,
                inner=self._model.inner,
            ),
            gpu_limit,
        )

    def _open_session(self, serialized: bytes, limit: int | None = None, stream: int | None = None) -> Any:
        """Open a session of the model, or of a piece of it that may take so many bytes of the device.

        ``stream``: a CUDA stream for it to work on; with one of its own it has twice as many handles (on an H200 74 MiB
        more).
        """
        try:
            return open_session(
                serialized,
                self._model.path.parent,
                name=self._model.graph.name,
                providers=self._providers,
                threads=self._threads,
                optimization=self._optimization,
                spinning=self.spinning,
                gpu_limit=limit,
                stream=stream,
                logs=limit is None,
            )
        except ModelError as error:
            if is_full(error):
                raise self._full("this batch", error) from error
            raise

    def close(self) -> None:
        """Free ONNX Runtime's memory."""
        self._session = None

    def run(self, feeds: Mapping[str, NDArray[np.generic]], more: Sequence[str] = ()) -> list[Any]:
        """Return the arrays of :attr:`outputs`, and of some of the model's inner tensors behind them.

        Raises DataError if an operator refuses a value; ModelError if an operator fails; the message names it.
        """
        names = [*(self._aliases.get(name, name) for name in self.outputs), *more]
        try:
            fed = {name: for_onnxruntime(array) for name, array in feeds.items()}
            values: list[Any] = self._session.run(names, fed, _silent())
        except Exception as error:  # noqa: BLE001 - ORT's exceptions have no common base but Exception
            self._explain(error, fed_in_words(feeds))
        return values

    def in_pieces(self, memory: DeviceMemory, place: str, device: int) -> ModelInPieces:
        """Return the model to be run piece by piece: for all outputs and inner tensors, raising as one run does."""
        import onnx

        inner, aliases = self._model.inner, self._aliases
        proto = onnx.load_model_from_string(
            with_outputs(unrounded(self._model.proto, self._model.graph), [], as_float32=aliases, inner=inner)
        )
        wanted = {aliases.get(name, name): name for name in (*self._activations, *inner.names)}
        cut = CutModel(proto, wanted, self._model.path.parent, n_added=len(aliases) + len(inner.nodes))
        return ModelInPieces(
            cut,
            wanted,
            memory,
            (place, device),
            opened=partial(self._open_session, stream=memory.new_stream() if place == "cuda" else None),
            run=partial(self._run_bound, device=device if place == "cuda" else None),
            name=self._model.graph.name,
        )

    def _run_bound(self, session: Any, binding: Any, fed: str, device: int | None = None) -> None:
        """Run what is bound. Then give back to a device what the run has taken for itself, if it is said which."""
        how = _silent()
        if device is not None:
            how.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{device}")
        try:
            session.run_with_iobinding(binding, how)
            binding.synchronize_outputs()
        except Exception as error:
            if is_full(error):
                raise self._full(f"a batch of {fed}", error) from error
            self._explain(error, fed)

    def _full(self, what: str, error: Exception) -> OutOfDeviceMemoryError:
        return OutOfDeviceMemoryError(
            f"{self._model.graph.name} does not fit into the GPU's memory with {what}; use a smaller batch_size. ONNX "
            f"Runtime says: {failure(error)[1]}"
        )

    def _explain(self, error: Exception, fed: str) -> NoReturn:
        """Raise what an ONNX Runtime error means, with the node and the shapes it was given."""
        where, why = failure(error)
        if "out of data bounds" in why:
            raise DataError(
                f"{self._model.graph.name}: {where} was given an index that its table does not have: {why}. Fed: "
                f"{fed}. Are the token ids of this model's own vocabulary?"
            ) from error
        if is_full(error):
            raise ModelError(
                f"{self._model.graph.name} does not fit into memory with a batch of {fed} ({where}: {why}); "
                "use a smaller batch_size"
            ) from error
        raise ModelError(
            f"{self._model.graph.name}: {where} failed: {why}. Fed: {fed}. If the model runs with another batch or "
            "image size, that size is fixed inside its graph: use it, or export with dynamic axes; detectors and "
            "segmenters mostly want multiples of 32"
        ) from error


def _silent() -> Any:
    """Return options for a run that logs nothing: what it would log is raised."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.log_severity_level = SILENT
    return options
