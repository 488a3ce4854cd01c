from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model import tap
from trtcal_widgets.model.inference import skeleton
from trtcal_widgets.model.load import load_model


@pytest.fixture
def model(tmp_path):
    path = save(
        tmp_path / "m.onnx",
        [
            node("Cast", ["x"], ["b"], to=16),
            node("Cast", ["b"], ["c"], to=1),
            node("Constant", [], ["big"], value=const("", np.ones((100, 100)))),
            node("MatMul", ["c", "w"], ["d"]),
            node("MatMul", ["d", "big"], ["y"]),
        ],
        [value("x")],
        [value("y", (None, 100))],
        [const("w", np.ones((3, 100)))],
    )
    return load_model(path)


def test_tapped_bytes_are_the_model_and_its_new_outputs(model):
    before = model.proto.SerializeToString()
    tapped = tap.with_outputs(model.proto, ["c", "d"])
    assert tapped.startswith(before)
    assert model.proto.SerializeToString() == before
    parsed = onnx.ModelProto.FromString(tapped)
    assert [o.name for o in parsed.graph.output] == ["y", "c", "d"]
    del parsed.graph.output[1:]
    assert parsed == model.proto


def test_bfloat16_gets_a_cast_under_a_free_name(model):
    aliases = tap.as_float32_names(model.graph, ["b", "c"])
    assert list(aliases) == ["b"]
    assert aliases["b"] not in model.graph.tensors
    parsed = onnx.ModelProto.FromString(tap.with_outputs(model.proto, [], as_float32=aliases))
    assert parsed.graph.node[-1].op_type == "Cast"
    assert parsed.graph.output[-1].name == aliases["b"]


def test_too_large_a_message_names_the_way_out(model, monkeypatch):
    monkeypatch.setattr(tap, "MAX_PROTO_BYTES", model.proto.ByteSize() + 3)
    with pytest.raises(ModelError, match="save_as_external_data=True"):
        tap.with_outputs(model.proto, ["c"])
    assert tap.with_outputs(model.proto, []) == model.proto.SerializeToString()


def test_skeleton_leaves_the_weights_behind(model):
    small = skeleton(model.proto, model.path.parent)
    assert model.proto.ByteSize() > 40_000
    assert small.ByteSize() < 3_000
    assert [t.name for t in small.graph.initializer] == ["w"]  # 300 elements stay
    assert [i.name for i in small.graph.input] == ["x", "big"]
    assert model.graph.tensor("y").shape == (None, 100)
