"""Hazards that the graph shows by itself: Q/DQ nodes, custom domains, squares and roots written out."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from trtcal_widgets.debug.hazards_facts import named
from trtcal_widgets.debug.hazards_types import Hazard
from trtcal_widgets.debug.hazards_walk import MOVING, sources
from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.presentation import count_of, printable, significant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.debug.hazards_facts import Facts
    from trtcal_widgets.model.graph import NodeInfo

__all__ = ["graph_hazards"]

_QDQ = frozenset({"DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"})


def graph_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield what the graph shows by itself."""
    nodes = facts.graph.nodes
    quantised = [n for n in nodes if n.op_type in _QDQ or n.op_type.startswith(("QLinear", "ConvInteger", "MatMulI"))]
    if quantised:
        yield _already(quantised)
    custom = [n for n in nodes if not is_default_domain(n.domain)]
    if custom:
        yield _custom(custom)
    yield from _chains(facts)


def _names(nodes: Sequence[NodeInfo]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _already(quantised: Sequence[NodeInfo]) -> Hazard:
    counts = Counter(node.op_type for node in quantised)
    listed = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()))
    return Hazard(
        kind="already-quantised",
        severity="severe",
        basis="graph",
        tensors=tuple(name for node in quantised for name in node.outputs[:1]),
        nodes=_names(quantised),
        message=(
            f"The model is quantised already ({listed}). TensorRT takes its scales from these nodes, not from a "
            "calibration cache, and the values seen here are rounded ones."
        ),
        mend="Calibrate the FP32 model that it was made from, or build the engine from this one without a cache.",
    )


def _custom(custom: Sequence[NodeInfo]) -> Hazard:
    counts = Counter(f"{printable(node.domain)}::{printable(node.op_type)}" for node in custom)
    listed = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()))
    return Hazard(
        kind="custom-domain",
        severity="note",
        basis="graph",
        tensors=tuple(name for node in custom for name in node.outputs if name),
        nodes=_names(custom),
        message=(
            f"{count_of(len(custom), 'node')} of other domains than ONNX's own: {listed}. What they compute is not "
            "known here, so they are left alone; TensorRT needs a plugin for each."
        ),
        mend="Check that your plugins take INT8, or give them FP16: the builder converts around them.",
    )


def _chains(facts: Facts) -> Iterator[Hazard]:
    """Squares, roots and exponentials: they stretch a range, so that 8 bits hold little of it."""
    made = {node.outputs[0]: node for node in facts.graph.nodes if node.outputs}
    squares = [n for n in facts.graph.nodes if n.op_type == "Sqrt" and _is_variance(facts, n)]
    if squares:
        yield _chain(facts, squares, "normalisations written out (mean of squares, then Sqrt)", "the squares")
    exps = [n for n in facts.graph.nodes if n.op_type in ("Exp", "Pow", "Reciprocal", "Log") and n.outputs[0] in made]
    loose = [n for n in exps if not _inside(facts, n)]
    if loose:
        listed = ", ".join(f"{c} {op}" for op, c in sorted(Counter(n.op_type for n in loose).items()))
        yield _chain(facts, loose, f"operators that stretch the range ({listed})", "them")


def _is_variance(facts: Facts, node: NodeInfo) -> bool:
    """Whether a Sqrt takes (a sum with) a mean, as a written-out LayerNorm or RMSNorm does."""
    near = [made for made in sources(facts.graph, node.inputs[0]) if made.op_type in ("Add", "ReduceMean")]
    return any(
        made.op_type == "ReduceMean" or any(s.op_type == "ReduceMean" for n in made.inputs for s in _from(facts, n))
        for made in near
    )


def _from(facts: Facts, name: str) -> list[NodeInfo]:
    return list(sources(facts.graph, name)) if name in facts.graph.tensors else []


def _inside(facts: Facts, node: NodeInfo) -> bool:
    """Whether a Pow only feeds a mean: then it is part of a normalisation, which is reported as a whole."""
    tensor = facts.graph.tensors.get(node.outputs[0])
    readers = [facts.graph.nodes[i] for i in (tensor.consumers if tensor else ())]
    return node.op_type == "Pow" and bool(readers) and all(r.op_type in MOVING | {"ReduceMean"} for r in readers)


def _chain(facts: Facts, nodes: Sequence[NodeInfo], what: str, part: str) -> Hazard:
    tensors = [n for node in nodes for n in (*node.inputs[:1], *node.outputs[:1]) if n in facts.graph.tensors]
    sqnr = {n: facts.rows[n].sqnr_db for n in tensors if n in facts.rows}
    known = {n: v for n, v in sqnr.items() if math.isfinite(v)}
    worst = min(known, key=known.__getitem__, default="")
    lossy = bool(known) and known[worst] < facts.limits.poor_sqnr_db
    seen = (
        f" The worst of these tensors, {named(worst)}, has {significant(known[worst])} dB SQNR in INT8."
        if known
        else " Nothing is measured yet, so this is inferred from the graph."
    )
    return Hazard(
        kind="range-stretching",
        severity="warning" if lossy else "note",
        basis="measured" if known else "inferred",
        tensors=tuple(dict.fromkeys(sorted(tensors, key=lambda n: known.get(n, math.inf)))),
        nodes=_names(nodes),
        message=(
            f"{len(nodes)} {what}. A square doubles the number of bits a value needs, and an INT8 input to {part} "
            f"loses the small values first.{seen}"
        ),
        mend=(
            "Keep these nodes in FP16 (TensorRT may choose that by itself; a precision constraint makes sure). "
            "Exporting with opset 17 or later keeps LayerNormalization in one node."
        ),
    )
