"""What became of every tensor, row and layer when a Q/DQ model was made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.common.figures import percent
from trtcal_widgets.common.summary import MOST_ROWS, Shown, Summary, left_out
from trtcal_widgets.common.words import count_of, shown_name, significant

if TYPE_CHECKING:
    from collections.abc import Iterator

UnusedReason = Literal[
    "orphan", "synthetic", "zero", "inf", "nan", "negative", "too-small", "weight", "not-an-input", "shared",
    "overridden", "kept", "layer-left", "already-quantized", "not-selected",
]  # fmt: skip


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor that got a Q/DQ pair.

    Attributes
    ----------
    name
        The tensor, which is still there under this name.
    quantized_name, dequantized_name
        The int8 or FP8 tensor after Q and the float tensor after DQ.
    scale
        The scale per tensor; the largest one where there is one per channel.
    axis
        The axis of the scales per channel, -1 where there is one for the whole tensor.
    channels
        How many scales there are.
    consumers
        Names of the nodes that read it through the pair.
    is_weight
        Whether it is a constant, whose scales are those of its own values.
    source
        Where the scale is from, in words.
    """

    name: str
    quantized_name: str
    dequantized_name: str
    scale: float
    axis: int
    channels: int
    consumers: tuple[str, ...]
    is_weight: bool
    source: str


@dataclass(frozen=True)
class UnusedRow:
    """A row of the scales that no Q/DQ pair was made from, and why.

    ``name`` and ``scale`` are the row's, ``reason`` the kind of reason and ``message`` the reason in words.
    """

    name: str
    scale: float
    reason: UnusedReason
    message: str


@dataclass(frozen=True)
class MissingScale:
    """A tensor that needed a scale and had none; the nodes that wanted it stay in higher precision.

    ``name`` is the tensor's, ``consumers`` are the nodes, and ``message`` says why there is none.
    """

    name: str
    consumers: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class LeftNode:
    """A node that stays in higher precision: its ``name``, ``op_type``, and why in ``message``."""

    name: str
    op_type: str
    message: str


def _scale_words(tensor: QuantizedTensor) -> str:
    return f"{tensor.scale:.4g}" if tensor.axis < 0 else count_of(tensor.channels, "channel")


@dataclass(frozen=True)
class QdqReport(Shown):
    """What became of every tensor, row and layer.

    Attributes
    ----------
    model
        The model's file name.
    placement
        Where pairs were put: ``"recommended"``, ``"implicit"``, ``"weights-only-inputs"``, or as an engine ran it.
    format
        What values are quantised to: ``"int8"`` or ``"fp8"``.
    opset_before, opset_after
        Versions of the default domain.
    rows
        How many rows the scales have.
    matched
        How many of them are tensors of the model.
    synthetic
        How many of them TensorRT made up; they do not count in :attr:`match_share`.
    quantized
        Tensors with a pair, in graph order.
    unused
        Rows without one.
    missing
        Tensors that needed a scale and had none.
    kept
        Nodes that the plan keeps.
    left
        Other nodes that could have been quantised by their type, nodes of custom domains, and nodes with subgraphs.
    already_quantized
        Nodes that already read a dequantised tensor in the model as it was given.
    notes
        What else is worth knowing.
    """

    model: str
    placement: str
    opset_before: int
    opset_after: int
    rows: int
    matched: int
    synthetic: int
    quantized: tuple[QuantizedTensor, ...] = ()
    unused: tuple[UnusedRow, ...] = ()
    missing: tuple[MissingScale, ...] = ()
    kept: tuple[LeftNode, ...] = ()
    left: tuple[LeftNode, ...] = ()
    already_quantized: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: str = "int8"

    def _summary(self) -> Summary:
        lines = (f"placement {self.placement}, {self.format.upper()}", *self.notes)
        rows = tuple(
            (
                t.name,
                _scale_words(t),
                t.source,
                ", ".join(t.consumers),
            )
            for t in self.quantized[:MOST_ROWS]
        )
        columns = ("quantised tensor", "scale", "from", "read by")
        title = f"{self.model}: {self.summary()}"
        return Summary(title, lines, columns, rows, left_out(len(self.quantized), ".quantized"))

    @property
    def match_share(self) -> float:
        """Share of the rows that are tensors of the model, made-up names not counted; 1 where there are none."""
        real = self.rows - self.synthetic
        return self.matched / real if real else 1.0

    @property
    def activations(self) -> tuple[QuantizedTensor, ...]:
        """The quantised tensors that depend on the input."""
        return tuple(tensor for tensor in self.quantized if not tensor.is_weight)

    @property
    def weights(self) -> tuple[QuantizedTensor, ...]:
        """The quantised constants."""
        return tuple(tensor for tensor in self.quantized if tensor.is_weight)

    @property
    def quantized_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that read at least one tensor through a pair."""
        return tuple(dict.fromkeys(name for tensor in self.quantized for name in tensor.consumers))

    def to_json(self) -> str:
        """Return the report as JSON text; infinite and missing scales are the texts ``inf`` and ``nan``."""
        own = asdict(self)
        data: dict[str, Any] = {"format": "trtcal_widgets report", "quantized_to": own.pop("format"), **own}
        data["match_share"] = self.match_share
        return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False)

    def to_text(self) -> str:
        """Return the report for a terminal, one line per tensor, row and layer; names are made printable."""
        return "\n".join(self._lines())

    def summary(self) -> str:
        """Return the counts in one line."""
        parts = [
            count_of(len(self.activations), "activation"),
            count_of(len(self.weights), "weight"),
            f"{count_of(len(self.quantized_nodes), 'layer')} quantised",
        ]
        left = f"{count_of(len(self.unused), 'row')} unused; {count_of(len(self.missing), 'scale')} missing"
        return f"{', '.join(parts[:2])}; {parts[2]}; {left}"

    def _lines(self) -> Iterator[str]:
        yield f"{shown_name(self.model)}: {self.summary()}"
        yield f"placement: {self.placement}"
        if self.format != "int8":
            yield f"format: {self.format}"
        if self.opset_after != self.opset_before:
            yield f"opset: {self.opset_before} upgraded to {self.opset_after}"
        yield f"rows: {self.rows}, of which {self.matched} are tensors of the model ({percent(self.match_share)})"
        yield from self.notes
        for title, tensors in (("quantised activations", self.activations), ("quantised weights", self.weights)):
            yield from _section(title, [_tensor_line(tensor) for tensor in tensors])
        yield from _section("rows that were not used", [f"{shown_name(r.name)}: {r.message}" for r in self.unused])
        yield from _section(
            "tensors that needed a scale and had none", [f"{shown_name(m.name)}: {m.message}" for m in self.missing]
        )
        for title, nodes in (("kept by the plan", self.kept), ("left in higher precision", self.left)):
            yield from _section(title, [f"{shown_name(n.name)} ({shown_name(n.op_type)}): {n.message}" for n in nodes])
        yield from _section("quantised before, left as they were", [shown_name(n) for n in self.already_quantized])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title} ({len(lines)}):"
        yield from (f"  {line}" for line in lines)


def _tensor_line(tensor: QuantizedTensor) -> str:
    scale = f"scale {significant(tensor.scale, 5)}"
    if tensor.axis >= 0:
        scale = f"{count_of(tensor.channels, 'scale')} along axis {tensor.axis}, up to {significant(tensor.scale, 5)}"
    readers = ", ".join(shown_name(name) for name in tensor.consumers[:4]) + (
        ", …" if len(tensor.consumers) > 4 else ""
    )
    source = f" ({tensor.source})" if tensor.source else ""
    return f"{shown_name(tensor.name)}: {scale}{source} -> {readers}"


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: no tuples, no infinities."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return str(value)
    return value
