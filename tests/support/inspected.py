"""Layers of engines as TensorRT 8.6's inspector wrote them, for tests without TensorRT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INT8 = "Thirty-two wide channel vectorized row major Int8 format"
FP32 = "Row major linear FP32"


def inspector_text(layers: Iterable[tuple[str, str, Mapping[str, str], Mapping[str, str]]]) -> str:
    """Return the inspector's JSON of layers (name, kind, inputs, outputs), tensors as name -> format."""

    def tensors(given: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"Name": n, "Location": "Device", "Dimensions": [1], "Format/Datatype": f} for n, f in given.items()]

    return json.dumps(
        {
            "Layers": [
                {"Name": name, "LayerType": kind, "Inputs": tensors(read), "Outputs": tensors(made)}
                for name, kind, read, made in layers
            ],
            "Bindings": [],
        }
    )


def recorded_text(engine: Iterable[Mapping[str, Any]]) -> str:
    """Return the inspector's JSON of an engine in ``shared/data/trt86/operators``."""

    def tensors(listed: Iterable[str]) -> dict[str, str]:
        return dict(entry.rsplit(": ", 1) for entry in listed)  # type: ignore[arg-type]

    return inspector_text(
        (layer["name"], layer["type"], tensors(layer["inputs"]), tensors(layer["outputs"])) for layer in engine
    )
