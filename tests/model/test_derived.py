"""Which tensors are made of others, and which an engine has to be asked for."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from onnx import TensorProto

from tests.support.graphs import INT64, const, node, save, value
from trtcal_widgets.core.steps import Step, StepKind
from trtcal_widgets.model.derived import derived_tensors
from trtcal_widgets.model.load import load_model

END = node("Sigmoid", ["r"], ["y"])


def derived(tmp_path, nodes, stored=(), *, outputs=("y",), opset=17, dtype=TensorProto.FLOAT):
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [value("x", (None, 4), dtype)],
        [value(name, None, dtype) for name in outputs],
        stored,
        opset=opset,
    )
    return derived_tensors(load_model(path))


ONE = const("k", [[2.0]])


@pytest.mark.parametrize(
    ("op", "inputs", "kind", "first"),
    [
        ("Add", ["x", "k"], StepKind.ADD, 2.0),
        ("Add", ["k", "x"], StepKind.ADD, 2.0),
        ("Sub", ["x", "k"], StepKind.ADD, -2.0),
        ("Sub", ["k", "x"], StepKind.SUBTRACT_FROM, 2.0),
        ("Mul", ["x", "k"], StepKind.MULTIPLY, 2.0),
        ("Mul", ["k", "x"], StepKind.MULTIPLY, 2.0),
        ("Div", ["x", "k"], StepKind.DIVIDE, 2.0),
    ],
)
def test_arithmetic_with_a_scalar(tmp_path, op, inputs, kind, first):
    assert derived(tmp_path, [node(op, inputs, ["r"]), END], [ONE]) == {"r": ("x", Step(0, kind, first))}


def test_relu_clip_and_reshapes(tmp_path):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Clip", ["a", "", "six"], ["b"]),
        node("Reshape", ["b", "shape"], ["c"]),
        node("Constant", [], ["half"], value=const("", 0.5)),
        node("Mul", ["a", "half"], ["r"]),
        node("Neg", ["c"], ["z"]),
        END,
    ]
    stored = [const("six", 6.0), const("shape", [-1], np.int64)]
    # "c" is read by an operator that is not known to leave its input alone.
    assert derived(tmp_path, nodes, stored, outputs=("y", "z")) == {
        "a": ("x", Step(0, StepKind.CLIP, 0.0, math.inf)),
        "b": ("x", Step(1, StepKind.CLIP, -math.inf, 6.0)),
        "r": ("x", Step(1, StepKind.MULTIPLY, 0.5)),
    }
    nodes[5] = node("Sigmoid", ["c"], ["z"])
    assert derived(tmp_path, nodes, stored, outputs=("y", "z"))["c"] == ("x", Step(2, StepKind.SAME))


def test_a_hard_swish_in_pieces_is_made_of_one_tensor(tmp_path):
    nodes = [
        node("Add", ["x", "three"], ["a"]),
        node("Clip", ["a", "zero", "six"], ["b"]),
        node("Mul", ["x", "b"], ["c"]),
        node("Div", ["c", "six"], ["d"]),
        node("Sub", ["d", "a"], ["r"]),
        END,
    ]
    stored = [const("zero", 0.0), const("three", 3.0), const("six", 6.0)]
    assert derived(tmp_path, nodes, stored) == {
        "a": ("x", Step(0, StepKind.ADD, 3.0)),
        "b": ("x", Step(1, StepKind.CLIP, 0.0, 6.0)),
        "c": ("x", Step(0, StepKind.MULTIPLY_TENSORS, other=2)),
        "d": ("x", Step(3, StepKind.DIVIDE, 6.0)),
        "r": ("x", Step(4, StepKind.SUBTRACT_TENSORS, other=1)),
    }


def test_a_reshaped_tensor_may_be_broadcast_against_the_other(tmp_path):
    """(n, 4) and (n, 1, 4) give (n, n, 4): not value by value."""
    nodes = [
        node("Unsqueeze", ["x", "axis"], ["u"]),
        node("Add", ["u", "k"], ["v"]),
        node("Mul", ["x", "v"], ["r"]),
        END,
    ]
    assert list(derived(tmp_path, nodes, [const("axis", [1], np.int64), ONE])) == ["u", "v"]


def test_clip_had_attributes(tmp_path):
    found = derived(tmp_path, [node("Clip", ["x"], ["r"], min=-1.0, max=6.0), END], opset=6)
    assert found == {"r": ("x", Step(0, StepKind.CLIP, -1.0, 6.0))}


@pytest.mark.parametrize(
    ("nodes", "stored"),
    [
        ([node("Div", ["k", "x"], ["r"])], [ONE]),
        ([node("Div", ["x", "x"], ["r"])], []),
        ([node("Neg", ["x"], ["m"]), node("Add", ["x", "m"], ["r"])], []),
        ([node("Add", ["x", "k"], ["r"])], [const("k", [1.0, 2.0, 3.0, 4.0])]),
        ([node("Add", ["x", "k"], ["r"])], [const("k", np.nan)]),
        ([node("Mul", ["x", "k"], ["r"])], [const("k", np.inf)]),
        ([node("Neg", ["k"], ["m"]), node("Add", ["x", "m"], ["r"])], [ONE]),
        ([node("ReduceMax", ["x"], ["k"]), node("Sub", ["x", "k"], ["r"])], []),
        ([node("ReduceMax", ["x"], ["k"]), node("Clip", ["x", "", "k"], ["r"])], []),
        ([node("Sigmoid", ["x"], ["r"])], []),
        ([node("Pow", ["x", "k"], ["r"])], [ONE]),
        ([node("Relu", ["x"], ["r"], domain="custom")], []),
    ],
)
def test_what_has_to_be_read(tmp_path, nodes, stored):
    assert derived(tmp_path, [*nodes, node("Sigmoid", ["r"], ["y"])], stored) == {}


def test_an_output_is_there_anyway(tmp_path):
    assert derived(tmp_path, [node("Relu", ["x"], ["y"])]) == {}


def test_what_a_matmul_reads_is_asked_for(tmp_path):
    """ONNX Runtime pulls the factor into the product, which changes its last bits where nobody looks in between."""
    nodes = [node("Mul", ["x", "k"], ["r"]), node("MatMul", ["r", "w"], ["y"])]
    assert derived(tmp_path, nodes, [ONE, const("w", np.ones((4, 2)))]) == {}


def test_other_dtypes_are_read(tmp_path):
    nodes = [node("Relu", ["x"], ["r"]), node("Sigmoid", ["r"], ["y"])]
    assert derived(tmp_path, nodes, dtype=TensorProto.FLOAT16) == {}
    cast = [node("Cast", ["i"], ["x32"], to=1), node("Add", ["x32", "k"], ["r"]), node("Sigmoid", ["r"], ["y"])]
    path = save(tmp_path / "c.onnx", cast, [value("i", (4,), INT64)], [value("y", None)], [ONE])
    assert list(derived_tensors(load_model(path))) == ["r"]


def test_long_chains_are_cut(tmp_path):
    names = ["x", *(f"t{k}" for k in range(20)), "r"]
    nodes = [node("Add", [a, "k"], [b]) for a, b in pairwise(names)]
    found = derived(tmp_path, [*nodes, node("Sigmoid", ["r"], ["y"])], [ONE])
    assert [names.index(name) for name in found] == [*range(1, 9), *range(10, 18), *range(19, 22)]
    assert found["t9"] == ("t8", Step(0, StepKind.ADD, 2.0))
    assert found["t10"] == ("t8", Step(1, StepKind.ADD, 2.0))
