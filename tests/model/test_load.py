from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from tests.support.graphs import FLOAT, INT64, const, node, save, value
from tests.support.minilm import minilm_model
from tests.support.models import ocr_model
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.graph import FLOAT_DTYPES, ModelGraph, TensorKind
from trtcal_widgets.model.load import load_graph

INPUT, ACTIVATION, CONSTANT, WEIGHT = TensorKind


def kinds(graph):
    return {t.name: t.kind for t in graph.tensors.values()}


def all_types_by_onnxruntime(path):
    """Every node output's (type, rank) as ONNX Runtime infers it, from a copy made with onnx alone."""
    proto = onnx.load(path)
    have = {o.name for o in proto.graph.output}
    names = [n for m in proto.graph.node for n in m.output if n and n not in have]
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = {"float": "float32", "double": "float64"}
    return {
        o.name: names.get(o.type[7:-1], o.type[7:-1]) for o in session.get_outputs() if o.type.startswith("tensor(")
    }


@pytest.mark.models
@pytest.mark.parametrize(
    ("which", "activations", "constants"), [("det", 330, 342), ("rec", 403, 365), ("cls", 234, 303)]
)
def test_pp_ocr_float_tensors_are_counted(which, activations, constants):
    # Detection's 673: the input x, the 330 outputs of its computing nodes, and its 342 Constant nodes, all of
    # them float32. It has no initialisers.
    graph = load_graph(ocr_model(which))
    found = Counter(graph.tensors[name].kind for name in graph.float_tensors)
    assert found[INPUT] == 1
    assert found[ACTIVATION] == activations
    assert found[CONSTANT] + found[WEIGHT] == constants
    if which == "det":
        assert len(graph.float_tensors) == 673


@pytest.mark.models
@pytest.mark.parametrize("which", ["det", "rec", "cls", "minilm"])
def test_every_element_type_is_known_and_onnxruntime_agrees(which):
    path = minilm_model() if which == "minilm" else ocr_model(which)
    graph = load_graph(path)
    oracle = all_types_by_onnxruntime(path)
    assert len(oracle) > 200
    assert {name: graph.tensors[name].dtype for name in oracle} == oracle


@pytest.mark.models
def test_real_graphs_are_in_order_and_survive_json():
    for path in (ocr_model("cls"), ocr_model("rec"), minilm_model()):
        graph = load_graph(path)
        place = {name: i for i, name in enumerate(graph.tensors)}
        for tensor in graph.tensors.values():
            if tensor.producer >= 0:
                made_of = [n for n in graph.nodes[tensor.producer].inputs if n]
                assert all(place[n] < place[tensor.name] for n in made_of)
            for index in tensor.consumers:
                assert tensor.name in graph.nodes[index].inputs
        assert ModelGraph.from_json(graph.to_json()) == graph


@pytest.mark.models
def test_dynamic_dimensions_of_real_models():
    (x,) = load_graph(ocr_model("det")).inputs
    assert x.shape == ("p2o.DynamicDimension.0", 3, "p2o.DynamicDimension.1", "p2o.DynamicDimension.2")
    (x,) = load_graph(ocr_model("cls")).inputs  # the file says -1 and "?"
    assert x.shape == (None, 3, None, None)


@pytest.mark.models
def test_transformer_inputs_are_tokens_without_a_range():
    graph = load_graph(minilm_model())
    assert [t.name for t in graph.inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    assert {t.dtype for t in graph.inputs} == {"int64"}
    assert not {"input_ids", "/Unsqueeze_output_0"} & set(graph.float_tensors)
    assert "/Cast_output_0" in graph.calibrated
    assert graph.tensor("/encoder/layer.3/attention/self/Softmax_output_0").shape[1] == 12


def test_initialisers_listed_as_inputs_are_constants(tmp_path):
    path = save(
        tmp_path / "old.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x"), value("w", (3, 3))],
        [value("y")],
        [const("w", np.eye(3))],
        opset=9,
        ir=3,
    )
    graph = load_graph(path)
    assert [t.name for t in graph.inputs] == ["x"]
    assert graph.opset == 9
    assert graph.tensor("w").kind is CONSTANT


def test_newest_opset_and_ir_are_read(tmp_path):
    newest = onnx.defs.onnx_opset_version()
    path = save(
        tmp_path / "new.onnx",
        [node("Gelu", ["x"], ["y"])],
        [value("x")],
        [value("y")],
        opset=newest,
        ir=onnx.IR_VERSION,
    )
    assert load_graph(path).opset == newest


def test_subgraphs_read_outer_tensors_and_keep_their_own(tmp_path):
    inner = helper.make_graph([node("Neg", ["deep"], ["n"])], "inner", [], [value("n")])
    then = helper.make_graph(
        [node("If", ["flag"], ["t"], then_branch=inner, else_branch=inner)], "then", [], [value("t")]
    )
    other = helper.make_graph([node("Mul", ["x", "w"], ["e"])], "else", [], [value("e")])
    path = save(
        tmp_path / "if.onnx",
        [
            node("Relu", ["x"], ["deep"]),
            node("If", ["flag"], ["y"], name="choose", then_branch=then, else_branch=other),
        ],
        [value("x"), value("flag", (), onnx.TensorProto.BOOL)],
        [value("y")],
        [const("w", [1, 2, 3])],
    )
    graph = load_graph(path)
    assert set(graph.tensors) == {"x", "flag", "deep", "w", "y"}
    assert graph.tensor("deep").consumers == (1,)
    assert graph.tensor("w").consumers == (1,)
    assert graph.tensor("x").consumers == (0, 1)
    assert graph.nodes[1].inputs == ("flag",)


def test_optional_inputs_and_outputs_may_be_missing(tmp_path):
    path = save(
        tmp_path / "empty-names.onnx",
        [node("Clip", ["x", "", "top"], ["y"]), node("Dropout", ["y"], ["z", ""])],
        [value("x")],
        [value("z")],
        [const("top", 6.0)],
    )
    graph = load_graph(path)
    assert list(graph.tensors) == ["x", "top", "y", "z"]
    assert graph.tensor("top").kind is WEIGHT


def test_nodes_without_names_and_with_the_same_name(tmp_path):
    path = save(
        tmp_path / "names.onnx",
        [
            node("Relu", ["x"], ["a"]),
            node("Neg", ["a"], ["b"], name="twin"),
            node("Abs", ["b"], ["y"], name="twin"),
        ],
        [value("x")],
        [value("y")],
    )
    graph = load_graph(path)
    assert [n.name for n in graph.nodes] == ["Relu_0", "twin", "twin#2"]
    assert [graph.op_type(n) for n in ("x", "a", "b", "y")] == ["Input", "Relu", "Neg", "Abs"]


def test_unknown_domains_still_give_facts(tmp_path):
    path = save(
        tmp_path / "plugin.onnx",
        [node("EfficientNMS_TRT", ["x"], ["n"], domain="my.plugins"), node("Relu", ["x"], ["y"])],
        [value("x")],
        [value("y"), value("n", None, onnx.TensorProto.INT32)],
        domains=["my.plugins"],
    )
    graph = load_graph(path)
    assert graph.nodes[0].domain == "my.plugins"
    assert graph.calibrated == ("x", "y")


def test_types_that_onnx_leaves_open_come_from_onnxruntime(tmp_path):
    path = save(
        tmp_path / "contrib.onnx",
        [node("BiasGelu", ["x", "b"], ["g"], domain="com.microsoft"), node("Relu", ["g"], ["y"])],
        [value("x")],
        [value("y")],
        [const("b", [1, 2, 3])],
        domains=["com.microsoft"],
    )
    assert load_graph(path).tensor("g").dtype == "float32"


def test_sequences_have_no_range(tmp_path):
    path = save(
        tmp_path / "sequence.onnx",
        [node("SplitToSequence", ["x"], ["s"]), node("ConcatFromSequence", ["s"], ["y"], axis=0)],
        [value("x")],
        [value("y")],
    )
    graph = load_graph(path)
    assert graph.tensor("s").dtype == "sequence"
    assert graph.float_tensors == ("x", "y")


def test_outputs_that_are_an_input_or_a_constant(tmp_path):
    path = save(
        tmp_path / "through.onnx",
        [node("Relu", ["x"], ["y"])],
        [value("x")],
        [value("x"), value("k", (2,)), value("y")],
        [const("k", [1, 2]), const("unread", [1])],
    )
    graph = load_graph(path)
    assert {t.name for t in graph.outputs} == {"x", "k", "y"}
    assert kinds(graph) == {"x": INPUT, "k": CONSTANT, "y": ACTIVATION}


def test_nodes_out_of_order_are_sorted(tmp_path):
    path = save(
        tmp_path / "unsorted.onnx",
        [node("Abs", ["b"], ["y"]), node("Neg", ["a"], ["b"]), node("Relu", ["x"], ["a"])],
        [value("x")],
        [value("y")],
    )
    graph = load_graph(path)
    assert [n.op_type for n in graph.nodes] == ["Relu", "Neg", "Abs"]
    assert list(graph.tensors) == ["x", "a", "b", "y"]


@pytest.mark.parametrize("dtype", sorted(FLOAT_DTYPES))
def test_every_float_type_has_a_range(tmp_path, dtype):
    to = {"float32": 1, "float16": 10, "float64": 11, "bfloat16": 16}[dtype]
    path = save(
        tmp_path / "cast.onnx",
        [node("Cast", ["x"], ["c"], to=to), node("Cast", ["c"], ["y"], to=FLOAT)],
        [value("x", dtype=INT64)],
        [value("y")],
    )
    graph = load_graph(path)
    assert graph.tensor("c").dtype == dtype
    assert graph.float_tensors == ("c", "y")


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ([node("Add", ["x", "ghost"], ["y"])], ["y"], r"reads 'ghost'.*not valid ONNX"),
        ([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])], ["y"], r"'y' is made twice"),
        ([node("Relu", ["x"], ["x"])], ["x"], r"'x' is made twice"),
        ([node("Relu", ["x"], ["y"])], ["z"], r"output 'z' is made by no node"),
        ([node("Relu", ["x"], ["y"])], [], r"no outputs"),
        (
            [node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"], name="loop")],
            ["b"],
            r"cycle through node",
        ),
    ],
)
def test_broken_graphs_are_refused_by_name(tmp_path, nodes, outputs, message):
    path = save(tmp_path / "broken.onnx", nodes, [value("x")], [value(n) for n in outputs])
    with pytest.raises(ModelError, match=message) as caught:
        load_graph(path)
    assert str(path) in str(caught.value)


def test_names_are_text_whatever_they_hold(tmp_path):
    evil = "<script>alert(1)</script>\n'\"&: ünïcode"
    path = save(tmp_path / "evil.onnx", [node("Relu", ["x"], [evil])], [value("x")], [value(evil)])
    assert load_graph(path).tensor(evil).is_output
    with pytest.raises(ModelError, match="did you mean"):
        load_graph(path).tensor(evil[:-1])


def test_sha256_is_that_of_the_file(tmp_path):
    import hashlib

    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [value("x")], [value("y")])
    assert load_graph(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_facts_are_immutable(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [value("x")], [value("y")])
    graph = load_graph(path)
    with pytest.raises(TypeError):
        graph.tensors["z"] = graph.tensors["x"]
    with pytest.raises(TypeError):
        graph.metadata["z"] = ""


def test_no_two_nodes_have_one_name(tmp_path):
    """Made-up names step aside for real ones, wherever these come; a name that the file gives twice is one node's."""
    names = ["", "Relu_0", "", "twice", "twice", "", "Relu_2", "twice#4", "Relu_5"]
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"], name=name) for i, name in enumerate(names)]
    path = save(tmp_path / "m.onnx", nodes, [value("t0")], [value(f"t{len(names)}")])
    found = [one.name for one in load_graph(path).nodes]
    assert len(set(found)) == len(names)
    assert [found[i] for i in (1, 3, 6, 7, 8)] == ["Relu_0", "twice", "Relu_2", "twice#4", "Relu_5"]
    assert found[0] == "Relu_0#0"
    assert found[4] == "twice#4#"
    assert found == [one.name for one in load_graph(path).nodes]


def test_outputs_are_in_the_files_order_however_early_they_are_computed(tmp_path):
    """``return logits, features``: the first one is the result, the features are only computed before it."""
    nodes = [node("Relu", ["x"], ["features"]), node("Neg", ["features"], ["logits"])]
    path = save(tmp_path / "m.onnx", nodes, [value("x")], [value("logits"), value("features"), value("x")])
    graph = load_graph(path)
    assert [tensor.name for tensor in graph.outputs] == ["logits", "features", "x"]
    assert list(graph.tensors) == ["x", "features", "logits"]
    facts = graph.to_json()
    assert [tensor.name for tensor in ModelGraph.from_json(facts).outputs] == ["logits", "features", "x"]
    del facts["outputs"]  # as an older version saved them
    assert {tensor.name for tensor in ModelGraph.from_json(facts).outputs} == {"logits", "features", "x"}
    facts["outputs"] = [3]
    with pytest.raises(ModelError, match="outputs are no list of names"):
        ModelGraph.from_json(facts)
