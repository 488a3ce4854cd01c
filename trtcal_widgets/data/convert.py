"""Whatever holds numbers -> a NumPy array that can be fed, or an error that says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_NUMBERS = "biuf"


def to_array(value: Any, what: str, *, least_axes: int = 1) -> NDArray[np.generic]:
    """Return ``value`` as an array of numbers with at least ``least_axes`` axes.

    Torch tensors (on any device, with or without gradient) and everything else with ``__array__`` are
    taken; torch itself is not imported. The array may share memory with ``value``.

    ``value``: an array, a tensor, or nested lists of numbers. ``what``: what it is, for the error: ``"batch 3, input
    'data'"``. ``least_axes``: 0 where a single number is fine. Raises DataError if it is text, objects, ragged, a
    single number, or a tensor of a type that NumPy does not have.
    """
    for off_device in ("detach", "cpu"):
        value = getattr(value, off_device, lambda same=value: same)()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{what} is a {type(value).__name__} that does not become a NumPy array ({error}); "
            "convert it to a float32 array first (a bfloat16 tensor with .float())"
        ) from error
    if array.dtype.kind not in _NUMBERS and array.dtype.type.__module__ != "ml_dtypes":  # bfloat16, float8
        raise DataError(
            f"{what} is {_type_text(value, array)}, which is not an array of numbers that a model can be fed"
        )
    if array.ndim < least_axes:
        raise DataError(
            f"{what} is a single number; an array whose first axis is the samples is needed, or sample_axis=None where "
            "the arrays are one feed"
        )
    return array


def common_length(arrays: Mapping[str, NDArray[np.generic]], what: str) -> int:
    """Return the length of the first axis, which all arrays must share.

    Raises DataError if the lengths differ; both inputs are named.
    """
    names = list(arrays)
    length = len(arrays[names[0]])
    for name in names[1:]:
        if len(arrays[name]) != length:
            raise DataError(
                f"{what}: input {names[0]!r} has {length} samples on its first axis but input {name!r} has "
                f"{len(arrays[name])} ({describe_array(arrays[name])}); every input needs the same number, or say "
                "where they are with sample_axis="
            )
    return length


def describe_array(array: NDArray[np.generic]) -> str:
    """Return dtype and shape for people: ``float32[500,3,224,224]``."""
    return f"{array.dtype}[{','.join(map(str, array.shape))}]"


def ready(part: NDArray[Any], *, copy: bool = False) -> NDArray[Any]:
    """Return ``part`` as runners and CUDA copies want it: contiguous, native byte order, read-only.

    It shares memory with ``part`` where that is possible, unless ``copy``; ``part`` itself stays as it is.
    """
    native = part.dtype.newbyteorder("=")
    array: NDArray[Any] = (
        np.array(part, native, order="C", subok=False)
        if copy
        else np.ascontiguousarray(part, native).view().reshape(part.shape)
    )
    array.setflags(write=False)
    return array


def _type_text(value: Any, array: NDArray[np.generic]) -> str:
    kind = type(value).__name__
    return f"a {kind}" if array.ndim == 0 else f"a {kind} of dtype {array.dtype}"


def input_name(name: Any) -> str:
    """Return the name of a model input, which is text, or raise :class:`UsageError`."""
    if not isinstance(name, str):
        raise UsageError(f"name is text, a model input's name, not {kind_of(name)}")
    return name
