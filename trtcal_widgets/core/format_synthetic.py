"""Names that TensorRT and its ONNX parser make up: rows of a cache that no tensor of the model has.

The patterns are those of real caches; what a layer is for is inferred from its name.
"""

from __future__ import annotations

import re

__all__ = ["synthetic_label"]

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


def synthetic_label(name: str, model_names: frozenset[str] = frozenset()) -> str:
    """Say what a name is that TensorRT made up, or ``""`` for a name of no known pattern.

    Parameters
    ----------
    name
        The row's name.
    model_names
        All tensor names of the model: with them, ``<constant>_output`` is recognised.
    """
    for pattern, label in _SYNTHETIC:
        if pattern.fullmatch(name):
            return label
    if name.endswith("_output") and name[: -len("_output")] in model_names:
        return "the constant of that name without _output, as a layer (TensorRT 10)"
    return ""
