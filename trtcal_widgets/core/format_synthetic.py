"""Names that TensorRT and its ONNX parser make up: rows of a cache that no tensor of the model has.

The patterns are those of real caches; what a layer is for is inferred from its name.

Constants have no row under their own name in any real cache that was looked at. TensorRT 7 and 8 number them
(``(Unnamed Layer* 37) [Constant]_output``), so that the name cannot be known without the parsed network. TensorRT 10
calls them ``<constant>_output`` (seen in caches of 10.12 and 10.14): its ONNX parser, whose source is open, names the
constant layer after the ONNX tensor, and a tensor without a name of its own is called after its layer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["CONSTANT_ROWS_FROM", "constant_row", "row_of", "synthetic_label"]

CONSTANT_ROWS_FROM = (10, 0, 0)
"""TensorRT version from which constants have rows by :func:`constant_row`: seen from 10.12 on, assumed from 10.0 on."""

_SUFFIX = "_output"

_SYNTHETIC = (
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[Constant\]_output(?:_\d+)?"),
        "a constant that the ONNX parser added as a layer (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[Shuffle\]_output(?:_\d+)?"),
        "a reshape or transpose that the ONNX parser added (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed Layer\* \d+\) \[[^\]]+\]_output(?:_\d+)?"),
        "the output of a layer that has no name in the model (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"\(Unnamed ITensor\* \d+\)"),
        "a tensor that has no name in the model (TensorRT 7 and 8)",
    ),
    (
        re.compile(r"ONNXTRT_Broadcast(?:_\d+)?_output"),
        "a reshape that the ONNX parser added so that shapes broadcast (TensorRT 10)",
    ),
    (
        re.compile(r"ONNXTRT_ShapeShuffle(?:_\d+)?_output"),
        "a reshape of a shape tensor that the ONNX parser added (TensorRT 10)",
    ),
    (
        re.compile(r"ONNXTRT_\w+_output"),
        "the output of a layer that the ONNX parser added (TensorRT 10)",
    ),
    (
        re.compile(r"tmp_refittable_weight(?:_\d+)?_output"),
        "a weight that the ONNX parser passed on as a constant layer (TensorRT 10)",
    ),
)


def constant_row(name: str) -> str:
    """Return the name of the row that TensorRT 10 has for a constant of the model."""
    return name + _SUFFIX


def row_of(name: str, rows: Collection[str]) -> str:
    """Return the name of the row that a tensor has: its own, or a constant's in TensorRT 10; ``""`` for none."""
    return name if name in rows else constant_row(name) if constant_row(name) in rows else ""


def synthetic_label(name: str, model_names: frozenset[str] = frozenset(), layers: frozenset[str] = frozenset()) -> str:
    """Say what a name is that TensorRT made up, or ``""`` for a name of no known pattern.

    Parameters
    ----------
    name
        The row's name.
    model_names
        All tensor names of the model: with them, ``<constant>_output`` is recognised.
    layers
        All node names of the model: with them, ``<node>_output`` is recognised.
    """
    for pattern, label in _SYNTHETIC:
        if pattern.fullmatch(name):
            return label
    before = name[: -len(_SUFFIX)] if name.endswith(_SUFFIX) else ""
    if before in model_names:
        return "the constant of that name without _output, as a layer (TensorRT 10)"
    if before in layers:
        return "what the layer of that name without _output makes before the ONNX parser reshapes it (TensorRT 10)"
    return ""
