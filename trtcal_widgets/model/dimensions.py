"""Dimension names that are none: exporters that call every dynamic dimension ``?``.

In an ONNX file two dimensions of the same name are the same number, and TensorRT holds a network to that: batch, height
and width that are all called ``?`` (as Paddle's exporter does) must then be equal. Such names are replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trtcal_widgets.common.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

_NO_NAMES = frozenset({"none", "null", "unk", "unknown", "dynamic", "any", "-1"})


def name_dimensions(proto: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """Give dimensions whose name is none (``?``, ``None``, ``-1``) a name of their own, in place.

    ``proto``: the model. Inputs and outputs are called ``<tensor>_<axis>`` there; inner tensors lose the name. Returns
    input -> the new names of its dimensions, empty strings for those that were left as they are. Inputs of which
    nothing was changed are not in it.
    """
    graph = proto.graph
    taken = {dim.dim_param for info in (*graph.input, *graph.output, *graph.value_info) for dim in _dims(info)}
    changed: dict[str, tuple[str, ...]] = {}
    for info in (*graph.input, *graph.output):
        new = tuple(_own(dim, f"{info.name}_{axis}", taken) for axis, dim in enumerate(_dims(info)))
        if any(new) and info in graph.input:
            changed[info.name] = new
    for info in graph.value_info:
        for dim in _dims(info):
            if _is_no_name(dim.dim_param):
                dim.ClearField("dim_param")
    return changed


def words_of_dimensions(changed: Mapping[str, tuple[str, ...]]) -> str:
    """Say what was changed; empty where nothing was."""
    parts = [
        f"input {printable(name)!r}: " + ", ".join(f"dimension {i} is {new}" for i, new in enumerate(names) if new)
        for name, names in changed.items()
    ]
    if not parts:
        return ""
    return (
        "The file gives dimensions of different meaning the same placeholder for a name, which TensorRT would take for "
        f"one dimension. They have names of their own here: {'; '.join(parts)}"
    )


def _dims(info: onnx.ValueInfoProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    yield from info.type.tensor_type.shape.dim


def _is_no_name(name: str) -> bool:
    return bool(name) and (name.lower() in _NO_NAMES or not re.search(r"\w", name.replace("_", "")))


def _own(dim: onnx.TensorShapeProto.Dimension, name: str, taken: set[str]) -> str:
    """Give one dimension a name that no other has, where its own is none; return it."""
    if not _is_no_name(dim.dim_param):
        return ""
    while name in taken:
        name += "_"
    taken.add(name)
    dim.dim_param = name
    return name
