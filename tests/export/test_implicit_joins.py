"""Joins, gates, activations and products: what implicit INT8 runs as a kernel of its own between INT8 layers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.export.qdq.passes.implicit.worth import WORTH_WEIGHTS
from trtcal_widgets.export.qdq.placement import place
from trtcal_widgets.model.engine.precisions import LayerPrecisions
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.plan import PrecisionPlan


def w(name, shape=(8, 8, 1, 1)):
    return const(name, np.ones(shape))


def model(tmp_path, nodes, stored, shape=("N", 8, 16, 16)):
    return save(tmp_path / "m.onnx", nodes, [value("x", list(shape))], [value("y", None)], stored)


def reads(path, placement="implicit"):
    """Name of each quantised node -> the activations that it reads as INT8."""
    graph = load_graph(path)
    return {
        graph.nodes[index].name: {site.tensor for site in sites if not site.is_constant}
        for index, sites in place(graph, placement).sites.items()
    }


def hard_swish(given, made, tag=""):
    return [
        node("Add", [given, "three"], [f"{made}_a"], name=f"plus{tag}"),
        node("Clip", [f"{made}_a", "zero", "six"], [f"{made}_c"], name=f"clip{tag}"),
        node("Mul", [given, f"{made}_c"], [f"{made}_m"], name=f"times{tag}"),
        node("Div", [f"{made}_m", "six"], [made], name=f"over{tag}"),
    ]


NUMBERS = [const(name, np.array(number)) for name, number in (("zero", 0.0), ("three", 3.0), ("six", 6.0))]


def block(activation, *, last="Conv"):
    """A convolution, a depthwise one, its activation, and squeeze-and-excitation behind it."""
    return [
        node("Conv", ["x", "w"], ["c"], name="expand"),
        node("Conv", ["c", "d"], ["k"], name="deep", group=8),
        *activation("k", "h"),
        node("GlobalAveragePool", ["h"], ["p"], name="pool"),
        node("Conv", ["p", "s1"], ["s"], name="squeeze"),
        node("Relu", ["s"], ["r"], name="relu"),
        node("Conv", ["r", "s2"], ["e"], name="excite"),
        node("HardSigmoid", ["e"], ["g"], name="gate"),
        node("Mul", ["h", "g"], ["m"], name="scaled"),
        node(last, ["m", "v"] if last == "Conv" else ["m"], ["y"], name="project"),
    ]


STORED = [w("w"), w("d", (8, 1, 1, 1)), w("s1", (2, 8, 1, 1)), w("s2", (8, 2, 1, 1)), w("v"), *NUMBERS]
ACTIVATIONS = {
    "hard-swish in four": hard_swish,
    "HardSwish": lambda given, made: [node("HardSwish", [given], [made], name="plus")],
    "swish": lambda given, made: [
        node("Sigmoid", [given], [f"{made}_s"], name="plus"),
        node("Mul", [given, f"{made}_s"], [made], name="times"),
    ],
}


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_squeeze_and_excitation_block_is_int8_throughout(tmp_path, activation):
    path = model(tmp_path, block(activation), STORED)
    found = reads(path)
    assert found["deep"] == {"c"}
    assert found["plus"] == {"k"}, "the depthwise convolution writes INT8"
    assert found["pool"] == {"h"}
    assert found["scaled"] == {"h", "g"}, "one copy of h for both, and the gate behind its activation"
    assert found["squeeze"] == {"p"}
    assert found["excite"] == {"r"}, "two channels that an INT8 layer wrote"
    assert found["project"] == {"m"}
    assert "gate" not in found
    assert "plus" not in reads(path, "recommended")


@pytest.mark.parametrize(("gate", "amax"), [("HardSigmoid", 1.0), ("Sigmoid", 1.0), ("Tanh", 12.7)])
def test_the_range_of_a_gate_is_that_of_its_activation_unless_the_plan_sets_it(tmp_path, gate, amax):
    nodes = [n if n.name != "gate" else node(gate, ["e"], ["g"], name="gate") for n in block(hard_swish)]
    path = model(tmp_path, nodes, STORED)
    rows = dict.fromkeys(load_graph(path).calibrated, 0.1)

    def scale(**options):
        report = build_qdq(path, rows, placement="implicit", **options).report
        return next((float(t.scale), t.source) for t in report.quantized if t.name == "g")

    value, source = scale()
    assert value == pytest.approx(amax / 127)
    assert ("own range, up to 1" in source) == (amax == 1.0)
    assert scale(plan=PrecisionPlan(amax={"g": 0.5}))[0] == pytest.approx(0.5 / 127)
    if amax == 1.0:
        rows.pop("g")
        assert scale()[0] == pytest.approx(1 / 127), "needs no calibration"


def scaled_depthwise(tmp_path, size):
    """Return a model with a depthwise layer, a scale and a shift of a shape behind it, and a hard-swish."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="expand"),
        node("Conv", ["c", "d"], ["k"], name="deep", group=8),
        node("Mul", ["k", "alpha"], ["k1"], name="scale"),
        node("Add", ["k1", "beta"], ["k2"], name="shift"),
        *hard_swish("k2", "h"),
        node("Conv", ["h", "v"], ["y"], name="project"),
    ]
    stored = [*STORED, const("alpha", np.ones(size)), const("beta", np.ones(size))]
    return model(tmp_path, nodes, stored)


@pytest.mark.parametrize(("size", "first"), [((), "scale"), ((1,), "scale"), ((8, 1, 1), "plus")], ids=str)
def test_a_scale_of_one_number_behind_a_depthwise_layer_is_pointwise_work(tmp_path, size, first):
    """TensorRT folds a number a channel into the layer, in front of whose reader the pair stands then."""
    found = reads(scaled_depthwise(tmp_path, size))
    pairs = {name for name in found if name not in ("expand", "deep", "project")}
    assert pairs == ({"scale"} if first == "scale" else {"plus", "times"})
    assert found["deep"] == {"c"}
    assert found["project"] == {"h"}


def test_a_gate_whose_product_nobody_reads_as_int8_is_left_and_so_is_the_depthwise_layer(tmp_path):
    path = model(tmp_path, block(hard_swish, last="Softmax"), STORED)
    found = reads(path)
    assert "scaled" not in found
    assert found["plus"] == {"k"}, "the pool still reads it"
    nodes = [
        n for n in block(hard_swish, last="Softmax") if n.name not in ("pool", "squeeze", "relu", "excite", "gate")
    ]
    nodes = [n for n in nodes[:-1] if n.name != "scaled"]
    alone = model(tmp_path, [*nodes, node("Softmax", ["h"], ["y"])], STORED)
    assert set(reads(alone)) == {"expand"}


def test_what_one_dense_layer_feeds_is_computed_in_its_kernel(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="first"),
        *hard_swish("c", "h"),
        node("Conv", ["h", "v"], ["k"], name="second"),
        node("Sigmoid", ["k"], ["s"], name="s"),
        node("Mul", ["k", "s"], ["u"], name="swish"),
        node("Conv", ["u", "w"], ["y"], name="third"),
    ]
    assert reads(model(tmp_path, nodes, STORED)) == {"first": {"x"}, "second": {"h"}, "third": {"u"}}


def test_a_sum_behind_a_swish_is_one_kernel_with_it(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="in"),
        node("Relu", ["a"], ["b"], name="relu"),
        node("Conv", ["b", "v"], ["k"], name="branch"),
        node("Sigmoid", ["k"], ["s"], name="sigmoid"),
        node("Mul", ["k", "s"], ["u"], name="swish"),
        node("Add", ["u", "b"], ["t"], name="sum"),
        node("Conv", ["t", "w"], ["y"], name="out"),
    ]
    found = reads(model(tmp_path, nodes, STORED))
    assert found == {
        "in": {"x"}, "branch": {"b"}, "sigmoid": {"k"}, "swish": {"k"}, "sum": {"b"}, "out": {"t"},
    }  # fmt: skip


@pytest.mark.parametrize("up", [{}, {"mode": "linear"}], ids=["nearest", "linear"])
def test_an_upsampled_branch_joins_in_int8_where_its_values_are_moved_alone(tmp_path, up):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="fine"),
        node("Conv", ["x", "v"], ["b"], name="coarse", strides=[2, 2]),
        node("Resize", ["b", "", "sizes"], ["u"], name="up", **up),
        node("Add", ["a", "u"], ["t"], name="join"),
        node("Max", ["a", "t"], ["q"], name="more"),
        node("Conv", ["q", "w"], ["y"], name="out"),
    ]
    stored = [*STORED, const("sizes", np.array([1, 1, 2, 2], np.float32))]
    found = reads(model(tmp_path, nodes, stored))
    moved = not up
    assert ("join" in found) == moved
    assert found.get("join", {"a", "u"}) == {"a", "u"}
    assert ("more" in found) == moved


def test_a_sum_with_what_stays_in_floating_point_has_no_pairs(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv"),
        node("Softmax", ["x"], ["f"], name="soft"),
        node("Mul", ["a", "f"], ["t"], name="join"),
        node("Conv", ["t", "v"], ["y"], name="out"),
    ]
    assert set(reads(model(tmp_path, nodes, STORED))) == {"conv", "out"}


def test_a_join_in_front_of_a_concat_that_is_read_as_int8(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="a"),
        node("Conv", ["x", "v"], ["b"], name="b"),
        node("Mul", ["a", "b"], ["t"], name="join"),
        node("Concat", ["t", "b"], ["cc"], name="cat", axis=1),
        node("Conv", ["cc", "big"], ["y"], name="out"),
    ]
    path = model(tmp_path, nodes, [*STORED, w("big", (8, 16, 1, 1))])
    found = reads(path)
    assert found["join"] == {"a", "b"}
    assert found["cat"] == {"t", "b"}
    result = build_qdq(path, dict.fromkeys(load_graph(path).calibrated, 0.1), placement="implicit")
    assert {t.name for t in result.report.quantized if not t.is_weight} == {"x", "a", "b", "t", "cc"}


def test_a_product_multiplies_channels_in_place_or_pays_for_its_pass(tmp_path):
    pooled = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("GlobalAveragePool", ["c"], ["p"], name="pool"),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "g"], ["y"], name="last"),
    ]
    found = reads(model(tmp_path, pooled, [*STORED, w("g", (8, 3))]))
    assert found == {"conv": {"x"}, "pool": {"c"}, "last": {"f"}}
    folded = [pooled[0], node("Flatten", ["c"], ["f"]), pooled[-1]]
    path = model(tmp_path, folded, [*STORED, w("g", (2048, 3))])
    assert reads(path) == {"conv": {"x"}}
    assert reads(path, "recommended") == {"conv": {"x"}, "last": {"f"}}
    report = build_qdq(path, dict.fromkeys(load_graph(path).calibrated, 0.1), placement="implicit").report
    assert [(left.name, "costs more than INT8 saves" in left.message) for left in report.left] == [("last", True)]
    wide = -(-WORTH_WEIGHTS // 2048)
    assert set(reads(model(tmp_path, folded, [*STORED, w("g", (2048, wide))]))) == {"conv", "last"}


def test_a_network_of_small_products_has_none(tmp_path):
    nodes = [
        node("Gemm", ["x", "a"], ["h"], name="first"),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "b"], ["y"], name="second"),
    ]
    path = model(tmp_path, nodes, [w("a", (8, 16)), w("b", (16, 4))], shape=("N", 8))
    assert reads(path) == {}
    path = model(tmp_path, nodes, [w("a", (4096, 2048)), w("b", (2048, 4))], shape=("N", 4096))
    assert set(reads(path)) == {"first", "second"}, "the second reads what an INT8 layer wrote"


def test_pairs_behind_a_layer_that_the_plan_keeps_or_that_has_no_scale_are_none(tmp_path):
    path = model(tmp_path, block(hard_swish), STORED)
    rows = dict.fromkeys(load_graph(path).calibrated, 0.1)

    def quantised(**options):
        report = build_qdq(path, options.pop("rows", rows), placement="implicit", **options).report
        return {t.name for t in report.quantized if not t.is_weight}, {left.name for left in report.left}

    everything, _ = quantised()
    assert {"c", "k", "h", "m"} <= everything
    kept, left = quantised(plan=PrecisionPlan(keep=("deep",)))
    assert kept == {"x", "h", "p", "r", "m"}, "the pool reads h, and nothing INT8 writes it"
    assert {"c", "k", "h", "g", "m"} <= everything
    assert {"plus", "times", "scaled"} <= left
    lacking, left = quantised(rows={name: scale for name, scale in rows.items() if name != "c"})
    assert lacking == kept
    assert {"plus", "times"} <= left


@pytest.mark.parametrize("size", [(), (8, 1, 1)], ids=str)
def test_pairs_as_an_engine_ran_go_in_front_of_a_scale_of_one_number(tmp_path, size):
    """The implicit engine scales in the depthwise kernel and writes INT8 behind; the explicit one cannot."""
    path = scaled_depthwise(tmp_path, size)
    engine = {"expand": ("x",), "deep": ("c",), "plus": ("k2",), "times": ("k2",), "project": ("h",)}
    ran = LayerPrecisions(dict.fromkeys(engine, "int8"), engine)
    found = reads(path, ran)
    moved = {"scale": {"k"}} if size == () else {"plus": {"k2"}, "times": {"k2"}}
    assert found == {"expand": {"x"}, "deep": {"c"}, "project": {"h"}, **moved}
