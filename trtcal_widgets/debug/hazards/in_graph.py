"""Hazards of the graph: Q/DQ nodes, custom domains, squares and roots written out, masks, parts joined by a Concat."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.words import count_of, printable, significant
from trtcal_widgets.debug.hazards.facts import MOVING, named, producer, reaches_output, sources, upstream
from trtcal_widgets.debug.hazards.types import Basis, Hazard, Severity
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.debug.hazards.facts import Facts
    from trtcal_widgets.model.graph import NodeInfo

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
    tensors = tuple(name for node in quantised for name in node.outputs[:1])
    message = (
        f"The model is quantised already ({listed}). TensorRT takes its scales from these nodes, not from a "
        "calibration cache, and the values seen here are rounded ones."
    )
    mend = "Calibrate the FP32 model that it was made from, or build the engine from this one without a cache."
    return Hazard("already-quantised", "severe", "graph", tensors, _names(quantised), message, mend)


def _custom(custom: Sequence[NodeInfo]) -> Hazard:
    counts = Counter(f"{printable(node.domain)}::{printable(node.op_type)}" for node in custom)
    listed = ", ".join(f"{count} {op}" for op, count in sorted(counts.items()))
    tensors = tuple(name for node in custom for name in node.outputs if name)
    message = (
        f"{count_of(len(custom), 'node')} of other domains than ONNX's own: {listed}. What they compute is not "
        "known here, so they are left alone; TensorRT needs a plugin for each."
    )
    mend = "Check that your plugins take INT8, or give them FP16: the builder converts around them."
    return Hazard("custom-domain", "note", "graph", tensors, _names(custom), message, mend)


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
        f" The worst of these tensors, {named(worst)}, has {decibels(known[worst])} SQNR in INT8."
        if known
        else " Nothing is measured yet, so this is inferred from the graph."
    )
    severity: Severity = "warning" if lossy else "note"
    basis: Basis = "measured" if known else "inferred"
    worst_first = tuple(dict.fromkeys(sorted(tensors, key=lambda n: known.get(n, math.inf))))
    message = (
        f"{len(nodes)} {what}. A square doubles the number of bits a value needs, and an INT8 input to {part} "
        f"loses the small values first.{seen}"
    )
    mend = (
        "Keep these nodes in FP16 (TensorRT may choose that by itself; a precision constraint makes sure). "
        "Exporting with opset 17 or later keeps LayerNormalization in one node."
    )
    return Hazard("range-stretching", severity, basis, worst_first, _names(nodes), message, mend)


_THROUGH = (MOVING - {"Gather"}) | {"Add", "Clip", "ConstantOfShape", "Max", "Min", "Mul", "Sub", "Where"}
_DEPTH = 12


def masked_tensors(facts: Facts) -> dict[str, tuple[set[str], set[str]]]:
    """Return masks: constant -> (the tensors that it enters, the Softmax nodes that these reach).

    A constant is a mask where it is below -limits.mask_value and reaches a Softmax through additions, selections
    and the like. Where no constant is found (it is made inside a subgraph, or no values are at hand), a measured
    tensor on the way that is that low stands for it.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    for node in facts.graph.nodes:
        if node.op_type != "Softmax":
            continue
        path = [name for name, _ in upstream(facts.graph, node.inputs[0], _THROUGH, _DEPTH)]
        low = [name for name in path if _is_low(facts, name)]
        roots = [name for name in low if facts.graph.tensors[name].is_fixed] or low[-1:]
        for root in roots:
            entered, reached = found.setdefault(root, (set(), set()))
            entered.update(n for n in _between(facts, root, path) if n != root)
            reached.add(node.name)
    return found


def _is_low(facts: Facts, name: str) -> bool:
    known = facts.value_range(name)
    return known is not None and known.minimum <= -facts.limits.mask_value


def _between(facts: Facts, root: str, path: list[str]) -> Iterator[str]:
    """Yield the tensors of ``path`` that lie downstream of ``root``."""
    reached = {root}
    for name in reversed(path):  # farthest from the Softmax first; a second round is not needed for trees of masks
        node = producer(facts.graph, name)
        if node is not None and reached.intersection(node.inputs):
            reached.add(name)
            yield name


def mask_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield one hazard per mask."""
    for root, (entered, softmaxes) in masked_tensors(facts).items():
        floats = [n for n in facts.graph.tensors if n in entered and facts.graph.tensors[n].is_float]
        known = facts.value_range(root)
        assert known is not None
        seen = [facts.rows[n] for n in floats if n in facts.rows]
        lowest = min((_lowest(facts, row.name) for row in seen), default=math.nan)
        nodes = dict.fromkeys(node.name for n in floats if (node := producer(facts.graph, n)) is not None)
        reached = count_of(len(softmaxes), "Softmax", "Softmax nodes")
        where = f"{named(root)} is {significant(known.minimum)} and reaches {reached}"
        severity: Severity = "severe" if lowest <= -facts.limits.mask_value else "warning"
        basis: Basis = "measured" if seen else "inferred"
        involved = (*nodes, *sorted(softmaxes))
        message = f"{where}, as an attention mask does. {_consequence(facts, lowest, known.minimum)}"
        mend = (
            "Keep the masking and the Softmax in FP16 (they cost little), and quantise the MatMuls around them "
            "only; or export the model with a milder mask, just below the lowest real score."
        )
        yield Hazard("attention-mask", severity, basis, (root, *floats), involved, message, mend)


def _lowest(facts: Facts, name: str) -> float:
    known = facts.value_range(name)
    return math.nan if known is None else known.minimum


def _consequence(facts: Facts, lowest: float, mask: float) -> str:
    if math.isnan(lowest):
        return (
            "Where it is used, it sets the range of the masked scores, and the real scores round to 0. Nothing is "
            "measured yet, so this is inferred."
        )
    if lowest == -math.inf:
        return (
            "The masked tensors hold -inf in these batches. TensorRT's handling of infinities in calibration is not "
            "documented: the thresholds here leave them out, and in INT8 they become the lowest level, which is then "
            "a score like others."
        )
    if lowest <= -facts.limits.mask_value:
        step = min(-lowest, 3.4e38) / 127
        return (
            f"In these batches the masked tensors go down to {significant(lowest)}: if that sets the range, a step "
            f"is {significant(step)}, and every real score (usually below 100) rounds to 0."
        )
    return (
        f"But these batches never used it (the masked tensors go down to {significant(lowest)} only: no sample is "
        f"padded?), so the threshold does not know it. A padded input would clip {significant(mask)} to about "
        "that, and the padding would be attended to."
    )


_BOUNDED = frozenset({"HardSigmoid", "Sigmoid", "Softmax"})
_ARITHMETIC = frozenset({"Add", "Div", "Exp", "Mul", "Pow", "Sub"})

_MEND = (
    "Give the parts outputs of their own (cut the model before this Concat and join them after INT8), bring them "
    "to one size first (boxes divided by the image size), or keep this Concat and what follows it in FP16."
)


def concat_hazards(facts: Facts) -> Iterator[Hazard]:
    """Yield a hazard for every Concat whose inputs differ much in range; by graph pattern where none is measured."""
    for node in facts.graph.nodes:
        if node.op_type != "Concat":
            continue
        # A constant's own scale does not suffer when TensorRT folds it; a tensor of zeros has nothing to lose.
        moving = [n for n in dict.fromkeys(node.inputs) if _is_activation(facts, n)]
        sizes = {n: facts.rows[n].minmax_amax for n in moving if n in facts.rows}
        if len(sizes) == len(moving) > 1:
            yield from _measured(facts, node, {n: size for n, size in sizes.items() if 0 < size < math.inf})
        elif len(moving) > 1:
            yield from _pattern(facts, node, moving)


def _is_activation(facts: Facts, name: str) -> bool:
    tensor = facts.graph.tensors.get(name)
    return tensor is not None and tensor.is_float and not tensor.is_fixed


def _measured(facts: Facts, node: NodeInfo, sizes: dict[str, float]) -> Iterator[Hazard]:
    if not sizes:
        return
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    ratio = sizes[largest] / sizes[smallest]
    if ratio <= facts.limits.concat_ratio:
        return
    step = sizes[largest] / 127
    levels = sizes[smallest] / step
    fate = (
        f"every value of {named(smallest)} rounds to 0"
        if levels < 0.5
        else f"{named(smallest)} keeps {round(levels)} of 127 levels of either sign"
    )
    severity: Severity = "severe" if levels < 0.5 else "warning"
    tensors = (smallest, largest, *(n for n in sizes if n not in (smallest, largest)), node.outputs[0])
    message = (
        f"{named(node.name)} joins {named(largest)}, up to {significant(sizes[largest])}, with "
        f"{named(smallest)}, up to {significant(sizes[smallest])}: {significant(ratio)} times smaller. In the "
        f"joined tensor, which has one scale, a step is {significant(step)} or so, and {fate}."
    )
    yield Hazard("concat-ranges", severity, "measured", tensors, (node.name,), message, _MEND)


def _pattern(facts: Facts, node: NodeInfo, moving: list[str]) -> Iterator[Hazard]:
    """Find detection heads: outputs between 0 and 1 beside the results of arithmetic, on their way out of the model."""
    made_by = {n: {source.op_type for source in sources(facts.graph, n)} for n in moving}
    bounded = [n for n in moving if made_by[n] and made_by[n] <= _BOUNDED]
    computed = [n for n in moving if made_by[n] and made_by[n] <= _ARITHMETIC]
    if bounded and computed and reaches_output(facts.graph, node.outputs[0]):
        tensors = (bounded[0], computed[0], node.outputs[0])
        message = (
            f"{named(node.name)} joins {named(bounded[0])}, which lies between 0 and 1, with "
            f"{named(computed[0])}, which is computed by {', '.join(sorted(made_by[computed[0]]))} and may be "
            "pixels, and the result leaves the model: the pattern of a detection head with boxes and scores in "
            "one tensor. If the boxes go up to 640, one scale rounds every score to 0."
        )
        yield Hazard("concat-ranges", "warning", "inferred", tensors, (node.name,), message, _MEND)
