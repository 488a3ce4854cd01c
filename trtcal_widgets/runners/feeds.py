"""Checking what is fed to a model against what the model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.words import count_of
from trtcal_widgets.data.base import ONLY_INPUT
from trtcal_widgets.errors import DataError
from trtcal_widgets.model.data_shapes import NO_ARRAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.data.base import Batch
    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

_FLOATS = ("float16", "float32", "float64")
_EXACT_CASTS = frozenset(
    {
        ("float64", "float32"),
        *((_FLOATS[i], wider) for i in range(2) for wider in _FLOATS[i + 1 :]),
        *((narrow, "int64") for narrow in ("int8", "uint8", "int16", "uint16", "int32", "uint32")),
        *((other, "int32") for other in ("int8", "uint8", "int16", "uint16", "int64")),
    }
)
"""Casts made for the user: to wider floats, from NumPy's default float64 to float32, and between integers,
where every value is checked to survive. Never between floats and integers."""


def samples_fed(feeds: Mapping[str, NDArray[np.generic]]) -> int:
    """Return how many samples a batch has on the first axis of its inputs, padding included; 0 where that differs."""
    lengths = {len(array) if array.ndim else 0 for array in map(np.asarray, feeds.values())}
    return lengths.pop() if len(lengths) == 1 else 0


def fixed_batch(graph: ModelGraph) -> int | None:
    """Return the batch size that a model's inputs fix; None where they do not, or not the same one."""
    sizes = {tensor.shape[0] for tensor in graph.inputs if tensor.shape}
    size = sizes.pop() if len(sizes) == 1 else None
    return size if isinstance(size, int) else None


def fixed_sizes(graph: ModelGraph, sample_axes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return how long an input is along its samples, by its name, where the model fixes that.

    ``sample_axes``: as of a :class:`~trtcal_widgets.data.base.Batch`; None: the first axis of every input.
    """
    inputs = graph.inputs
    axes = dict.fromkeys((t.name for t in inputs), 0) if sample_axes is None else sample_axes
    if len(inputs) == 1 and ONLY_INPUT in axes:
        axes = {inputs[0].name: axes[ONLY_INPUT]}
    shapes = {t.name: t.shape for t in inputs if t.shape}
    sizes = {n: shapes[n][axis] for n, axis in axes.items() if n in shapes and -len(shapes[n]) <= axis < len(shapes[n])}
    return {name: size for name, size in sizes.items() if isinstance(size, int)}


def fitted(graph: ModelGraph, batch: Batch) -> Batch:
    """Fill a short batch up for a model with a fixed batch size, by repeating its last sample.

    Inputs that leave it open are filled up to the largest size that another one fixes.
    """
    fixed = fixed_sizes(graph, batch.sample_axes)
    if len(graph.inputs) == 1:
        fixed[ONLY_INPUT] = fixed.get(graph.inputs[0].name, 0)
    n, feeds, axes = batch.n_fed, dict(batch.feeds), batch.axes
    most = max((fixed.get(name, 0) for name in axes), default=0)
    for name, axis in axes.items():
        wanted = fixed.get(name) or most
        if wanted > n:
            feeds[name] = np.take(batch.feeds[name], [*range(n), *[n - 1] * (wanted - n)], axis)
    return replace(batch, feeds=feeds)


def describe_input(tensor: TensorInfo) -> str:
    """Return a model's input for people: ``'images' float32 (batch, 3, 640, 640)``."""
    if tensor.shape is None:
        return f"{tensor.name!r} {tensor.dtype} of any shape"
    dims = ", ".join("any" if dim is None else str(dim) for dim in tensor.shape)
    return f"{tensor.name!r} {tensor.dtype} ({dims}{',' if len(tensor.shape) == 1 else ''})"


def check_feeds(graph: ModelGraph, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the feeds by the model's own input names, cast where nothing is lost.

    ``feeds``: input name -> array; :data:`~trtcal_widgets.data.base.ONLY_INPUT` stands for the only input. What
    comes back is C-contiguous and in the model's order. Raises DataError if a name, dtype or shape does not fit;
    the message says what the model takes and how to convert.
    """
    named = _by_name(graph, feeds)
    return {
        tensor.name: _check_shape(tensor, _check_dtype(tensor, np.asarray(named[tensor.name])))
        for tensor in graph.inputs
    }


def _by_name(graph: ModelGraph, feeds: Mapping[str, NDArray[np.generic]]) -> Mapping[str, NDArray[np.generic]]:
    names = [tensor.name for tensor in graph.inputs]
    if not isinstance(feeds, Mapping):
        raise DataError(
            f"a batch to run is a dict of input name -> array, not {kind_of(feeds)}; {graph.name} takes {_takes(graph)}"
        )
    if set(feeds) == set(names):
        return feeds
    takes = _takes(graph)
    if set(feeds) == {ONLY_INPUT}:
        if len(names) == 1:
            return {names[0]: feeds[ONLY_INPUT]}
        each = ", ".join(f"{name!r}: …" for name in names)
        raise DataError(
            f"the batch is one array without a name, but {graph.name} has {len(names)} inputs: {takes}. "
            f"Give data for each: an .npz file, or sources (in Python: {{{each}}}) "
            "(trtcal: --input NAME --also NAME=DATA)"
        )
    missing = [name for name in names if name not in feeds]
    unknown = [name for name in feeds if name not in names]
    wrong = [f"misses {', '.join(map(repr, missing))}"] if missing else []
    if unknown:
        wrong.append(f"has {', '.join(map(repr, unknown))}, which the model does not know (leave it out)")
    raise DataError(f"the batch {' and '.join(wrong)}; {graph.name} takes {takes}")


def _takes(graph: ModelGraph) -> str:
    return "; ".join(describe_input(tensor) for tensor in graph.inputs) or "nothing"


def _check_dtype(tensor: TensorInfo, array: NDArray[np.generic]) -> NDArray[np.generic]:
    got, wanted = array.dtype.name, tensor.dtype
    if got == wanted or not wanted or (wanted == "string" and array.dtype.kind in "OUS"):
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)
    if (got, wanted) not in _EXACT_CASTS:
        raise DataError(
            f"input {tensor.name!r} takes {wanted}, the batch has {got}; {_how_to_cast(array.dtype, wanted)}"
        )
    if array.dtype.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise DataError(
                f"input {tensor.name!r} takes {wanted}, and the batch's {got} values {low} to {high} do not "
                "fit in it; are these the ids that the model was trained with?"
            )
    try:
        with np.errstate(over="raise"):
            return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)
    except FloatingPointError:
        raise DataError(
            f"input {tensor.name!r} takes {wanted}, and the batch has finite {got} values beyond "
            f"{np.finfo(wanted).max:.3g}, which would become infinite"
        ) from None


def _how_to_cast(got: np.dtype[np.generic], wanted: str) -> str:
    if wanted in NO_ARRAYS:
        return (
            "batches hold arrays, of which no sequence or map is made: cut the model off behind it, so that its "
            "elements are inputs"
        )
    if got.kind == "O":
        return "its samples may differ in shape: stack them to one array of numbers first"
    if wanted == "bfloat16":
        return "import ml_dtypes and pass x.astype(ml_dtypes.bfloat16)"
    if got.kind in "iub" and wanted.startswith("float"):
        return (
            f"convert it as the model was trained, for pixels often (x / 255).astype({wanted!r}): "
            "a bare cast would calibrate on the wrong range"
        )
    if wanted.startswith(("int", "uint")):
        return f"if these are indices or token ids, pass x.astype({wanted!r})"
    return f"pass x.astype({wanted!r})"


def _check_shape(tensor: TensorInfo, array: NDArray[np.generic]) -> NDArray[np.generic]:
    if tensor.shape is None:
        return array
    dims = tensor.shape
    if array.ndim != len(dims):
        hint = ""
        if array.ndim == len(dims) - 1:
            hint = "; is the batch axis missing? x[None] adds one"
        elif array.ndim == len(dims) + 1:
            hint = (
                "; does the model take one sample at a time? A folder of .npy or .npz files with sample_axis=None "
                "feeds each file as it is"
            )
        raise DataError(
            f"input {describe_input(tensor)} has {count_of(len(dims), 'axis', 'axes')}, the batch {array.shape} has "
            f"{array.ndim}{hint}"
        )
    wrong = [axis for axis, dim in enumerate(dims) if isinstance(dim, int) and array.shape[axis] != dim]
    if wrong:
        axes = ", ".join(f"axis {axis} is {array.shape[axis]}, not {dims[axis]}" for axis in wrong)
        raise DataError(
            f"input {describe_input(tensor)} does not take a batch of shape {array.shape}: "
            f"{axes}{_layout_hint(dims, array.shape, wrong)}"
        )
    return array


def _layout_hint(dims: Sequence[object], shape: tuple[int, ...], wrong: Sequence[int]) -> str:
    def fits(moved: tuple[int, ...]) -> bool:
        pairs = zip(dims, moved, strict=True)
        return all(not isinstance(dim, int) or dim == size for dim, size in pairs)

    if len(shape) == 4 and fits((shape[0], shape[3], shape[1], shape[2])):
        return "; the batch looks like NHWC and the model takes NCHW: x.transpose(0, 3, 1, 2)"
    if len(shape) == 4 and fits((shape[0], shape[2], shape[3], shape[1])):
        return "; the batch looks like NCHW and the model takes NHWC: x.transpose(0, 2, 3, 1)"
    if list(wrong) == [1] and len(shape) == 4 and (dims[1], shape[1]) in ((1, 3), (3, 1)):
        return f"; for a folder of images: ImageFolder(…, color={'gray' if dims[1] == 1 else 'RGB'!r})"
    if list(wrong) == [0]:
        return f"; the model was exported for batches of {dims[0]}: use batch_size={dims[0]}"
    return ""


def fed_in_words(feeds: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the names, types and shapes of a batch, for messages."""
    return ", ".join(f"{name!r} {array.dtype} {array.shape}" for name, array in feeds.items())
