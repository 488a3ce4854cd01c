"""Layers are told apart where the file's names do not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.support.graphs import const, node, save, value
from trtcal_widgets.cli import main
from trtcal_widgets.export.plan_formats import trtexec_arguments
from trtcal_widgets.export.port import port_scales
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.plan import PrecisionPlan

RNG = np.random.default_rng(0)


@pytest.fixture
def model(tmp_path):
    """An unnamed Conv before one that is called as it would be, and two with one name."""
    names = ["", "Conv_0", "same", "same"]
    nodes = [node("Conv", [f"t{i}", f"w{i}"], [f"t{i + 1}"], name=name) for i, name in enumerate(names)]
    stored = [const(f"w{i}", RNG.standard_normal((4, 4, 1, 1))) for i in range(4)]
    return save(tmp_path / "m.onnx", nodes, [value("t0", ["N", 4, 8, 8])], [value("t4", None)], stored)


SCALES = {f"t{i}": 0.03 for i in range(4)}


def test_each_layer_can_be_kept_by_itself(model):
    layers = [one.name for one in load_model(model).graph.nodes]
    for name in layers:
        report = build_qdq(model, SCALES, plan=PrecisionPlan(keep=(name,))).report
        assert len({layer for tensor in report.quantized for layer in tensor.consumers}) == 3
    proto = build_qdq(model, SCALES, plan=PrecisionPlan(keep=tuple(layers))).proto
    assert not [one for one in proto.graph.node if one.op_type == "QuantizeLinear"]


def test_other_tools_are_not_told_a_name_that_is_not_one_layers(model):
    loaded = load_model(model)
    names = [one.name for one in loaded.graph.nodes]
    made = trtexec_arguments(PrecisionPlan(keep=(names[2],)), loaded)
    assert "same" not in " ".join(made.arguments)
    assert "1 kept layer has no name of its own" in " ".join(made.notes)
    both = trtexec_arguments(PrecisionPlan(keep=tuple(names[2:])), loaded)
    assert "2 kept layers have no name of their own" in " ".join(both.notes)


@pytest.mark.parametrize(
    "kind", ["FLOAT8E4M3FN", "FLOAT8E5M2", "BFLOAT16", "INT4", "UINT4", "FLOAT16", "FLOAT8E4M3FNUZ"]
)
def test_constants_of_narrow_types_are_told_apart(tmp_path, kind):
    def made(name, filled):
        code = getattr(TensorProto, kind)
        constant = helper.make_tensor("c", code, [8, 6], [filled] * 48)
        dequantised = "8E" in kind or "INT" in kind
        first = node("DequantizeLinear", ["c", "s"], ["cf"]) if dequantised else node("Cast", ["c"], ["cf"], to=1)
        nodes = [first, node("MatMul", ["x", "cf"], ["a"]), node("MatMul", ["a", "w"], ["o"])]
        stored = [constant, const("s", 0.1), const("w", RNG.standard_normal((6, 3)))]
        return save(tmp_path / name, nodes, [value("x", ["N", 8])], [value("o", None)], stored, opset=21, ir=10)

    path = made("m.onnx", 1)
    cache = CalibrationCache.build({"x": 0.03, "a": 0.03, "o": 0.03}, version="8.6.1")
    assert dict(port_scales(path, path, cache).table.scales) == dict(cache.scales)


def test_force_on_a_model_that_needs_nothing_says_so(tmp_path, capsys):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("QuantizeLinear", ["w", "s", "z"], ["wq"]),
        node("DequantizeLinear", ["wq", "s", "z"], ["wd"]),
        node("Conv", ["d", "wd"], ["o"]),
    ]
    stored = [const("s", 0.05), const("z", 0, np.int8), const("w", RNG.standard_normal((4, 3, 3, 3)))]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 3, 8, 8])], [value("o", ["N", 4, 6, 6])], stored)
    (tmp_path / "m.cache").write_text("TRT-8601-EntropyCalibration2\nx: 3d000000\nd: 3d000000\no: 3d000000\n")
    argv = ["convert", str(tmp_path / "m.cache"), "--model", str(path), "--to", "qdq", "-o", str(tmp_path / "q.onnx")]
    assert main([*argv, "--force"]) == 2
    error = capsys.readouterr().err
    assert "no other layer that the scales could quantise" in error
    assert "--force" not in error
    assert not (tmp_path / "q.onnx").exists()
    assert onnx.load(path).graph.node
