"""ONNX Runtime's integer format: scales that are inputs of the operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic

from tests.support.foreign_qdq import by_onnxruntime
from tests.support.rtx import need_rtx
from trtcal_widgets import sample
from trtcal_widgets.cli import main
from trtcal_widgets.errors import ModelError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.explicit.compare import compare_pairs
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.explicit.table import read_scales
from trtcal_widgets.model.load import load_model
from trtcal_widgets.trt.check import check_model

TYPES = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
SYMMETRIC = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("integers")


@pytest.fixture(scope="module")
def integers(folder):
    kinds = {"quant_format": QuantFormat.QOperator, "per_channel": True, **TYPES}
    return by_onnxruntime(folder / "integers.onnx", extra_options={**SYMMETRIC, "QuantizeBias": True}, **kinds)


@pytest.fixture(scope="module")
def pairs(folder):
    return by_onnxruntime(folder / "pairs.onnx", per_channel=True, extra_options=SYMMETRIC, **TYPES)


def by_tensor(path):
    return {pair.tensor: pair for pair in read_pairs(load_model(path))}


def test_the_same_tensors_have_the_same_scales_as_with_pairs(integers, pairs):
    """Seen before: one row of LeNet's ten, the one that a DequantizeLinear at the output gives."""
    here, there = by_tensor(integers), by_tensor(pairs)
    wanted = {"data", "conv1", "pool1", "conv2", "flatten", "ip1", "ip2"}
    weights = {f"{name}.weight" for name in ("conv1", "conv2", "ip1", "ip2")}
    assert wanted | weights <= set(here)
    for name in wanted | weights:
        np.testing.assert_array_equal(here[name].scales, there[name].scales)
        assert here[name].dtype == "int8"
        assert here[name].is_constant is (name in weights)
    for name in weights:
        assert here[name].axis == there[name].axis, name
        assert here[name].is_per_channel
    assert [one[:2] for one in here["flatten"].readers] == [("ip1", "Gemm")]
    assert here["conv2.weight"].readers == (("conv2", "Conv", 1),)


def test_they_become_a_cache_in_graph_order_and_pairs_of_ours(integers, pairs):
    table = read_scales(integers)
    assert list(table.scales)[:3] == ["data", "conv1", "pool1"]
    assert table.scales["flatten"] == read_scales(pairs).scales["flatten"]
    result = build_qdq(sample.model_path(), integers)
    assert {"conv1", "conv2", "ip1"} <= {name for one in result.report.activations for name in one.consumers}


def test_a_diff_names_what_really_differs(integers, pairs):
    found = compare_pairs(read_pairs(load_model(integers)), read_pairs(load_model(pairs)))
    assert {"data", "conv1.weight", "ip1.weight", "ip2"} <= set(found.equal)
    assert not [change.a.tensor for change in found.changed if "scale" in change.what and change.a.tensor != "prob"]


def test_a_model_of_integers_is_quantised_already(integers):
    report = build_qdq(integers, {"data": 0.1}).report
    assert len(report.already_quantized) >= 4
    assert any("already has explicit quantisation" in note for note in report.notes)


def test_other_operators_of_the_format(folder):
    """Of two operands, of several, of one; and the original's inputs that they stand for."""
    scale = {"s": np.float32(0.1), "z": np.int8(0), "t": np.float32(0.2)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["x_quantized"], name="q"),
        helper.make_node("QLinearAdd", ["x_quantized", "s", "z", "x_quantized", "s", "z", "t", "z"], ["a_quantized"],
                         name="add_quant", domain="com.microsoft"),
        helper.make_node("QLinearConcat", ["t", "z", "x_quantized", "s", "z", "a_quantized", "t", "z"], ["c_quantized"],
                         name="join_quant", domain="com.microsoft", axis=0),
        helper.make_node("QLinearSigmoid", ["c_quantized", "t", "z", "s", "z"], ["y_quantized"], name="g_quant",
                         domain="com.microsoft"),
        helper.make_node("DequantizeLinear", ["y_quantized", "s", "z"], ["y"], name="dq"),
    ]  # fmt: skip
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in scale.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "others.onnx")
    found = by_tensor(folder / "others.onnx")
    assert {name: round(float(pair.scales), 3) for name, pair in found.items()} == {
        "x": 0.1, "a": 0.2, "c": 0.2, "y": 0.1,
    }  # fmt: skip
    assert found["x"].readers == (("add", "Add", 0), ("add", "Add", 1), ("join", "Concat", 0))
    assert found["a"].readers == (("join", "Concat", 1),)


def test_dynamic_quantisation_has_no_scales_in_the_file(folder):
    quantize_dynamic(sample.model_path(), folder / "dynamic.onnx")
    with pytest.raises(ModelError, match=r"quantised dynamically \('data_QuantizeLinear' is a DynamicQuantizeLinear\)"):
        read_scales(folder / "dynamic.onnx")
    need_rtx()
    report = check_model(folder / "dynamic.onnx", builder="rtx")
    assert {one.op_type for one in report.problems} == {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"}
    assert all("statically" in one.advice for one in report.problems), report.to_text()


def quantised_weight(path, dtype, scales, **attributes):
    """A product with a weight that is stored quantised; the input is not quantised."""
    weight = helper.make_tensor("w", dtype, (32, 16), np.ones(512))
    stored = [weight, numpy_helper.from_array(scales, "s")]
    node = helper.make_node("DequantizeLinear", ["w", "s"], ["wd"], name="w_dq", **attributes)
    product = helper.make_node("MatMul", ["x", "wd"], ["y"], name="mm")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, size]) for n, size in (("x", 32), ("y", 16)))
    model = helper.make_model(
        helper.make_graph([node, product], "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )  # fmt: skip
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def test_weights_alone_are_shown_and_compared_and_make_no_cache(folder, capsys):
    """As tools for language models write them: INT4, one scale for 16 values."""
    path = quantised_weight(
        folder / "int4.onnx", TensorProto.INT4, np.full((2, 16), 0.1, np.float32), axis=0, block_size=16
    )
    assert main(["show", str(path)]) == 0
    assert "int4" in capsys.readouterr().out
    assert main(["diff", str(path), str(path)]) == 0
    assert "1 equal" in capsys.readouterr().out
    assert main(["convert", str(path), "--to", "cache", "-o", str(folder / "no.cache")]) == 2
    assert "only constants are quantised" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["INT16", "UINT16", "UINT8", "UINT4", "FLOAT8E5M2"])
def test_types_that_tensorrt_has_not_are_named_with_the_node(folder, name):
    """The parser speaks of an initializer, and of an operator that would have no counterpart."""
    need_rtx()
    path = quantised_weight(folder / f"{name}.onnx", getattr(TensorProto, name), np.float32(0.1))
    (problem,) = check_model(path, builder="rtx").problems
    assert problem.node == "w_dq"
    assert "which TensorRT has no kernels for" in problem.message
    assert "Quantise to INT8" in problem.advice
