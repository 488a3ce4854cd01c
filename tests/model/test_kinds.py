from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.minilm import minilm_model
from tests.support.models import ocr_model
from tests.support.shared import shared_path
from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.load import load_graph

INPUT, ACTIVATION, CONSTANT, WEIGHT = TensorKind

IMAGE = value("x", (1, 3, 4, 4))


def kind_of_constant(tmp_path, nodes, name="k", extra=()):
    path = save(tmp_path / "m.onnx", nodes, [IMAGE], [value("y", None)], [const("k", np.ones((3, 3, 1, 1))), *extra])
    return load_graph(path).tensor(name).kind


@pytest.mark.parametrize(
    ("op_type", "inputs", "expected"),
    [
        ("Conv", ["x", "k"], WEIGHT),
        ("Conv", ["x", "o", "k"], WEIGHT),
        ("ConvTranspose", ["x", "k"], WEIGHT),
        ("Gemm", ["x", "k"], WEIGHT),
        ("Gemm", ["x", "o", "k"], WEIGHT),
        ("Gemm", ["k", "x"], CONSTANT),
        ("BatchNormalization", ["x", "k", "o", "o", "o"], WEIGHT),
        ("BatchNormalization", ["x", "o", "o", "o", "k"], WEIGHT),
        ("LayerNormalization", ["x", "k", "o"], WEIGHT),
        ("InstanceNormalization", ["x", "o", "k"], WEIGHT),
        ("LSTM", ["x", "o", "k", "o"], WEIGHT),
        ("LSTM", ["x", "o", "o", "o", "", "k"], CONSTANT),
        ("Clip", ["x", "", "k"], WEIGHT),
        ("Pad", ["x", "o", "k"], WEIGHT),
        ("Resize", ["x", "", "k"], WEIGHT),
        ("MatMul", ["x", "k"], CONSTANT),
        ("Add", ["k", "x"], CONSTANT),
        ("Mul", ["x", "k"], CONSTANT),
        ("Where", ["o", "x", "k"], CONSTANT),
        ("PRelu", ["x", "k"], CONSTANT),
        ("Gather", ["k", "o"], CONSTANT),
        ("Concat", ["x", "k"], CONSTANT),
    ],
)
def test_place_in_the_layer_decides(tmp_path, op_type, inputs, expected):
    made = [node("Identity", ["x"], ["copy"])] if "x" not in inputs else []
    assert (
        kind_of_constant(tmp_path, [node(op_type, inputs, ["y"]), *made], extra=[const("o", np.ones((3, 3, 1, 1)))])
        is expected
    )


def test_one_use_as_a_tensor_makes_a_constant(tmp_path):
    nodes = [node("Conv", ["x", "k"], ["a"]), node("Mul", ["a", "k"], ["y"])]
    assert kind_of_constant(tmp_path, nodes) is CONSTANT


def test_layers_of_other_domains_have_no_known_weights(tmp_path):
    nodes = [node("Conv", ["x", "k"], ["y"], domain="com.example")]
    assert kind_of_constant(tmp_path, nodes) is CONSTANT


def test_folding_passes_the_kind_back(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Identity", ["shared"], ["own"]),
            node("Conv", ["x", "own"], ["a"]),
            node("Transpose", ["kernel"], ["turned"]),
            node("MatMul", ["a", "turned"], ["b"]),
            node("Cast", ["whole"], ["real"], to=1),
            node("Add", ["b", "real"], ["c"]),
            node("RandomUniform", [], ["noise"], shape=[4]),
            node("Add", ["c", "noise"], ["y"]),
        ],
        [IMAGE],
        [value("y", None)],
        [const("shared", np.ones((3, 3, 1, 1))), const("kernel", np.eye(4)), const("whole", [1], "int64")],
    )
    graph = load_graph(path)
    kinds = {t.name: t.kind for t in graph.tensors.values()}
    assert kinds["shared"] is kinds["own"] is WEIGHT
    assert kinds["kernel"] is kinds["turned"] is kinds["real"] is CONSTANT
    assert kinds["noise"] is ACTIVATION  # other values in each run
    assert graph.calibrated == (*("x", "a", "kernel", "turned", "b", "real", "c", "noise", "y"),)


def test_prelu_slopes_have_rows_in_a_real_cache():
    # 37 [Constant] and 38 [Shuffle] stand between the convolution 106 and the PRelu 108 in the order of layers.
    lines = shared_path("data", "caches", "unet-prelu.TRT-8001.cache").read_text().splitlines()
    names = [line.rpartition(": ")[0] for line in lines]
    place = names.index("(Unnamed Layer* 37) [Constant]_output")
    assert names[place - 1] == "106"
    assert names[place + 2] == "108"


@pytest.mark.models
def test_real_models_keep_layer_weights_out_of_the_cache():
    graph = load_graph(ocr_model("cls"))
    for each in graph.nodes:
        if each.op_type in ("Conv", "BatchNormalization"):
            assert {graph.tensor(name).kind for name in each.inputs[1:]} == {WEIGHT}
        if each.op_type == "MatMul":
            assert graph.tensor(each.inputs[1]).kind is CONSTANT
    transformer = load_graph(minilm_model())
    assert transformer.tensor("embeddings.word_embeddings.weight").kind is CONSTANT
    assert transformer.tensor("encoder.layer.2.output.LayerNorm.weight").kind is WEIGHT
    assert transformer.tensor("encoder.layer.2.output.dense.bias").kind is CONSTANT
