"""What a check found, node by node, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.model.plan import PrecisionPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trtcal_widgets.trt.check.layers import EngineLayer

Fate = Literal["stored", "inside", "rounds-only", "own-kernel", "gone", "unknown"]

FATES: dict[str, str] = {
    "stored": "written and read as quantised values",
    "inside": "inside one quantised kernel",
    "rounds-only": "only rounded: it costs accuracy, and no quantised value is ever stored",
    "own-kernel": "quantised by a kernel of its own, which does nothing else",
    "gone": "in no kernel of the engine",
    "unknown": "not told by this builder",
}
"""What became of a pair, in words."""


@dataclass(frozen=True)
class CheckProblem:
    """One thing that the parser or the builder refuses.

    Attributes
    ----------
    stage
        ``"model"`` (seen in the file, before anything was asked), ``"parse"`` or ``"build"``.
    node, op_type
        The node, empty where the builder does not say which.
    message
        What is wrong, in the builder's words where they are its own.
    advice
        What to do; empty where nothing is known.
    """

    stage: str
    node: str
    op_type: str
    message: str
    advice: str = ""


@dataclass(frozen=True)
class LayerVerdict:
    """A layer with pairs in front of it, and what it runs in.

    Attributes
    ----------
    node, op_type
        The ONNX node.
    wanted
        What its pairs ask for: ``"int8"`` or ``"fp8"``.
    runs_in
        What its kernel multiplies: ``"int8"``, ``"fp8"``, ``"fp16"``, ``"fp32"``, …; empty where it is not told.
    layer, kind
        Name and kind of the engine's layer.
    fused
        The other nodes in that kernel and in the ones that finish its work, pairs not counted.
    """

    node: str
    op_type: str
    wanted: str
    runs_in: str
    layer: str
    kind: str
    fused: tuple[str, ...]

    @property
    def fell_back(self) -> bool:
        """Whether it runs in something wider than its pairs ask for."""
        return bool(self.runs_in) and self.runs_in != self.wanted


@dataclass(frozen=True)
class PairVerdict:
    """What became of the pair of an activation: the ``tensor``, its ``fate``, and the nodes that read it."""

    tensor: str
    fate: Fate
    readers: tuple[str, ...]


@dataclass(frozen=True)
class CheckReport(Shown):
    """What NVIDIA's parser and builder say of a model.

    Attributes
    ----------
    model
        Its file name.
    builder
        Which one was asked, with its version.
    target
        The GPU that was built for: ``"SM89"``, or ``"this GPU"``.
    shapes
        Input -> the shape that it was built for, where the model leaves one open.
    parsed, built
        Whether it was taken.
    seconds
        What parsing and building took together.
    level
        How long the builder looked for fast kernels, 0 to 5; None: its own choice.
    problems
        What was refused, and why.
    verdicts
        The layers that have pairs in front of them, in graph order; empty where the engine's layers are not known.
    pairs
        What became of the pairs of activations, in graph order.
    layers
        All layers of the engine.
    notes
        What else is worth knowing.
    """

    model: str
    builder: str
    target: str
    shapes: dict[str, tuple[int, ...]]
    parsed: bool
    built: bool
    seconds: float
    level: int | None = None
    problems: tuple[CheckProblem, ...] = ()
    verdicts: tuple[LayerVerdict, ...] = ()
    pairs: tuple[PairVerdict, ...] = ()
    layers: tuple[EngineLayer, ...] = ()
    notes: tuple[str, ...] = ()

    def _summary(self) -> Summary:
        if self.problems:
            columns: tuple[str, ...] = ("node", "refused because", "what to do")
            rows = tuple((p.node or p.op_type, p.message, p.advice) for p in self.problems)
            name = ".problems"
        else:
            columns, name = ("layer", "operator", "runs in"), ".verdicts"
            fallen_first = sorted(self.verdicts, key=lambda v: not v.fell_back)
            rows = tuple((v.node, v.op_type, v.runs_in.upper()) for v in fallen_first)
        return Summary(self.summary(), self.notes, columns, rows[:MOST_ROWS], left_out(len(rows), name))

    @property
    def ok(self) -> bool:
        """Whether the builder takes the model."""
        return self.built

    @property
    def fell_back(self) -> tuple[LayerVerdict, ...]:
        """The layers that run in floating point although their inputs are quantised."""
        return tuple(verdict for verdict in self.verdicts if verdict.fell_back)

    @property
    def wasted(self) -> tuple[PairVerdict, ...]:
        """The pairs that round without anything being stored or computed in fewer bits."""
        return tuple(pair for pair in self.pairs if pair.fate == "rounds-only")

    def plan(self) -> PrecisionPlan:
        """Return a plan that keeps what fell back in higher precision: the same engine, without its rounding.

        Its names are those of the model that the Q/DQ was put into, as far as its nodes have names.
        """
        fallen = self.fell_back
        words = f"{self.builder} runs it in floating point although it is quantised"
        reasons = {one.node: words for one in fallen}
        return PrecisionPlan(keep=tuple(one.node for one in fallen), reasons=reasons)

    def to_json(self) -> str:
        """Return the report as JSON text."""
        data: dict[str, Any] = {"format": "trtcal_widgets check", "ok": self.ok, **asdict(self)}
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)

    def summary(self) -> str:
        """Return the outcome in one line."""
        if not self.built:
            return f"{self.builder} does not {'build' if self.parsed else 'parse'} {printable(self.model)}"
        text = f"{self.builder} builds {printable(self.model)} for {self.target} in {self.seconds:.1f} s"
        if not self.verdicts:
            return text
        ran = Counter(verdict.runs_in for verdict in self.verdicts)
        words = ", ".join(f"{count} in {kind.upper() or 'unknown types'}" for kind, count in sorted(ran.items()))
        return f"{text}; of {count_of(len(self.verdicts), 'quantised layer')} {words}"

    def to_text(self) -> str:
        """Return the report for a terminal; names are made printable."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self.summary()
        for name, shape in self.shapes.items():
            yield f"input {printable(name)}: built for {'×'.join(map(str, shape))}"
        yield from self.notes
        yield from self._refused()
        yield from _section(
            "in floating point although quantised (the plan of --plan keeps them out)",
            [f"{_node(one.node, one.op_type)}: {one.runs_in.upper()}" for one in self.fell_back],
        )
        for fate in ("rounds-only", "own-kernel"):
            names = [printable(pair.tensor) for pair in self.pairs if pair.fate == fate]
            yield from _section(f"pairs {FATES[fate]}", names)
        yield from _section("quantised layers", [_verdict_line(one) for one in self.verdicts if not one.fell_back])

    def _refused(self) -> Iterator[str]:
        """Yield what was refused, with each piece of advice once, below all that it is for."""
        if self.problems:
            yield ""
            yield f"refused ({len(self.problems)}):"
        for advice in dict.fromkeys(problem.advice for problem in self.problems):
            for problem in self.problems:
                if problem.advice == advice:
                    where = f"{_node(problem.node, problem.op_type)}: " if problem.node else ""
                    yield f"  {where}{printable(problem.message)}"
            if advice:
                yield f"  -> {advice}"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title} ({len(lines)}):"
        yield from (f"  {line}" for line in lines)


def _node(name: str, op_type: str) -> str:
    return f"{printable(name)} ({printable(op_type)})" if op_type else printable(name)


def _verdict_line(one: LayerVerdict) -> str:
    shown = ", ".join(printable(name) for name in one.fused[:4]) + (", …" if len(one.fused) > 4 else "")
    return f"{_node(one.node, one.op_type)}: {one.runs_in.upper() or 'not told'}" + (f", with {shown}" if shown else "")
