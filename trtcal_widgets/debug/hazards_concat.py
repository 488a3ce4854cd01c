"""Tensors of different size in one Concat: with one scale for all, the small one keeps few levels or none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trtcal_widgets.debug.hazards_facts import named
from trtcal_widgets.debug.hazards_types import Hazard
from trtcal_widgets.debug.hazards_walk import reaches_output, sources
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.presentation import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.debug.hazards_facts import Facts
    from trtcal_widgets.model.graph import NodeInfo

__all__ = ["concat_hazards"]

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
    return tensor is not None and tensor.is_float and tensor.kind in (TensorKind.ACTIVATION, TensorKind.INPUT)


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
    yield Hazard(
        kind="concat-ranges",
        severity="severe" if levels < 0.5 else "warning",
        basis="measured",
        tensors=(smallest, largest, *(n for n in sizes if n not in (smallest, largest)), node.outputs[0]),
        nodes=(node.name,),
        message=(
            f"{named(node.name)} joins {named(largest)}, up to {significant(sizes[largest])}, with "
            f"{named(smallest)}, up to {significant(sizes[smallest])}: {significant(ratio)} times smaller. In the "
            f"joined tensor, which has one scale, a step is {significant(step)} or so, and {fate}."
        ),
        mend=_MEND,
    )


def _pattern(facts: Facts, node: NodeInfo, moving: list[str]) -> Iterator[Hazard]:
    """Find detection heads: outputs between 0 and 1 beside the results of arithmetic, on their way out of the model."""
    made_by = {n: {source.op_type for source in sources(facts.graph, n)} for n in moving}
    bounded = [n for n in moving if made_by[n] and made_by[n] <= _BOUNDED]
    computed = [n for n in moving if made_by[n] and made_by[n] <= _ARITHMETIC]
    if bounded and computed and reaches_output(facts.graph, node.outputs[0]):
        yield Hazard(
            kind="concat-ranges",
            severity="warning",
            basis="inferred",
            tensors=(bounded[0], computed[0], node.outputs[0]),
            nodes=(node.name,),
            message=(
                f"{named(node.name)} joins {named(bounded[0])}, which lies between 0 and 1, with "
                f"{named(computed[0])}, which is computed by {', '.join(sorted(made_by[computed[0]]))} and may be "
                "pixels, and the result leaves the model: the pattern of a detection head with boxes and scores in "
                "one tensor. If the boxes go up to 640, one scale rounds every score to 0."
            ),
            mend=_MEND,
        )
