"""A measuring device whose numbers are an H100's: LeNet's layers as TensorRT 8.6.0's profiler timed them.

A variant takes as long as its layers: those whose inputs are dequantised as long as in the recorded explicit engine,
the others as long as in the recorded FP16 or FP32 engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from trtcal_widgets.model.engine.inspector import InspectedLayer
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.trt.measuring.device import Measured
from trtcal_widgets.trt.measuring.layers import LayerTime, name_layers

if TYPE_CHECKING:
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.measuring.device import Variant

RECORDED = json.loads((Path(__file__).parent / "lenet_h100.json").read_text())
RAN_IN_INT8 = ("conv2",)
"""What the recorded implicit engine ran in INT8."""


class RecordedDevice:
    """Deterministic; counts what it is asked, and may fail or be interrupted at the n-th time."""

    name = RECORDED["device"]
    kinds = frozenset({"fp32", "fp16", "implicit", "explicit"})

    def __init__(self) -> None:
        self.asked: list[str] = []

    def measure(self, variant: Variant, graph: ModelGraph) -> Measured:
        self.asked.append(variant.kind)
        if variant.kind != "explicit":
            layers = self.layers(variant.kind, graph)
            ran = RAN_IN_INT8 if variant.kind == "implicit" else ()
        else:
            ran = quantised_nodes(variant.model)
            narrow = self.layers("explicit", graph)
            wide = self.layers("fp16" if variant.half else "fp32", graph)
            layers = [t for t in narrow if set(t.nodes) & set(ran)] + [t for t in wide if not set(t.nodes) & set(ran)]
        precisions = {node: "int8" if node in ran else "fp16" for time in layers for node in time.nodes}
        return Measured(sum(time.ms for time in layers), tuple(layers), LayerPrecisions(precisions))

    @staticmethod
    def layers(kind: str, graph: ModelGraph) -> list[LayerTime]:
        times = RECORDED["engines"][kind]["layers"]
        return list(name_layers([InspectedLayer(name, "", (), ()) for name in times], times, graph))


def quantised_nodes(path: Path) -> tuple[str, ...]:
    """Return the nodes of a Q/DQ model that read dequantised values."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    made = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    return tuple(node.name for node in nodes if node.op_type != "QuantizeLinear" and made & set(node.input))
