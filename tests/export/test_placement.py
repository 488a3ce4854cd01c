from __future__ import annotations

import numpy as np
import pytest

from tests.export.helpers import checked, pair_inputs
from tests.support.graphs import FLOAT, INT64, const, node, save, value
from trtcal_widgets.errors import UsageError
from trtcal_widgets.export.qdq import build_qdq, quantized_inputs
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.model.plan import PrecisionPlan

IMAGE = ["N", 4, 8, 8]


def conv(x, y, name="", k=4):
    return node("Conv", [x, f"w_{y}"], [y], name=name or f"conv_{y}"), const(f"w_{y}", np.ones((k, 4, 1, 1)))


def graph(tmp_path, nodes, stored, inputs=("x",), outputs=("y",), **options):
    return save(
        tmp_path / "m.onnx",
        nodes,
        [value(i, IMAGE) for i in inputs],
        [value(o, None) for o in outputs],
        stored,
        **options,
    )


def wired(path, **options):
    names = load_graph(path).calibrated
    return pair_inputs(checked(path, dict.fromkeys(names, 0.1), **options).proto)


def test_inputs_are_quantised_and_outputs_and_biases_are_not(tmp_path):
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2]),
        node("GlobalAveragePool", ["p"], ["a"]),
        node("Flatten", ["a"], ["f"]),
        node("Gemm", ["f", "g", "h"], ["l"]),
        node("Softmax", ["l"], ["y"]),
    ]
    stored = [
        const("w", np.ones((4, 4, 1, 1))),
        const("b", np.ones(4)),
        const("g", np.ones((4, 3))),
        const("h", np.ones(3)),
    ]
    assert wired(graph(tmp_path, nodes, stored)) == {
        "c": ["*x", "*w", "b"],
        "r": ["c"],
        "p": ["r"],
        "a": ["*p"],
        "f": ["a"],
        "l": ["*f", "*g", "h"],
        "y": ["l"],
    }


def test_weights_only_inputs_leaves_pools_residuals_and_concats(tmp_path):
    c, w = conv("x", "c")
    d, v = conv("j", "y", k=2)
    nodes = [c, node("Add", ["c", "x"], ["s"]), node("GlobalAveragePool", ["s"], ["g"]), node("Relu", ["s"], ["r"])]
    nodes += [node("Concat", ["r", "r"], ["j2"], axis=0), node("Identity", ["j2"], ["j"]), d]
    path = graph(tmp_path, nodes, [w, v], outputs=("y", "g"))
    one = wired(path, placement="weights-only-inputs")
    assert (one["s"], one["g"], one["j2"], one["y"]) == (["c", "x"], ["s"], ["r", "r"], ["*j", "*w_y"])
    two = wired(path)
    assert (two["s"], two["g"], two["j2"], two["y"]) == (["c", "*x"], ["s"], ["*r", "*r"], ["*j", "*w_y"])


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool"])
@pytest.mark.parametrize("shared", ["alone", "conv", "maxpool", "mul", "output"])
def test_an_average_pool_has_a_pair_unless_something_else_reads_its_input_in_floating_point(tmp_path, pool, shared):
    c, w = conv("x", "c")
    d, v = conv("p", "y")
    nodes = [c, node(pool, ["c"], ["p"], **({"kernel_shape": [1, 1]} if pool == "AveragePool" else {})), d]
    e, u = conv("c", "z")
    f, t = conv("m", "z")
    nodes += {
        "alone": [],
        "output": [],
        "conv": [e],
        "maxpool": [node("MaxPool", ["c"], ["m"], kernel_shape=[1, 1]), f],
        "mul": [node("Mul", ["c", "c"], ["z"])],
    }[shared]
    outputs = {"alone": ("y",), "output": ("y", "c")}.get(shared, ("y", "z"))
    path = graph(tmp_path, nodes, [w, v, *({"conv": [u], "maxpool": [t]}.get(shared, []))], outputs=outputs)
    found = wired(path)
    assert found["p"] == (["*c"] if shared in ("alone", "conv", "maxpool") else ["c"])
    assert found["y"] == ["*p", "*w_y"]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_two_layers_the_later_one_adds_and_the_earlier_result_is_the_residual(tmp_path, order):
    a, w = conv("x", "a")
    b, v = conv("x", "b")
    path = graph(tmp_path, [a, b, node("Add", list(order), ["y"])], [w, v])
    assert sorted(wired(path)["y"]) == ["*a", "b"]


@pytest.mark.parametrize(
    "between",
    [
        [node("Identity", ["c"], ["d"])],
        [node("Add", ["c", "bias"], ["d"])],
        [node("BatchNormalization", ["c", "v", "v", "v", "v"], ["d"])],
    ],
    ids=["nothing", "bias", "batch norm"],
)
def test_what_is_folded_into_the_layer_does_not_hide_it(tmp_path, between):
    c, w = conv("x", "c")
    stored = [w, const("bias", np.ones((4, 1, 1))), const("v", np.ones(4))]
    path = graph(tmp_path, [c, *between, node("Add", ["x", "d"], ["y"])], stored)
    assert wired(path)["y"] == ["*x", "d"]


def test_additions_that_no_layer_does_are_left_alone(tmp_path):
    c, w = conv("x", "c")
    nodes = [c, node("Relu", ["c"], ["r"]), node("Add", ["r", "x"], ["y"])]
    assert wired(graph(tmp_path, nodes, [w]))["y"] == ["r", "x"]
    # also where the layer's output is read elsewhere: it cannot be added in its kernel
    nodes = [c, node("Add", ["c", "x"], ["y"]), node("Relu", ["c"], ["r"])]
    assert wired(graph(tmp_path, nodes, [w], outputs=("y", "r")))["y"] == ["c", "x"]


def test_a_broadcast_operand_is_no_residual(tmp_path):
    made = [node("MatMul", ["a", "b"], ["s"]), node("Add", ["s", "mask"], ["y"])]
    inputs = [value("a", ["N", 2, 5, 3]), value("b", ["N", 2, 3, 5]), value("mask", ["N", 1, 1, 5])]
    path = save(tmp_path / "m.onnx", made, inputs, [value("y", None)])
    assert wired(path)["y"] == ["s", "mask"]


def test_a_concat_that_ends_in_the_output_is_left_alone(tmp_path):
    a, w = conv("x", "a")
    b, v = conv("x", "b")
    path = graph(tmp_path, [a, b, node("Concat", ["a", "b"], ["y"], axis=1)], [w, v])
    assert wired(path)["y"] == ["a", "b"]


def test_concats_of_concats_share_one_scale(tmp_path):
    d, v = node("Conv", ["j", "v"], ["y"]), const("v", np.ones((2, 12, 1, 1)))
    nodes = [node("Relu", ["x"], ["r"]), node("Sigmoid", ["x"], ["s"]), node("Concat", ["r", "s"], ["i"], axis=1)]
    nodes += [node("MaxPool", ["i"], ["p"], kernel_shape=[1, 1]), node("Concat", ["p", "x"], ["j"], axis=1), d]
    path = graph(tmp_path, nodes, [v])
    scales = {"x": 0.1, "r": 0.2, "s": 0.3, "i": 0.4, "p": 0.4, "j": 0.5}
    result = checked(path, scales)
    assert {t.name: round(t.scale, 6) for t in result.report.activations} == dict.fromkeys("xrspj", 0.5)
    changed = checked(path, scales, plan=PrecisionPlan(amax={"x": 127.0}))
    assert {t.scale for t in changed.report.activations} == {1.0}


def test_one_pair_per_tensor_and_kept_nodes_read_the_original(tmp_path):
    a, w = conv("x", "a", "first")
    b, v = conv("x", "b", "second")
    path = graph(tmp_path, [a, b, node("Add", ["a", "b"], ["y"], name="sum")], [w, v])
    plan = PrecisionPlan(keep=("second",), reasons={"second": "it costs 3 dB"})
    result = checked(path, {"x": 0.1, "a": 0.1, "b": 0.1}, plan=plan)
    assert pair_inputs(result.proto) == {"a": ["*x", "*w_a"], "b": ["x", "w_b"], "y": ["a", "b"]}
    assert [(n.name, n.message) for n in result.report.kept] == [("second", "it costs 3 dB")]
    assert {n.name: n.message for n in result.report.left} == {
        "sum": "it is added by 'second', which stays in higher precision"
    }
    assert sum(n.op_type == "QuantizeLinear" for n in result.proto.graph.node) == 2


def test_a_concat_whose_reader_is_kept_is_left_alone_too(tmp_path):
    nodes = [node("Relu", ["x"], ["r"]), node("Concat", ["r", "x"], ["j"], axis=1, name="join")]
    nodes += [node("Conv", ["j", "w"], ["y"], name="reader"), node("Conv", ["x", "v"], ["z"], name="other")]
    stored = [const("w", np.ones((2, 8, 1, 1))), const("v", np.ones((2, 4, 1, 1)))]
    path = graph(tmp_path, nodes, stored, outputs=("y", "z"))
    scales = {"x": 0.1, "r": 0.2, "j": 0.3}
    assert pair_inputs(checked(path, scales).proto)["j"] == ["*r", "*x"]
    result = checked(path, scales, plan=PrecisionPlan(keep=("reader",)))
    assert pair_inputs(result.proto)["j"] == ["r", "x"]
    assert [(n.name, n.message) for n in result.report.left] == [
        ("join", "what reads its output stays in higher precision")
    ]


def test_only_some_nodes(tmp_path):
    a, w = conv("x", "a", "first")
    b, v = conv("a", "y", "second")
    path = graph(tmp_path, [a, b], [w, v])
    result = checked(path, {"x": 0.1, "a": 0.1}, only={"second"})
    assert pair_inputs(result.proto) == {"a": ["x", "w_a"], "y": ["*a", "*w_y"]}
    assert [(r.name, r.reason) for r in result.report.unused] == [("x", "not-selected")]
    assert not checked(path, {"x": 0.1, "a": 0.1}, only=set()).report.quantized


def test_quantized_inputs_names_what_a_build_quantises(tmp_path):
    a, w = conv("x", "a", "first")
    path = graph(tmp_path, [a, node("Add", ["a", "x"], ["y"], name="sum")], [w])
    facts = load_graph(path)
    assert dict(quantized_inputs(facts)) == {"first": ("x", "w_a"), "sum": ("x",)}
    assert dict(quantized_inputs(facts, "weights-only-inputs")) == {"first": ("x", "w_a")}
    with pytest.raises(UsageError, match="'everywhere'"):
        quantized_inputs(facts, "everywhere")


def test_a_weight_that_two_layers_read_along_different_axes_has_two_pairs(tmp_path):
    w = const("w", np.arange(16).reshape(4, 4))
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Gemm", ["a", "w"], ["b"], transB=1),
        node("MatMul", ["b", "w"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 4])], [value("y", None)], [w])
    result = checked(path, {"x": 1.0, "a": 1.0, "b": 1.0})
    assert [(t.axis, len(t.consumers)) for t in result.report.weights] == [(1, 2), (0, 1)]
    assert len({t.dequantized_name for t in result.report.weights}) == 2


def test_weights_that_are_computed_from_others_are_read(tmp_path):
    stored = [const("half", np.float32([[1, 2, 4], [8, 16, 32]]))]
    nodes = [node("Transpose", ["half"], ["w"], perm=[1, 0]), node("MatMul", ["x", "w"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 3])], [value("y", None)], stored)
    (weight,) = checked(path, {"x": 1.0}).report.weights
    assert (weight.name, weight.axis, weight.channels, weight.scale) == (
        "w",
        1,
        2,
        float(np.float32(32) / np.float32(127)),
    )


def test_integer_products_and_double_precision_are_left_alone(tmp_path):
    nodes = [node("MatMul", ["i", "i"], ["j"]), node("MatMul", ["d", "d"], ["e"]), node("MatMul", ["x", "x"], ["y"])]
    inputs = [value("i", [3, 3], INT64), value("d", [3, 3], 11), value("x", [3, 3], FLOAT)]
    outputs = [value("j", None, INT64), value("e", None, 11), value("y", None)]
    path = save(tmp_path / "m.onnx", nodes, inputs, outputs)
    report = build_qdq(path, {"x": 0.1, "d": 0.1}).report
    assert [t.name for t in report.quantized] == ["x"]
    assert [n.message.split(";")[0] for n in report.left] == ["it computes in int64", "it computes in float64"]


def test_names_that_are_taken_are_avoided(tmp_path):
    stored = [const("x_scale", np.ones((4, 4, 1, 1))), const("zero_point_int8", np.ones(4))]
    nodes = [
        node("Conv", ["x", "x_scale", "zero_point_int8"], ["x_quantized"], name="x_QuantizeLinear"),
        node("Relu", ["x_quantized"], ["x_dequantized"]),
    ]
    path = graph(tmp_path, nodes, stored, outputs=("x_dequantized",))
    result = checked(path, {"x": 0.1})
    names = [o for n in result.proto.graph.node for o in n.output] + [t.name for t in result.proto.graph.initializer]
    assert len(names) == len(set(names))
    assert {"x_quantized", "x_dequantized", "x_scale", "zero_point_int8"} <= set(names)
    assert len({n.name for n in result.proto.graph.node if n.name}) == 5


def test_names_may_hold_anything(tmp_path):
    odd = "<script>'\"\n:, \u2028"
    nodes = [node("Conv", [odd, "w"], ["y"], name=odd)]
    path = save(
        tmp_path / "m.onnx", nodes, [value(odd, IMAGE)], [value("y", None)], [const("w", np.ones((1, 4, 1, 1)))]
    )
    result = checked(path, {odd: 0.1})
    assert result.report.activations[0].name == odd
    assert "\n" not in result.report.to_text().splitlines()[5]
    assert "<script>" in result.report.to_json()
