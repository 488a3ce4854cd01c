"""The layers against the networks that TensorRT 8.6.0's own parser made."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.models import ocr_model
from tests.support.shared import shared_path
from tests.support.trt86 import operators, rows_of
from trtcal_widgets.model.inference import infer_types
from trtcal_widgets.model.load import load_graph, load_model
from trtcal_widgets.model.trt8.parsing import parse_network
from trtcal_widgets.sample import model_path


def network(path):
    model = load_model(path)
    return parse_network(model.proto, infer_types(model.proto, model.path.parent), model.constants)


def test_every_layer_of_every_network():
    """Kind, inputs and outputs by their names, in order: of 118 models."""
    n_layers = 0
    for case in operators():
        net = network(case.path)
        ours = [
            [layer.kind, [t and t.name for t in layer.inputs], [t.name for t in layer.outputs]] for layer in net.layers
        ]
        theirs = [[layer["type"], layer["inputs"], layer["outputs"]] for layer in case.facts["network"]]
        assert ours == theirs, case.path.stem
        assert not net.unsure
        n_layers += len(ours)
    assert n_layers > 600


def test_every_row_of_every_cache():
    for case in operators():
        facts = load_graph(case.path).trt8
        for algorithm in ("entropy2", "minmax"):
            assert [row.name for row in facts.rows] == list(case.rows(algorithm)), case.path.stem
        assert facts.left_out == ()


def test_every_row_of_the_caches_that_are_made_after_fusion():
    """146 caches of EntropyCalibration and Legacy: the rules were made from them."""
    n_caches = 0
    for case in operators():
        rows = load_graph(case.path).trt8.rows
        for algorithm in ("entropy", "legacy"):
            if algorithm in case.facts:
                kept = [row.name for row in rows if not (row.fused or (algorithm == "legacy" and row.joins))]
                assert kept == list(case.rows(algorithm)), (case.path.stem, algorithm)
                n_caches += 1
    for algorithm in ("entropy", "legacy"):
        text = shared_path("data", "trt86", "models", f"lenet.{algorithm}.cache").read_text("utf-8")
        kept = [row.name for row in load_graph(model_path()).trt8.rows if not row.fused]
        assert kept == list(rows_of(text))
        n_caches += 1
    assert n_caches == 146


@pytest.mark.parametrize(("cache", "n_rows"), [("lenet.entropy2", 18), ("lenet.minmax", 18)])
def test_rows_of_a_model_with_a_dynamic_batch(cache, n_rows):
    """Its Flatten computes a shape: seven layers that a fixed batch would not have."""
    rows = rows_of(shared_path("data", "trt86", "models", f"{cache}.cache").read_text("utf-8"))
    assert [row.name for row in load_graph(model_path()).trt8.rows] == list(rows)
    assert len(rows) == n_rows


def test_rows_of_a_real_detector():
    rows = rows_of(shared_path("data", "trt86", "models", "det.entropy2.cache").read_text("utf-8"))
    facts = load_graph(ocr_model("det")).trt8
    assert [row.name for row in facts.rows] == list(rows)
    assert len(rows) == 589
    assert facts.left_out == ()


def names(path):
    return [row.name for row in load_graph(path).trt8.rows]


def test_behind_an_operator_that_is_not_followed_only_names_of_the_model_are_left(tmp_path):
    path = save(
        tmp_path / "plugin.onnx",
        [
            node("Add", ["x", "before"], ["a"]),
            node("Mystery", ["a"], ["m"], domain="com.example"),
            node("Add", ["m", "behind"], ["b"]),
            node("Relu", ["b"], ["y"]),
        ],
        [value("x", (1, 3, 4))],
        [value("y", (1, 3, 4))],
        [const("before", [1, 2, 3, 4]), const("behind", [1, 2, 3, 4])],
        domains=["com.example"],
        value_info=[value(name, (1, 3, 4)) for name in ("a", "m", "b")],
    )
    facts = load_graph(path).trt8
    assert [row.name for row in facts.rows] == [
        "x",
        "(Unnamed Layer* 0) [Constant]_output",
        "(Unnamed Layer* 1) [Shuffle]_output",
        *("a", "m", "b", "y"),
    ]
    assert [name for name, _ in facts.left_out] == [
        "(Unnamed Layer* ?) [Constant]_output",
        "(Unnamed Layer* ?) [Shuffle]_output",
    ]
    assert {why for _, why in facts.left_out} == {
        "Mystery is not among the operators whose layers are known (tensor 'm')"
    }


def test_a_constant_is_one_layer_wherever_it_is_read(tmp_path):
    path = save(
        tmp_path / "twice.onnx",
        [node("Add", ["x", "k"], ["a"]), node("Mul", ["a", "k"], ["y"])],
        [value("x", (1, 3))],
        [value("y", (1, 3))],
        [const("k", [[1, 2, 3]])],
    )
    assert names(path) == ["x", "(Unnamed Layer* 0) [Constant]_output", "a", "y"]


def test_dead_branches_and_graph_order(tmp_path):
    """The file may list nodes in any order; what leads to no output has no row but is counted."""
    path = save(
        tmp_path / "order.onnx",
        [
            node("Relu", ["s"], ["y"]),
            node("Add", ["x", "dead"], ["d"]),
            node("Add", ["x", "k"], ["s"]),
        ],
        [value("x", (1, 3))],
        [value("y", (1, 3))],
        [const("k", [[1, 2, 3]]), const("dead", [[1, 2, 3]])],
    )
    assert names(path) == ["x", "(Unnamed Layer* 0) [Constant]_output", "s", "y"]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Reshape", ["x"], ["y"])],
        [node("Transpose", ["x"], ["y"], perm=[5, 6, 7])],
        [node("Slice", ["x", "x", "x", "x"], ["y"])],
        [node("Concat", [], ["y"], axis=0)],
        [node("GRU", ["x"], ["y"], hidden_size=4)],
    ],
)
def test_a_broken_node_only_ends_the_counting(tmp_path, nodes):
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", [value("x", (1, 3, 4))], [value("y", None)]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
    )
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    net = network(path)
    assert net.unsure
    assert net.layers[-1].kind == "UNKNOWN"


def test_dimensions_that_a_computed_shape_tells_need_no_layers():
    """The shuffles and softmaxes behind recognition's first attention, numbered as TensorRT 8.6.0 wrote them.

    Its reshapes take shapes that are joined of a computed batch size and stored numbers: 8 heads are known behind them.
    """
    shuffles = (
        694, 767, 781, 784, 790, 794, 799, 802, 805, 808, 811, 816, 819, 825, 829, 834, 837, 843, 846, 890, 963,
        977, 980, 986, 990, 995, 998, 1001, 1004, 1007, 1012, 1015, 1021, 1025, 1030, 1033, 1048, 1056, 1063, 1073,
        1076, 1086,
    )  # fmt: skip
    rows = [row.name for row in load_graph(ocr_model("rec")).trt8.rows]
    assert len(rows) == 830
    for kind, numbers in (("Shuffle", shuffles), ("Softmax", (768, 964, 1087))):
        counted = [row for row in rows if row.endswith(f" [{kind}]_output")]
        assert counted[-len(numbers) :] == [f"(Unnamed Layer* {n}) [{kind}]_output" for n in numbers]


B, C = [value("x", ["N", 8, 16, 16])], [value("x", [2, 8, 16, 16])]

LAYERS = {
    "a bound of Clip that is left out": (
        C, [node("Clip", ["x", "", ""], ["y"])], {},
        "CONSTANT CONSTANT SHUFFLE SHUFFLE ELEMENTWISE ELEMENTWISE",
    ),
    "Dropout with its mask": (
        C, [node("Conv", ["x", "w"], ["c"]), node("Dropout", ["c"], ["d", "mask"]), node("Relu", ["d"], ["y"])],
        {"w": np.ones((8, 8, 1, 1), np.float32)}, "CONVOLUTION ELEMENTWISE ACTIVATION",
    ),
    "a Range up to a dimension": (
        B,
        [
            node("Shape", ["x"], ["s"]), node("Gather", ["s", "three"], ["n"]),
            node("Range", ["zero", "n", "one"], ["r"]), node("Cast", ["r"], ["f"], to=1),
            node("Add", ["x", "f"], ["y"]),
        ],
        {name: np.array(number) for name, number in (("zero", 0), ("one", 1), ("three", 3))},
        "SHAPE CONSTANT GATHER CONSTANT ELEMENTWISE CONSTANT ELEMENTWISE ELEMENTWISE SHUFFLE FILL CAST SHUFFLE "
        "ELEMENTWISE",
    ),
    "a softmax of opset 11 behind a reshape to (N, 8, -1)": (
        B,
        [
            node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]),
            node("Unsqueeze", ["n"], ["u"], axes=[0]),
            node("Concat", ["u", "rest"], ["wanted"], axis=0), node("Reshape", ["x", "wanted"], ["t"]),
            node("Softmax", ["t"], ["y"], axis=2),
        ],
        {"zero": np.array(0), "rest": np.array([8, -1])},
        "SHAPE CONSTANT GATHER SHUFFLE CONSTANT CONCATENATION SHUFFLE CONSTANT SHAPE GATHER CONSTANT ELEMENTWISE "
        "CONSTANT CONCATENATION SHUFFLE SOFTMAX SHUFFLE SHAPE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_layers_are_those_that_the_parser_made(tmp_path, case):
    """What the parser of TensorRT 8.6.0 said when it was asked for its network."""
    inputs, nodes, stored, layers = LAYERS[case]
    constants = [const(name, array, array.dtype) for name, array in stored.items()]
    net = network(save(tmp_path / "m.onnx", nodes, inputs, [value("y", None)], constants, opset=11))
    assert not net.unsure
    assert " ".join(layer.kind for layer in net.layers) == layers
