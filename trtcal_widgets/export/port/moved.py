"""Inputs that some of their readers say were shifted or scaled, and others that they were not.

Where preprocessing moves into a model, every layer that reads the input takes it up: in its bias, or in its weights.
Where one of them does and another one reads the same tensor as before, the two models compute something else behind
one of the two, and nothing tells behind which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trtcal_widgets.common.words import shown_name
from trtcal_widgets.export.port.weights import Identity, is_near, is_scaled, is_shifted, same_bias, same_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trtcal_widgets.export.port.graph import Side, Step


class _Reading(NamedTuple):
    """A step that reads a tensor, and its layer in the old model; None for one that has no weights."""

    step: Step
    layer: tuple[Identity, Identity] | None
    kind: str


def contradicted(old: Side, new: Side, found: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield inputs of the new model of which their readers say different things, what follows from them, and why.

    What follows is told as far as the readers' own results.

    ``found``: new tensor -> (old tensor, how), as they are matched.
    """
    inputs = {tensor.name for tensor in old.model.graph.inputs}
    theirs: dict[tuple[str, str], list[Step]] = {}
    for step in old.steps:
        if step.weights is not None and step.inputs[0] in old.prepared:
            theirs.setdefault((step.op, step.key), []).append(step)
    restored = {name for name, (partner, _) in found.items() if partner in inputs}
    for tensor in new.model.graph.inputs:
        if tensor.name in restored:
            continue
        prepared = _prepared(new, tensor.name, restored)
        readings = [one for name in prepared for one in _readings(theirs, new, name)]
        moved = [one for one in readings if one.kind in ("shifted", "scaled")]
        others = [one for one in readings if one.kind not in ("shifted", "scaled", "unknown")]
        plain = any(one.layer is None for one in others)
        changed = next((one for one in others if one.kind == "changed"), None)
        if changed is not None:
            yield from _follows(changed, old)
            continue
        if not moved or (not plain and _agree([*moved, *others])):
            continue
        shown, first = shown_name(tensor.name), shown_name(moved[0].step.outputs[0])
        against = next((one for one in others), moved[-1])
        what = "shift" if moved[0].kind == "shifted" else "scaling"
        why = (
            f"the layer of {first!r} has taken up a {what} of the input {shown!r}, and what makes "
            f"{shown_name(against.step.outputs[0])!r} reads it otherwise: what follows from {shown!r} is not the same"
        )
        yield from ((name, why) for name in prepared)
        yield from ((name, why) for one in readings for name in one.step.outputs)


def _follows(changed: _Reading, old: Side) -> Iterator[tuple[str, str]]:
    """Yield the result of a layer whose weights are those of an old one, scaled, and whose bias is not."""
    made = shown_name(changed.step.outputs[0])
    why = (
        f"the layer of {made!r} has the weights of {old.model.graph.name} times a factor and another bias, which no "
        "scale and mean of the input explain"
    )
    yield from ((name, why) for name in changed.step.outputs)


def other_functions(old: Side, new: Side, found: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the tensors that another activation function makes of the same tensor in the new model, and why."""
    makers = {step.outputs[0]: step for step in old.steps if step.op in _FUNCTIONS}
    for step in new.steps:
        like = makers.get(found.get(step.outputs[0], ("", ""))[0])
        if step.op not in _FUNCTIONS or like is None or (step.op, step.key) == (like.op, like.key):
            continue
        what = f"{like.op} in one and {step.op} in the other" if like.op != step.op else f"{step.op} of another kind"
        yield step.outputs[0], f"{shown_name(step.outputs[0])!r} is made by another function: {what}"


_FUNCTIONS = frozenset(
    {
        "Abs", "Celu", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Relu",
        "Selu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
"""Functions of one tensor, none of which an exporter writes as another one."""


def _prepared(new: Side, name: str, restored: set[str]) -> list[str]:
    """Return an input and what is made of it before the first layer, as far as it is not an input of the old model."""
    found = [name]
    for tensor in found:
        for step in new.readers.get(tensor, ()):
            if step.weights is None and step.op not in _SHAPES and new.prepared.issuperset(step.outputs):
                found += [one for one in step.outputs if one not in found and one not in restored]
    return found


_SHAPES = ("Shape", "Size")


def _readings(theirs: Mapping[tuple[str, str], list[Step]], new: Side, name: str) -> Iterator[_Reading]:
    """Yield what reads a tensor, but for steps that only prepare it on."""
    for step in new.readers.get(name, ()):
        if step.weights is not None:
            yield _of_layer(theirs.get((step.op, step.key), ()), step)
        elif step.op not in _SHAPES and not new.prepared.issuperset(step.outputs):
            yield _Reading(step, None, "plain")


def _of_layer(theirs: Iterable[Step], step: Step) -> _Reading:
    """Compare a layer with the layers of the old model that read what is prepared of an input."""
    best = _Reading(step, None, "unknown")
    for one in theirs:
        if one.weights is None or step.weights is None:
            continue
        pair = one.weights, step.weights
        if same_weights(*pair):
            if same_bias(*pair):
                return _Reading(step, pair, "alike")
            if is_shifted(*pair) or _is_undetermined(*pair):
                best = _Reading(step, pair, "shifted")
        elif is_scaled(*pair) and best.kind == "unknown":
            best = _Reading(step, pair, "scaled" if _is_shift_at_most(*pair) else "changed")
    return best


def _is_shift_at_most(one: Identity, other: Identity) -> bool:
    """Whether a scale, and a mean that is subtracted before it, explain the bias of a layer with scaled weights."""
    responses, moved = other.responses.astype(np.float64), (other.bias - one.bias).astype(np.float64)
    mean = np.linalg.lstsq(responses, moved, rcond=None)[0]
    return is_near(responses @ mean, moved, float(np.abs([one.bias, other.bias]).max(initial=0.0)))


def _is_undetermined(one: Identity, other: Identity) -> bool:
    """Whether there are so few outputs that a shift explains any difference of the biases."""
    return one.responses.shape[0] == one.bias.size <= one.responses.shape[1] and one.op == other.op


def _agree(readings: list[_Reading]) -> bool:
    """Whether one shift, or one scale, of the input explains all layers that read it."""
    pairs = [one.layer for one in readings if one.layer is not None]
    kinds = {one.kind for one in readings}
    if "scaled" in kinds:
        factors = [_factors(*pair) for pair in pairs]
        return all(is_near(one, factors[0], float(np.abs(factors[0]).max())) for one in factors)
    widths = {one.responses.shape[1] for one, _ in pairs}
    responses = [one.responses if len(widths) == 1 else one.responses.sum(axis=1, keepdims=True) for one, _ in pairs]
    if not pairs:
        return True
    stacked = np.concatenate(responses).astype(np.float64)
    differences = np.concatenate([other.bias - one.bias for one, other in pairs]).astype(np.float64)
    mean = np.linalg.lstsq(stacked, differences, rcond=None)[0]
    size = max(float(np.abs(identity.bias).max(initial=identity.size)) for pair in pairs for identity in pair)
    return is_near(stacked @ mean, differences, size)


def _factors(one: Identity, other: Identity) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    a, b = one.responses.astype(np.float64), other.responses.astype(np.float64)
    with np.errstate(all="ignore"):
        return np.asarray((a * b).sum(axis=0) / (a * a).sum(axis=0))
