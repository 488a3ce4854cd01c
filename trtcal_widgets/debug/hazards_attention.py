"""Attention masks: a huge negative constant on its way into a Softmax sets the scale of everything it is added to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.debug.hazards_facts import named
from trtcal_widgets.debug.hazards_types import Hazard
from trtcal_widgets.debug.hazards_walk import MOVING, producer, upstream
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.presentation import count_of, significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.debug.hazards_facts import Facts

__all__ = ["mask_hazards", "masked_tensors"]

_THROUGH = (MOVING - {"Gather"}) | {"Add", "Clip", "ConstantOfShape", "Max", "Min", "Mul", "Sub", "Where"}
_DEPTH = 12
_MASKING = frozenset({"Add", "Sub", "Where", "Mul", "Min", "Max"})


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
        kinds = {name: facts.graph.tensors[name].kind for name in low}
        roots = [n for n in low if kinds[n] in (TensorKind.CONSTANT, TensorKind.WEIGHT)] or low[-1:]
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
        yield Hazard(
            kind="attention-mask",
            severity="severe" if lowest <= -facts.limits.mask_value else "warning",
            basis="measured" if seen else "inferred",
            tensors=(root, *floats),
            nodes=(*nodes, *sorted(softmaxes)),
            message=f"{where}, as an attention mask does. {_consequence(facts, lowest, known.minimum)}",
            mend=(
                "Keep the masking and the Softmax in FP16 (they cost little), and quantise the MatMuls around them "
                "only; or export the model with a milder mask, just below the lowest real score."
            ),
        )


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
