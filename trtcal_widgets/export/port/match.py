"""Finding the tensors of one export in another, from the surest evidence to the least sure.

A tensor that is the result of the same operators with the same weights from the same inputs has the same values,
whatever its name: those come first. Layers that have the same weights and biases up to rounding (folded normalisation)
are the next anchors; between anchors the graph's shape decides, where it leaves no choice. A name alone is no evidence:
exporters count (``p2o.Add.7``), and an input keeps its name when its preprocessing moves into the model. An input is
the same where the first operators with numbers of their own read it in the same way, a tensor of the same name where a
neighbour is matched to its own. A layer with the same weights and another bias is another layer, or reads another
input.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.export.port.likeness import LayersByWeights
from trtcal_widgets.export.port.reading import first_values, has_numbers
from trtcal_widgets.export.port.weights import is_scaled, is_shifted, same_bias, same_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.export.port.graph import Side, Step
    from trtcal_widgets.model.graph import TensorInfo

HOW = {
    "input": "an input of the model that is read in the same way",
    "exact": "the same operators with the same weights",
    "weights": "a layer with the same weights",
    "shifted": "a layer with the same weights, whose bias has taken up a mean that was subtracted from the input",
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
        self.new_inputs = {tensor.name for tensor in new.model.graph.inputs}
        self._said: dict[tuple[str, str], set[str]] = {}

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
            like = [one for one in like if not self._is_against(one.name, tensor.name)]
            like.sort(key=lambda one: one.name != tensor.name)
            if like and self.add(like[0].name, tensor.name, "input"):
                olds.remove(like[0])

    def _is_against(self, old: str, new: str) -> bool:
        """Whether what reads the two says that they differ.

        That is: layers with the same weights and other biases; first steps with numbers of which none is the same, for
        what is near an input; or steps whose results are the same and that read the two in another way.
        """
        verdicts = self._verdicts(old, new)
        if verdicts & {"bias", "scaled"}:
            return True
        theirs, ours = list(first_values(self.old, old)), list(first_values(self.new, new))
        if old in self.old.prepared and all(has_numbers(step) for step, _ in (*theirs, *ours)):
            return "alike" not in verdicts and verdicts != {"weights"}
        made = {output: step for step, _ in theirs for output in step.outputs}
        pairs = [(made[self._partner(o)], step) for step, _ in ours for o in step.outputs if self._partner(o) in made]
        return any(_verdict(one, step) != "alike" for one, step in pairs)

    def _partner(self, new: str) -> str:
        return self.found[new][0] if new in self.found else ""

    def _is_read_alike(self, old: str, new: str) -> bool:
        """Whether the two are read by the same operators with the same constants, and nothing speaks against it."""
        verdicts = self._verdicts(old, new)
        return "alike" in verdicts and not verdicts & {"bias", "scaled"}

    def _verdicts(self, old: str, new: str) -> set[str]:
        """Return, of each step that reads the new one first, what is said of it by the one that is most like it."""
        if (old, new) in self._said:
            return self._said[old, new]
        theirs: dict[tuple[str, str, str], list[Step]] = {}
        alike: set[tuple[str, str, str, tuple[str, ...]]] = set()
        for step, way in first_values(self.old, old):
            theirs.setdefault((way, step.op, step.key), []).append(step)
            alike.add((way, step.op, step.key, step.constants))
        found = set()
        for step, way in first_values(self.new, new):
            if (way, step.op, step.key, step.constants) in alike:
                found.add("alike")  # nothing is more alike
                continue
            said = {_verdict(one, step) for one in theirs.get((way, step.op, step.key), ())}
            found.add(next((verdict for verdict in _LIKENESS if verdict in said), "other"))
        self._said[old, new] = found
        return found

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
        by_weights, ours = LayersByWeights(olds), LayersByWeights(news)
        changed = False
        for step in news:
            alike = [one for one in by_weights.near(step) if _same_layer(one, step)]
            if len(alike) == 1 and sum(_same_layer(alike[0], other) for other in ours.near(alike[0])) == 1:
                changed |= self._steps(alike[0], step, "weights")
        return changed

    def shifted(self) -> bool:
        """Match the results of layers in which one model has folded the mean that the other one subtracts outside.

        Their inputs are other ones: they are not matched.
        """
        olds = [step for step in self.old.steps if step.weights is not None and step.outputs[0] not in self.used]
        news = [step for step in self.new.steps if step.weights is not None and step.outputs[0] not in self.found]
        by_weights, ours = LayersByWeights(olds), LayersByWeights(news)
        changed = False
        for step in news:
            alike = [one for one in by_weights.near(step) if _is_shifted_layer(one, step)]
            if len(alike) != 1 or sum(_is_shifted_layer(alike[0], other) for other in ours.near(alike[0])) != 1:
                continue
            if step.inputs[0] in self.new.prepared or alike[0].inputs[0] in self.old.prepared:
                changed |= self.add(alike[0].outputs[0], step.outputs[0], "shifted")
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
            if b not in self.new_inputs or not self._is_against(a, b):
                self.add(a, b, "structure")

    def structure(self) -> bool:
        """Match steps that are alike but for their constants, where exactly one stands at either side."""
        changed = False
        for describe, backwards in ((self._from_inputs, False), (self._from_outputs, True)):
            olds = _unique((describe(step, old=True), step) for step in self.old.steps)
            news = _unique((describe(step, old=False), step) for step in self.new.steps)
            for code, step in news.items():
                if code and code in olds and (backwards or not self._is_matched(olds[code], step)):
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
            if (
                like is None
                or not _same_layer(like, step)
                or [one.op for one in like.inner] != [one.op for one in step.inner]
            ):
                continue
            for a, b in zip(like.inner, step.inner, strict=True):
                if _near(a.gain, b.gain) and _near(a.bias, b.bias):
                    self.add(a.tensor, b.tensor, how)

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
            if output in makers and _verdict(makers[output], step) in ("alike", "constants")
        ]
        changed = True
        while changed:
            changed = False
            for theirs, ours, name in waiting:
                if name in self.used or name in self.found or not self._are_neighbours_matched(theirs, ours, name):
                    continue
                if not self._is_against(name, name):
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
        changed = changed or matcher.shifted()
    matcher.inner()
    matcher.constants()
    matcher.names()
    if loosely:
        matcher.inputs_left()
    matcher.aliases()
    return matcher.found


def other_biases(old: Side, new: Side, found: Mapping[str, tuple[str, str]]) -> Iterator[tuple[Step, str, float]]:
    """Yield the layers of the new model that give something else than those which they were matched to.

    They have the same weights and another bias, which no mean of the input explains. With the old result, and by how
    much the results differ.
    """
    makers = {step.outputs[0]: step for step in old.steps if step.weights is not None}
    for step in new.steps:
        name = found.get(step.outputs[0], ("", ""))[0]
        like = makers.get(name)
        if like is None or like.weights is None or step.weights is None or _verdict(like, step) != "bias":
            continue
        if not _is_shifted_layer(like, step):
            yield step, name, float(np.abs(like.weights.bias - step.weights.bias).max())


def _rank(tensor: TensorInfo) -> int:
    return -1 if tensor.shape is None else len(tensor.shape)


def _same_layer(one: Step, other: Step) -> bool:
    if one.weights is None or other.weights is None or one.key != other.key:
        return False
    return same_weights(one.weights, other.weights) and same_bias(one.weights, other.weights)


def _is_shifted_layer(one: Step, other: Step) -> bool:
    if one.weights is None or other.weights is None or one.key != other.key:
        return False
    if "'pads'" in one.key or "'auto_pad'" in one.key:  # a border of zeros is not shifted with the rest
        return False
    return same_weights(one.weights, other.weights) and is_shifted(one.weights, other.weights)


def _verdict(one: Step, other: Step) -> str:
    """Return whether two steps do the same: ``"alike"``, ``"other"``, or what alone differs.

    For layers that is the ``"bias"``, a factor of the weights (``"scaled"``), or the ``"weights"`` altogether; for
    steps without weights their ``"constants"``.
    """
    if one.op != other.op or one.key != other.key:
        return "other"
    if one.weights is None or other.weights is None:
        same = one.weights is other.weights
        return ("alike" if one.constants == other.constants else "constants") if same else "other"
    if same_weights(one.weights, other.weights):
        return "alike" if same_bias(one.weights, other.weights) else "bias"
    return "scaled" if is_scaled(one.weights, other.weights) else "weights"


_LIKENESS = ("alike", "bias", "scaled", "constants", "weights")
"""What :func:`_verdict` may say, but for ``"other"``, the most alike first."""


def _near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether factors or biases inside of two layers with the same weights are the same, up to rounding."""
    if one.shape != other.shape:
        return False
    return bool(np.all(np.abs(one - other) <= 2e-3 * max(np.abs(one).max(initial=0), np.abs(other).max(initial=0))))


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
