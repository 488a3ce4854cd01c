"""Ranges of weights per channel: measured once, kept in a saved session, found behind the tensors that come of them."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.errors import SessionError
from trtcal_widgets.session.signed import signed_counts


@pytest.fixture(scope="module")
def lenet():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=1) as session:
        session.run()
        yield session


def test_every_channel_has_the_range_of_its_weights(lenet):
    weights = {t.name: numpy_helper.to_array(t) for t in onnx.load(sample.model_path()).graph.initializer}
    found = lenet.weight_channels("conv2")
    assert (found.weight, found.layer, found.op_type, found.steps) == ("conv2.weight", "conv2", "Conv", 0)
    per_channel = weights["conv2.weight"].reshape(len(weights["conv2.weight"]), -1)
    np.testing.assert_array_equal(found.minimum, per_channel.min(axis=1))
    np.testing.assert_array_equal(found.maximum, per_channel.max(axis=1))
    np.testing.assert_array_equal(found.amax, np.abs(per_channel).max(axis=1))
    assert found.levels.max() == 127
    assert lenet.weight_channels("conv2.weight").weight == "conv2.weight"


def test_what_a_layer_makes_is_followed_through_what_keeps_channels_and_no_further(lenet):
    assert lenet.weight_channels("relu1").steps == 1
    assert lenet.weight_channels("data") is None
    assert lenet.weight_channels("pool1").steps == 1
    assert lenet.weight_channels("flatten") is None, "channels end there"
    assert lenet.weight_channels("conv1.bias") is None


def test_a_saved_session_has_them_without_its_model(lenet, tmp_path):
    path = tmp_path / "s.trtcal"
    lenet.save(path)
    loaded = CalibrationSession.load(path)
    np.testing.assert_array_equal(loaded.weight_channels("ip1").amax, lenet.weight_channels("ip1").amax)
    assert loaded.weight_ranges.keys() == lenet.weight_ranges.keys()


def _changed(source, target, change):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "session.json":
                facts = json.loads(data)
                change(facts)
                data = json.dumps(facts).encode()
            new.writestr(name, data)
    return target


@pytest.mark.parametrize(
    "weights", [5, [["conv1.weight", 3]], [["nobody", 20]], [["conv1.weight", -1]], [["conv1.weight"]], None]
)
def test_damaged_ranges_are_refused_and_older_sessions_have_none(lenet, tmp_path, weights):
    path = tmp_path / "s.trtcal"
    lenet.save(path)
    damaged = _changed(path, tmp_path / "damaged.trtcal", lambda facts: facts.update(weights=weights))
    with pytest.raises(SessionError, match="damaged"):
        CalibrationSession.load(damaged)
    older = _changed(path, tmp_path / "older.trtcal", lambda facts: facts.pop("weights"))
    assert CalibrationSession.load(older).weight_channels("conv1") is None


def _model(path, weight, *, op="Conv", **attributes):
    nodes = [
        helper.make_node(op, ["x", "w"], ["y"], name="layer", **attributes),
        helper.make_node("Relu", ["y"], ["out"]),
    ]
    inputs = weight.shape[1] if op == "Conv" else weight.shape[0]
    shape = ["N", inputs, 5, 5] if op.startswith("Conv") else ["N", inputs]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path, [1 if d == "N" else d for d in shape]


def test_channels_that_one_scale_would_starve_are_told(tmp_path):
    weight = np.ones((6, 3, 3, 3), np.float32)
    weight[1], weight[2], weight[3] = 0.05, 0.07, 0.0
    path, shape = _model(tmp_path / "m.onnx", weight)
    with CalibrationSession(path, np.ones([2, *shape[1:]], np.float32), batch_size=1) as session:
        assert session.weight_channels("y") is None, "nothing is counted yet"
        session.step()
        found = session.weight_channels("out")
        assert found.levels.tolist() == [127, 6, 9, 0, 127, 127]
        assert found.starved.tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize(("op", "axis"), [("ConvTranspose", 1), ("MatMul", 1)])
def test_output_channels_are_those_of_the_operator(tmp_path, op, axis):
    weight = np.random.default_rng(0).standard_normal((4, 7, 3, 3) if op != "MatMul" else (4, 7)).astype(np.float32)
    path, shape = _model(tmp_path / "m.onnx", weight, op=op)
    with CalibrationSession(path, np.ones([2, *shape[1:]], np.float32), batch_size=1) as session:
        session.step()
        others = tuple(k for k in range(weight.ndim) if k != axis)
        np.testing.assert_array_equal(session.weight_channels("y").amax, np.abs(weight).max(axis=others))


def test_weights_that_are_not_finite_have_none(tmp_path):
    weight = np.ones((6, 3, 3, 3), np.float32)
    weight[0, 0, 0, 0] = np.nan
    path, shape = _model(tmp_path / "m.onnx", weight)
    with CalibrationSession(path, np.ones([2, *shape[1:]], np.float32), batch_size=1) as session:
        session.step()
        assert session.weight_channels("y") is None


def test_values_are_counted_with_their_sign_in_one_batch_or_of_the_weight(lenet):
    found = signed_counts(lenet, "conv1")
    row = lenet.row("conv1")
    assert (found.low, found.high) == (row.minimum, row.maximum)
    assert found.counts.sum() == lenet.histogram("conv1").n_values
    assert found.words == "batch 1 alone, 50 samples"
    weight = signed_counts(lenet, "conv1.weight")
    assert weight.counts.sum() == lenet.histogram("conv1.weight").n_values
    assert weight.words == "all values"
    assert lenet.status.recorded == 1


def test_signs_that_cannot_be_counted_are_said(lenet, tmp_path):
    lenet.save(tmp_path / "s.trtcal")
    with pytest.raises(SessionError, match="model= and source="):
        signed_counts(CalibrationSession.load(tmp_path / "s.trtcal"), "conv1")
    with (
        CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as fresh,
        pytest.raises(SessionError, match="count one"),
    ):
        signed_counts(fresh, "conv1")
    nothing = CalibrationSession(sample.model_path(), np.full((2, 1, 28, 28), np.nan, np.float32), batch_size=2)
    with nothing as session:
        session.step()
        with pytest.raises(SessionError, match="no finite value in batch 1 alone, 2 samples"):
            signed_counts(session, "conv1")
