"""NVIDIA's parser and builder on the Q/DQ models that this package and others write."""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.rtx import need_rtx
from trtcal_widgets import sample
from trtcal_widgets.errors import CancelledError, DataError, DeviceError, MissingDependencyError, UsageError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.load import load_model
from trtcal_widgets.trt.check import check_model
from trtcal_widgets.trt.check.advice import advice_for, node_named, problems_of_file, without_places
from trtcal_widgets.trt.check.builders import find_builder
from trtcal_widgets.trt.control import BuildControl

SCALES = {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}


@pytest.fixture(scope="module")
def lenet():
    need_rtx()
    result = build_qdq(sample.model_path(), SCALES)
    return result, result.check()


def test_lenet_runs_in_int8_and_every_pair_is_stored(lenet):
    _, report = lenet
    assert report.ok
    assert report.parsed
    assert [(one.node, one.wanted, one.runs_in) for one in report.verdicts] == [
        (name, "int8", "int8") for name in ("conv1", "conv2", "ip1", "ip2")
    ]
    assert [(pair.tensor, pair.fate) for pair in report.pairs if pair.tensor != "data"] == [
        (name, "stored") for name in ("pool1", "flatten", "relu1")
    ]
    assert report.shapes == {"data": (1, 1, 28, 28)}
    assert "relu1" in next(one.fused for one in report.verdicts if one.node == "ip1")
    assert not report.fell_back
    assert not report.plan().keep


def test_the_file_is_judged_as_the_model_in_memory_is(lenet, tmp_path):
    result, report = lenet
    result.write(tmp_path / "lenet.onnx")
    again = check_model(tmp_path / "lenet.onnx", builder="rtx", shapes={"data": (8, 1, 28, 28)})
    assert [one.runs_in for one in again.verdicts] == [one.runs_in for one in report.verdicts]
    assert again.shapes == {"data": (8, 1, 28, 28)}


def test_the_report_is_text_and_json(lenet):
    _, report = lenet
    assert "of 4 quantised layers 4 in INT8" in report.to_text()
    data = json.loads(report.to_json())
    assert data["ok"]
    assert len(data["verdicts"]) == 4


def model(nodes, initializers, *, shape=(1, 8, 16, 16), opset=13):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def written(tmp_path, proto, name="model.onnx"):
    onnx.save(proto, tmp_path / name)
    return tmp_path / name


def deconvolution(tmp_path):
    weight = np.random.default_rng(0).normal(size=(8, 8, 2, 2)).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="up", strides=[2, 2])
    return written(tmp_path, model([node], {"w": weight}))


def test_a_layer_that_falls_back_is_named_and_the_plan_keeps_it_out(tmp_path):
    need_rtx()
    path = deconvolution(tmp_path)
    report = build_qdq(path, {"x": 0.01}).check()
    assert report.ok
    assert [(one.node, one.runs_in) for one in report.fell_back] == [("up", "fp32")]
    assert [pair.tensor for pair in report.wasted] == ["x"]
    assert "up (ConvTranspose): FP32" in report.to_text()
    plan = report.plan()
    assert plan.keep == ("up",)
    assert not build_qdq(path, {"x": 0.01}, plan=plan).report.quantized


def asymmetric(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quant[0]"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequant"),
        helper.make_node("Relu", ["d"], ["y"], name="relu"),
    ]
    return written(tmp_path, model(nodes, {"s": np.float32(0.1), "z": np.uint8(7)}))


def test_an_asymmetric_model_is_refused_by_node_with_what_to_do(tmp_path):
    need_rtx()
    report = check_model(asymmetric(tmp_path), builder="rtx")
    assert not report.ok
    assert not report.parsed
    assert {problem.node for problem in report.problems} == {"quant[0]"}
    assert all("symmetric" in problem.advice for problem in report.problems)
    assert "quant[0] (QuantizeLinear)" in report.to_text()


def test_quantised_biases_are_all_named_though_the_parser_stops_at_the_first(tmp_path):
    need_rtx()
    arrays = {"w": np.ones((8, 8, 1, 1), np.int8), "b": np.ones(8, np.int32), "s": np.float32(0.1)}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wd"], name="w_dq"),
        helper.make_node("DequantizeLinear", ["b", "s"], ["bd"], name="b_dq"),
        helper.make_node("DequantizeLinear", ["b", "s"], ["bd2"], name="b_dq2"),
        helper.make_node("Conv", ["x", "wd", "bd"], ["c"], name="conv"),
        helper.make_node("Conv", ["c", "wd", "bd2"], ["y"], name="conv2"),
    ]
    path = written(tmp_path, model(nodes, arrays))
    report = check_model(path, builder="rtx")
    assert not report.ok
    assert any("int32" in problem.message and "QuantizeBias" in problem.advice for problem in report.problems)
    assert problems_of_file(load_model(path).graph, read_pairs(load_model(path)))


def test_what_the_builder_refuses_names_the_node_and_the_gpu_that_would_take_it(tmp_path, lenet):
    result, _ = lenet
    report = result.check(builder="rtx", target="SM75")
    assert report.parsed
    assert not report.built
    (problem,) = report.problems
    assert problem.node in ("ip1", "ip2")
    assert problem.advice


def test_a_node_without_a_name_is_called_as_everywhere_else(tmp_path):
    need_rtx()
    weight = np.random.default_rng(0).normal(size=(8, 8, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Conv", ["c", "w"], ["y"])]
    result = build_qdq(written(tmp_path, model(nodes, {"w": weight})), {"x": 0.01, "c": 0.02})
    names = [
        node.name for node in load_model(result.write(tmp_path / "q.onnx")[0]).graph.nodes if node.op_type == "Conv"
    ]
    assert [one.node for one in result.check().verdicts] == names


def test_shapes_and_targets_that_cannot_be(tmp_path):
    need_rtx()
    path = deconvolution(tmp_path)
    with pytest.raises(UsageError, match="no input"):
        check_model(path, shapes={"z": (1, 8, 16, 16)})
    with pytest.raises(UsageError, match="does not fit"):
        check_model(path, shapes={"x": (1, 8, 16)})
    with pytest.raises(UsageError, match="is a list of sizes"):
        check_model(path, shapes={"x": 3})
    with pytest.raises(UsageError, match="target must be"):
        check_model(path, target="SM90")
    with pytest.raises(UsageError, match="builder must be"):
        check_model(path, builder="trtexec")


def test_without_a_builder_it_says_what_to_install(monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"trtcal_widgets\[rtx\]"):
        find_builder("auto")
    with pytest.raises(MissingDependencyError, match=r"trtcal_widgets\[rtx\]"):
        find_builder("rtx")


def test_a_node_is_found_in_words_as_a_whole():
    names = ["ip1", "ip10", "a.ip1"]
    assert node_named("Cannot compile operation 'ip10' for Turing", names) == "ip10"
    assert node_named("Cannot compile a.ip1: no", names) == "a.ip1"
    assert node_named("ip100", names) == ""
    assert node_named("ip1_2 has no runners that implement it", names) == "ip1"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            "Assertion failed: a->getType() == nvinfer1::DataType::kHALF: input tensor A must be FP16.",
            "is_symmetric=True",
        ),
        ("Cannot compile for target(s) sm89, because the model contains HW-specific datatypes: fp4_e2m1.", "SM120"),
        ("Cannot compile for target(s) sm86, because the model contains HW-specific datatypes: fp8", "SM89"),
    ],
)
def test_types_of_few_bits_have_a_way_out(words, wanted):
    """As the builder said them of ONNX Runtime's MatMulNBits, of FP4 blocks and of FP8."""
    assert wanted in advice_for(words)


def test_sizes_that_do_not_fit_inside_the_model_have_a_way_out():
    """As TensorRT for RTX said it of PP-OCRv4 detection at 65x64."""
    words = "API Usage Error (IElementWiseLayer p2o.Add.248: broadcast dimensions must be conformable)"
    assert "--shape" in advice_for(words)


def test_the_builders_words_come_without_the_lines_of_its_sources():
    words = "Error Code 4: API Usage Error (bad: mismatching dimensions In processCheck at /_src/a/b.cpp:1066)"
    assert without_places(words) == "Error Code 4: API Usage Error (bad: mismatching dimensions)"


def other(tmp_path, node, *inputs, domains=()):
    infos = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return written(tmp_path, helper.make_model(graph, opset_imports=opsets, ir_version=9))


X = ("x", TensorProto.FLOAT, [1, 8, 16, 16])


def test_an_operator_that_it_does_not_know(tmp_path):
    need_rtx()
    node = helper.make_node("Acme", ["x"], ["y"], name="acme", domain="com.acme")
    path = other(tmp_path, node, X, domains=["com.acme"])
    (problem,) = check_model(path, builder="rtx").problems
    assert (problem.node, problem.op_type) == ("acme", "Acme")
    assert "plugin" in problem.advice


def test_an_input_that_is_a_shape_itself(tmp_path):
    need_rtx()
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], name="resize", mode="nearest")
    report = check_model(other(tmp_path, node, X, ("sizes", TensorProto.INT64, [4])), builder="rtx")
    assert report.shapes == {"sizes": (16, 16, 16, 16)}
    assert report.ok, report.to_text()


def test_shapes_that_do_not_fit_together_name_the_layer(tmp_path):
    need_rtx()
    node = helper.make_node("MatMul", ["x", "z"], ["y"], name="product")
    path = other(tmp_path, node, ("x", TensorProto.FLOAT, [2, 3]), ("z", TensorProto.FLOAT, ["a", "b"]))
    (problem,) = check_model(path, builder="rtx", shapes={"z": (7, 5)}).problems
    assert problem.node == "product"
    assert "--shape" in problem.advice


@pytest.fixture
def qdq(tmp_path):
    (path,) = build_qdq(sample.model_path(), SCALES).write(tmp_path / "lenet.onnx")
    return path


@pytest.mark.parametrize("release", ["8.6.1", "10.16.1.11", "11.4.0.106"])
def test_tensorrt_is_asked_where_it_finds_its_gpu(plug, release, qdq):
    plug(release)
    report = check_model(qdq)
    assert report.builder == f"TensorRT {release}"
    assert report.target == "this GPU"
    assert report.ok
    # The stand-in's inspector tells of a layer for each node; it computes Q/DQ models in FP32.
    assert [one.node for one in report.fell_back] == ["conv1", "conv2", "ip1", "ip2"]
    assert report.plan().keep == ("conv1", "conv2", "ip1", "ip2")


def test_without_its_gpu_the_other_builder_is_asked_and_it_is_said(machine, qdq):
    need_rtx()
    machine.cuda_error = 100
    report = check_model(qdq)
    assert "RTX" in report.builder
    assert any("no GPU" in note for note in report.notes)
    with pytest.raises(DeviceError, match="no NVIDIA GPU"):
        check_model(qdq, builder="tensorrt")


@pytest.mark.parametrize(("level", "used", "said"), [(None, 0, True), (1, 1, True), (3, 3, False), (5, 5, False)])
def test_tensorrt_takes_the_first_kernel_that_works_unless_told_to_look(plug, qdq, level, used, said):
    """At its own level, 3, it times every kernel: 43 s for LeNet on an H200, minutes for the PP-OCR classifier."""
    machine = plug("8.6.1")
    report = check_model(qdq, level=level)
    assert [spec["level"] for spec in machine.built] == [used]
    assert report.level == used
    assert any("--level 3" in note for note in report.notes) is said


def test_tensorrt_for_rtx_which_times_none_is_left_its_own_level(lenet):
    result, report = lenet
    assert report.ok
    assert report.level is None
    assert result.check(builder="rtx", level=1).level == 1


def test_a_level_that_there_is_not(lenet):
    for level in (6, -1, True, "3"):
        with pytest.raises(UsageError, match="level must be"):
            lenet[0].check(builder="rtx", level=level)


def test_progress_comes_in_the_thread_that_asks_and_what_it_raises_stops_the_build(lenet):
    threads = set()

    def stop(progress):
        threads.add(threading.current_thread())
        raise DataError(f"enough of {progress.phase}")

    with pytest.raises(DataError, match="enough of"):
        lenet[0].check(builder="rtx", progress=stop)
    assert threads == {threading.current_thread()}
    assert lenet[0].check(builder="rtx").ok, "the builder is as it was"


def test_it_is_cancelled_from_another_thread(qdq):
    control = BuildControl()
    control.cancel()
    with pytest.raises(CancelledError):
        check_model(qdq, builder="rtx", control=control)
