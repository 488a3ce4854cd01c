"""Feeds whose inputs do not all have the samples on their first axis."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.backend.test.case.node import collect_testcases

from tests.support.graphs import const, node, save, value
from trtcal_widgets import CalibrationSession, IterableBatches
from trtcal_widgets.data.plan import BatchPlan
from trtcal_widgets.data.samples import count_samples
from trtcal_widgets.errors import DataError, TrtcalError, UsageError

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def scalar(path):
    nodes = [node("Mul", ["x", "k"], ["m"]), node("Conv", ["m", "w"], ["o"])]
    path = save(
        path, nodes, [value("x", ["N", 3, 8, 8]), value("k", [])], [value("o", None)], [const("w", floats(4, 3, 3, 3))]
    )
    return path, {"x": floats(4, 3, 8, 8), "k": np.array(2, np.float32)}, 4


def vector(path):
    nodes = [node("ReduceMax", ["size"], ["k"], keepdims=0), node("Mul", ["x", "k"], ["m"])]
    path = save(path, nodes, [value("x", [1, 3, 8, 8]), value("size", [2])], [value("m", None)])
    return path, {"x": floats(1, 3, 8, 8), "size": np.array([480, 640], np.float32)}, 1


def states(path):
    nodes = [node("LSTM", ["x", "w", "r", "", "", "h0"], ["y"], hidden_size=4, direction="bidirectional")]
    stored = [const("w", floats(2, 16, 6)), const("r", floats(2, 16, 4))]
    path = save(path, nodes, [value("x", ["T", "N", 6]), value("h0", [2, "N", 4])], [value("y", None)], stored)
    return path, {"x": floats(5, 3, 6), "h0": np.zeros((2, 3, 4), np.float32)}, 1


@pytest.mark.parametrize("make", [scalar, vector, states])
def test_they_are_calibrated(tmp_path, make):
    path, feed, n = make(tmp_path / "m.onnx")
    with CalibrationSession(path, [feed] * 3) as session:
        session.run()
        assert (session.status.recorded, session.status.n_samples) == (3, 3 * n)
        for name, array in feed.items():
            assert session.histogram(name).n_values == 3 * array.size


def test_the_user_says_where_the_samples_are(tmp_path):
    path, feed, _ = states(tmp_path / "m.onnx")
    source = IterableBatches([feed] * 3, sample_axis=1)
    with CalibrationSession(path, source, batch_size=3) as session:
        session.run()
        assert session.status.n_samples == 9
    assert BatchPlan(IterableBatches([feed], sample_axis={"x": 1, "h0": 1})).load(0).n_samples == 3
    assert BatchPlan(IterableBatches([feed], sample_axis=None)).load(0).n_samples == 1
    with pytest.raises(DataError, match=r"'x' has 5 samples on its axis 0 but input 'h0' has 2"):
        BatchPlan(IterableBatches([feed], sample_axis=0)).load(0)
    with pytest.raises(DataError, match="has no axis 7"):
        BatchPlan(IterableBatches([feed], sample_axis=7)).load(0)


@pytest.mark.parametrize("axis", ["first", 1.5, True, {"x": "1"}, [0]])
def test_other_axes_are_refused(axis):
    with pytest.raises(UsageError, match="sample_axis is an axis"):
        IterableBatches([], sample_axis=axis)


def test_a_short_last_batch_is_filled_along_its_own_axis():
    feeds = [{"x": floats(5, n, 6), "k": np.array(2.0)} for n in (3, 2)]
    batches = list(BatchPlan(IterableBatches(feeds, sample_axis={"x": 1}), 3, last="pad"))
    assert [batch.n_samples for batch in batches] == [3, 2]
    np.testing.assert_array_equal(batches[1].feeds["x"][:, 2], feeds[1]["x"][:, 0])
    assert batches[1].feeds["k"].shape == ()


def test_a_guess_follows_the_batch_size_where_first_axes_differ():
    feeds = {"x": floats(4, 3), "h": floats(2, 4, 5)}
    assert count_samples(feeds, "guess", "batch 0", 4) == (4, {"x": 0})
    assert count_samples(feeds, "guess", "batch 0", None) == (1, {})
    assert count_samples({"x": floats(4), "k": np.array(1.0)}, "guess", "batch 0", None) == (4, {"x": 0})


FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}


def operator_cases():
    """Onnx's own cases of operators whose inputs are arrays, floats among them: (name, model, inputs)."""
    for case in collect_testcases(None):
        inputs = case.data_sets[0][0] if case.data_sets else [None]
        arrays = all(isinstance(one, np.ndarray) or np.isscalar(one) for one in inputs)
        kinds = {info.type.tensor_type.elem_type for info in case.model.graph.input}
        if arrays and kinds & FLOATS:
            yield case.name, case.model, inputs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # onnx makes values for narrow types by overflowing
def test_nine_in_ten_of_onnxs_own_operator_cases_calibrate_and_none_crashes(tmp_path):
    done, refused = 0, []
    for name, model, inputs in operator_cases():
        onnx.save(model, tmp_path / "m.onnx")
        names = [info.name for info in model.graph.input]
        feed = {name: np.asarray(one) for name, one in zip(names, inputs, strict=False)}
        try:
            with CalibrationSession(tmp_path / "m.onnx", [feed]) as session:
                session.run()
            done += 1
        except TrtcalError as error:
            refused.append(f"{name}: {error}")
    assert done + len(refused) > 1000
    assert done / (done + len(refused)) > 0.9, "\n".join(refused)
