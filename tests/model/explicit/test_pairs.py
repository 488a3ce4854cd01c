"""The Q/DQ pairs of models that this package and other tools wrote."""

from __future__ import annotations

import pickle

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.support.foreign_qdq import by_exporter, by_onnxruntime, symmetric
from trtcal_widgets import sample
from trtcal_widgets.errors import CacheFormatError, ModelError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.reading import convert, scales_from_bytes
from trtcal_widgets.model.explicit.compare import compare_pairs
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.explicit.table import is_onnx, read_scales, table_of
from trtcal_widgets.model.load import load_model

SCALES = {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("explicit")


@pytest.fixture(scope="module")
def ours(folder):
    build_qdq(sample.model_path(), SCALES).write(folder / "ours.onnx")
    return folder / "ours.onnx"


@pytest.fixture(scope="module")
def theirs(folder):
    return symmetric(folder / "theirs.onnx")


def pairs_of(path):
    return {pair.tensor: pair for pair in read_pairs(load_model(path))}


def test_our_own_pairs(ours):
    pairs = pairs_of(ours)
    assert list(pairs) == [
        "data", "conv1.weight", "pool1", "conv2.weight", "flatten", "ip1.weight", "relu1", "ip2.weight",
    ]  # fmt: skip
    assert {name: float(pairs[name].scales) for name in SCALES} == {
        name: float(np.float32(scale)) for name, scale in SCALES.items()
    }
    weight = pairs["conv1.weight"]
    assert weight.is_constant
    assert (weight.axis, weight.scales.shape, weight.readers) == (0, (20,), (("conv1", "Conv", 1),))


def test_onnxruntimes_pairs_have_the_names_of_the_float_model(theirs):
    pairs = pairs_of(theirs)
    names = {info.name for info in load_model(sample.model_path()).graph.tensors.values()}
    assert set(pairs) <= names
    assert pairs["conv1.weight"].scales.shape == (20,)
    assert pairs["conv1.weight"].quantize == ()
    assert "prob" in pairs


def test_pairs_of_an_exporter_that_keeps_scales_in_nodes(folder):
    pairs = pairs_of(by_exporter(folder / "exporter.onnx"))
    assert set(pairs) == {"data", "conv1.weight", "pool1", "conv2.weight"}
    assert float(pairs["data"].scales) == float(np.float32(0.008))
    assert pairs["conv2.weight"].is_constant


def test_asymmetric_ranges_are_read_as_they_are(folder):
    pairs = pairs_of(by_onnxruntime(folder / "asymmetric.onnx"))
    data = pairs["data"]
    assert not data.is_symmetric
    low = (-128 - data.zero_points) * data.scales
    high = (127 - data.zero_points) * data.scales
    assert data.amax == pytest.approx(float(max(abs(low), abs(high))))


def test_unsigned_with_128_in_the_middle_is_symmetric(folder, ours):
    proto = onnx.load(ours)
    for tensor in proto.graph.initializer:
        if tensor.name == "zero_point_int8":
            tensor.CopyFrom(numpy_helper.from_array(np.uint8(128), tensor.name))
    del proto.graph.value_info[:]
    onnx.save(proto, folder / "unsigned.onnx")
    pair = pairs_of(folder / "unsigned.onnx")["data"]
    assert (pair.dtype, pair.is_symmetric) == ("uint8", True)
    assert table_of(load_model(folder / "unsigned.onnx")).scales["data"] == float(np.float32(0.008))


def test_dynamic_quantisation_is_refused_by_node(folder):
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], name="dyn"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="back"),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), folder / "dynamic.onnx")
    with pytest.raises(ModelError, match="back"):
        read_pairs(load_model(folder / "dynamic.onnx"))


def test_a_model_becomes_a_cache_with_the_same_bits(ours):
    table = read_scales(ours)
    cache = scales_from_bytes(convert(table, "cache", version="8.6.1"))
    for name, scale in SCALES.items():
        assert cache.scales[name] == float(np.float32(scale))
    # Behind a MaxPool the scale is that of its input, in TensorRT too.
    assert cache.scales["conv1"] == cache.scales["pool1"]
    assert set(table.lacking) == {"ip1", "ip2", "prob"}
    assert not any("weight" in name or "quantized" in name for name in cache.scales)


def test_onnxruntimes_model_becomes_a_cache_that_has_a_row_for_all(theirs):
    table = read_scales(theirs)
    assert not table.lacking
    assert {"data", "conv1", "pool1", "conv2", "flatten", "ip1", "relu1", "ip2", "prob"} <= set(table.scales)
    pairs = pairs_of(theirs)
    assert all(table.scales[name] == float(pairs[name].scales) for name in table.scales if name in pairs)


def test_what_a_cache_cannot_hold_is_said(folder):
    kinds = {oddity.kind for oddity in read_scales(by_onnxruntime(folder / "odd.onnx")).oddities}
    assert "asymmetric" in kinds


def test_scales_of_a_foreign_model_make_our_pairs(theirs):
    result = build_qdq(sample.model_path(), theirs)
    made = {tensor.name: tensor.scale for tensor in result.report.activations}
    assert made == {name: read_scales(theirs).scales[name] for name in ("data", "pool1", "flatten", "relu1")}


def test_a_table_can_be_pickled(ours):
    table = read_scales(ours)
    again = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own
    assert dict(again.scales) == dict(table.scales)


def test_a_model_without_pairs_and_a_file_that_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="no QuantizeLinear"):
        read_scales(sample.model_path())
    (tmp_path / "x.cache").write_text("nothing\n")
    with pytest.raises(CacheFormatError):
        read_scales(tmp_path / "x.cache")
    (tmp_path / "model.bin").write_bytes(sample.model_path().read_bytes())
    assert is_onnx(tmp_path / "model.bin")
    (tmp_path / "table.flat").write_bytes(b"\x08\x00\x00\x00" * 8)
    assert not is_onnx(tmp_path / "table.flat")


def test_a_model_equals_itself(ours):
    pairs = read_pairs(load_model(ours))
    assert compare_pairs(pairs, read_pairs(load_model(ours))).same


def test_what_differs_between_ours_and_theirs(ours, theirs):
    found = compare_pairs(read_pairs(load_model(ours)), read_pairs(load_model(theirs)))
    assert [one.a.tensor for one in found.changed] == ["data", "pool1", "flatten", "relu1"]
    assert not found.only_in_a
    assert {pair.tensor for pair in found.only_in_b} == {"conv1", "conv2", "pool2", "ip1", "ip2", "prob"}
    assert [pair.place for pair in found.only_in_b] == sorted(pair.place for pair in found.only_in_b)
    assert set(found.equal) == {"conv1.weight", "conv2.weight", "ip1.weight", "ip2.weight"}


def test_per_channel_and_per_tensor_are_told_apart(ours, folder):
    flat = by_onnxruntime(folder / "flat.onnx")
    found = compare_pairs(read_pairs(load_model(ours)), read_pairs(load_model(flat)))
    weight = next(one for one in found.changed if one.a.tensor == "conv1.weight")
    assert "per channel in A only" in weight.what
    assert weight.ratio == pytest.approx(1.0, rel=0.02)


def test_renamed_tensors_are_matched_by_who_reads_them(ours, folder):
    proto = onnx.load(ours)
    for node in proto.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == "pool1":
                    names[index] = "renamed"
    onnx.save(proto, folder / "renamed.onnx")
    found = compare_pairs(read_pairs(load_model(ours)), read_pairs(load_model(folder / "renamed.onnx")))
    assert found.same


def test_a_tolerance_and_readers(ours, folder):
    build_qdq(sample.model_path(), {**SCALES, "pool1": 0.0151}).write(folder / "near.onnx")
    a, b = read_pairs(load_model(ours)), read_pairs(load_model(folder / "near.onnx"))
    (change,) = compare_pairs(a, b).changed
    assert (change.what, round(change.ratio, 4)) == (("scale",), round(0.0151 / 0.015, 4))
    assert compare_pairs(a, b, tolerance=0.01).same


def test_an_axis_from_the_end_is_the_same_axis_from_the_front(ours, folder):
    proto = onnx.load(ours)
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.name == "axis" and node.input[0].startswith("conv1.weight"):
                attribute.i -= 4
    onnx.save(proto, folder / "negative.onnx")
    assert compare_pairs(read_pairs(load_model(ours)), read_pairs(load_model(folder / "negative.onnx"))).same


def test_onnxruntimes_own_domain_for_other_types(folder):
    from onnxruntime.quantization import QuantType

    types = {"activation_type": QuantType.QInt16, "weight_type": QuantType.QInt8}
    path = by_onnxruntime(folder / "int16.onnx", extra_options={"ActivationSymmetric": True}, **types)
    assert pairs_of(path)["data"].dtype == "int16"
    table = read_scales(path)
    assert {oddity.kind for oddity in table.oddities} >= {"other-type"}
    assert table.amax["data"] == pytest.approx(1.0, rel=0.01)
