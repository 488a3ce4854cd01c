from __future__ import annotations

import ast
import re
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.graphs import const, node, save, value
from trtcal_widgets import sample
from trtcal_widgets.errors import ExportError, ModelError
from trtcal_widgets.export.plan_formats import (
    cache_for_plan,
    modelopt_nodes_to_exclude,
    polygraphy_arguments,
    python_snippet,
    trtexec_arguments,
)
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.load import load_model
from trtcal_widgets.model.plan import PrecisionPlan


def chain(tmp_path, names):
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"], name=name) for i, name in enumerate(names)]
    return load_model(save(tmp_path / "m.onnx", nodes, [value("t0")], [value(f"t{len(names)}")]))


def read_as_trtexec(arguments):
    """Read --layerPrecisions as trtexec 10's sampleOptions.cpp does; patterns and their precision."""
    (listed,) = [a.split("=", 1)[1] for a in arguments if a.startswith("--layerPrecisions=")]
    found = {}
    for pair in listed.split(","):
        assert "'" not in pair
        name, _, precision = pair.rpartition(":")
        found[name] = precision
    return found


def matches(pattern, name):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*", 1))), name, re.DOTALL) is not None


NASTY = [
    "/model.0/conv/Conv",
    "onnx::Conv_1",
    "a,b",
    "it's",
    "x y",
    "$(rm)",
    "<b>",
    'q"',
    "new\nline",
    "a.b",
    "aXb",
    "[0-9]+",
]


def test_every_layer_that_trtexec_is_told_of_is_one_that_is_kept(tmp_path):
    model = chain(tmp_path, [*NASTY, "other"])
    plan = PrecisionPlan(keep=tuple(NASTY))
    arguments = trtexec_arguments(plan, model)
    patterns = read_as_trtexec(arguments.arguments)
    assert set(patterns.values()) == {"fp16"}
    told = {n.name for n in model.graph.nodes if any(matches(p, n.name) for p in patterns)}
    # "a*b" would be "a.b" and "aXb" too: it is not written, and a note says so.
    assert told == set(NASTY) - {"a,b"}
    assert [note.split(" cannot")[0] for note in arguments.notes] == ["'a,b'"]
    assert shlex.split(arguments.command("trtexec", "--onnx=m.onnx")) == [
        "trtexec",
        "--onnx=m.onnx",
        *arguments.arguments,
    ]
    assert {"--int8", "--fp16", "--precisionConstraints=obey"} <= set(arguments.arguments)
    types = [a.replace("OutputTypes", "Precisions") for a in arguments.arguments if "OutputTypes" in a]
    assert read_as_trtexec(types) == patterns


def test_fp32_asks_for_no_fp16(tmp_path):
    model = chain(tmp_path, ["a", "b"])
    plan = PrecisionPlan(keep=("a",), precision="fp32")
    assert "--fp16" not in trtexec_arguments(plan, model).arguments
    assert "a:float32" in polygraphy_arguments(plan, model).arguments
    assert trtexec_arguments(PrecisionPlan(precision="fp32"), model).arguments == ("--int8",)


def test_polygraphy_takes_every_name(tmp_path):
    model = chain(tmp_path, NASTY)
    arguments = polygraphy_arguments(PrecisionPlan(keep=tuple(NASTY)), model).arguments
    pairs = arguments[arguments.index("--layer-precisions") + 1 :]
    assert [pair.rpartition(":")[::2] for pair in pairs] == [(name, "float16") for name in NASTY]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=6, unique=True))
def test_modelopt_patterns_match_one_name_each(tmp_path_factory, names):
    model = chain(tmp_path_factory.mktemp("m"), names)
    patterns = modelopt_nodes_to_exclude(PrecisionPlan(keep=tuple(names[:1])), model)
    assert [n for n in names if any(re.match(p, n) for p in patterns)] == names[:1]


def test_the_snippet_is_python_that_holds_every_name(tmp_path):
    model = chain(tmp_path, NASTY)
    source = python_snippet(PrecisionPlan(keep=tuple(NASTY)), model)
    tree = ast.parse(source)
    sets = {n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign)}
    assert ast.literal_eval(sets["LAYERS"]) == set(NASTY)
    assert ast.literal_eval(sets["TENSORS"]) == {f"t{i + 1}" for i in range(len(NASTY))}
    assert source.isascii()
    assert "BuilderFlag.FP16" in source
    ast.parse(python_snippet(PrecisionPlan(precision="fp32"), model))


def test_layers_without_a_name_are_found_by_their_tensors_or_reported(tmp_path):
    model = chain(tmp_path, ["", "named"])
    plan = PrecisionPlan(keep=("Relu_0", "named"))
    for made in (trtexec_arguments(plan, model), polygraphy_arguments(plan, model)):
        assert not any("Relu_0" in argument for argument in made.arguments)
        assert "1 kept layer has no name of its own" in made.notes[0]
    assert "'t1'" in python_snippet(plan, model)
    with pytest.raises(ExportError, match="no name"):
        modelopt_nodes_to_exclude(plan, model)


def test_a_plan_of_another_model(tmp_path):
    with pytest.raises(ModelError, match="'nope'"):
        trtexec_arguments(PrecisionPlan(keep=("nope",)), chain(tmp_path, ["a"]))


def lenet_cache():
    names = load_model(sample.model_path()).graph.calibrated
    return CalibrationCache.build({name: 0.01 * (i + 1) for i, name in enumerate(names)})


def test_the_cache_takes_the_thresholds_and_keeps_all_rows():
    graph = load_model(sample.model_path()).graph
    made = cache_for_plan(PrecisionPlan(keep=("conv1",), amax={"conv1": 127.0}), lenet_cache(), graph)
    assert not made.dropped
    assert (made.cache.scales["conv1"], made.cache.scales["pool1"]) == (1.0, 1.0)  # they share one
    assert list(made.cache.scales) == list(lenet_cache().scales)
    assert cache_for_plan(PrecisionPlan(), lenet_cache(), graph).cache == lenet_cache()


def test_rows_may_be_dropped_and_who_suffers_is_said():
    graph = load_model(sample.model_path()).graph
    made = cache_for_plan(PrecisionPlan(keep=("ip1",)), lenet_cache(), graph, drop_rows=True)
    assert made.dropped == ("ip1", "relu1")  # Relu runs in the kernel of ip1
    assert made.also_affected == ("ip2",)
    assert set(lenet_cache().scales) - set(made.cache.scales) == {"ip1", "relu1"}


def test_a_cache_must_keep_a_row(tmp_path):
    model = load_model(
        save(
            tmp_path / "m.onnx",
            [node("MatMul", ["x", "w"], ["y"], name="a")],
            [value("x")],
            [value("y")],
            [const("w", np.ones((3, 3)))],
        )
    )
    cache = CalibrationCache.build({"y": 0.1})
    with pytest.raises(ExportError, match="nothing would be left"):
        cache_for_plan(PrecisionPlan(keep=("a",)), cache, model.graph, drop_rows=True)
