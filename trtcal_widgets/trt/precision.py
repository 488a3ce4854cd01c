"""Layer precisions and dynamic ranges: TensorRT's API up to 10, gone in 11."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from trtcal_widgets.core.scales import scale_of_amax
from trtcal_widgets.errors import EngineError, UsageError
from trtcal_widgets.model.graph import FLOAT_DTYPES
from trtcal_widgets.trt.inputs import NUMPY_NAMES, each_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trtcal_widgets.model.graph import ModelGraph

__all__ = ["PlanApplied", "PlanLike", "apply_plan", "check_plan", "set_ranges"]

_METADATA = re.compile(r"\[ONNX Layer: (.*?)\](?=$|[\x1e\x1f\[])", re.DOTALL)
"""How TensorRT's ONNX parser writes node names into a layer's metadata (seen in engine dumps of others)."""


class PlanLike(Protocol):
    """What is needed of a precision plan."""

    @property
    def keep(self) -> tuple[str, ...]:
        """Names of ONNX nodes that are not to run in INT8."""
        ...

    @property
    def precision(self) -> str:
        """What they are to run in: ``"fp16"`` or ``"fp32"``."""
        ...


@dataclass(frozen=True)
class PlanApplied:
    """What became of a plan.

    Attributes
    ----------
    set_on
        Node name -> TensorRT's layers that were set.
    without_layer
        Nodes of the model for which the network has no layer: TensorRT's parser folded them away.
    """

    set_on: Mapping[str, tuple[str, ...]]
    without_layer: tuple[str, ...]


def check_plan(plan: PlanLike, graph: ModelGraph) -> None:
    """Refuse a plan that is not for this model.

    Raises
    ------
    UsageError
        If it names nodes that the model does not have (with close names), or an unknown precision.
    """
    if not (hasattr(plan, "keep") and hasattr(plan, "precision")):
        raise UsageError(f"plan must be a PrecisionPlan, not a {type(plan).__name__}: PrecisionPlan(keep=('conv1',))")
    if plan.precision not in ("fp16", "fp32"):
        raise UsageError(f"the plan's precision must be 'fp16' or 'fp32', not {plan.precision!r}")
    names = {node.name for node in graph.nodes}
    unknown = [name for name in plan.keep if name not in names]
    if not unknown:
        return
    close = get_close_matches(unknown[0], names, n=3)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else ""
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise UsageError(
        f"the plan keeps nodes that {graph.name} does not have: {', '.join(map(repr, unknown[:5]))}{more}.{hint} "
        "Was it made for another model, or another export of it?"
    )


def apply_plan(trt: Any, network: Any, plan: PlanLike, graph: ModelGraph) -> PlanApplied:
    """Set the precision of the layers that come from the plan's nodes, and the type of their float outputs.

    Parameters
    ----------
    trt, network
        TensorRT's.
    plan
        A plan that :func:`check_plan` accepted.
    graph
        The model: layers are found by their name, by their metadata, and by the tensors that they make.

    Raises
    ------
    EngineError
        If not one layer was found for any node of the plan.
    """
    dtype = trt.DataType.HALF if plan.precision == "fp16" else trt.DataType.FLOAT
    wanted = set(plan.keep)
    made_by = {output: node.name for node in graph.nodes if node.name in wanted for output in node.outputs if output}
    found: dict[str, list[str]] = {name: [] for name in plan.keep}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        nodes = [name for name in dict.fromkeys(_nodes_of(layer, made_by)) if name in wanted]
        if nodes and _set_precision(layer, dtype):
            for name in nodes:
                found[name].append(str(layer.name))
    if plan.keep and not any(found.values()):
        raise EngineError(
            f"not one of the plan's {len(plan.keep)} nodes has a layer in TensorRT's network ({plan.keep[0]!r} …). "
            "Their layers cannot be told apart by name: give the model's nodes names of their own, and plan anew"
        )
    set_on = {name: tuple(own) for name, own in found.items() if own}
    return PlanApplied(set_on, tuple(name for name, own in found.items() if not own))


def _nodes_of(layer: Any, made_by: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the ONNX nodes that a layer comes from, as far as it tells."""
    yield str(layer.name)
    if hasattr(layer, "metadata"):
        yield from _METADATA.findall(str(layer.metadata))
    for output in range(layer.num_outputs):
        itensor = layer.get_output(output)
        if itensor is not None and str(itensor.name) in made_by:
            yield made_by[str(itensor.name)]


def _set_precision(layer: Any, dtype: Any) -> bool:
    """Set a layer's precision; False where it computes no floats, so that there is none to set."""
    floats = [index for index in range(layer.num_outputs) if _is_ranged(layer.get_output(index))]
    if not floats:
        return False
    layer.precision = dtype
    for index in floats:
        layer.set_output_type(index, dtype)
    return True


def _is_ranged(itensor: Any) -> bool:
    if itensor is None or itensor.is_shape_tensor:
        return False
    return NUMPY_NAMES.get(itensor.dtype.name, "") in FLOAT_DTYPES


def set_ranges(network: Any, amax: Mapping[str, float]) -> tuple[str, ...]:
    """Set the dynamic ranges of tensors to ±amax, for a build without a calibrator.

    Parameters
    ----------
    network
        An ``INetworkDefinition``.
    amax
        Tensor name -> threshold in real units.

    Returns
    -------
    tuple of str
        Float tensors that have no range: TensorRT runs the layers that need one in higher precision.

    Raises
    ------
    UsageError
        If the network has no such tensor, or a value is no amax.
    EngineError
        If TensorRT refuses a range.
    """
    by_name = {str(itensor.name): itensor for itensor in each_tensor(network)}
    for name, value in amax.items():
        scale_of_amax(value)  # refuses what cannot be an amax
        if name not in by_name:
            raise UsageError(f"amax names {name!r}, {_not_there(name, by_name)}")
        itensor = by_name[name]
        if not itensor.set_dynamic_range(-float(value), float(value)):
            raise EngineError(f"TensorRT refused the range ±{value:g} for {name!r}")
    return tuple(name for name, itensor in by_name.items() if _is_ranged(itensor) and name not in amax)


def _not_there(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=3)
    hint = f"; did you mean {', '.join(map(repr, close))}?" if close else ""
    return f"which TensorRT's network does not have{hint}"
