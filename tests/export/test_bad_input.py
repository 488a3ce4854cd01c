from __future__ import annotations

import json
import math

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.export.helpers import checked
from tests.support.graphs import const, node, save, value
from tests.support.shared import shared_path
from trtcal_widgets import read_scale_file, sample
from trtcal_widgets.errors import ExportError, ModelError, UsageError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.plan import PrecisionPlan

LENET = {"data": 0.008, "conv1": 0.02, "pool1": 0.015, "flatten": 0.04, "ip1": 0.1, "relu1": 0.017, "prob": 0.007}


def reasons(report):
    return {row.name: row.reason for row in report.unused}


def test_a_cache_of_another_model_is_refused_unless_forced():
    cache = read_scale_file(shared_path("data", "caches", "yolov8.TRT-101401.cache"))
    with pytest.raises(ExportError, match=r"only 0 of 299 rows are tensors of lenet\.onnx.*trtcal port"):
        build_qdq(sample.model_path(), cache)
    report = build_qdq(sample.model_path(), cache, force=True).report
    assert (report.match_share, len(report.quantized)) == (0.0, 0)
    assert len(report.unused) == report.rows
    assert {m.name for m in report.missing} == {"data", "pool1", "flatten", "relu1"}


def test_made_up_names_do_not_count_against_a_cache():
    made_up = {f"(Unnamed Layer* {i}) [Constant]_output": 0.1 for i in range(40)}
    report = checked(sample.model_path(), {**made_up, **LENET}).report
    assert (report.synthetic, report.match_share) == (40, 1.0)
    assert reasons(report)["(Unnamed Layer* 3) [Constant]_output"] == "synthetic"


def test_just_half_of_the_names_are_enough():
    others = {f"other{i}": 0.1 for i in range(len(LENET))}
    assert build_qdq(sample.model_path(), {**LENET, **others}).report.match_share == 0.5
    with pytest.raises(ExportError, match="7 of 15"):
        build_qdq(sample.model_path(), {**LENET, **others, "one more": 0.1})


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (0.0, "zero"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (-0.5, "negative"),
        (-math.inf, "negative"),
        (1e-41, "too-small"),
    ],
)
def test_scales_that_q_cannot_divide_by(scale, reason):
    report = checked(sample.model_path(), {**LENET, "relu1": scale}).report
    assert reasons(report)["relu1"] == reason
    (missing,) = report.missing
    assert (missing.name, missing.consumers) == ("relu1", ("ip2",))
    assert "ip2" not in report.quantized_nodes
    assert {"conv1", "conv2", "ip1"} == set(report.quantized_nodes)
    assert not [t for t in report.weights if t.name == "ip2.weight"]  # no half-quantised layer
    json.loads(report.to_json())


def test_a_real_cache_with_infinite_rows_can_be_read(tmp_path):
    cache = CalibrationCache(
        b"TRT-8601-EntropyCalibration2\ndata: 3c008912\npool1: 7f800000\nflatten: 0\nrelu1: 3c000000\n"
    )
    report = checked(sample.model_path(), cache).report
    assert {m.name for m in report.missing} == {"pool1", "flatten"}
    assert "infinite" in report.to_text()


def test_every_row_is_told_apart():
    rows = {**LENET, "conv1.weight": 0.1, "nothing": 0.1, "conv2": 0.1, "ONNXTRT_Broadcast_3_output": 0.1}
    plan = PrecisionPlan(keep=("ip2",))
    report = checked(sample.model_path(), rows, plan=plan).report
    assert reasons(report) == {
        "conv1": "shared",
        "conv2": "shared",
        "ip1": "not-an-input",
        "prob": "not-an-input",
        "relu1": "kept",
        "conv1.weight": "weight",
        "nothing": "orphan",
        "ONNXTRT_Broadcast_3_output": "synthetic",
    }
    used = {t.name for t in report.activations}
    assert used | set(reasons(report)) == set(rows)
    data = json.loads(report.to_json())
    assert data["match_share"] == 0.9
    assert len(data["unused"]) == len(report.unused)
    text = report.to_text()
    assert all(name in text for name in rows)


def test_a_row_of_a_tensor_with_the_same_scale_is_taken():
    rows = {name: scale for name, scale in LENET.items() if name not in ("pool1", "flatten")}
    report = checked(sample.model_path(), {**rows, "pool2": 0.04}).report
    assert {t.name: t.source for t in report.activations if t.source} == {
        "pool1": "row of 'conv1', which holds its values",
        "flatten": "row of 'pool2', which holds its values",
    }
    assert reasons(report) == {"ip1": "not-an-input", "prob": "not-an-input"}


def test_no_scales_and_no_use():
    with pytest.raises(ExportError, match="There are no scales"):
        build_qdq(sample.model_path(), {})
    with pytest.raises(ExportError, match="not one layer has all the scales"):
        build_qdq(sample.model_path(), {"prob": 0.1, "ip2": 0.1})
    with pytest.raises(UsageError, match="not an int"):
        build_qdq(sample.model_path(), 7)
    with pytest.raises(UsageError, match="not a number"):
        build_qdq(sample.model_path(), {"data": "wide"})
    with pytest.raises(UsageError, match="placement"):
        build_qdq(sample.model_path(), LENET, placement="all")


def test_a_model_without_layers_says_so(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [value("x")], [value("y")])
    with pytest.raises(ExportError, match="no layer that is quantised by its inputs"):
        build_qdq(path, {"x": 0.1, "y": 0.1})


@pytest.mark.parametrize(
    ("op_type", "shape", "dtype", "options", "words"),
    [
        ("MatMul", [6, 4], np.float64, {}, r"'prod' \(MatMul\) computes in float64: export the model in float32"),
        ("Einsum", [6, 4], np.float32, {"equation": "bi,ij->bj"}, r"'prod' \(Einsum\): write the products as MatMul"),
        ("RNN", [1, 4, 6], np.float32, {"hidden_size": 4}, r"'prod' \(RNN\): recurrent layers get no pairs"),
        ("Secret", [6, 4], np.float32, {"domain": "acme"}, r"'prod' \(Secret\): an operator of the domain 'acme'"),
    ],
)
def test_what_computes_and_has_no_place_for_a_pair_is_named_with_the_way_out(
    tmp_path, op_type, shape, dtype, options, words
):
    stored = [const("w", np.ones(shape), dtype)]
    reads = ["x", "w"]
    if op_type == "RNN":
        stored.append(const("r", np.ones((1, 4, 4)), dtype))
        reads.append("r")
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(name, element, None) for name in "xy"]
    nodes = [node(op_type, reads, ["y"], name="prod", **options)]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ExportError, match=words):
        build_qdq(tmp_path / "m.onnx", {"x": 0.1, "y": 0.1})


def test_a_format_without_a_kernel_is_no_lack_of_scales(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [node("ConvTranspose", ["x", "w"], ["y"], name="up")],
        [value("x", (1, 4, 5, 5))],
        [value("y")],
        [const("w", np.ones((4, 2, 2, 2), np.float32))],
    )
    build_qdq(path, {"x": 0.1})
    with pytest.raises(ExportError, match=r"'up' \(ConvTranspose\): TensorRT has no FP8.*format='int8'"):
        build_qdq(path, {"x": 0.1}, format="fp8")


def test_a_model_with_qdq_comes_back_as_it_is(tmp_path):
    first = build_qdq(sample.model_path(), LENET)
    first.write(tmp_path / "q.onnx")
    again = build_qdq(tmp_path / "q.onnx", LENET)
    assert again.to_bytes() == first.to_bytes()
    assert again.report.already_quantized == ("conv1", "conv2", "ip1", "ip2")
    assert not again.report.quantized
    assert "already has explicit quantisation" in again.report.to_text()
    forced = build_qdq(tmp_path / "q.onnx", LENET, force=True)
    assert forced.to_bytes() == first.to_bytes()


def test_force_quantises_what_a_partly_quantised_model_left(tmp_path):
    build_qdq(sample.model_path(), LENET, only={"conv2"}).write(tmp_path / "q.onnx")
    assert not build_qdq(tmp_path / "q.onnx", LENET).report.quantized
    report = checked(tmp_path / "q.onnx", LENET, force=True).report
    assert set(report.quantized_nodes) == {"conv1", "ip1", "ip2"}
    assert report.already_quantized == ("conv2",)


def test_a_plan_of_another_model_is_refused():
    with pytest.raises(ModelError, match=r"layer.*'nope'"):
        build_qdq(sample.model_path(), LENET, plan=PrecisionPlan(keep=("nope",)))
    with pytest.raises(ExportError, match="sets amax of 'nope'"):
        build_qdq(sample.model_path(), LENET, plan=PrecisionPlan(amax={"nope": 1.0}))


def test_a_plan_changes_the_scale_of_a_whole_group():
    report = build_qdq(sample.model_path(), LENET, plan=PrecisionPlan(amax={"conv1": 127.0})).report
    scales = {t.name: (t.scale, t.source) for t in report.activations}
    assert scales["pool1"] == (1.0, "amax of the plan")
    assert scales["data"][0] == float(np.float32(0.008))
    assert reasons(report)["conv1"] == reasons(report)["pool1"] == "overridden"


def test_weights_that_are_not_finite_leave_the_layer_out(tmp_path):
    stored = [const("w", [[1, np.inf], [2, 3]]), const("v", [[1, 2], [2, 3]])]
    nodes = [node("MatMul", ["x", "w"], ["h"], name="bad"), node("MatMul", ["h", "v"], ["y"], name="good")]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 2])], [value("y", None)], stored)
    report = checked(path, {"x": 0.1, "h": 0.1}).report
    assert [(n.name, n.message) for n in report.left] == [
        ("bad", "its weight 'w' cannot be quantised: its values are not all finite")
    ]
    assert report.quantized_nodes == ("good",)
