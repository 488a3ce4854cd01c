"""Finding the tensors of one export in another, from the surest evidence to the least sure.

A tensor that is the result of the same operators with the same weights from the same inputs has the same values,
whatever its name: those come first. Layers that have the same weights up to rounding (folded normalisation) are the
next anchors; between anchors the graph's shape decides, where it leaves no choice. A name alone is no evidence:
exporters count (``p2o.Add.7``), and an input keeps its name when its preprocessing moves into the model. An input is
the same where something reads it in the same way, a tensor of the same name where a neighbour is matched to its own.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trtcal_widgets.export.port.weights import same_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trtcal_widgets.export.port.graph import Side, Step
    from trtcal_widgets.model.graph import TensorInfo

HOW = {
    "input": "an input of the model that is read in the same way",
    "exact": "the same operators with the same weights",
    "weights": "a layer with the same weights",
    "structure": "its place between matched tensors",
    "constant": "a constant of the same values",
    "shared": "it holds the values of a matched tensor",
    "name": "the same name and operator beside a matched tensor",
}
"""What each kind of match rests on, in words, surest first."""


class _Matcher:
    def __init__(self, old: Side, new: Side) -> None:
        self.old = old
        self.new = new
        self.found: dict[str, tuple[str, str]] = {}
        """New tensor -> (old tensor, how)."""
        self.used: set[str] = set()

    def add(self, old: str, new: str, how: str) -> bool:
        if new in self.found:
            return False
        self.found[new] = (old, how)
        self.used.add(old)
        return True

    def inputs(self) -> None:
        olds, news = (list(side.model.graph.inputs) for side in (self.old, self.new))
        for tensor in news:
            same = [one for one in olds if one.dtype == tensor.dtype and self._is_read_alike(one.name, tensor.name)]
            same.sort(key=lambda one: one.name != tensor.name)
            if same:
                self.add(same[0].name, tensor.name, "input")
                olds.remove(same[0])

    def inputs_left(self) -> None:
        """Match inputs for which there is no evidence, but none against it either: by name, else by type and rank."""
        olds = [one for one in self.old.model.graph.inputs if one.name not in self.used]
        for tensor in self.new.model.graph.inputs:
            like = [one for one in olds if one.dtype == tensor.dtype and _rank(one) == _rank(tensor)]
            like.sort(key=lambda one: one.name != tensor.name)
            if like and self.add(like[0].name, tensor.name, "input"):
                olds.remove(like[0])

    def _is_read_alike(self, old: str, new: str) -> bool:
        """Whether some step of either side reads the tensor with the same operator, parameters and constants."""
        return any(
            theirs.op == ours.op
            and theirs.key == ours.key
            and (theirs.constants == ours.constants or _same_layer(theirs, ours))
            and (theirs.op in _COMMUTING or theirs.inputs.index(old) == ours.inputs.index(new))
            for theirs in self.old.readers.get(old, ())
            for ours in self.new.readers.get(new, ())
        )

    def exact(self) -> bool:
        """Match what is computed alike from matched tensors: equal hashes mean equal values."""
        known = {new: old for new, (old, _) in self.found.items()}
        old_of = _forward(self.old.steps, {old: f"match {old}" for old in known.values()}, _with_constants)
        new_of = _forward(self.new.steps, {new: f"match {old}" for new, old in known.items()}, _with_constants)
        by_hash = {code: name for name, code in reversed(old_of.items())}
        before = len(self.found)
        for name, code in new_of.items():
            if code in by_hash:
                self.add(by_hash[code], name, "exact")
        return len(self.found) > before

    def weights(self) -> bool:
        """Match layers whose weights no other layer has."""
        olds = [step for step in self.old.steps if step.weights is not None and step.outputs[0] not in self.used]
        news = [step for step in self.new.steps if step.weights is not None and step.outputs[0] not in self.found]
        changed = False
        for step in news:
            alike = [one for one in olds if _same_layer(one, step)]
            if len(alike) == 1 and sum(_same_layer(alike[0], other) for other in news) == 1:
                changed |= self._steps(alike[0], step, "weights")
        return changed

    def _steps(self, old: Step, new: Step, how: str) -> bool:
        before = len(self.found)
        for a, b in zip(old.outputs, new.outputs, strict=False):
            self.add(a, b, how)
        if len(old.inputs) == len(new.inputs):
            self._inputs(old, new)
        return len(self.found) > before

    def _inputs(self, old: Step, new: Step) -> None:
        """Match what two matched steps read; the operands of a commuting operator only where one is left."""
        pairs = [
            (a, b) for a, b in zip(old.inputs, new.inputs, strict=True) if a not in self.used and b not in self.found
        ]
        if old.op in _COMMUTING and len(old.inputs) > 1:
            olds = [name for name in old.inputs if name not in self.used]
            news = [name for name in new.inputs if name not in self.found]
            pairs = [(olds[0], news[0])] if len(olds) == len(news) == 1 else []
        for a, b in pairs:
            self.add(a, b, "structure")

    def structure(self) -> bool:
        """Match steps that are alike but for their constants, where exactly one stands at either side."""
        changed = False
        for describe in (self._from_inputs, self._from_outputs):
            olds = _unique((describe(step, old=True), step) for step in self.old.steps)
            news = _unique((describe(step, old=False), step) for step in self.new.steps)
            for code, step in news.items():
                if code and code in olds and not self._is_matched(olds[code], step):
                    changed |= self._steps(olds[code], step, "structure")
        return changed

    def _is_matched(self, old: Step, new: Step) -> bool:
        return any(name in self.used for name in old.outputs) and any(name in self.found for name in new.outputs)

    def _token(self, name: str, *, old: bool) -> str:
        if old:
            return name if name in self.used else ""
        return self.found[name][0] if name in self.found else ""

    def _from_inputs(self, step: Step, *, old: bool) -> str:
        tokens = [self._token(name, old=old) for name in step.inputs]
        if not tokens or not all(tokens) or any(self._token(name, old=old) for name in step.outputs):
            return ""
        return repr((step.op, step.key, step.constants, _ordered(step, tokens)))

    def _from_outputs(self, step: Step, *, old: bool) -> str:
        tokens = [self._token(name, old=old) for name in step.outputs]
        read = [self._token(name, old=old) for name in step.inputs]
        if not all(tokens) or all(read):
            return ""
        return repr((step.op, step.key, step.constants, tokens, len(read)))

    def constants(self) -> None:
        for code, names in self.new.constants.items():
            olds = self.old.constants.get(code, [])
            for index, name in enumerate(names if olds else ()):
                self.add(olds[min(index, len(olds) - 1)], name, "constant")

    def inner(self) -> None:
        """Match what is folded into matched layers, where the same operators are."""
        layers = {step.outputs[0]: step for step in self.old.steps if step.inner}
        for step in self.new.steps:
            old, how = self.found.get(step.outputs[0], ("", ""))
            like = layers.get(old)
            if like is not None and [op for op, _ in like.inner] == [op for op, _ in step.inner]:
                for (_, a), (_, b) in zip(like.inner, step.inner, strict=True):
                    self.add(a, b, how)

    def aliases(self) -> None:
        for name in self.new.alias:
            root = self.new.root(name)
            if root in self.found:
                self.add(self.found[root][0], name, "shared")

    def names(self) -> None:
        """Match what is left by name, where the same operator makes it and a neighbour is matched to its neighbour."""
        makers = {output: step for step in self.old.steps for output in step.outputs}
        waiting = [
            (makers[output], step, output)
            for step in self.new.steps
            for output in step.outputs
            if output in makers and makers[output].op == step.op and makers[output].key == step.key
        ]
        changed = True
        while changed:
            changed = False
            for theirs, ours, name in waiting:
                if name in self.used or name in self.found or not self._are_neighbours_matched(theirs, ours, name):
                    continue
                changed |= self.add(name, name, "name")

    def _are_neighbours_matched(self, theirs: Step, ours: Step, name: str) -> bool:
        if len(theirs.inputs) != len(ours.inputs):
            return False
        partner = {new: old for new, (old, _) in self.found.items()}
        if any(partner.get(b) == a for a, b in zip(theirs.inputs, ours.inputs, strict=True)):
            return True
        made = {output for step in self.old.readers.get(name, ()) for output in step.outputs}
        return any(partner.get(out) in made for step in self.new.readers.get(name, ()) for out in step.outputs)


def match_tensors(old: Side, new: Side, *, loosely: bool = False) -> Mapping[str, tuple[str, str]]:
    """Find the tensors of the new model in the old one.

    ``loosely``: inputs are matched without evidence too. Returns new tensor -> (old tensor, key of ``HOW``). Several
    new tensors may be the same old one where the old model computes once what the new one computes twice.
    """
    matcher = _Matcher(old, new)
    matcher.inputs()
    matcher.exact()
    changed = True
    while changed:
        changed = matcher.weights()
        changed |= matcher.structure()
        changed |= matcher.exact()
    matcher.inner()
    matcher.constants()
    matcher.names()
    if loosely:
        matcher.inputs_left()
    matcher.aliases()
    return matcher.found


def _rank(tensor: TensorInfo) -> int:
    return -1 if tensor.shape is None else len(tensor.shape)


def _same_layer(one: Step, other: Step) -> bool:
    if one.weights is None or other.weights is None or one.key != other.key:
        return False
    return same_weights(one.weights, other.weights)


def _with_constants(step: Step) -> tuple[object, ...]:
    return (step.op, step.key, step.constants)


_COMMUTING = frozenset({"Add", "Mul", "Max", "Min", "Sum"})


def _ordered(step: Step, tokens: list[str]) -> list[str]:
    """Return what is read in an order that does not depend on the exporter where the operator does not either."""
    return sorted(tokens) if step.op in _COMMUTING else tokens


def _forward(
    steps: Iterable[Step], seeds: Mapping[str, str], describe: Callable[[Step], tuple[object, ...]]
) -> dict[str, str]:
    """Hash every tensor that is computed from the seeds alone; seeds themselves are left out."""
    codes = dict(seeds)
    for step in steps:
        if not step.inputs or not all(name in codes for name in step.inputs):
            continue
        read = _ordered(step, [codes[name] for name in step.inputs])
        base = repr((*describe(step), read))
        for index, name in enumerate(step.outputs):
            codes.setdefault(name, hashlib.sha1(f"{base} {index}".encode(), usedforsecurity=False).hexdigest())
    return {name: code for name, code in codes.items() if name not in seeds}


def _unique(pairs: Iterable[tuple[str, Step]]) -> dict[str, Step]:
    """Return what occurs under its text alone."""
    found: dict[str, Step | None] = {}
    for code, step in pairs:
        found[code] = step if code not in found else None
    return {code: step for code, step in found.items() if step is not None}
