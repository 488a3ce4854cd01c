"""Layers of a built engine, as the builder or the engine inspector describes them: what runs in which element type.

Two texts are read. TensorRT's engine inspector gives JSON, for which the engine must be loaded, and that needs a GPU.
TensorRT for RTX writes the same list into its verbose log when it has built, also on a machine without a GPU.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INT8, FP8, FLOATS = "int8", "fp8", frozenset({"float", "half", "bf16"})

_TYPES = (
    (re.compile(r"\b(int8|i8)\b", re.IGNORECASE), INT8),
    (re.compile(r"\b(fp8|e4m3|float8)", re.IGNORECASE), FP8),
    (re.compile(r"\b(half|fp16|float16|f16)\b", re.IGNORECASE), "half"),
    (re.compile(r"\b(bf16|bfloat16)\b", re.IGNORECASE), "bf16"),
    (re.compile(r"\b(float|fp32|float32|f32)\b", re.IGNORECASE), "float"),
)
"""How texts call element types -> one word for each, the narrow ones first."""

_GENERATED = frozenset({"kgen", "myelin", "foreignnode", "runtime_fusion"})
"""Kinds of layers whose operations only their kernel's name tells."""

_MULTIPLYING_PARTS = re.compile(r"Corr|MatM|Dot|gemm|mha|fmha|flash")
_MULTIPLYING_KINDS = re.compile(r"corr|conv|gemm|matrix|matmul|fully|mha|attention", re.IGNORECASE)

_LOGGED = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"(?:Constants: \[(?P<constants>.*?)\], )?Outputs: \[(?P<outputs>.*?)\], "
    r"(?:TacticName: (?P<tactic>.*?), )?(?:StreamId: \d+, )?Metadata: (?P<metadata>.*)$"
)
_DATATYPE = re.compile(r"Datatype: ([^,}\]]+)")
_NODES = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1d-\x1f]?\[ONNX Layer: |\s*$)", re.DOTALL)
_FUSED_NAMES = re.compile(r"\s\+\s|\|\||\n")


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine: a kernel that runs.

    Attributes
    ----------
    name
        TensorRT's own.
    kind
        TensorRT's word: ``"correlation"``, ``"gemm"``, ``"kgen"`` (a kernel that was written for this model),
        ``"CaskConvolution"``.
    tactic
        The kernel's name; the names of generated ones list the operations that are in them.
    nodes
        Names of the ONNX nodes that are in it; where this TensorRT does not say it, the layer's own name taken apart.
    inputs, constants, outputs
        Element types: ``"int8"``, ``"fp8"``, ``"half"``, ``"bf16"``, ``"float"``, or TensorRT's word for another.
    """

    name: str
    kind: str
    tactic: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def multiplies(self) -> bool:
        """Whether the kernel convolves or multiplies matrices, as far as its kind and name say."""
        generated = self.kind.lower() in _GENERATED
        words = _MULTIPLYING_PARTS if generated else _MULTIPLYING_KINDS
        return bool(words.search((self.tactic or self.name) if generated else self.kind))

    @property
    def runs_in(self) -> str:
        """The element type that it computes on: the narrowest of what it multiplies.

        A kernel that quantises its own result reads floating point and writes INT8: it runs in floating point.
        """
        read = set(self.inputs) | set(self.constants) if self.multiplies else set(self.inputs or self.constants)
        return next((word for word in (INT8, FP8, "half", "bf16", "float") if word in read), "")


def layers_in_log(lines: Iterable[str]) -> tuple[EngineLayer, ...]:
    """Return the layers that a builder's verbose log lists; empty where it lists none.

    ``lines``: the log's messages, of which one may be many lines.
    """
    return tuple(
        _logged(found)
        for message in lines
        if message.startswith("Layers:")
        for found in map(_LOGGED.match, message.splitlines())
        if found
    )


def _logged(found: re.Match[str]) -> EngineLayer:
    types = [tuple(map(_word, _DATATYPE.findall(found[key] or ""))) for key in ("inputs", "constants", "outputs")]
    nodes = tuple(dict.fromkeys(_NODES.findall(found["metadata"])))
    return EngineLayer(found["name"], found["kind"], found["tactic"] or "", nodes, *types)


def layers_of_inspector(text: str) -> tuple[EngineLayer, ...]:
    """Return the layers of the engine inspector's JSON.

    ``text``: what ``get_engine_information`` gave. TensorRT 8.6 writes raw control characters into it. Layers without
    details (a list of names) are left out: the engine was built without ``ProfilingVerbosity.DETAILED``.
    """
    try:
        listed = json.loads(text, strict=False).get("Layers", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(_inspected(entry) for entry in listed if isinstance(entry, dict))


def _inspected(entry: dict[str, Any]) -> EngineLayer:
    name, metadata = str(entry.get("Name", "")), str(entry.get("Metadata") or "")
    nodes = _NODES.findall(metadata) if metadata else _FUSED_NAMES.split(name)
    constants = [
        _word(str(entry[key].get("Type", ""))) for key in ("Weights", "Bias") if isinstance(entry.get(key), dict)
    ]
    constants += list(_types(entry.get("Constants")))
    return EngineLayer(
        name=name,
        kind=str(entry.get("LayerType", "")),
        tactic=str(entry.get("TacticName", "")),
        nodes=tuple(dict.fromkeys(node.strip() for node in nodes if node.strip())),
        inputs=tuple(_types(entry.get("Inputs"))),
        constants=tuple(word for word in constants if word),
        outputs=tuple(_types(entry.get("Outputs"))),
    )


def _types(listed: Any) -> Iterator[str]:
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict):
            yield _word(str(entry.get("Datatype") or entry.get("Format/Datatype") or ""))


def _word(text: str) -> str:
    """Return one word for an element type: ``"int8"`` for ``"Four wide channel vectorized row major Int8 format"``."""
    return next((word for pattern, word in _TYPES if pattern.search(text)), text.strip().lower())
