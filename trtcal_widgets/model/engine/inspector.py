"""The text of TensorRT's engine inspector: layers with the tensors that they read and write, and how these are stored.

Needs no TensorRT: the text may come from another machine. Written by ``IEngineInspector.get_engine_information`` as
JSON, or by ``trtexec --exportLayerInfo``, of an engine that was built with ``ProfilingVerbosity.DETAILED``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = (
    ("int8", re.compile(r"\bint8\b", re.IGNORECASE)),
    ("fp8", re.compile(r"\b(fp8|e4m3)", re.IGNORECASE)),
    ("fp16", re.compile(r"\b(fp16|half|float16)\b", re.IGNORECASE)),
    ("bf16", re.compile(r"\b(bf16|bfloat16)\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\b(fp32|float|float32)\b", re.IGNORECASE)),
)
_BEGIN, _BETWEEN = "[ONNX Layer: ", "\x1d\x1e\x1f"
"""TensorRT's metadata: ``[ONNX Layer: name]``, one behind the other, with one of these between some."""

COPYING = frozenset({"NoOp", "Reformat", "Shuffle"})
"""Kinds of layers that store values in another way or place and compute nothing."""


@dataclass(frozen=True)
class EngineTensor:
    """A tensor as a layer of an engine sees it: its name there, and the element type that it is stored in."""

    name: str
    stored: str


@dataclass(frozen=True)
class InspectedLayer:
    """A layer of an engine.

    Attributes
    ----------
    name, kind
        TensorRT's: ``"conv1 + relu1"``, ``"CaskConvolution"``.
    inputs, outputs
        Its tensors. ``"Reformatted Input Tensor 0 to …"`` are TensorRT's own.
    weights
        Element type of its weights, empty where it has none.
    metadata
        Names of the ONNX nodes in it, where this TensorRT says them (10 on).
    tactic
        The kernel's name, empty where it is not told.
    """

    name: str
    kind: str
    inputs: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]
    weights: str = ""
    metadata: tuple[str, ...] = ()
    tactic: str = ""

    @property
    def copies(self) -> bool:
        """Whether it only stores values in another way."""
        return self.kind in COPYING

    @property
    def computes_in(self) -> str:
        """Element type that it computes on: INT8 where it reads INT8, or has INT8 weights."""
        read = {tensor.stored for tensor in self.inputs} | ({self.weights} if self.weights else set())
        return next((word for word, _ in _WORDS if word in read), "")


def read_inspector(text: str | bytes) -> tuple[InspectedLayer, ...]:
    """Return the layers of an engine, in the order in which they run.

    ``text``: the inspector's JSON. TensorRT 8.6 writes raw control characters into it, which are taken. Raises
    EngineError if it is no such JSON, or has names of layers only.
    """
    try:
        listed = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"this is not the JSON of an engine inspector: {error}") from error
    if isinstance(listed, dict):
        listed = listed.get("Layers")
    if not isinstance(listed, list):
        raise EngineError("this JSON has no list 'Layers': it is not what an engine inspector writes")
    details = [layer for layer in listed if isinstance(layer, dict)]
    if listed and not details:
        raise EngineError(
            "the engine tells the names of its layers only: build it with ProfilingVerbosity.DETAILED "
            "(trtexec --profilingVerbosity=detailed; trtcal_widgets.trt.build does it)"
        )
    return tuple(map(_layer, details))


def _layer(entry: dict[str, Any]) -> InspectedLayer:
    weights = entry.get("Weights")
    return InspectedLayer(
        name=str(entry.get("Name", "")),
        kind=str(entry.get("LayerType", "")),
        inputs=_tensors(entry.get("Inputs")),
        outputs=_tensors(entry.get("Outputs")),
        weights=_word(str(weights.get("Type", ""))) if isinstance(weights, dict) else "",
        metadata=tuple(dict.fromkeys(_nodes_of(str(entry.get("Metadata") or "")))),
        tactic=str(entry.get("TacticName", "")),
    )


def _nodes_of(metadata: str) -> Iterator[str]:
    """Yield the node names in a layer's metadata; they may hold brackets."""
    waiting: list[str] = []
    pieces = metadata.rstrip().split(_BEGIN)[1:]
    for i, piece in enumerate(pieces):
        end = piece[:-1] if i + 1 < len(pieces) and piece[-1:] in _BETWEEN else piece
        if end.endswith("]"):
            yield _BEGIN.join([*waiting, end[:-1]])
            waiting.clear()
        else:
            waiting.append(piece)


def _tensors(listed: Any) -> tuple[EngineTensor, ...]:
    entries = (entry for entry in listed if isinstance(entry, dict)) if isinstance(listed, list) else ()
    return tuple(
        EngineTensor(
            str(entry.get("Name", "")), _word(str(entry.get("Datatype") or entry.get("Format/Datatype") or ""))
        )
        for entry in entries
    )


def _word(text: str) -> str:
    return next((word for word, pattern in _WORDS if pattern.search(text)), text.strip().lower())
