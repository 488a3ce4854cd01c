"""One ONNX Runtime session whose activations can be read."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from trtcal_widgets.core.streams import NO_FAMILIES, Family
from trtcal_widgets.errors import DataError, ModelError, OutOfDeviceMemoryError
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.model.ort import CPU, SILENT, failure, open_session, provider_name
from trtcal_widgets.model.tap import as_float32_names, unrounded, with_outputs
from trtcal_widgets.runners.cutting import CutModel
from trtcal_widgets.runners.pieces import ModelInPieces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

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

    def open(self, *, lean: bool) -> None:
        """Load the model, unless it is there in this kind.

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
            )
        )

    def _open_session(self, serialized: bytes, config: Mapping[str, str] | None = None) -> Any:
        """Open a session of the model, or of a piece of it."""
        try:
            return open_session(
                serialized,
                self._model.path.parent,
                name=self._model.graph.name,
                providers=self._providers,
                threads=self._threads,
                optimization=self._optimization,
                spinning=self.spinning,
                config=config,
                logs=config is None,
            )
        except ModelError as error:
            if _is_full(str(error)):
                raise self._full("this batch") from error
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
            fed = {name: _for_onnxruntime(array) for name, array in feeds.items()}
            values: list[Any] = self._session.run(names, fed, _silent())
        except Exception as error:  # noqa: BLE001 - ORT's exceptions have no common base but Exception
            self._explain(error, ", ".join(f"{name!r} {array.dtype} {array.shape}" for name, array in feeds.items()))
        return values

    def to_place(self, array: NDArray[np.generic], place: str, device: int) -> Any:
        """Return an array as ONNX Runtime's own, on a device; it stays on the host where its type is not NumPy's.

        Raises OutOfDeviceMemoryError where the device is full.
        """
        import onnxruntime as ort

        made = _for_onnxruntime(array)
        if made is not array:
            return made
        try:
            return ort.OrtValue.ortvalue_from_numpy(array, place, device)
        except Exception as error:
            if _is_full(str(error)):
                raise self._full(f"an input of {array.dtype} {array.shape}") from error
            raise

    def run_in_place(self, values: Mapping[str, Any], outputs: Sequence[str], place: str, device: int) -> list[Any]:
        """Run with arrays of ONNX Runtime and return the outputs as such, left where the device has them.

        ``outputs``: any of :attr:`outputs` and of the model's inner tensors. Raises as :meth:`run` does, and
        OutOfDeviceMemoryError where the device is full.
        """
        binding = self._session.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        for name in outputs:
            binding.bind_output(self._aliases.get(name, name), place, device)
        self._run_bound(self._session, binding, values)
        return list(binding.get_outputs())

    def in_pieces(self, place: str, device: int) -> ModelInPieces:
        """Return the model to be run piece by piece: for all outputs and inner tensors, raising as one run does."""
        import onnx

        inner, aliases = self._model.inner, self._aliases
        proto = onnx.load_model_from_string(
            with_outputs(unrounded(self._model.proto, self._model.graph), [], as_float32=aliases, inner=inner)
        )
        wanted = {aliases.get(name, name): name for name in (*self._activations, *inner.names)}
        cut = CutModel(proto, wanted, self._model.path.parent, n_added=len(aliases) + len(inner.nodes))
        return ModelInPieces(cut, wanted, (place, device), self._open_session, self._run_bound)

    def _run_bound(self, session: Any, binding: Any, values: Mapping[str, Any]) -> None:
        try:
            session.run_with_iobinding(binding, _silent())
            binding.synchronize_outputs()
        except Exception as error:
            shapes = ", ".join(f"{name!r} {v.data_type()} {tuple(v.shape())}" for name, v in values.items())
            if _is_full(str(error)):
                raise self._full(f"a batch of {shapes}") from error
            self._explain(error, shapes)

    def _full(self, what: str) -> OutOfDeviceMemoryError:
        return OutOfDeviceMemoryError(
            f"{self._model.graph.name} does not fit into the GPU's memory with {what}; use a smaller batch_size"
        )

    def _explain(self, error: Exception, shapes: str) -> NoReturn:
        """Raise what an ONNX Runtime error means, with the node and the shapes it was given."""
        where, why = failure(error)
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


def _silent() -> Any:
    """Return options for a run that logs nothing: what it would log is raised."""
    import onnxruntime as ort

    options = ort.RunOptions()
    options.log_severity_level = SILENT
    return options


_FULL = (
    "failed to allocate memory",
    "out of memory",
    "bad_alloc",
    "status_alloc_failed",  # cuDNN's and cuBLAS's
    "device_allocation_failed",
    "smaller than requested bytes",  # the provider's gpu_mem_limit
)


def _is_full(text: str) -> bool:
    """Whether an error says that the device's memory is used up."""
    said = text.lower()
    return any(words in said for words in _FULL)


def _for_onnxruntime(array: NDArray[np.generic]) -> Any:
    """Wrap an array of bfloat16, a type that NumPy does not have and ONNX Runtime takes as 16-bit words."""
    if array.dtype.name != "bfloat16":
        return array
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)
