"""Whether a rewritten model still computes what the original does: both are run on random inputs of two shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.ort import open_session, short_message
from trtcal_widgets.model.tap import with_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

_SIZES = ((2, 32), (1, 56))
"""What dynamic dimensions become, first and second time: the first axis, and all others."""

_RELATIVE = 1e-4
"""Of the largest |value| of an output: far above what another order of additions does, far below another meaning."""


class Difference(NamedTuple):
    """The first tensor in graph order in which two models differ.

    ``tensor``, ``node``: its name, and the display name of the node that makes it. ``op_type``: that node's operator.
    ``amount``: the largest difference, as a share of the tensor's largest |value|; inf where shapes differ.
    """

    tensor: str
    node: str
    op_type: str
    amount: float


def compare_models(
    graph: ModelGraph, before: ModelProto, after: ModelProto, folder: Path
) -> tuple[Difference | None, str]:
    """Run two models that shall compute the same on the same random inputs, of two shapes where shapes are free.

    ``before`` and ``after``: the original and what was made of it, with the same inputs and outputs; external data lie
    in ``folder``. Returns the first difference, None where there is none; and why nothing could be compared, ``""``
    where it was.
    """
    outputs = [info.name for info in before.graph.output]
    try:
        old = open_session(before.SerializeToString(), folder, name=graph.name)
    except (ModelError, ValueError) as error:
        return None, str(error)
    new = open_session(after.SerializeToString(), folder, name=f"{graph.name}, rewritten")
    compared, why = False, ""
    for seed, sizes in enumerate(_SIZES):
        feeds = _random_feeds(graph, sizes, seed)
        try:
            expected = old.run(outputs, feeds)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own classes have no common base
            why = short_message(str(error))
            continue
        compared = True
        if _largest(expected, new.run(outputs, feeds)) > _RELATIVE:
            return _first_difference(graph, before, after, folder, feeds), ""
    return None, "" if compared else why


def _first_difference(
    graph: ModelGraph, before: ModelProto, after: ModelProto, folder: Path, feeds: dict[str, NDArray[Any]]
) -> Difference:
    """Find the node: every tensor that both models have is asked for."""
    marked = {info.name for info in before.graph.output}
    made = [(name, node) for node in graph.nodes for name in node.outputs if name]
    more = [name for name, _ in made if name not in marked]
    old = open_session(with_outputs(before, more), folder, name=graph.name)
    new = open_session(with_outputs(after, more), folder, name=f"{graph.name}, rewritten")
    names = [name for name, _ in made]
    for (name, node), a, b in zip(made, old.run(names, feeds), new.run(names, feeds), strict=True):
        amount = _largest([a], [b])
        if amount > _RELATIVE:
            return Difference(name, node.name, node.op_type, amount)
    raise ModelError(f"{graph.name}: its outputs change when inner tensors are asked for")


def _largest(expected: list[Any], got: list[Any]) -> float:
    """Return the largest difference of any output, relative to that output's largest |value|."""
    return max((_difference(a, b) for a, b in zip(expected, got, strict=True)), default=0.0)


def _difference(a: Any, b: Any) -> float:
    if isinstance(a, list | dict) or isinstance(b, list | dict):  # sequences and maps
        return 0.0 if repr(a) == repr(b) else np.inf
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.inf
    if a.dtype.kind not in "fiub" or not a.size:
        return 0.0 if bool(np.all(a == b)) else np.inf
    with np.errstate(all="ignore"):
        x, y = a.astype(np.float64), b.astype(np.float64)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        if bool(same.all()):
            return 0.0
        apart = np.abs(x - y)[~same]
        scale = float(np.max(np.abs(x), where=np.isfinite(x), initial=0.0)) or 1.0
    return float(np.max(np.nan_to_num(apart, nan=np.inf))) / scale


def _random_feeds(graph: ModelGraph, sizes: tuple[int, int], seed: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {info.name: _random(info, sizes, rng) for info in graph.inputs}


def _random(info: TensorInfo, sizes: tuple[int, int], rng: np.random.Generator) -> NDArray[Any]:
    """Values around zero; integers that any table of words has."""
    first, other = sizes
    shape = [
        dim if isinstance(dim, int) else first if axis == 0 else other for axis, dim in enumerate(info.shape or ())
    ]
    if info.dtype == "bool":
        return rng.random(shape) > 0.5
    if info.dtype.startswith(("int", "uint")):
        return rng.integers(0, 2, shape).astype(info.dtype)
    if info.dtype == "string":
        return np.full(shape, "a", object)
    return rng.standard_normal(shape).astype(info.dtype or "float32")
