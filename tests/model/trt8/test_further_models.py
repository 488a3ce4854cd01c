"""Rows that TensorRT 8.6.0 wrote for further small models than those given, as it wrote them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets.model.load import load_graph

RNG = np.random.default_rng(0)
FIRST = [node("Conv", ["x", "w_c"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["a"])]
KERNEL = const("w_c", RNG.standard_normal((8, 8, 3, 3)) * 0.3)
IMAGE = [1, 8, 16, 16]


def number(n, kind):
    return f"(Unnamed Layer* {n}) [{kind}]_output"


def ints(**arrays):
    return [const(name, array, np.int64) for name, array in arrays.items()]


CASES = {
    "a slice of a constant": (
        [*FIRST, node("Slice", ["k", "s0", "s1", "s2"], ["ks"]), node("Add", ["a", "ks"], ["b"])],
        [const("k", RNG.standard_normal((1, 12, 1, 1))), *ints(s0=[0], s1=[8], s2=[1])],
        ["x", "c", "a", number(2, "Constant"), "ks", "b", "y"],
    ),
    "LogSoftmax": (
        [*FIRST, node("LogSoftmax", ["c"], ["b"], axis=1)],
        [],
        ["x", "c", number(3, "Unary"), "y"],
    ),
    "Gather behind a pool": (
        [
            *FIRST,
            node("MaxPool", ["c"], ["p"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
            node("Gather", ["p", "ix"], ["b"], axis=1),
        ],
        ints(ix=[1, 2]),
        ["x", "c", "p", "b", "y"],
    ),
    "Celu": (
        [*FIRST, node("Celu", ["a"], ["b"])],
        [],
        [
            "x", "c", "a", *(number(n, "Shuffle") for n in (3, 5, 7)), number(8, "ElementWise"), number(9, "Unary"),
            *(number(n, "ElementWise") for n in (10, 11, 12, 13)), "b", "y",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_rows_are_tensorrts(tmp_path, case):
    nodes, stored, rows = CASES[case]
    path = save(
        tmp_path / "m.onnx", [*nodes, node("Relu", ["b"], ["y"])], [value("x", IMAGE)], [value("y", None)],
        [KERNEL, *stored], opset=13,
    )  # fmt: skip
    assert [row.name for row in load_graph(path).trt8.rows] == rows


def test_the_biases_of_a_gru(tmp_path):
    stored = [const("w", RNG.standard_normal((1, 24, 12))), const("rr", RNG.standard_normal((1, 24, 8)))]
    nodes = [
        node("GRU", ["x", "w", "rr", "bs"], ["ys", "yh"], hidden_size=8),
        node("Sigmoid", ["ys"], ["b"]),
        node("Relu", ["b"], ["y"]),
    ]
    inputs, biases = [value("x", [5, 1, 12])], const("bs", RNG.standard_normal((1, 48)))
    path = save(tmp_path / "m.onnx", nodes, inputs, [value("y", [5, 1, 1, 8])], [*stored, biases], opset=13)
    assert [row.name for row in load_graph(path).trt8.rows] == [
        "x", number(14, "Constant"), number(15, "Shuffle"), *(number(n, "Slice") for n in (16, 17, 18, 19)),
        number(28, "Constant"), number(29, "Shuffle"), number(30, "Slice"), number(46, "ElementWise"), "ys", "b", "y",
    ]  # fmt: skip
