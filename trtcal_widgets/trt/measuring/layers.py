"""Layers of an engine in the words of its ONNX model: what they compute on, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.model.engine.inspector import InspectedLayer, read_inspector
from trtcal_widgets.model.engine.precisions import LayerPrecisions, match_layers
from trtcal_widgets.model.load import OnnxModel, load_graph

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.gpu.memory import DeviceMemory
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.engine import Engine

_COPY = "Reformatting CopyNode for "


@dataclass(frozen=True)
class LayerTime:
    """A layer of an engine and its time.

    Attributes
    ----------
    name
        TensorRT's.
    ms
        Median milliseconds.
    computes_in
        ``"int8"``, ``"fp16"``, ``"fp32"``, …; empty where the inspector does not tell.
    nodes
        ONNX nodes that it computes, or that a copying layer works for.
    copies
        Whether it only stores values in another way, or quantises them.
    """

    name: str
    ms: float
    computes_in: str = ""
    nodes: tuple[str, ...] = ()
    copies: bool = False


def layer_precisions(
    engine: Engine | str | os.PathLike[str],
    model: OnnxModel | str | os.PathLike[str],
    *,
    memory: DeviceMemory | None = None,
) -> LayerPrecisions:
    """Read from an engine which layers of its model it runs in INT8.

    ``build_qdq(model, scales, placement=layer_precisions(engine, model))`` makes the Q/DQ model that quantises what an
    implicit engine did.

    Parameters
    ----------
    engine
        The engine, or its path; of this machine's TensorRT and GPU.
    model
        The ONNX model that it was built from.
    memory
        Device memory to work in; opened and closed here unless given.

    Raises
    ------
    DeviceError, EngineError
        If the engine cannot be loaded here, or tells the names of its layers only.
    """
    from trtcal_widgets.trt.execution import Execution

    graph = model.graph if isinstance(model, OnnxModel) else load_graph(model)
    with Execution(engine, memory=memory) as execution:
        return LayerPrecisions.from_inspector(execution.inspect(), graph)


def profile(
    execution: Any, feeds: Mapping[str, NDArray[Any]], graph: ModelGraph, *, runs: int = 20
) -> tuple[tuple[LayerTime, ...], str]:
    """Return the layers of an engine that runs, with their times, and the inspector's JSON.

    ``execution``: an :class:`~trtcal_widgets.trt.execution.Execution`. ``graph``: the model without Q/DQ.
    """
    text = execution.inspect()
    return name_layers(read_inspector(text), execution.layer_times(feeds, runs=runs), graph), text


def name_layers(
    layers: Sequence[InspectedLayer], times: Mapping[str, float], graph: ModelGraph
) -> tuple[LayerTime, ...]:
    """Bring the inspector's layers and the profiler's times together, by the layers' names."""
    served = [_served(entry) for entry in layers]
    known = {entry.name: (entry, nodes) for entry, nodes in zip(layers, match_layers(served, graph), strict=True)}
    readers = {f"{name}_QuantizeLinear": tensor.consumers for name, tensor in graph.tensors.items()}
    found = []
    for name, ms in times.items():
        if name not in known:
            found.append(LayerTime(name, ms))
            continue
        entry, nodes = known[name]
        names = tuple(node.name for node in nodes) or tuple(graph.nodes[i].name for i in readers.get(name, ()))
        found.append(LayerTime(name, ms, entry.computes_in, names, entry.copies or not nodes))
    return tuple(found)


def _served(entry: InspectedLayer) -> InspectedLayer:
    """Return a layer under the name of what a copy is made for."""
    return replace(entry, name=entry.name.rpartition(" to ")[2]) if entry.name.startswith(_COPY) else entry


def times_by_node(layers: Sequence[LayerTime]) -> dict[str, float]:
    """Return milliseconds by ONNX node; a fused layer's time, and that of copies made for it, in equal parts."""
    times: dict[str, float] = {}
    for entry in layers:
        for node in entry.nodes:
            times[node] = times.get(node, 0.0) + entry.ms / len(entry.nodes)
    return times
