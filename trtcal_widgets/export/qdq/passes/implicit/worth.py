"""What INT8 must save to pay for a pass that quantises: the stated cost of one, from layers timed on an H100.

TensorRT 8.6.0, PP-OCR classifier, recognition and detection, batch 1 to 4, LeNet, batch 32, by TensorRT's profiler
(``benchmarks/placements.py``): a copy that quantises or rearranges takes 4.4 microseconds at least and about 5 where
the tensor is small; a layer, 4.5 plus its work. FP32 convolutions of 220 million multiplications took 29 microseconds,
INT8 ones 13: 8.8 and 26 million in a microsecond, so that 66 million multiplications save the 5 microseconds of one
pass. A layer whose weights are read once and multiplied by little waits for memory: three bytes a weight less, at the
3.35 TB/s of that GPU's data sheet, are 5 microseconds for 5.6 million weights.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo

_PASS_MICROSECONDS = 5.0
_MILLIONS_FP32, _MILLIONS_INT8 = 8.8, 26.0
_BYTES_SAVED, _BYTES_IN_A_MICROSECOND = 3, 3.35e6

WORTH_MULTIPLICATIONS = int(1e6 * _PASS_MICROSECONDS / (1 / _MILLIONS_FP32 - 1 / _MILLIONS_INT8))
WORTH_WEIGHTS = int(_PASS_MICROSECONDS * _BYTES_IN_A_MICROSECOND / _BYTES_SAVED)


def pays_for_a_pass(graph: ModelGraph, node: NodeInfo) -> bool:
    """Whether a layer saves what one pass costs. Dimensions that the graph leaves open count as 1."""
    weights = prod(_known(_weight(graph, node)))
    return weights >= WORTH_WEIGHTS or multiplications(graph, node) >= WORTH_MULTIPLICATIONS


def multiplications(graph: ModelGraph, node: NodeInfo) -> int:
    """Return how often a layer multiplies. Dimensions that the graph leaves open count as 1."""
    weight, made = _known(_weight(graph, node)), _known(graph.tensors[node.outputs[0]].shape or ())
    if not weight or not made:
        return 0
    channels = made[1] if node.op_type == "Conv" and len(made) > 1 else made[-1]
    return prod(made) * prod(weight) // max(1, channels)


def _weight(graph: ModelGraph, node: NodeInfo) -> tuple[object, ...]:
    return next((graph.tensors[n].shape for n in node.inputs[:2] if n and graph.tensors[n].is_fixed), None) or ()


def _known(shape: tuple[object, ...]) -> list[int]:
    return [size if isinstance(size, int) else 1 for size in shape]
