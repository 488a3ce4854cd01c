"""Sessions of any size and with any tensor names, without a model file: a runner that makes its activations up."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from tests.support.made_up import MadeUp
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.model.graph import ModelGraph, NodeInfo, TensorInfo, TensorKind
from trtcal_widgets.session import CalibrationSession

OPS = ("Conv", "Relu", "MaxPool", "Add", "Gemm")


def chain_graph(names: list[str], *, groups: tuple[tuple[str, ...], ...] = ()) -> ModelGraph:
    """A chain input -> op -> op …, one tensor per name."""
    nodes = tuple(
        NodeInfo(i, f"node_{i}", OPS[i % len(OPS)], "", (names[i],), (names[i + 1],)) for i in range(len(names) - 1)
    )
    tensors = {
        name: TensorInfo(
            name=name,
            kind=TensorKind.INPUT if i == 0 else TensorKind.ACTIVATION,
            dtype="float32",
            shape=("N", 8),
            producer=i - 1,
            consumers=(i,) if i < len(nodes) else (),
            is_output=i == len(nodes),
        )
        for i, name in enumerate(names)
    }
    return ModelGraph("chain.onnx", "0" * 64, 17, MappingProxyType(tensors), nodes, groups)


class MadeUpRunner(MadeUp):
    """Gives tensor k normal values of its own spread; ``special`` replaces those of some tensors."""

    def __init__(self, graph: ModelGraph, special: dict[str, np.ndarray] | None = None, size: int = 400) -> None:
        self.graph = graph
        self._special = special or {}
        self._size = size
        self._batch = 0

    def infer(self, feeds):
        rng = np.random.default_rng(self._batch)
        self._batch += 1
        values = rng.standard_normal(self._size).astype(np.float32)
        for k, name in enumerate(self.graph.float_tensors):
            spread = np.float32(10.0 ** ((k * 37 % 100) / 25 - 2))
            yield name, self._special.get(name, np.maximum(values, 0) * spread if k % 5 == 1 else values * spread)


def synthetic_session(
    n: int = 20,
    *,
    names: list[str] | None = None,
    batches: int = 4,
    special: dict[str, np.ndarray] | None = None,
    groups: tuple[tuple[str, ...], ...] = (),
) -> CalibrationSession:
    """A session over a made-up model of ``n`` tensors (or of these names)."""
    names = names or [f"backbone/stage{k // 50}/block{k % 50}/{OPS[(k - 1) % 5]}_{k}:0" for k in range(n)]
    graph = chain_graph(names, groups=groups)
    images = np.zeros((batches * 4, 1, 10, 10), np.float32)
    return CalibrationSession(MadeUpRunner(graph, special), ArrayBatches({names[0]: images}), batch_size=4)
