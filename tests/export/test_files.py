"""What must survive: metadata, dynamic shapes, external data of any size, other domains, subgraphs."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.export.helpers import checked, run, session
from tests.support.graphs import const, node, save, value
from trtcal_widgets import sample
from trtcal_widgets.errors import CacheFormatError, ExportError, ModelError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.export.qdq import write as qdq_write
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.reading import CONVERT_TARGETS, convert, read_scale_file
from trtcal_widgets.model.load import load_graph, load_model

LENET = {"data": 0.008, "pool1": 0.015, "flatten": 0.04, "relu1": 0.017}


def test_all_that_was_in_the_model_is_still_there(tmp_path):
    model = onnx.load(sample.model_path())
    model.metadata_props.add(key="owner", value="tests")
    model.domain, model.model_version = "org.example", 7
    model.graph.doc_string = "a graph"
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    build_qdq(path, LENET).write(tmp_path / "q.onnx")
    after = onnx.load(tmp_path / "q.onnx")
    assert {p.key: p.value for p in after.metadata_props} == {p.key: p.value for p in model.metadata_props}
    assert (after.domain, after.model_version, after.doc_string) == ("org.example", 7, model.doc_string)
    assert (after.graph.doc_string, after.graph.input, after.graph.output) == (
        "a graph",
        model.graph.input,
        model.graph.output,
    )
    assert after.opset_import == model.opset_import
    weights = {t.name: t.SerializeToString() for t in after.graph.initializer}
    assert all(weights[t.name] == t.SerializeToString() for t in model.graph.initializer)
    nodes = {n.output[0]: n for n in after.graph.node}
    assert all(nodes[n.output[0]].op_type == n.op_type for n in model.graph.node)
    images = np.zeros((3, 1, 28, 28), np.float32)
    assert run(tmp_path / "q.onnx", {"data": images})["prob"].shape == (3, 10)


def test_external_data_are_copied_whole(tmp_path):
    source = tmp_path / "from"
    source.mkdir()
    onnx.save(onnx.load(sample.model_path()), source / "m.onnx", save_as_external_data=True, location="w.bin")
    result = build_qdq(source / "m.onnx", LENET)
    target = tmp_path / "to"
    target.mkdir()
    files = result.write(target / "q.onnx")
    assert [re.sub("[0-9a-f]{16}", "HASH", file.name) for file in files] == ["q.onnx", "q.onnx.HASH.data"]
    for file in source.iterdir():
        file.unlink()
    onnx.checker.check_model(str(target / "q.onnx"), full_check=True)
    inline = build_qdq(sample.model_path(), LENET)
    images = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    np.testing.assert_array_equal(
        run(target / "q.onnx", {"data": images})["prob"], run(inline.to_bytes(), {"data": images})["prob"]
    )
    assert sorted(target.iterdir()) == sorted(files)


def test_the_model_in_memory_finds_its_weights(tmp_path):
    onnx.save(onnx.load(sample.model_path()), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin")
    result = build_qdq(tmp_path / "m.onnx", LENET)
    assert len(result.to_bytes()) < 100_000
    images = np.zeros((1, 1, 28, 28), np.float32)
    assert run(result.to_bytes(), {"data": images}, result.folder)["prob"].shape == (1, 10)


def huge(tmp_path):
    """2.4 GB of weights, nearly all zeros, in a file with holes."""
    side = 20_000
    shape = (side, 15_000)  # 1.2 GB each
    tensors, offset = [], 0
    with (tmp_path / "w.bin").open("wb") as file:
        for name, amax in (("w1", 2.0), ("w2", 4.0)):
            length = 4 * shape[0] * shape[1]
            file.seek(offset + length - 4)
            file.write(np.float32(amax).tobytes())
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape if name == "w1" else shape[::-1])
            tensor.data_location = TensorProto.EXTERNAL
            for key, content in (("location", "w.bin"), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(content))
            tensors.append(tensor)
            offset += length
    nodes = [node("MatMul", ["x", "w1"], ["h"]), node("MatMul", ["h", "w2"], ["y"])]
    save(tmp_path / "m.onnx", nodes, [value("x", ["N", side])], [value("y", ["N", side])], tensors)
    return tmp_path / "m.onnx", offset


@pytest.mark.slow
def test_more_than_two_gigabytes_pass_through_without_being_loaded(tmp_path):
    path, size = huge(tmp_path)
    assert size > 2**31
    result = build_qdq(path, {"x": 0.1, "h": 0.1})
    scales = {
        t.name: onnx.numpy_helper.to_array(t) for t in result.proto.graph.initializer if t.name.endswith("_scale")
    }
    assert [round(float(scales[name][-1]) * 127, 4) for name in ("w1_scale", "w2_scale")] == [2.0, 4.0]
    assert set(scales["w1_scale"][:-1]) == {1.0}  # channels of zeros
    out = tmp_path / "out"
    out.mkdir()
    _, data = result.write(out / "q.onnx")
    assert data.stat().st_size >= size
    assert data.stat().st_blocks * 512 < 10**8  # holes stay holes
    onnx.checker.check_model(str(out / "q.onnx"))
    stored = load_model(out / "q.onnx")
    with data.open("rb") as file:
        for tensor, amax in zip(stored.proto.graph.initializer[:2], (2.0, 4.0), strict=True):
            where = {e.key: e.value for e in tensor.external_data}
            file.seek(int(where["offset"]) + int(where["length"]) - 4)
            assert np.frombuffer(file.read(4), np.float32)[0] == amax


def test_weights_go_beside_the_model_where_one_file_cannot_hold_them(tmp_path, monkeypatch):
    monkeypatch.setattr(qdq_write, "MAX_PROTO_BYTES", 200_000)  # as if protobuf's limit were that
    build_qdq(sample.model_path(), LENET).write(tmp_path / "q.onnx")
    assert (tmp_path / "q.onnx").stat().st_size < 200_000
    images = np.ones((1, 1, 28, 28), np.float32)
    np.testing.assert_array_equal(
        run(tmp_path / "q.onnx", {"data": images})["prob"],
        run(build_qdq(sample.model_path(), LENET).to_bytes(), {"data": images})["prob"],
    )


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    onnx.save(onnx.load(sample.model_path()), tmp_path / "m.onnx", save_as_external_data=True, location="w.bin")
    result = build_qdq(tmp_path / "m.onnx", LENET)
    with pytest.raises(ExportError, match="cannot be written"):
        result.write(tmp_path / "nowhere" / "q.onnx")
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(ExportError, match=r"ended .* too early"):
        result.write(tmp_path / "q.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "w.bin"]


@pytest.mark.parametrize("opset", [9, 10, 11, 12])
def test_older_opsets_are_upgraded_and_compute_the_same(tmp_path, opset):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="c"),
        node("Squeeze", ["c"], ["s"], axes=[3], name="s"),
        node("Softmax", ["s"], ["p"], axis=1),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "g", "h"], ["y"], name="y"),
    ]
    w = np.random.default_rng(0).normal(size=(3, 2, 1, 4))
    stored = [const("w", w), const("g", np.random.default_rng(1).normal(size=(15, 4))), const("h", np.ones(4))]
    path = save(
        tmp_path / "m.onnx", nodes, [value("x", ["N", 2, 5, 4])], [value("y", ["N", 4])], stored, opset=opset, ir=4
    )
    result = checked(path, {"x": 0.03, "f": 0.003})
    assert (result.report.opset_before, result.report.opset_after) == (opset, 13)
    names = {n.name for n in result.proto.graph.node}
    assert {"c", "s", "y"} <= names
    x = np.random.default_rng(2).normal(size=(2, 2, 5, 4)).astype(np.float32)
    nothing = checked(path, {"x": 0.03, "f": 0.003}, only=set())
    np.testing.assert_array_equal(run(nothing.to_bytes(), {"x": x})["y"], run(path, {"x": x})["y"])
    np.testing.assert_allclose(run(result.to_bytes(), {"x": x})["y"], run(path, {"x": x})["y"], atol=0.1)


def test_initialisers_that_are_inputs_too_stay_so(tmp_path):
    inputs = [value("x", ["N", 2, 5, 4]), value("w", [3, 2, 1, 4])]
    stored = [const("w", np.ones((3, 2, 1, 4)))]
    path = save(
        tmp_path / "m.onnx", [node("Conv", ["x", "w"], ["y"])], inputs, [value("y", None)], stored, opset=9, ir=3
    )
    result = checked(path, {"x": 0.03})
    assert [i.name for i in result.proto.graph.input] == ["x", "w"]
    assert session(result.to_bytes())


def with_loop(tmp_path, opset, inner):
    then = helper.make_graph([inner], "then", [], [value("t", None)])
    other = helper.make_graph([node("Relu", ["c"], ["e"])], "else", [], [value("e", None)])
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("If", ["flag"], ["y"], name="choice", then_branch=then, else_branch=other),
    ]
    inputs = [value("x", ["N", 2, 5, 4]), value("flag", [], TensorProto.BOOL)]
    stored = [const("w", np.ones((3, 2, 1, 4))), const("v", np.ones((3, 3, 1, 1)))]
    return save(tmp_path / "m.onnx", nodes, inputs, [value("y", None)], stored, opset=opset)


def test_subgraphs_are_left_as_they_are_and_listed(tmp_path):
    path = with_loop(tmp_path, 13, node("Conv", ["c", "v"], ["t"]))
    result = checked(path, {"x": 0.1, "c": 0.1})
    assert [(n.name, n.message) for n in result.report.left] == [("choice", "2 nodes inside it stay as they are")]
    before, after = (next(n for n in p.graph.node if n.op_type == "If") for p in (onnx.load(path), result.proto))
    assert before == after


def test_an_old_operator_inside_a_subgraph_is_refused(tmp_path):
    path = with_loop(tmp_path, 12, node("Softmax", ["c"], ["t"]))
    with pytest.raises(ExportError, match=r"a Softmax inside an If.*opset 13 or later"):
        build_qdq(path, {"x": 0.1})


@pytest.mark.parametrize("opset", [12, 17])
def test_custom_domains_are_left_alone_and_listed(tmp_path, opset):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Magic", ["c"], ["m"], name="plugin", domain="com.example"),
        node("Conv", ["m", "v"], ["y"], name="after"),
    ]
    stored = [const("w", np.ones((3, 2, 1, 4))), const("v", np.ones((3, 3, 1, 1)))]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [value("x", ["N", 2, 5, 4])],
        [value("y", None)],
        stored,
        opset=opset,
        domains=["com.example"],
    )
    result = build_qdq(path, {"x": 0.1, "m": 0.2})
    assert [(n.name, n.message) for n in result.report.left] == [("plugin", "an operator of the domain 'com.example'")]
    # What follows a plugin is quantised: its weights tell the type that shape inference does not know.
    assert {t.name for t in result.report.activations} == {"x", "m"}
    assert {e.domain: e.version for e in result.proto.opset_import}["com.example"] == 1
    magic = next(n for n in result.proto.graph.node if n.op_type == "Magic")
    assert (list(magic.input), list(magic.output), magic.domain) == (["c"], ["m"], "com.example")


def test_fp16_models_get_fp16_scales_in_opset_19(tmp_path):
    w = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float16)
    nodes = [node("Conv", ["x", "w"], ["y"], name="c")]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [value("x", ["N", 3, 4, 4], TensorProto.FLOAT16)],
        [value("y", None, TensorProto.FLOAT16)],
        [const("w", w, np.float16)],
    )
    result = checked(path, {"x": 0.1})
    assert result.report.opset_after == 19
    scales = {t.name: t for t in result.proto.graph.initializer}
    assert {scales["x_scale"].data_type, scales["w_scale"].data_type} == {TensorProto.FLOAT16}
    assert result.report.activations[0].scale == float(np.float16(0.1))
    x = np.random.default_rng(1).normal(size=(1, 3, 4, 4)).astype(np.float16)
    got, plain = run(result.to_bytes(), {"x": x})["y"], run(path, {"x": x})["y"]
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(float), plain.astype(float), atol=0.5)
    tiny = build_qdq(path, {"x": 1e-9}, force=True).report
    assert [(r.name, r.reason) for r in tiny.unused] == [("x", "too-small")]
    assert "too small for the element type" in tiny.missing[0].message


def test_facts_of_the_written_model_can_be_read_back(tmp_path):
    build_qdq(sample.model_path(), LENET).write(tmp_path / "q.onnx")
    graph = load_graph(tmp_path / "q.onnx")
    assert graph.tensors["data_dequantized"].dtype == "float32"
    assert graph.tensors["data_quantized"].dtype == "int8"
    assert graph.tensors["data"].shape[1:] == (1, 28, 28)


@pytest.mark.parametrize("to", CONVERT_TARGETS)
def test_scales_come_from_the_path_of_any_scale_file(tmp_path, to):
    cache = CalibrationCache.build(LENET)
    path = tmp_path / "scales"
    path.write_bytes(convert(cache, to))
    expected = build_qdq(sample.model_path(), read_scale_file(path))
    for given in (path, str(path)):
        assert build_qdq(sample.model_path(), given).to_bytes() == expected.to_bytes()
    assert {t.name for t in expected.report.quantized} >= set(LENET)


def test_a_path_that_holds_no_scales_says_so(tmp_path):
    with pytest.raises(CacheFormatError, match="there is no such file"):
        build_qdq(sample.model_path(), tmp_path / "missing.cache")
    (tmp_path / "binary.cache").write_bytes(b"\0\1\2" * 40)
    with pytest.raises(CacheFormatError, match="binary"):
        build_qdq(sample.model_path(), tmp_path / "binary.cache")
    with pytest.raises(ModelError, match="no QuantizeLinear"):
        build_qdq(sample.model_path(), sample.model_path())
