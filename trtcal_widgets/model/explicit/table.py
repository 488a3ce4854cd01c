"""The scales of a Q/DQ model as a table, like any other file of scales: the way back from a model to a cache.

A cache has one symmetric INT8 scale per activation. What a pair has besides is said: the larger end of an asymmetric
range is taken, the widest of several channels, the largest of several pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import ModelError
from trtcal_widgets.formats.oddities import Oddity
from trtcal_widgets.formats.reading import read_scale_file
from trtcal_widgets.formats.scales import scales_of_amaxes
from trtcal_widgets.formats.tables import ScaleTable
from trtcal_widgets.model.explicit.integers import is_dynamic
from trtcal_widgets.model.explicit.pairs import LEVELS, QdqPair, has_pairs, original_name, read_pairs
from trtcal_widgets.model.load import load_model

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.model.load import OnnxModel

_AFTER_IR_VERSION = frozenset(b"\x12\x1a\x22\x28\x2a\x32\x3a\x42\x72\xa2\xca")
"""What may follow the version at the start of an ONNX file: the tags of its other fields."""


@dataclass(frozen=True, eq=False)
class QdqTable(ScaleTable):
    """Scales of a Q/DQ model: those of INT8 pairs as they stand there, to the last bit.

    ``exact``: tensor name to scale, where it is an INT8 pair's own. ``pairs``: all pairs, weights included, in graph
    order. ``lacking``: the model's activations that have no scale: no pair, and no values of a tensor with a pair.
    """

    exact: Mapping[str, float] = field(default_factory=dict)
    pairs: tuple[QdqPair, ...] = ()
    lacking: tuple[str, ...] = ()

    @cached_property
    def scales(self) -> Mapping[str, float]:
        """Tensor name to scale, in graph order; read-only."""
        computed = dict(zip(self.amax, scales_of_amaxes(list(self.amax.values())).tolist(), strict=True))
        return MappingProxyType({**computed, **self.exact})

    def __reduce__(self) -> tuple[type[ScaleTable], tuple[Any, ...]]:
        values = (
            dict(self.amax),
            dict(self.ranges),
            self.oddities,
            self.source,
            dict(self.exact),
            self.pairs,
            self.lacking,
        )
        return QdqTable, (self.format, *values)


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named or begins like an ONNX model; never raises."""
    try:
        if Path(path).suffix.lower() == ".onnx":
            return True
        with Path(path).open("rb") as file:
            start = file.read(3)
    except (OSError, ValueError, TypeError):
        return False
    return len(start) == 3 and start[0] == 8 and 1 <= start[1] <= 32 and start[2] in _AFTER_IR_VERSION


def read_scales(path: str | os.PathLike[str], *, constants_too: bool = False) -> CalibrationCache | ScaleTable:
    """Read a file of scales or ranges in any known format, a Q/DQ model included.

    ``constants_too``: whether a model of which constants alone are quantised (INT4 weights) is taken: it has no rows.

    Raises CacheFormatError if it is neither; ModelError if it is a model that cannot be read, or has no Q/DQ pairs.
    """
    if not is_onnx(path):
        return read_scale_file(path)
    try:
        model = load_model(path)
    except ModelError:
        if Path(path).suffix.lower() == ".onnx":
            raise
        return read_scale_file(path)  # it only begins like a model
    return table_of(model, constants_too=constants_too)


def table_of(model: OnnxModel, *, constants_too: bool = False) -> QdqTable:
    """Return the scales of a model's pairs as a table.

    ``constants_too``: whether there may be no pair of an activation, and so no row.

    Tensors without a pair that only pass on the values of one with a pair, or hand their values to it (in front of a
    ``MaxPool``, a ``Reshape``), have its scale.

    Raises ModelError if the model has no pairs, or not one of an activation that an 8-bit scale can stand for.
    """
    if not has_pairs(model.graph):
        raise ModelError(_without_scales(model.graph))
    pairs = read_pairs(model)
    rows: dict[str, float] = {}
    exact: dict[str, float] = {}
    oddities: list[Oddity] = []
    own: dict[str, list[QdqPair]] = {}
    for pair in pairs:
        if not pair.is_constant and pair.dtype in LEVELS and pair.dtype != "int32":
            own.setdefault(pair.tensor, []).append(pair)
    for name, several in own.items():
        widest = max(several, key=lambda pair: pair.amax)
        rows[name] = widest.amax
        if widest.dtype in ("int8", "uint8") and widest.is_symmetric:
            exact[name] = float(np.max(widest.scales))
        oddities.extend(_odd(name, widest, several))
    if not rows and not (constants_too and pairs):
        raise ModelError(
            f"{model.graph.name}: only constants are quantised, which have no row in a cache: calibrate the model "
            "before quantisation (trtcal calibrate)"
        )
    oddities.extend(_spread(model.graph, rows, exact))
    order = {name: index for index, name in enumerate(model.graph.tensors)}
    # Of integers between integer operators the name alone is left, in front of what the tool added.
    order |= {original: index for name, index in order.items() if (original := original_name(name)) not in order}
    ordered = dict(sorted(rows.items(), key=lambda row: order.get(row[0], len(order))))
    lacking = _lacking(model.graph, rows)
    return QdqTable("qdq", ordered, {}, tuple(oddities), str(model.path), exact, pairs, lacking)


def _without_scales(graph: ModelGraph) -> str:
    dynamic = next((node for node in graph.nodes if is_dynamic(node)), None)
    if dynamic is not None:
        return (
            f"{graph.name} is quantised dynamically ({dynamic.name!r} is a {dynamic.op_type}): its scales are computed "
            "while it runs, so there are none in the file. Quantise the FP32 model statically, or calibrate it (trtcal "
            "calibrate)"
        )
    return (
        f"{graph.name} has no QuantizeLinear and DequantizeLinear, so there are no scales in it. Calibrate it (trtcal "
        "calibrate), or name the quantised model"
    )


def _odd(name: str, pair: QdqPair, several: Sequence[QdqPair]) -> Iterable[Oddity]:
    if len(several) > 1:
        text = f"it has {len(several)} pairs with different scales: the largest is taken"
        yield Oddity("duplicate", 0, name, f"{printable(name)}: {text}.")
    if pair.is_per_channel:
        text = f"it has {pair.scales.size} scales along axis {pair.axis}, a cache has one: the largest is taken"
        yield Oddity("per-channel", 0, name, f"{printable(name)}: {text}.")
    if not pair.is_symmetric:
        text = "its range is not symmetric, TensorRT's are: the larger end is taken, so one side uses fewer levels"
        yield Oddity("asymmetric", 0, name, f"{printable(name)}: {text}.")
    if pair.dtype not in ("int8", "uint8"):
        text = f"it is quantised to {pair.dtype}: its range is taken, with INT8's 127 levels"
        yield Oddity("other-type", 0, name, f"{printable(name)}: {text}.")


def _spread(graph: ModelGraph, rows: dict[str, float], exact: dict[str, float]) -> Iterable[Oddity]:
    """Give the tensors that hold the values of one with a pair its scale; say how many."""
    taken = 0
    for name in list(rows):
        for other in graph.relatives(name) if name in graph.tensors else ():
            info = graph.tensors[other]
            made = graph.nodes[info.producer].op_type if info.producer >= 0 else ""
            if other not in rows and info.is_float and made != "DequantizeLinear":
                rows[other] = rows[name]
                if name in exact:
                    exact[other] = exact[name]
                taken += 1
    if taken:
        held = "holds" if taken == 1 else "hold"
        own, take = ("its", "takes") if taken == 1 else ("their", "take")
        text = (
            f"{count_of(taken, 'tensor')} without a pair of {own} own {held} the values of one that has it, and {take} "
            "its scale."
        )
        yield Oddity("shared", 0, "", text, "info")


def _lacking(graph: ModelGraph, rows: Mapping[str, float]) -> tuple[str, ...]:
    """Name the activations of the model before quantisation that have no row."""
    quantizers = [node for node in graph.nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    inner = {name for node in quantizers for name in node.outputs}
    inner |= {node.inputs[0] for node in quantizers if node.op_type == "QuantizeLinear" and node.inputs}
    return tuple(
        tensor.name
        for tensor in graph.tensors.values()
        if tensor.is_float and not tensor.is_fixed and tensor.name not in rows and tensor.name not in inner
    )
