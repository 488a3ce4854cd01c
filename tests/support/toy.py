"""A runner without a model: two tensors computed with numpy, so that a session's own behaviour can be tested."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.model.graph import ModelGraph, NodeInfo, TensorInfo, TensorKind


def toy_graph(n_layers: int = 2, sha256: str = "0" * 64) -> ModelGraph:
    """x -> Relu -> r0 -> Reshape -> r1 -> Relu ...: every second tensor shares its input's scale."""
    tensors = [TensorInfo("x", TensorKind.INPUT, "float32", ("N", 4), -1, (0,))]
    nodes = []
    groups = []
    for i in range(n_layers):
        op = "Reshape" if i % 2 else "Relu"
        nodes.append(NodeInfo(i, f"node{i}", op, "", (tensors[-1].name,), (f"r{i}",)))
        consumers = (i + 1,) if i + 1 < n_layers else ()
        tensors.append(TensorInfo(f"r{i}", TensorKind.ACTIVATION, "float32", ("N", 4), i, consumers, not consumers))
        if op == "Reshape":
            groups.append((f"r{i - 1}", f"r{i}"))
    return ModelGraph(
        name="toy.onnx",
        sha256=sha256,
        opset=17,
        tensors=MappingProxyType({t.name: t for t in tensors}),
        nodes=tuple(nodes),
        groups=tuple(groups),
    )


class ToyRunner:
    """Relu and Reshape with numpy. ``fail_at`` is a batch that raises ``error``; ``on_batch(i)`` is called first."""

    name = "numpy toy"

    def __init__(self, graph=None, *, fail_at=None, error=None, on_batch=None):
        self.graph = graph or toy_graph()
        self.fail_at = fail_at
        self.error = error
        self.on_batch = on_batch
        self.batches = 0
        self.open = 0

    def __enter__(self):
        self.open += 1
        return self

    def __exit__(self, *exc_info):
        self.open -= 1

    def constants(self):
        return iter(())

    def infer(self, feeds):
        index = self.batches
        self.batches += 1
        if self.on_batch is not None:
            self.on_batch(index)
        (value,) = feeds.values()
        yield "x", value
        for node in self.graph.nodes:
            if index == self.fail_at:
                raise self.error
            value = np.maximum(value, 0) if node.op_type == "Relu" else value
            yield node.outputs[0], value

    def histograms(self, feeds, bases):
        for name, array in self.infer(feeds):
            yield name, Histogram.of(array, bases.get(name) or None)

    def ranges(self, feeds):
        return ((name, amax_of(array)) for name, array in self.infer(feeds))
