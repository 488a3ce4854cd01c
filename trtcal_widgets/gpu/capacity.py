"""How large a calibration batch a GPU has room for, estimated from the sizes of the model's tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.gpu.driver import MemInfo
    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

_FLOAT_BYTES = 4
"""While it calibrates, TensorRT computes in FP32."""


def bytes_per_sample(graph: ModelGraph) -> int | None:
    """Return the bytes of all activations of one sample in FP32, or None where a size is not known.

    It is more than TensorRT needs at a time (it reuses memory), so a batch that fits by it does fit.
    """
    sizes = [_values(tensor) for tensor in graph.tensors.values() if tensor.is_float and not tensor.is_fixed]
    known = [size for size in sizes if size is not None]
    return _FLOAT_BYTES * math.ceil(sum(known)) if len(known) == len(sizes) and known else None


def _values(tensor: TensorInfo) -> float | None:
    """Return a tensor's values per sample; the first axis is taken to be the batch."""
    if tensor.shape is None:
        return None
    rest = tensor.shape[1:]
    return math.prod(dim for dim in rest if isinstance(dim, int)) if all(isinstance(d, int) for d in rest) else None


def advice(graph: ModelGraph, batch_size: int | None, memory: MemInfo | None) -> str:
    """Return a sentence on how large a batch would fit, as well as it can be known."""
    need = bytes_per_sample(graph)
    if need is None or memory is None:
        return "Halve the batch size until it fits"
    fits = max(1, memory.free // need)
    had = f"this batch has {batch_size} samples, and " if batch_size else ""
    return (
        f"One sample's tensors are {need / 2**20:.3g} MiB in FP32 all together, {memory.free / 2**30:.3g} GiB are "
        f"free: {had}up to {fits} should fit, if nothing else takes the memory"
    )
