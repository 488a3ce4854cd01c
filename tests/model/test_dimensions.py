"""Dimension names that are none: what becomes of them, and what stays."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from trtcal_widgets.model.dimensions import name_dimensions, words_of_dimensions


def model(*inputs, inner=("?", 3), output=("?", "n")):
    """Identities of inputs (name, dimensions)."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims)) for name, dims in inputs]
    first = inputs[0][0]
    graph = helper.make_graph(
        [helper.make_node("Identity", [first], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "g",
        infos,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(output))],
        value_info=[helper.make_tensor_value_info("h", TensorProto.FLOAT, list(inner))],
    )
    return helper.make_model(graph)


def dims(info):
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in info.type.tensor_type.shape.dim]


def test_placeholders_get_a_name_of_their_own():
    proto = model(("x", ["?", 3, "?", "?"]), ("mask", ["?", "n"]))
    changed = name_dimensions(proto)
    assert changed == {"x": ("x_0", "", "x_2", "x_3"), "mask": ("mask_0", "")}
    assert [dims(i) for i in proto.graph.input] == [["x_0", 3, "x_2", "x_3"], ["mask_0", "n"]]
    assert dims(proto.graph.output[0]) == ["y_0", "n"]
    assert dims(proto.graph.value_info[0]) == ["", 3]
    onnx.checker.check_model(proto)
    said = words_of_dimensions(changed)
    assert "input 'x': dimension 0 is x_0, dimension 2 is x_2, dimension 3 is x_3; input 'mask'" in said
    assert name_dimensions(proto) == {}, "a second time there is nothing to do"


@pytest.mark.parametrize("name", ["None", "-1", "*", "unk", "unknown", "??", "_"])
def test_what_is_no_name(name):
    assert name_dimensions(model(("x", [name, 3]))) == {"x": ("x_0", "")}


@pytest.mark.parametrize("name", ["batch", "N", "unk__12", "p2o.DynamicDimension.0", "seq?", "größe", "0"])
def test_names_stay(name):
    proto = model(("x", [name, 3, name]), inner=("n",), output=("n",))
    before = proto.SerializeToString()
    assert name_dimensions(proto) == {}
    assert words_of_dimensions({}) == ""
    assert proto.SerializeToString() == before


def test_a_name_that_is_taken_is_not_used_twice():
    proto = model(("x", ["?", "x_0"]))
    assert name_dimensions(proto) == {"x": ("x_0_", "")}


def test_names_from_the_file_are_text():
    assert "\n" not in words_of_dimensions({"a\nb": ("a_0",)})
