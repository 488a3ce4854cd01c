"""Networks as facts alone, without a model file: joins, fans and heads as real ones have them."""

from __future__ import annotations

from types import MappingProxyType

from tests.widgets.synthetic import MadeUpRunner
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.model.graph import ModelGraph, NodeInfo, TensorInfo, TensorKind
from trtcal_widgets.session import CalibrationSession

HOSTILE = '<img src=x onerror="document.title=`hacked`">\n&amp;\u202e'


def graph_of(layers, *, dtypes=None, weights=(), groups=()):
    """Make a graph of ``(operator, inputs, outputs)``; what nothing makes is an input, or a weight where listed."""
    dtypes = dtypes or {}
    nodes = tuple(NodeInfo(i, f"node {i}", op, "", tuple(ins), tuple(outs)) for i, (op, ins, outs) in enumerate(layers))
    names = dict.fromkeys(name for node in nodes for name in (*node.inputs, *node.outputs))
    producers = {name: node.index for node in nodes for name in node.outputs}
    tensors = {}
    for name in names:
        readers = tuple(node.index for node in nodes if name in node.inputs)
        made = producers.get(name, -1)
        kind = TensorKind.ACTIVATION if made >= 0 else TensorKind.WEIGHT if name in weights else TensorKind.INPUT
        dtype = dtypes.get(name, "float32")
        tensors[name] = TensorInfo(name, kind, dtype, ("N", 8), made, readers, is_output=made >= 0 and not readers)
    return ModelGraph("made.onnx", "0" * 64, 17, MappingProxyType(tensors), nodes, groups)


def residual():
    """Two residual blocks, the second with a projection on its shortcut."""
    return graph_of(
        [
            ("Conv", ["image", "w0"], ["stem"]), ("Relu", ["stem"], ["x0"]),
            ("Conv", ["x0", "w1"], ["c1"]), ("Relu", ["c1"], ["r1"]), ("Conv", ["r1", "w2"], ["c2"]),
            ("Add", ["c2", "x0"], ["s1"]), ("Relu", ["s1"], ["x1"]),
            ("Conv", ["x1", "w3"], ["c3"]), ("Relu", ["c3"], ["r3"]), ("Conv", ["r3", "w4"], ["c4"]),
            ("Conv", ["x1", "w5"], ["p4"]), ("Add", ["c4", "p4"], ["s2"]), ("Relu", ["s2"], ["x2"]),
        ],
        weights=[f"w{i}" for i in range(6)],
    )  # fmt: skip


def inception():
    """A pool, eight branches of one to three layers, joined by a Concat."""
    layers = [("Conv", ["image", "w"], ["stem"]), ("MaxPool", ["stem"], ["pool"])]
    for k in range(8):
        before = "pool"
        for depth in range(1 + k % 3):
            layers.append(("Conv", [before], [f"branch{k}/conv{depth}"]))
            before = f"branch{k}/conv{depth}"
        layers.append(("Relu", [before], [f"branch{k}/out"]))
    layers += [("Concat", [f"branch{k}/out" for k in range(8)], ["joined"]), ("Conv", ["joined"], ["mixed"])]
    return graph_of(layers, weights=["w"], groups=(("stem", "pool"),))


def detector():
    """Three heads with boxes and scores each, reshaped and joined, behind a pyramid; shapes are integers."""
    layers = [("Conv", ["image"], ["c3"]), ("Conv", ["c3"], ["c4"]), ("Conv", ["c4"], ["c5"])]
    layers += [("Resize", ["c5"], ["u5"]), ("Add", ["u5", "c4"], ["p4"]), ("Resize", ["p4"], ["u4"])]
    layers += [("Add", ["u4", "c3"], ["p3"])]
    for level in ("p3", "p4", "c5"):
        layers += [("Conv", [level], [f"{level}/box"]), ("Conv", [level], [f"{level}/score"])]
        layers += [("Shape", [f"{level}/box"], [f"{level}/shape"])]
        layers += [("Reshape", [f"{level}/box", f"{level}/shape"], [f"{level}/box/flat"])]
        layers += [("Sigmoid", [f"{level}/score"], [f"{level}/score/p"])]
    layers += [("Concat", [f"{level}/box/flat" for level in ("p3", "p4", "c5")], ["boxes"])]
    layers += [("Concat", [f"{level}/score/p" for level in ("p3", "p4", "c5")], ["scores"])]
    return graph_of(layers, dtypes={f"{level}/shape": "int64" for level in ("p3", "p4", "c5")})


def fan(n=44):
    """A tensor that many layers read, as one embedding of a condition is read by all blocks of a network."""
    layers = [("MatMul", ["condition"], ["embedding"])]
    layers += [("Gemm", ["embedding"], [f"block{k}/scale"]) for k in range(n)]
    return graph_of(layers)


def long(n=3000):
    """A chain of many layers with a shortcut over every three, and a name that is no name."""
    names = ["image", *(f"backbone/stage{k // 100}/block{k}/a_rather_long_name/output_0" for k in range(n))]
    names[1500] = HOSTILE
    layers = []
    for k in range(n):
        shortcut = [names[k - 2]] if k % 3 == 2 else []
        layers.append(("Add" if shortcut else ("Conv", "Relu")[k % 3], [names[k], *shortcut], [names[k + 1]]))
    return graph_of(layers)


def session_of(graph, batches=2):
    """A session with made-up values over such a graph."""
    from numpy import float32, zeros

    images = zeros((batches * 4, 1, 10, 10), float32)
    source = ArrayBatches({t.name: images for t in graph.inputs})
    return CalibrationSession(MadeUpRunner(graph), source, batch_size=4)
