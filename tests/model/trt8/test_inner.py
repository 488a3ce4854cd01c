"""Tensors that only TensorRT's network has, computed beside the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets.model.load import load_model
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner

RANDOM = np.random.default_rng(8)
X = RANDOM.normal(0, 1, (4, 6)).astype(np.float32)
W = RANDOM.normal(0, 1, (5, 6)).astype(np.float32)
C = RANDOM.normal(0, 1, 5).astype(np.float32)


def counted(path, x=X):
    with OnnxRuntimeRunner(path) as runner:
        return dict(runner.histograms({"x": x}, {}))


def saved(tmp_path, nodes, *, opset=17, stored=(), shape=(4, 6), out=None):
    return save(tmp_path / "m.onnx", nodes, [value("x", shape)], [value("y", out)], stored, opset=opset)


@pytest.mark.parametrize("opset", [9, 11, 17])
def test_a_gemm_before_its_bias(tmp_path, opset):
    nodes = [node("Gemm", ["x", "w", "c"], ["y"], transB=1, alpha=0.5, beta=2.0)]
    path = saved(tmp_path, nodes, opset=opset, stored=[const("w", W), const("c", C)])
    facts = load_model(path).graph.trt8
    product, scaled, bias = facts.inner
    found = counted(path)
    assert found[product].amax == pytest.approx(np.abs(X @ W.T).max(), rel=1e-6)
    assert found[scaled].amax == pytest.approx(0.5 * np.abs(X @ W.T).max(), rel=1e-6)
    assert found[bias].amax == pytest.approx(2 * np.abs(C).max(), rel=1e-6)
    assert [row.name for row in facts.rows if row.number == 0.5] == ["(Unnamed Layer* 3) [Shuffle]_output"]


def test_the_model_s_own_tensors_keep_their_bits(tmp_path):
    """Also where the product reads what is made of another tensor and would not leave the engine."""
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Mul", ["r", "half"], ["h"]),
        node("Gemm", ["h", "w", "c"], ["g"], transB=1),
        node("Softmax", ["g"], ["y"]),
    ]
    path = saved(tmp_path, nodes, stored=[const("w", W), const("c", C), const("half", 0.5)])
    found = counted(path)
    plain = onnx.load(path)
    del plain.graph.output[:]
    plain.graph.output.extend(value(name, None) for name in ("r", "h", "g", "y"))
    import onnxruntime as ort

    bare = ort.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, array in zip(("r", "h", "g", "y"), bare.run(None, {"x": X}), strict=True):
        assert found[name].maximum == array.max()
        assert found[name].sum_squares == pytest.approx(float((array.astype(np.float64) ** 2).sum()), rel=1e-12)


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize(
    ("op_type", "inner"),
    [
        ("ReduceL2", [lambda x: x * x, lambda x: (x * x).sum(1)]),
        ("ReduceL1", [np.abs]),
        ("ReduceLogSumExp", [np.exp, lambda x: np.exp(x).sum(1)]),
        ("ReduceSumSquare", [lambda x: x * x]),
    ],
)
def test_reductions_of_several_layers(tmp_path, opset, op_type, inner):
    path = saved(tmp_path, [node(op_type, ["x"], ["y"], axes=[1])], opset=opset)
    found = counted(path)
    made = load_model(path).graph.trt8.inner
    assert len(made) == len(inner)
    for name, f in zip(made, inner, strict=True):
        assert found[name].amax == pytest.approx(np.abs(f(X)).max(), rel=1e-6)


def test_infer_gives_the_model_s_tensors_only(tmp_path):
    path = saved(tmp_path, [node("Gemm", ["x", "w", "c"], ["y"], transB=1)], stored=[const("w", W), const("c", C)])
    with OnnxRuntimeRunner(path) as runner:
        assert [name for name, _ in runner.infer({"x": X})] == ["x", "y"]
        assert [name for name, _ in runner.ranges({"x": X})] == [
            "x",
            "y",
            "(Unnamed Layer* 1) [Matrix Multiply]_output",
        ]


def test_what_is_not_float32_is_left_out(tmp_path):
    nodes = [
        node("Cast", ["x"], ["d"], to=onnx.TensorProto.DOUBLE),
        node("Gemm", ["d", "w", "c"], ["g"], transB=1),
        node("Cast", ["g"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    stored = [const("w", W, np.float64), const("c", C, np.float64)]
    facts = load_model(saved(tmp_path, nodes, stored=stored)).graph.trt8
    assert facts.inner == ()
    assert facts.left_out == (
        (
            "(Unnamed Layer* 2) [Matrix Multiply]_output",
            "its values are computed from 'd', which is not float32",
        ),
    )
