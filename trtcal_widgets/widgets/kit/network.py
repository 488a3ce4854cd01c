"""The neighbourhood of a tensor in the network, as plain data: which tensors are shown, and what each box says.

A box is a tensor with the operator that makes it; an edge goes from what an operator reads to what it makes. Where
boxes and edges stand is found in the browser (``js/layered.js``), where their room is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trtcal_widgets.model.graph import ModelGraph

STEPS = 3
"""How far from the chosen tensor one sees."""

MOST = 8
"""Boxes of one step: of more, one says how many there are."""

POOR_DB, GOOD_DB = 20.0, 40.0
"""SQNR below the first is bad, from the second on it is good."""

_NAMED = 20
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Cut:
    """Tensors of one step that are not shown: those of which they are neighbours, and whether they come before them."""

    at: tuple[str, ...]
    before: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class Neighbourhood:
    """What is shown around a tensor.

    Attributes
    ----------
    chosen
        The tensor in the middle.
    tensors
        All that are shown, in graph order.
    edges
        Pairs of tensors: the second one's operator reads the first one.
    cuts
        What is left out where a step has too many.
    hidden
        Tensor -> how many of its producers and of its consumers are neither shown nor counted in a cut.
    """

    chosen: str
    tensors: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    cuts: tuple[Cut, ...]
    hidden: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class BoxFacts:
    """What a screen knows of a tensor: a number, how good it is (of :func:`level_of`), and both in words."""

    value: str = ""
    level: str = ""
    words: str = ""


def level_of(sqnr_db: float) -> str:
    """Return what an SQNR in dB is called: ``bad``, ``poor``, ``good``; empty where it is not known."""
    if math.isnan(sqnr_db):
        return ""
    return "bad" if sqnr_db < POOR_DB else "poor" if sqnr_db < GOOD_DB else "good"


def neighbourhood(graph: ModelGraph, chosen: str, *, steps: int = STEPS, most: int = MOST) -> Neighbourhood:
    """Return the producers and consumers of a tensor.

    ``graph``: the model. ``chosen``: the tensor in the middle. ``steps``: how far to go on either side. What else the
    readers of the chosen tensor read is shown too: a join is one only with all that it joins. ``most``: boxes of one
    step; of more, ``most - 1`` are shown. Raises ModelError if the model has no such tensor.
    """
    graph.tensor(chosen)
    known: dict[str, None] = {chosen: None}
    cuts: list[Cut] = []

    def walk(front: Sequence[str], near: Callable[[str], Iterable[str]], before: bool) -> list[str]:
        found: dict[str, list[str]] = {}
        for name in front:
            for other in near(name):
                if other not in known:
                    found.setdefault(other, []).append(name)
        names = list(found)
        shown = names if len(names) <= most else names[: most - 1]
        left_out = names[len(shown) :]
        if left_out:
            at = dict.fromkeys(name for other in left_out for name in found[other])
            cuts.append(Cut(tuple(at), before, tuple(left_out)))
        known.update(dict.fromkeys(shown))
        return shown

    for near, before in ((lambda n: producers(graph, n), True), (lambda n: consumers(graph, n), False)):
        front = [chosen]
        for step in range(steps):
            front = walk(front, near, before)
            if step == 0 and not before:
                first = front
    walk(first, lambda n: producers(graph, n), True)  # what joins the chosen tensor

    place = {name: i for i, name in enumerate(graph.tensors)} if len(known) > 1 else {}
    tensors = tuple(sorted(known, key=lambda name: place.get(name, 0)))
    edges = tuple((name, other) for other in tensors for name in _reads(graph, other) if name in known)
    return Neighbourhood(chosen, tensors, edges, tuple(cuts), _hidden(graph, tensors, edges, cuts))


def _hidden(
    graph: ModelGraph, tensors: Sequence[str], edges: Sequence[tuple[str, str]], cuts: Sequence[Cut]
) -> dict[str, tuple[int, int]]:
    shown = set(edges)
    cut_in = {(other, name) for cut in cuts if cut.before for name in cut.at for other in cut.names}
    cut_out = {(name, other) for cut in cuts if not cut.before for name in cut.at for other in cut.names}
    return {
        name: (
            sum((other, name) not in shown and (other, name) not in cut_in for other in producers(graph, name)),
            sum((name, other) not in shown and (name, other) not in cut_out for other in consumers(graph, name)),
        )
        for name in tensors
    }


def producers(graph: ModelGraph, name: str) -> tuple[str, ...]:
    """Return what the operator that makes a tensor reads, weights left out, each once."""
    return tuple(n for n in _reads(graph, name) if _stands(graph, n))


def _reads(graph: ModelGraph, name: str) -> tuple[str, ...]:
    producer = graph.tensors[name].producer
    return tuple(n for n in dict.fromkeys(graph.nodes[producer].inputs) if n) if producer >= 0 else ()


def consumers(graph: ModelGraph, name: str) -> tuple[str, ...]:
    """Return what the operators that read a tensor make, each once; what nobody reads of it is left out."""
    made = (n for i in graph.tensors[name].consumers for n in graph.nodes[i].outputs)
    return tuple(n for n in dict.fromkeys(made) if n in graph.tensors and _leads_on(graph, n))


def _stands(graph: ModelGraph, name: str) -> bool:
    """Whether a tensor has a box: not weights, nor constants without a range, such as shapes."""
    info = graph.tensors.get(name)
    if info is None or info.kind is TensorKind.WEIGHT:
        return False
    return info.kind is not TensorKind.CONSTANT or info.is_float


def _leads_on(graph: ModelGraph, name: str) -> bool:
    """Whether an output is of use: a dropout's mask, for one, seldom is."""
    info = graph.tensors[name]
    return bool(info.consumers) or info.is_output or len(graph.nodes[info.producer].outputs) == 1


def rows_of(graph: ModelGraph) -> int:
    """Return for how many boxes over each other a network's picture has room, 2 to :data:`MOST`.

    It follows from where the network spreads most, so that the picture of one network always has one height.
    """
    spread = max((max(len(producers(graph, n)), len(consumers(graph, n))) for n in graph.tensors), default=1)
    return min(MOST, 2 * max(spread, 1))


def network_state(graph: ModelGraph, chosen: str, facts: Callable[[str], BoxFacts], rows: int = MOST) -> dict[str, Any]:
    """Return what the panel draws, as JSON; ``facts`` are what the screen knows of a tensor, ``rows`` is its room."""
    near = neighbourhood(graph, chosen)
    index = {name: i for i, name in enumerate(near.tensors)}
    letters = _letters(graph, near)
    boxes = [_box(graph, near, name, letters.get(graph.group_of(name)[0], ""), facts(name)) for name in near.tensors]
    cuts = [
        {
            "text": f"and {len(cut.names):,} more",
            "title": "\n".join(map(printable, cut.names[:_NAMED])) + ("\n…" if len(cut.names) > _NAMED else ""),
            "at": [index[name] for name in cut.at],
            "before": cut.before,
        }
        for cut in near.cuts
    ]
    groups = [
        {"letter": letter, "n": len(graph.group_of(leader)), "title": "\n".join(map(printable, graph.group_of(leader)))}
        for leader, letter in letters.items()
    ]
    edges = [[index[a], index[b]] for a, b in near.edges]
    return {"boxes": boxes, "edges": edges, "cuts": cuts, "groups": groups, "chosen": index[chosen], "rows": rows}


def _letters(graph: ModelGraph, near: Neighbourhood) -> dict[str, str]:
    """Return a letter for each shared scale in the picture, by the tensor that leads it."""
    leaders = dict.fromkeys(graph.group_of(n)[0] for n in near.tensors if len(graph.group_of(n)) > 1)
    return {leader: _LETTERS[i % len(_LETTERS)] for i, leader in enumerate(leaders)}


def _box(graph: ModelGraph, near: Neighbourhood, name: str, letter: str, known: BoxFacts) -> dict[str, Any]:
    info, op = graph.tensors[name], graph.op_type(name)
    shape = ", ".join("?" if d is None else printable(str(d)) for d in info.shape) if info.shape is not None else "?"
    has_scale = info.is_float and info.kind is not TensorKind.WEIGHT
    before, after = near.hidden[name]
    words = [
        printable(name),
        f"{printable(op)} · {info.dtype or 'unknown type'}[{shape}]",
        known.words,
        f"one scale with {count_of(len(graph.group_of(name)) - 1, 'other tensor')} ({letter})" if letter else "",
        "" if has_scale else "not calibrated by TensorRT",
        f"{before} more in front" if before else "",
        f"{after} more behind" if after else "",
    ]
    return {
        "name": name,
        "shown": printable(name),
        "op": printable(op),
        "value": known.value,
        "level": known.level,
        "letter": letter,
        "scale": has_scale,
        "selectable": info.is_float,
        "output": info.is_output,
        "before": before,
        "after": after,
        "title": "\n".join(word for word in words if word),
    }
