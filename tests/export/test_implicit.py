"""Pairs that follow TensorRT's implicit INT8: by rules, and by what an engine ran."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.inspected import recorded_text
from tests.support.trt86 import operators
from trtcal_widgets.errors import UsageError
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.export.qdq.placement import place
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.model.load import load_graph

ENGINES = [operator for operator in operators() if operator.facts["engine"]]
_MOVED_ON = {"mp_dropout": {"MaxPool_1"}}
"""A pool that ran in INT8 before nothing but a copy: no pair is worth that."""


def named(graph, placement):
    return {graph.nodes[index].name for index in place(graph, placement).sites}


def built(path, **options):
    return build_qdq(path, dict.fromkeys(load_graph(path).calibrated, 0.1), **options)


@pytest.mark.parametrize("operator", ENGINES, ids=lambda operator: operator.path.stem)
def test_what_an_implicit_engine_ran_in_int8_has_pairs_and_what_it_compiled_has_none(operator):
    graph = load_graph(operator.path)
    ran = LayerPrecisions.from_inspector(recorded_text(operator.facts["engine"]), graph)
    ours = named(graph, "implicit")
    assert set(ran.int8) - ours <= _MOVED_ON.get(operator.path.stem, set())
    for layer in operator.facts["engine"]:
        if layer["type"] == "Myelin":
            first, last = (
                next((n.index for n in graph.nodes if f"node_of_{n.outputs[0]}" == name), None)
                for name in layer["name"].removeprefix("{ForeignNode[").removesuffix("]}").split("...")
            )
            inside = {
                n.name for n in graph.nodes[first or 0 : (last or 0) + 1] if n.op_type not in ("Conv", "Constant")
            }
            assert not inside & ours


@pytest.mark.parametrize("operator", ENGINES, ids=lambda operator: operator.path.stem)
def test_pairs_as_the_engine_ran_it(operator):
    graph = load_graph(operator.path)
    ran = LayerPrecisions.from_inspector(recorded_text(operator.facts["engine"]), graph)
    by_name = {graph.nodes[i].name: sites for i, sites in place(graph, ran).sites.items()}
    assert set(by_name) == set(ran.int8_reads)
    for name, sites in by_name.items():
        assert {site.tensor for site in sites if not site.is_constant} == set(ran.int8_reads[name])
    if not ran.int8_reads and named(graph, "recommended"):
        result = built(operator.path, placement=ran)
        assert not result.report.quantized
        assert any("quantises nothing here" in note for note in result.report.notes)


def test_a_join_in_int8_has_one_scale():
    operator = next(o for o in ENGINES if o.path.stem == "fpn")
    graph = load_graph(operator.path)
    ran = LayerPrecisions.from_inspector(recorded_text(operator.facts["engine"]), graph)
    placed = place(graph, ran)
    assert placed.concat_groups == (frozenset({"u", "x", "cc"}),)
    scales = {t.name: t.scale for t in built(operator.path, placement=ran).report.quantized if not t.is_weight}
    assert set(scales) == {"u", "x", "cc"}
    assert len(set(scales.values())) == 1


def quantised(path, **options):
    return {tensor.name for tensor in built(path, **options).report.quantized}


def chain(tmp_path, nodes, stored):
    return save(tmp_path / "m.onnx", nodes, [value("x", [1, 4, 8, 8])], [value("y", None)], stored)


def w(name, shape=(4, 4, 1, 1)):
    return const(name, np.ones(shape))


def test_a_pool_without_an_int8_reader_has_no_pair(tmp_path):
    nodes = [
        node("AveragePool", ["x"], ["p"], kernel_shape=[1, 1]),
        node("Conv", ["p", "w"], ["c"]),
        node("GlobalAveragePool", ["c"], ["y"]),
    ]
    path = chain(tmp_path, nodes, [w("w")])
    assert quantised(path, placement="implicit") == {"x", "p", "w"}
    assert quantised(path) == {"x", "p", "w"}
    assert quantised(path, placement="weights-only-inputs") == {"p", "w"}


@pytest.mark.parametrize("placement", ["implicit", {"first": "int8", "deep": "int8", "last": "int8"}])
def test_a_depthwise_convolution_is_quantised_where_its_result_is_read_as_int8_alone(tmp_path, placement):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="first"),
        node("Conv", ["c", "d"], ["k"], name="deep", group=4),
        node("Relu", ["k"], ["r"], name="act"),
        node("Conv", ["r", "v"], ["y"], name="last"),
    ]
    stored = [w("w"), w("d", (4, 1, 1, 1)), w("v")]
    whole = chain(tmp_path, nodes, stored)
    assert quantised(whole, placement=placement) == {"x", "w", "c", "d", "r", "v"}
    nodes[-1] = node("Conv", ["r", "v"], ["t"], name="last")
    nodes.append(node("Mul", ["t", "r"], ["y"], name="scaled"))
    half = chain(tmp_path, nodes, stored)
    assert quantised(half, placement=placement) == {"x", "w", "r", "v"}
    assert quantised(half) == {"x", "w", "c", "d", "r", "v"}, "recommended is as it was"
    left = built(half, placement=placement).report.left
    assert [(one.name, "depthwise" in one.message) for one in left] == [("deep", True)]


def test_a_first_layer_of_three_channels_and_a_transposed_one_stay_as_they_are(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="first"),
        node("Conv", ["c", "v"], ["k"], name="second"),
        node("ConvTranspose", ["k", "u"], ["y"], name="up"),
    ]
    stored = [w("w", (4, 3, 1, 1)), w("v"), w("u", (4, 4, 1, 1))]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 3, 8, 8])], [value("y", None)], stored)
    assert quantised(path, placement="implicit") == {"c", "v"}
    assert quantised(path, placement={"first": "int8", "second": "int8"}) == {"x", "w", "c", "v"}, "as asked for"
    assert {one.name for one in built(path, placement="implicit").report.left} == {"first", "up"}


def test_a_grouped_convolution_is_none_of_few_channels(tmp_path):
    nodes = [node("Conv", ["x", "w"], ["c"], group=2, name="grouped"), node("Conv", ["c", "v"], ["y"])]
    path = chain(tmp_path, nodes, [w("w", (4, 2, 1, 1)), w("v")])
    assert quantised(path, placement="implicit") == {"x", "w", "c", "v"}


def test_a_mapping_quantises_what_it_calls_int8(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="a"),
        node("Conv", ["c", "v"], ["k"], name="b"),
        node("Add", ["k", "c"], ["y"], name="s"),
    ]
    path = chain(tmp_path, nodes, [w("w"), w("v")])
    assert quantised(path, placement={"a": "int8"}) == {"x", "w"}
    assert quantised(path, placement={"b": "int8", "s": "int8"}) == {"c", "v"}
    LayerPrecisions({"b": "int8"}, {"b": ("c",)}).save(tmp_path / "ran.json")
    assert quantised(path, placement=tmp_path / "ran.json") == {"c", "v"}
    with pytest.raises(UsageError, match="'implicit' or 'weights-only-inputs', or the file"):
        built(path, placement="clever")


def test_the_report_says_why_a_layer_has_no_pairs(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("MatMul", ["c", "c"], ["y"], name="scores"),
    ]
    report = built(chain(tmp_path, nodes, [w("w")]), placement="implicit").report
    assert [(left.name, "two activations" in left.message) for left in report.left] == [("scores", True)]
