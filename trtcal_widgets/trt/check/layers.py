"""Layers of a built engine, as the builder or the engine inspector describes them: what runs in which element type.

Two texts are read. TensorRT's engine inspector gives JSON, for which the engine must be loaded, and that needs a GPU.
TensorRT for RTX writes the same list into its verbose log when it has built, also on a machine without a GPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.errors import EngineError
from trtcal_widgets.model.engine.inspector import read_inspector
from trtcal_widgets.model.engine.precisions import match_layers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.model.graph import ModelGraph

INT8, FP8 = "int8", "fp8"

_WORDS = {"Int8": INT8, "FP8": FP8, "Half": "fp16", "BF16": "bf16", "BFloat16": "bf16", "Float": "fp32"}
"""Element types in the log -> one word for each, the narrow ones first; others are written in lower case."""

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
        Element types: ``"int8"``, ``"fp8"``, ``"fp16"``, ``"bf16"``, ``"fp32"``, or TensorRT's word for another.
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
        return next((word for word in dict.fromkeys(_WORDS.values()) if word in read), "")


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
    types = [
        tuple(_WORDS.get(word.strip(), word.strip().lower()) for word in _DATATYPE.findall(found[key] or ""))
        for key in ("inputs", "constants", "outputs")
    ]
    nodes = tuple(dict.fromkeys(_NODES.findall(found["metadata"])))
    return EngineLayer(found["name"], found["kind"], found["tactic"] or "", nodes, *types)


def layers_of_inspector(text: str, graph: ModelGraph) -> tuple[EngineLayer, ...]:
    """Return the layers of the engine inspector's JSON; empty where it has no details.

    ``text``: what ``get_engine_information`` gave. ``graph``: the model, whose nodes the layers are matched with.
    """
    try:
        listed = read_inspector(text)
    except EngineError:
        return ()
    return tuple(
        EngineLayer(
            name=one.name,
            kind=one.kind,
            tactic=one.tactic,
            nodes=tuple(node.name for node in nodes),
            inputs=tuple(tensor.stored for tensor in one.inputs),
            constants=(one.weights,) if one.weights else (),
            outputs=tuple(tensor.stored for tensor in one.outputs),
        )
        for one, nodes in zip(listed, match_layers(listed, graph), strict=True)
    )
