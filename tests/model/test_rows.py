"""Rows of constants, which TensorRT 10 names ``<constant>_output``."""

from __future__ import annotations

import re

import pytest

from tests.support.graphs import const, node, save, value
from tests.support.shared import shared_path
from tests.support.trt86 import operators
from trtcal_widgets.export.plan_formats import cache_for_plan
from trtcal_widgets.export.port import port_scales
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.header import constant_row, row_of
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.model.rows import compare_with_model, constants_of, numbered_rows, with_tensor_names
from trtcal_widgets.trt.calibration.caches import check_cache, check_dla, merge_caches
from trtcal_widgets.trt.calibration.feed import CacheFile, DataFeed
from trtcal_widgets.widgets.cache.facts import read_facts

ROWS = {"x": 0.5, "c": 0.25, "bias_output": 0.125, "s": 0.5, "soft_output": 0.25, "y": 0.25}


def model(path, *, prefix=""):
    """x -> Conv -> + bias -> Softmax, with a constant that is a tensor of TensorRT's network."""
    p = prefix
    nodes = [
        node("Conv", [p + "x", p + "w"], [p + "c"], name=p + "conv"),
        node("Add", [p + "c", p + "bias"], [p + "s"], name=p + "add"),
        node("Softmax", [p + "s"], [p + "y"], name=p + "soft"),
    ]
    stored = [const(p + "w", [[[[2.0]]], [[[3.0]]]]), const(p + "bias", [[[[5.0]], [[7.0]]]])]
    return save(path, nodes, [value(p + "x", (1, 1, 4, 4))], [value(p + "y", (1, 2, 4, 4))], stored)


@pytest.fixture
def path(tmp_path):
    return model(tmp_path / "m.onnx")


@pytest.fixture
def cache():
    return CalibrationCache.build(ROWS, version="10.12.0")


@pytest.mark.parametrize("name", ["yolo11.TRT-101200.cache", "yolov8.TRT-101401.cache"])
def test_tensorrt_10_has_every_constant_under_this_name_and_none_under_its_own(name):
    """PyTorch calls the tensor of a Constant /a/Constant_output_0; there are rows /a/Constant_output_0_output only."""
    rows = CalibrationCache.read(shared_path("data", "caches", name)).scales
    constants = [match[1] for row in rows if (match := re.fullmatch(r"(/.*Constant(?:_\d+)?_output_0)_output", row))]
    assert len(constants) >= 4
    assert all(row_of(constant, rows) == constant_row(constant) for constant in constants)
    assert not [row for row in rows if re.fullmatch(r"/.*/Constant(?:_\d+)?_output_0", row)]


@pytest.mark.parametrize(
    "name", ["unet-prelu.TRT-8001.cache", "vgg16-cifar10.TRT-8400-minmax.cache", "diffusion.TRT-8601.cache"]
)
def test_tensorrt_8_numbers_its_constants(name):
    rows = CalibrationCache.read(shared_path("data", "caches", name)).scales
    assert any(re.fullmatch(r"\(Unnamed Layer\* \d+\) \[Constant\]_output", row) for row in rows)
    assert not [row for row in rows if row.endswith("_output_0_output")]


def test_such_a_row_is_the_constant_to_everything_that_compares(path, cache):
    graph = load_graph(path)
    assert constants_of(graph) == ("bias",)
    found = compare_with_model(cache, graph)
    assert (found.unknown, found.missing) == ((), ())
    assert "constant of that name without _output" in found.synthetic["bias_output"]
    assert "layer of that name without _output" in found.synthetic["soft_output"]
    assert (
        check_cache(
            cache, version="10.12.0", algorithm="entropy2", tensors=graph.calibrated, constants=constants_of(graph)
        ).missing
        == ()
    )
    assert check_dla(graph, cache).complete
    assert check_dla(graph, cache.without(["bias_output"])).missing_constants == ("bias",)
    assert check_dla(graph, CalibrationCache.build({**ROWS, "bias_output": 0.0})).unusable.keys() == {"bias"}


def test_a_calibrator_that_knows_the_model_alone_misses_no_constant(path, cache):
    file = CacheFile(None, cache, algorithm="entropy2", version="10.12.0", stale="error")
    DataFeed(None, file).know(load_graph(path))
    assert file.report.fits
    assert file.report.missing == ()


def test_the_viewer_calls_it_neither_unknown_nor_missing(path, cache):
    facts = read_facts(cache, graph=load_graph(path))
    assert {group.key for group in facts.groups} == {"synthetic"}
    assert facts.names == tuple(ROWS)


def test_the_qdq_report_says_what_it_is(path, cache):
    report = build_qdq(path, cache).report
    assert report.match_share == 1.0
    (row,) = [row for row in report.unused if row.name == "bias_output"]
    assert "constant of that name without _output" in row.message


def test_porting_carries_it_over(tmp_path, path, cache):
    other = model(tmp_path / "other.onnx", prefix="new.")
    result = port_scales(path, other, cache)
    assert dict(result.table.scales) == {
        "new.x": 0.5, "new.c": 0.25, "new.bias_output": 0.125, "new.s": 0.5, "new.y": 0.25,
    }  # fmt: skip
    assert [row.name for row in result.report.not_ported] == ["soft_output"]
    assert result.report.without == ()


def test_an_older_cache_is_ported_with_the_names_that_it_has(tmp_path, path):
    rows = {**{name: scale for name, scale in ROWS.items() if "_output" not in name}, "bias": 0.125}
    other = model(tmp_path / "other.onnx", prefix="new.")
    assert "new.bias" in port_scales(path, other, CalibrationCache.build(rows, version="8.6.1")).table.scales


def test_a_plans_threshold_for_a_constant_changes_that_row(path, cache):
    made = cache_for_plan(PrecisionPlan(amax={"bias": 127.0}), cache, load_graph(path)).cache
    assert dict(made.scales) == {**ROWS, "bias_output": 1.0}


def test_merging_finds_it_by_the_constants_name(cache):
    base = CalibrationCache.build({"b/x": 1.0, "b/bias_output": 1.0})
    merged, report = merge_caches(base, cache, {"bias": "b/bias", "x": "b/x", "gone": "b/gone"})
    assert dict(merged.scales) == {"b/x": 0.5, "b/bias_output": 0.125}
    assert report.absent == ("gone",)


def test_a_name_that_another_tensor_has_is_that_tensors(tmp_path):
    nodes = [node("Add", ["x", "k"], ["k_output"]), node("Relu", ["k_output"], ["y"])]
    graph = load_graph(
        save(tmp_path / "m.onnx", nodes, [value("x", (1, 3))], [value("y", (1, 3))], [const("k", [1.0, 2.0, 3.0])])
    )
    found = compare_with_model(CalibrationCache.build({"x": 1.0, "k_output": 1.0, "y": 1.0}), graph)
    assert found.matched == ("x", "k_output", "y")
    assert found.missing == ("k",)


@pytest.fixture(scope="module")
def attention():
    """A transformer's attention, and the cache that TensorRT 8.6.0 wrote for it."""
    case = next(case for case in operators() if case.path.stem == "attn")
    return case.path, CalibrationCache.from_bytes(case.facts["entropy2"]["cache"].encode())


def test_rows_of_tensorrt_8_are_explained_by_the_model(attention):
    path, cache = attention
    found = compare_with_model(cache, load_graph(path))
    assert found.unknown == found.missing == ()
    assert found.matched == ("x", "q", "k", "v", "kt", "sc", "sd", "o", "y")
    assert (
        found.synthetic["(Unnamed Layer* 0) [Constant]_output"] == "the constant 'wq', as a Constant layer (TensorRT 8)"
    )
    assert (
        found.synthetic["(Unnamed Layer* 12) [Shuffle]_output"] == "the constant 'd', as a Shuffle layer (TensorRT 8)"
    )
    assert (
        found.synthetic["(Unnamed Layer* 14) [Softmax]_output"] == "the values of 'p', as a Softmax layer (TensorRT 8)"
    )


def test_numbers_of_another_network_explain_nothing(attention):
    path, cache = attention
    shifted = {name.replace("* 17)", "* 18)"): scale for name, scale in cache.scales.items()}
    graph = load_graph(path)
    assert numbered_rows(shifted, graph) == ()
    assert with_tensor_names(shifted, graph) == shifted
    found = compare_with_model(CalibrationCache.build(shifted, version="8.6.0"), graph)
    assert found.synthetic["(Unnamed Layer* 18) [Constant]_output"].startswith("a constant that the ONNX parser added")


def test_a_row_of_tensorrt_8_lacks(attention):
    path, cache = attention
    graph = load_graph(path)
    assert check_dla(graph, cache).complete
    gone = ("o", "(Unnamed Layer* 0) [Constant]_output")
    scales = {name: scale for name, scale in cache.scales.items() if name not in gone}
    report = check_dla(graph, CalibrationCache.build(scales, version="8.6.0"))
    assert (report.missing, report.missing_constants) == (gone[:1], gone[1:])
    assert compare_with_model(CalibrationCache.build(scales, version="8.6.0"), graph).missing == ("o",)


def test_qdq_takes_the_scale_of_a_softmax_from_its_numbered_row(attention):
    path, cache = attention
    pairs = {row.name: row.scale for row in build_qdq(path, cache).report.quantized if not row.is_weight}
    assert pairs["p"] == cache.scales["(Unnamed Layer* 14) [Softmax]_output"]
