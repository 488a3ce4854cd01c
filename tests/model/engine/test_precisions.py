"""From an engine's layers to the nodes of the model, by engines that TensorRT 8.6.0 made."""

from __future__ import annotations

import json

import pytest

from tests.support.graphs import const, node, save, value
from tests.support.inspected import FP32, INT8, inspector_text, recorded_text
from tests.support.trt86 import operators
from trtcal_widgets.errors import EngineError, ModelError, UsageError
from trtcal_widgets.model.engine.inspector import read_inspector
from trtcal_widgets.model.engine.precisions import LayerPrecisions, as_precisions
from trtcal_widgets.model.load import load_graph

ENGINES = [operator for operator in operators() if operator.facts["engine"]]


def residual(tmp_path):
    """Two convolutions, the second one adds the first one's output; a Concat of both, read by a third."""
    weights = [const(f"w{i}", [[[[1.0]]]] * 1) for i in (1, 2)] + [const("w3", [[[[1.0]], [[1.0]]]])]
    nodes = [
        node("Conv", ["x", "w1"], ["c"], name="first"),
        node("Relu", ["c"], ["a"], name="act (1), + more"),
        node("Conv", ["a", "w2"], ["k"], name="second"),
        node("Add", ["k", "a"], ["s"], name="sum"),
        node("Concat", ["s", "a"], ["j"], axis=1, name="join"),
        node("Conv", ["j", "w3"], ["y"]),
    ]
    return load_graph(save(tmp_path / "m.onnx", nodes, [value("x", [1, 1, 4, 4])], [value("y", None)], weights))


@pytest.mark.parametrize("operator", ENGINES, ids=lambda operator: operator.path.stem)
def test_the_layers_of_each_engine_are_found(operator):
    graph = load_graph(operator.path)
    found = LayerPrecisions.from_inspector(recorded_text(operator.facts["engine"]), graph)
    narrow = [
        layer
        for layer in operator.facts["engine"]
        if layer["type"] in ("CaskConvolution", "CaskPooling") and any("Int8" in text for text in layer["inputs"])
    ]
    assert len(found.int8) == len(narrow)
    convolutions = {n.name for n in graph.nodes if n.op_type == "Conv"}
    compiled = any(layer["type"] == "Myelin" for layer in operator.facts["engine"])
    assert convolutions <= set(found.nodes) or compiled


def test_a_pool_between_int8_layers_and_a_flattened_input_are_read_as_int8():
    operator = next(o for o in ENGINES if o.path.stem == "cv_gap_flat_fc")
    found = LayerPrecisions.from_inspector(recorded_text(operator.facts["engine"]), load_graph(operator.path))
    assert dict(found.int8_reads) == {"Conv_0": ("x",), "GlobalAveragePool_1": ("c",), "Gemm_3": ("f",)}


def test_names_are_taken_apart_at_whole_names_and_residuals_through_copies(tmp_path):
    graph = residual(tmp_path)
    text = inspector_text(
        [
            ("Reformatting CopyNode for Input Tensor 0 to first", "Reformat", {"x": FP32}, {"Reformatted x": INT8}),
            ("first + act (1), + more", "CaskConvolution", {"Reformatted x": INT8}, {"a": FP32}),
            ("copy", "Reformat", {"a": FP32}, {"Reformatted Input Tensor 0 to second + sum": INT8}),
            (
                "second + sum",
                "CaskConvolution",
                {"Reformatted Input Tensor 0 to second + sum": INT8, "a": FP32},
                {"j": INT8},
            ),
            ("a copy", "Reformat", {"a": FP32}, {"j": INT8}),
            ("node_of_y", "CaskConvolution", {"j": INT8}, {"y": FP32}),
        ]
    )
    found = LayerPrecisions.from_inspector(text, graph)
    last = graph.nodes[-1].name
    assert dict(found.nodes) == dict.fromkeys(("first", "act (1), + more", "second", "sum", last), "int8")
    assert found.int8_reads["second"] == ("a",)
    assert found.int8_reads["join"] == ("s", "a")
    assert found.int8_reads[last] == ("j",)
    assert LayerPrecisions.from_json(found.to_json()) == found


def test_a_weight_s_name_is_not_the_node_that_it_begins_with(tmp_path):
    graph = residual(tmp_path)
    name = "first.weight + first.weight_QuantizeLinear + second"
    text = inspector_text([(name, "CaskConvolution", {"a": INT8}, {"k": FP32})])
    assert set(LayerPrecisions.from_inspector(text, graph).nodes) == {"second"}
    text = inspector_text([("{ForeignNode[first...sum]}", "Myelin", {"x": FP32}, {"s": FP32})])
    assert set(LayerPrecisions.from_inspector(text, graph).nodes) == {"first", "sum"}


def test_newer_metadata_says_the_nodes(tmp_path):
    graph = residual(tmp_path)
    entry = {
        "Name": "__myl_Conv_myl0_1", "LayerType": "conv",
        "Metadata": "[ONNX Layer: first]\x1e[ONNX Layer: act (1), + more]",
        "Inputs": [{"Name": "x", "Format/Datatype": "Int8 NC/32HW32"}],
        "Outputs": [{"Name": "__t1", "Format/Datatype": "Half"}],
    }  # fmt: skip
    found = LayerPrecisions.from_inspector(json.dumps({"Layers": [entry]}), graph)
    assert dict(found.nodes) == {"first": "int8", "act (1), + more": "int8"}
    assert read_inspector(json.dumps([entry]))[0].outputs[0].stored == "fp16"


def test_control_characters_are_taken_as_8_6_writes_them(tmp_path):
    graph = residual(tmp_path)
    text = inspector_text([("first", "CaskConvolution", {"x": INT8}, {"c": FP32})]).replace("Int8", "Int8\x1e")
    assert LayerPrecisions.from_inspector(text, graph).int8 == ("first",)


def test_an_engine_that_is_one_compiled_layer_ran_nothing_in_int8(tmp_path):
    graph = residual(tmp_path)
    name = "{ForeignNode[w1...(Unnamed Layer* 501) [Normalization]]}"
    found = LayerPrecisions.from_inspector(inspector_text([(name, "Myelin", {"x": FP32}, {"y": FP32})]), graph)
    assert found.int8 == ()
    assert not found.int8_reads


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "not the JSON"),
        ('{"a": 1}', "no list 'Layers'"),
        ('{"Layers": ["first", "second"]}', "DETAILED"),
        (inspector_text([("other", "CaskConvolution", {}, {})]), "another model"),
    ],
)
def test_other_texts_are_refused(tmp_path, text, said):
    with pytest.raises(EngineError, match=said):
        LayerPrecisions.from_inspector(text, residual(tmp_path))


def test_files_and_mappings_are_taken_and_checked(tmp_path):
    graph = residual(tmp_path)
    given = as_precisions({"first": "INT8", "second": "fp32"}, graph)
    assert given.int8 == ("first",)
    given.save(tmp_path / "layers.json")
    assert as_precisions(tmp_path / "layers.json", graph) == given
    exported = tmp_path / "layer_info.json"
    exported.write_text(inspector_text([("first", "CaskConvolution", {"x": INT8}, {"c": FP32})]))
    assert as_precisions(str(exported), graph).int8_reads == {"first": ("x",)}
    with pytest.raises(ModelError, match="'frist'"):
        as_precisions({"frist": "int8"}, graph)
    with pytest.raises(UsageError, match="not an int"):
        as_precisions(3, graph)
    with pytest.raises(UsageError, match="not what LayerPrecisions"):
        LayerPrecisions.from_json('{"format": "x"}')


def test_a_node_that_tensorrt_took_out_of_a_layer_is_inside_it(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Mul", ["c", "one"], ["b"], name="beta"),
        node("Sigmoid", ["b"], ["s"], name="sig"),
        node("Mul", ["c", "s"], ["u"], name="swish"),
        node("Conv", ["u", "w"], ["y"], name="next"),
    ]
    stored = [const("w", [[[[1.0]]]]), const("one", 1.0)]
    graph = load_graph(save(tmp_path / "m.onnx", nodes, [value("x", [1, 1, 4, 4])], [value("y", None)], stored))
    text = inspector_text(
        [
            ("conv + PWN(PWN(sig), swish)", "CaskConvolution", {"x": INT8}, {"u": INT8}),
            ("next", "CaskConvolution", {"u": INT8}, {"y": FP32}),
        ]
    )
    found = LayerPrecisions.from_inspector(text, graph)
    assert dict(found.int8_reads) == {"conv": ("x",), "next": ("u",)}


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ("[ONNX Layer: a]", ("a",)),
        ("[ONNX Layer: a][ONNX Layer: b]\n", ("a", "b")),
        ("[ONNX Layer: a]\x1f[ONNX Layer: b]\x1e[ONNX Layer: a]", ("a", "b")),
        ("[ONNX Layer: /x[0]/Conv]\x1e[ONNX Layer: [b]]", ("/x[0]/Conv", "[b]")),
        ("[ONNX Layer: a] + [ONNX Layer: b]", ("a] + [ONNX Layer: b",)),
        ("[ONNX Layer: a", ()),
        ("other", ()),
    ],
)
def test_names_in_metadata_may_hold_brackets(metadata, names):
    (found,) = read_inspector(json.dumps({"Layers": [{"Name": "x", "LayerType": "y", "Metadata": metadata}]}))
    assert found.metadata == names
