"""Carried scales against what the new graph itself says about its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import significant
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trtcal_widgets.model.graph import NodeInfo
    from trtcal_widgets.model.load import OnnxModel

_AT_MOST_ONE = frozenset({"HardSigmoid", "Sigmoid", "Softmax", "Tanh", "Sin", "Cos", "Erf"})
_ROOM = 2.0
"""TensorRT's thresholds lie below twice the largest value: its range doubles."""

_FAR = 4.0
"""How far a ratio of two thresholds may be from the scalar between them: both may clip, by other shares."""


def contradictions(model: OnnxModel, amax: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield the tensors whose threshold cannot be theirs, and why.

    ``amax``: tensor -> carried threshold, in the tensor's unit.
    """
    for node in model.graph.nodes:
        if not is_default_domain(node.domain):
            continue
        for name in filter(None, node.outputs):
            limit = _limit(model, node)
            if limit is not None and name in amax and amax[name] > _ROOM * limit:
                yield (
                    name,
                    (
                        f"its amax {significant(amax[name])} is not one of {name!r}, which {node.op_type} keeps below "
                        f"{significant(limit)} in the new model"
                    ),
                )
            factor, read = _factor(model, node)
            if factor and name in amax and read in amax and amax[read] > 0:
                ratio = amax[name] / (amax[read] * factor)
                if not 1 / _FAR < ratio < _FAR:
                    yield (
                        name,
                        (
                            f"{name!r} is {significant(factor)} times {read!r} in the new model, and the thresholds "
                            f"{significant(amax[name])} and {significant(amax[read])} are not: preprocessing moved, "
                            "or they are other tensors"
                        ),
                    )


def _limit(model: OnnxModel, node: NodeInfo) -> float | None:
    """Return the largest |value| that an operator can give; None where it has no limit that is known."""
    if node.op_type in _AT_MOST_ONE:
        return 1.0
    if node.op_type != "Clip" or len(node.inputs) < 3:
        return None
    ends = [_scalar(model, name) for name in node.inputs[1:3]]
    return None if None in ends else max(abs(end) for end in ends if end is not None)


def _factor(model: OnnxModel, node: NodeInfo) -> tuple[float, str]:
    """Return by how much a node scales what it reads, and what that is; 0 where it does something else."""
    if node.op_type not in ("Mul", "Div") or len(node.inputs) != 2:
        return 0.0, ""
    for position in (1,) if node.op_type == "Div" else (0, 1):
        value = _scalar(model, node.inputs[position])
        if value:
            return abs(1.0 / value if node.op_type == "Div" else value), node.inputs[1 - position]
    return 0.0, ""


def _scalar(model: OnnxModel, name: str) -> float | None:
    """Return a stored constant of one number."""
    tensor: Any = model.graph.tensors.get(name)
    if tensor is None or not tensor.is_fixed or name not in model.constants:
        return None
    if tensor.shape is None or int(np.prod([dim if isinstance(dim, int) else 0 for dim in tensor.shape])) != 1:
        return None
    return float(np.asarray(model.constants.read(name)).reshape(-1)[0])
