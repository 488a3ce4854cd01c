"""The rows of a file beside the model: which are its tensors, and why no pair was made of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq.report import UnusedReason, UnusedRow
from trtcal_widgets.export.qdq.scales import BAD_SCALES, bad_scale
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.rows import compare_with_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trtcal_widgets.export.qdq.decision import Decision
    from trtcal_widgets.export.qdq.placement import Placement
    from trtcal_widgets.formats.cache import NameComparison
    from trtcal_widgets.model.graph import ModelGraph

LEAST_MATCH = 0.5
"""Share of a cache's names that a model must have; below it the cache is another model's."""


class _Rows:
    """What the comparison of names needs of a file."""

    header = ""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self.scales = scales


def match_rows(rows: Mapping[str, float], graph: ModelGraph) -> NameComparison:
    """Match the rows with the model's tensors."""
    return compare_with_model(_Rows(rows), graph)


def check_match(match: NameComparison, rows: Mapping[str, float], graph: ModelGraph) -> None:
    """Refuse scales of another model.

    Raises ExportError if fewer than :data:`LEAST_MATCH` of the names that TensorRT did not make up are tensors of the
    model.
    """
    real = len(match.matched) + len(match.unknown)
    if not rows:
        raise ExportError("There are no scales: the cache or session is empty. Calibrate first.")
    if real and len(match.matched) >= LEAST_MATCH * real:
        return
    shown = ", ".join(map(repr, match.unknown[:3])) + (", …" if len(match.unknown) > 3 else "")
    raise ExportError(
        f"only {len(match.matched)} of {real} rows are tensors of {graph.name}"
        f"{f' (not: {shown})' if shown else ''}: the scales are another model's, or another export's of the same "
        "model. For a new export carry them over with `trtcal port OLD_MODEL NEW_MODEL calibration.cache -o OUT`; "
        "force=True (--force) takes the rows that fit"
    )


def unused_rows(
    rows: Mapping[str, float],
    match: NameComparison,
    graph: ModelGraph,
    placement: Placement,
    decision: Decision,
) -> tuple[UnusedRow, ...]:
    """Say of each row that no pair was made from, in the order of the rows, why."""
    readers: dict[str, list[int]] = {}
    for index, sites in placement.sites.items():
        for site in sites:
            for name in graph.relatives(site.tensor) if not site.is_constant else (site.tensor,):
                readers.setdefault(name, []).append(index)
    found = []
    for name, scale in rows.items():
        if name in match.synthetic:
            found.append(UnusedRow(name, scale, "synthetic", f"TensorRT made the name up: {match.synthetic[name]}"))
        elif name not in graph.tensors:
            found.append(UnusedRow(name, scale, "orphan", f"{graph.name} has no tensor of this name"))
        elif name not in decision.used_rows:
            reason, message = _why(name, scale, graph, readers.get(name, []), decision)
            found.append(UnusedRow(name, scale, reason, message))
    return tuple(found)


def _why(
    name: str, scale: float, graph: ModelGraph, readers: list[int], decision: Decision
) -> tuple[UnusedReason, str]:
    problem = bad_scale(scale, graph.tensors[name].dtype)
    kind = graph.tensors[name].kind
    if kind is TensorKind.WEIGHT or (kind is TensorKind.CONSTANT and readers):
        return "weight", "a constant: it is quantised with its own maxima, not with a calibrated scale"
    if problem:
        return problem, BAD_SCALES[problem]
    if not readers:
        return "not-an-input", _not_an_input(name, graph)
    mates = [other for other in graph.relatives(name) if (other, -1) in decision.scales]
    if mates and any(decision.scales[other, -1].source.startswith("amax of the plan") for other in mates):
        return "overridden", "the plan sets another threshold"
    if mates:
        return "shared", f"{mates[0]!r}, which holds its values, is quantised by a row of its own"
    return _left(readers, graph, decision)


def _left(readers: list[int], graph: ModelGraph, decision: Decision) -> tuple[UnusedReason, str]:
    """Say why the layers that read a tensor are not quantised."""
    excluded = {decision.excluded.get(index, "") for index in readers}
    layers = ", ".join(repr(graph.nodes[index].name) for index in readers[:3])
    if excluded <= {"kept", "fused"}:
        return "kept", f"the plan keeps what reads it: {layers}"
    if "already" in excluded:
        return "already-quantized", f"{layers} is quantised in the model as given"
    if "no-kernel" in excluded:
        return "layer-left", f"{layers} has no kernel in this format"
    if "not-selected" in excluded:
        return "not-selected", f"{layers} was not selected"
    return "layer-left", f"{layers} stays in higher precision because another of its inputs has no scale"


def _not_an_input(name: str, graph: ModelGraph) -> str:
    tensor = graph.tensors[name]
    ops = sorted({graph.nodes[index].op_type for index in tensor.consumers})
    if not ops:
        return "only the graph's output: nothing that is quantised reads it"
    return f"read only by {', '.join(ops[:4])}: nothing there is quantised by its inputs"
