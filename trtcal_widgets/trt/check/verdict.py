"""From the engine's layers to what became of each quantised layer and each pair of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.trt.check.layers import FP8, INT8
from trtcal_widgets.trt.check.report import LayerVerdict, PairVerdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trtcal_widgets.model.explicit.pairs import QdqPair
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.check.layers import EngineLayer
    from trtcal_widgets.trt.check.report import Fate

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_WANTED = {"int8": INT8, "uint8": INT8, "float8_e4m3fn": FP8}
_NARROW = frozenset({INT8, FP8})


def layer_verdicts(
    graph: ModelGraph, pairs: Sequence[QdqPair], layers: Sequence[EngineLayer]
) -> tuple[LayerVerdict, ...]:
    """Say of each layer with weights or two operands that reads through pairs what its kernel computes in.

    A node may be in several kernels: the one that multiplies counts; what comes after only finishes its work.
    """
    wanted = _wanted(pairs)
    quantizers = {name for pair in pairs for name in (*pair.quantize, *pair.dequantize)}
    homes = _homes(layers)
    found = []
    for node in graph.nodes:
        if node.op_type not in _WEIGHTED or not is_default_domain(node.domain) or node.name not in wanted:
            continue
        own = homes.get(node.name, [])
        first = own[0] if own else None
        kernel = next((one for one in own if one.multiplies), first)
        fused = dict.fromkeys(name for one in own for name in one.nodes if name != node.name and name not in quantizers)
        found.append(
            LayerVerdict(
                node=node.name,
                op_type=node.op_type,
                wanted=wanted[node.name],
                runs_in=kernel.runs_in if kernel else "",
                layer=kernel.name if kernel else "",
                kind=kernel.kind if kernel else "",
                fused=tuple(fused),
            )
        )
    return tuple(found)


def _wanted(pairs: Iterable[QdqPair]) -> dict[str, str]:
    """Return node name -> what its first two inputs are quantised to, where both are."""
    reads: dict[str, dict[int, str]] = {}
    for pair in pairs:
        for name, _, position in pair.readers:
            reads.setdefault(name, {})[position] = _WANTED.get(pair.dtype, "")
    return {name: own[0] for name, own in reads.items() if own.get(0) and own.get(0) == own.get(1)}


def _homes(layers: Iterable[EngineLayer]) -> Mapping[str, list[EngineLayer]]:
    homes: dict[str, list[EngineLayer]] = {}
    for kernel in layers:
        for name in kernel.nodes:
            homes.setdefault(name, []).append(kernel)
    return homes


def pair_verdicts(pairs: Sequence[QdqPair], layers: Sequence[EngineLayer]) -> tuple[PairVerdict, ...]:
    """Say of each activation's pair whether anything is stored or computed in fewer bits because of it."""
    homes = _homes(layers)
    quantizers = {name for pair in pairs for name in (*pair.quantize, *pair.dequantize)}
    return tuple(
        PairVerdict(
            pair.tensor, _fate(pair, homes, quantizers), tuple(dict.fromkeys(name for name, *_ in pair.readers))
        )
        for pair in pairs
        if not pair.is_constant and pair.quantize
    )


def _fate(pair: QdqPair, homes: Mapping[str, list[EngineLayer]], quantizers: set[str]) -> Fate:
    writes = [kernel for name in pair.quantize for kernel in homes.get(name, [])]
    reads = [kernel for name in pair.dequantize for kernel in homes.get(name, [])]
    if not writes and not reads:
        return "gone"
    if any(kernel.multiplies and kernel.runs_in in _NARROW for kernel in writes):
        return "inside"
    storing = [kernel for kernel in writes if _NARROW.intersection(kernel.outputs)]
    if not storing:
        # The quantised values may be what an earlier kernel stored for the same tensor.
        return "stored" if any(_NARROW.intersection(kernel.inputs) for kernel in reads) else "rounds-only"
    if all(set(kernel.nodes) <= quantizers for kernel in storing):
        return "own-kernel"
    return "stored"
