"""Q/DQ in ONNX Runtime against the package's own quantiser, bit for bit.

What is exact: the operands after DequantizeLinear (compared as graph outputs), and the operator's result, because
the reference runs the same FP32 kernel of ONNX Runtime on operands that NumPy quantised.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.helpers import by_channel, checked, run
from tests.support.graphs import const, node, save, value
from trtcal_widgets.core.quantizer import fake_quantize

RNG = np.random.default_rng(7)
HARD = np.float32([0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.49, 127.5, -127.5, -128.5, -129, 1e30, -1e30, 1e-40])


def activations(shape, scale):
    """Values on, between and beyond the levels, ties among them."""
    x = RNG.normal(scale=60, size=shape).astype(np.float32)
    x.reshape(-1)[: HARD.size] = HARD
    return x * np.float32(scale)


def weights(*shape):
    w = RNG.normal(size=shape).astype(np.float32)
    w *= np.float32(10.0) ** RNG.integers(-4, 3, size=shape[:1] + (1,) * (len(shape) - 1)).astype(np.float32)
    w[1] = 0  # a dead channel along the first axis
    return w


def compare(path, scales, quantised, feeds):
    """Run the Q/DQ model, and the FP32 model on operands that were quantised by hand."""
    result = checked(path, scales)
    proto = onnx.ModelProto.FromString(result.to_bytes())
    operands = {t.name: t.dequantized_name for t in result.report.quantized}
    assert set(operands) == set(quantised)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in operands.values())
    got = run(proto.SerializeToString(), feeds)
    for name, expected in quantised.items():
        np.testing.assert_array_equal(got[operands[name]], expected, err_msg=name, strict=True)
    plain = onnx.load(path)
    for tensor in plain.graph.initializer:
        if tensor.name in quantised:
            tensor.CopyFrom(const(tensor.name, quantised[tensor.name]))
    fed = {name: quantised.get(name, array) for name, array in feeds.items()}
    expected = run(plain.SerializeToString(), fed)
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name, strict=True)
    return got


SCALES = [0.0078125, 0.1, 3.1415927e-5, 1234.5]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("groups", [1, 4])
def test_conv(tmp_path, scale, groups):
    w = weights(8, 4 // groups, 3, 3)
    made = node("Conv", ["x", "w", "b"], ["y"], name="c", group=groups, pads=[1, 1, 1, 1])
    bias = const("b", RNG.normal(size=8))
    path = save(tmp_path / "m.onnx", [made], [value("x", ["N", 4, 9, 9])], [value("y", None)], [const("w", w), bias])
    x = activations((2, 4, 9, 9), scale)
    compare(path, {"x": scale}, {"x": fake_quantize(x, scale), "w": by_channel(w, 0)}, {"x": x})


@pytest.mark.parametrize("scale", SCALES)
def test_conv_transpose(tmp_path, scale):
    w = np.moveaxis(weights(6, 4, 2, 2), 0, 1)
    made = node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = save(tmp_path / "m.onnx", [made], [value("x", ["N", 4, 5, 5])], [value("y", None)], [const("w", w)])
    x = activations((2, 4, 5, 5), scale)
    compare(path, {"x": scale}, {"x": fake_quantize(x, scale), "w": by_channel(w, 1)}, {"x": x})


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("turned", [0, 1])
def test_gemm(tmp_path, scale, turned):
    w = weights(7, 12) if turned else weights(7, 12).T.copy()
    made = node("Gemm", ["x", "w", "b"], ["y"], transB=turned)
    stored = [const("w", w), const("b", RNG.normal(size=7))]
    path = save(tmp_path / "m.onnx", [made], [value("x", ["N", 12])], [value("y", None)], stored)
    x = activations((5, 12), scale)
    axis = 0 if turned else 1
    compare(path, {"x": scale}, {"x": fake_quantize(x, scale), "w": by_channel(w, axis)}, {"x": x})


@pytest.mark.parametrize("scale", SCALES)
def test_matmul_with_weights(tmp_path, scale):
    w = weights(7, 12).T.copy()
    path = save(
        tmp_path / "m.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", ["N", "S", 12])],
        [value("y", None)],
        [const("w", w)],
    )
    x = activations((2, 5, 12), scale)
    compare(path, {"x": scale}, {"x": fake_quantize(x, scale), "w": by_channel(w, 1)}, {"x": x})


def test_matmul_of_two_activations(tmp_path):
    made = [node("MatMul", ["a", "b"], ["y"])]
    path = save(tmp_path / "m.onnx", made, [value("a", ["N", 4, 6]), value("b", ["N", 6, 5])], [value("y", None)])
    a, b = activations((2, 4, 6), 0.3), activations((2, 6, 5), 0.01)
    quantised = {"a": fake_quantize(a, 0.3), "b": fake_quantize(b, 0.01)}
    compare(path, {"a": 0.3, "b": 0.01}, quantised, {"a": a, "b": b})


def residual(tmp_path):
    stored = [const("w", weights(4, 4, 1, 1)), const("b", RNG.normal(size=4))]
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="conv"),
        node("Add", ["c", "x"], ["y"], name="add"),
    ]
    return save(tmp_path / "m.onnx", nodes, [value("x", ["N", 4, 5, 5])], [value("y", None)], stored)


def test_residual_add(tmp_path):
    path = residual(tmp_path)
    x = activations((2, 4, 5, 5), 0.02)
    w = onnx.numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    # x has one pair: the convolution and the addition read the same operand.
    compare(path, {"x": 0.02}, {"x": fake_quantize(x, 0.02), "w": by_channel(w, 0)}, {"x": x})


def test_concat_has_one_scale_for_all_inputs_and_its_output(tmp_path):
    w = weights(3, 5, 1, 1)
    nodes = [
        node("Relu", ["a"], ["ra"]),
        node("Relu", ["b"], ["rb"]),
        node("Concat", ["ra", "rb"], ["c"], axis=1, name="cat"),
        node("Conv", ["c", "w"], ["y"], name="conv"),
    ]
    inputs = [value("a", ["N", 2, 4, 4]), value("b", ["N", 3, 4, 4])]
    path = save(tmp_path / "m.onnx", nodes, inputs, [value("y", None)], [const("w", w)])
    scales = {"ra": 0.01, "rb": 0.5, "c": 0.25}
    result = checked(path, scales)
    assert {t.name: t.scale for t in result.report.activations} == dict.fromkeys(["ra", "rb", "c"], 0.5)
    a, b = activations((2, 2, 4, 4), 0.01), activations((2, 3, 4, 4), 0.5)
    ra, rb = (fake_quantize(np.maximum(x, 0), 0.5) for x in (a, b))
    joined = np.concatenate([ra, rb], axis=1)
    np.testing.assert_array_equal(fake_quantize(joined, 0.5), joined)  # the second pair changes nothing
    got = run(result.to_bytes(), {"a": a, "b": b})["y"]
    plain = [node("Conv", ["c", "w"], ["y"])]
    alone = save(tmp_path / "p.onnx", plain, [value("c", None)], [value("y", None)], [const("w", by_channel(w, 0))])
    np.testing.assert_array_equal(got, run(alone, {"c": joined})["y"])


@settings(max_examples=60, deadline=None)
@given(
    st.floats(min_value=2.0**-100, max_value=2.0**100, width=32),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40),
)
def test_any_finite_scale_and_value(scale, values):
    """The pair alone: QuantizeLinear of ONNX Runtime is the quantiser of the package for all values but NaN."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    stored = [const("s", np.float32(scale)), const("z", 0, np.int8)]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", [None])], [value("y", [None])], stored)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    x = np.float32(values)
    with np.errstate(over="ignore"):
        expected = fake_quantize(x, scale)
    np.testing.assert_array_equal(run(model.SerializeToString(), {"x": x})["y"], expected)
