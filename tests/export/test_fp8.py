"""FP8 exports: the same thresholds and places, E4M3's numbers, and what has no kernel left out."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.export.helpers import checked, pair_inputs, run
from tests.support.models import ocr_model
from tests.support.rtx import need_rtx
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.cli import main
from trtcal_widgets.core.fp8 import fake_quantize_fp8
from trtcal_widgets.data import IterableBatches
from trtcal_widgets.errors import UsageError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.plan import PrecisionPlan

SCALES = {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}


def pairs_of(path):
    return {pair.tensor: pair for pair in read_pairs(load_model(path))}


def test_the_same_places_and_thresholds_as_int8(tmp_path):
    int8, fp8 = (checked(sample.model_path(), SCALES, format=name) for name in ("int8", "fp8"))
    assert pair_inputs(int8.proto) == pair_inputs(fp8.proto)
    assert (int8.report.opset_after, fp8.report.opset_after) == (13, 19)
    int8.write(tmp_path / "int8.onnx")
    fp8.write(tmp_path / "fp8.onnx")
    before, after = pairs_of(tmp_path / "int8.onnx"), pairs_of(tmp_path / "fp8.onnx")
    assert list(before) == list(after)
    for name, pair in after.items():
        assert pair.dtype == "float8_e4m3fn"
        assert pair.amax == pytest.approx(before[name].amax, rel=1e-6)
        np.testing.assert_allclose(pair.scales, before[name].scales * (127 / 448), rtol=2e-7)
    assert fp8.report.format == "fp8"
    assert json.loads(fp8.report.to_json())["quantized_to"] == "fp8"
    assert any("448" in note for note in fp8.report.notes)


def one_layer(tmp_path, node, weights, shape):
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_operands_are_e4m3_to_the_last_bit(tmp_path):
    random = np.random.default_rng(3)
    w = random.normal(size=(6, 4)).astype(np.float32)
    x = (random.normal(size=(5, 6)) * 3).astype(np.float32)
    path = one_layer(tmp_path, helper.make_node("MatMul", ["x", "w"], ["y"], name="mm"), w, [5, 6])
    result = checked(path, {"x": 0.02}, format="fp8")
    per_column = np.abs(w).max(axis=0) / np.float32(448)
    expected_w = (w / per_column).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * per_column
    scale = np.float32(np.float64(np.float32(0.02)) * (127 / 448))
    expected_x = fake_quantize_fp8(x, scale)
    inner = onnx.ModelProto()
    inner.CopyFrom(result.proto)
    for name in ("x_dequantized", "w_dequantized"):
        inner.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    got = run(inner.SerializeToString(), {"x": x})
    np.testing.assert_array_equal(got["x_dequantized"], expected_x)
    np.testing.assert_array_equal(got["w_dequantized"], expected_w)


def test_a_plan_sets_the_same_threshold(tmp_path):
    result = build_qdq(sample.model_path(), SCALES, plan=PrecisionPlan(amax={"data": 0.5}), format="fp8")
    data = next(tensor for tensor in result.report.activations if tensor.name == "data")
    assert data.scale == pytest.approx(0.5 / 448, rel=1e-6)


def test_an_operator_without_fp8_kernel_is_left_with_the_reason(tmp_path):
    w = np.random.default_rng(0).normal(size=(8, 8, 2, 2)).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="up", strides=[2, 2])
    path = one_layer(tmp_path, node, w, [1, 8, 4, 4])
    assert build_qdq(path, {"x": 0.01}).report.quantized
    report = build_qdq(path, {"x": 0.01}, format="fp8", force=True).report
    assert not report.quantized
    (left,) = report.left
    assert (left.name, "FP8" in left.message) == ("up", True)


def test_an_unknown_format(tmp_path):
    with pytest.raises(UsageError, match="format must be 'int8' or 'fp8'"):
        build_qdq(sample.model_path(), SCALES, format="fp4")


def test_the_builder_runs_every_layer_in_fp8():
    need_rtx()
    report = build_qdq(sample.model_path(), SCALES, format="fp8").check(builder="rtx")
    assert [one.runs_in for one in report.verdicts] == ["fp8"] * 4
    refused = build_qdq(sample.model_path(), SCALES, format="fp8").check(builder="rtx", target="SM86")
    assert not refused.built
    assert "SM89" in refused.problems[0].advice


@pytest.mark.models
def test_real_models_run_in_fp8_wholly():
    need_rtx()
    random = np.random.default_rng(0)
    for which, shape in (("det", (1, 3, 64, 64)), ("rec", (1, 3, 48, 320))):
        path = ocr_model(which)
        batch = random.uniform(-1, 1, shape).astype(np.float32)
        with CalibrationSession(path, IterableBatches(lambda b=batch: iter([b])), batch_size=1, method="minmax") as own:
            own.run()
            result = build_qdq(path, own, format="fp8")
        report = result.check(builder="rtx", shapes={result.proto.graph.input[0].name: shape})
        assert {one.runs_in for one in report.verdicts} == {"fp8"}
        assert len(report.verdicts) > 45


def test_the_command_line(tmp_path, capsys):
    cache = tmp_path / "calibration.cache"
    cache.write_text("TRT-8601-EntropyCalibration2\n" + "".join(f"{name}: 3c23d70a\n" for name in SCALES))
    out = tmp_path / "fp8.onnx"
    options = ["--model", str(sample.model_path()), "-o", str(out)]
    assert main(["convert", str(cache), "--to", "qdq", "--format", "fp8", *options]) == 0
    assert "format: fp8" in capsys.readouterr().out
    assert pairs_of(out)["data"].dtype == "float8_e4m3fn"
    assert main(["convert", str(cache), "--to", "ranges", "--format", "fp8", "-o", str(tmp_path / "r.txt")]) == 2


def test_a_plan_is_looked_for_in_fp8(tmp_path, capsys):
    """LeNet on its own images: FP8 is simulated, ranked and written; INT8's scores are not taken for FP8's."""
    model, out = str(sample.model_path()), str(tmp_path / "fp8.onnx")
    images = str(sample.model_path().with_name("calibration-images-idx3-ubyte.gz"))
    limits = ["--eval-batches", "2", "--batches", "2", "--state", str(tmp_path / "state.json"), "--keep-scales"]
    options = ["--batch-size", "50", *limits]
    assert main(["debug", model, images, images, *options, "--format", "fp8", "--qdq", out]) in (0, 1)
    shown = capsys.readouterr().out
    assert "each layer alone in FP8" in shown
    assert "INT8" not in shown
    assert {pair.dtype for pair in pairs_of(out).values()} <= {"float8_e4m3fn"}
    assert main(["debug", model, images, images, *options]) == 2
    assert "another search" in capsys.readouterr().err
