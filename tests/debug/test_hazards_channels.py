"""Ranges per channel against loops that cannot be misread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.graphs import const, node, save, value
from trtcal_widgets import OnnxRuntimeRunner, sample
from trtcal_widgets.debug.hazards.channels import channel_amax, channel_axes, channel_ranges, weight_ranges
from trtcal_widgets.model.load import load_graph

RNG = np.random.default_rng(11)


def largest(x, axis):
    channels = np.moveaxis(x, axis, 0)
    return [max((abs(float(v)) for v in channel.reshape(-1) if not np.isnan(v)), default=0.0) for channel in channels]


arrays = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(arrays, st.integers(0, 1))
def test_channel_amax_is_the_largest_number_per_channel(x, axis):
    np.testing.assert_array_equal(channel_amax(x, axis), largest(x, axis))


def test_channel_amax_of_no_samples():
    assert channel_amax(np.zeros((0, 3, 2), np.float32), 1).tolist() == [0.0, 0.0, 0.0]


def test_ranges_over_batches_are_those_of_all_samples_at_once():
    feeds = [batch for i in range(0, 60, 20) for batch in [sample.calibration_images().load(i, i + 20)]]
    with OnnxRuntimeRunner(sample.model_path()) as runner:
        named = [{"data": next(iter(feed.values()))} for feed in feeds]
        found = channel_ranges(runner, named)
        whole = dict(runner.infer({"data": np.concatenate([feed["data"] for feed in named])}))
    assert found["conv1"].shape == (20,)
    assert found["prob"].shape == (10,)
    for name, amax in found.items():
        # Batches of another size may round differently in the last place.
        np.testing.assert_allclose(amax, largest(whole[name], 1), rtol=1e-5)


def test_only_the_named_tensors_are_kept():
    with OnnxRuntimeRunner(sample.model_path()) as runner:
        feed = {"data": np.zeros((1, 1, 28, 28), np.float32)}
        assert channel_ranges(runner, [feed], ["conv2", "not there"]).keys() == {"conv2"}


def test_axes_follow_convolutions_and_matrices(tmp_path):
    path = save(
        tmp_path / "axes.onnx",
        [
            node("Conv", ["x", "w"], ["c"]),
            node("Relu", ["c"], ["r"]),
            node("Reshape", ["r", "shape"], ["flat"]),
            node("MatMul", ["flat", "m"], ["out"]),
        ],
        [value("x", ("N", 3, 4, 4))],
        [value("out", ("N", 16, 7))],
        [
            const("w", RNG.standard_normal((5, 3, 1, 1))),
            const("shape", [0, 16, 5], np.int64),
            const("m", RNG.standard_normal((5, 7))),
        ],
    )
    assert channel_axes(load_graph(path)) == {"x": 1, "c": 1, "r": 1, "flat": 2, "out": 2}


def test_an_axis_whose_length_changes_is_none_of_channels(tmp_path):
    path = save(
        tmp_path / "sequence.onnx",
        [node("Relu", ["x"], ["out"])],
        [value("x", ("N", 5, "length"))],
        [value("out", ("N", 5, "length"))],
    )
    assert channel_axes(load_graph(path)) == {}


def naive_weights(w, out_axis, in_axis):
    outputs, inputs = w.shape[out_axis], w.shape[in_axis]
    moved = np.moveaxis(w, (out_axis, in_axis), (0, 1)).reshape(outputs, inputs, -1)
    amax = [max(abs(float(v)) for v in moved[o].reshape(-1)) for o in range(outputs)]
    shares = [max(max(abs(float(v)) for v in moved[o, i]) / amax[o] for o in range(outputs)) for i in range(inputs)]
    return amax, shares


@pytest.mark.parametrize(
    ("op", "shape", "out_axis", "in_axis", "x", "y", "attributes"),
    [
        ("Conv", (4, 3, 2, 2), 0, 1, ("N", 3, 5, 5), ("N", 4, 4, 4), {}),
        ("ConvTranspose", (3, 4, 2, 2), 1, 0, ("N", 3, 5, 5), ("N", 4, 6, 6), {}),
        ("MatMul", (6, 6), 1, 0, ("N", 6), ("N", 6), {}),
        ("Gemm", (6, 5), 1, 0, ("N", 6), ("N", 5), {}),
        ("Gemm", (5, 6), 0, 1, ("N", 6), ("N", 5), {"transB": 1}),
    ],
)
def test_weight_ranges_by_operator(tmp_path, op, shape, out_axis, in_axis, x, y, attributes):
    w = RNG.standard_normal(shape).astype(np.float32)
    path = save(
        tmp_path / "w.onnx",
        [node(op, ["x", "w"], ["out"], **attributes)],
        [value("x", x)],
        [value("out", y)],
        [const("w", w)],
    )
    (found,) = weight_ranges(load_graph(path), [("w", w)])
    outputs, inputs = naive_weights(w, out_axis, in_axis)
    np.testing.assert_allclose(found.outputs, outputs, rtol=1e-6)
    np.testing.assert_allclose(found.inputs, inputs, rtol=1e-6)


def test_a_square_gemm_is_left_out_because_its_axes_cannot_be_told(tmp_path):
    w = RNG.standard_normal((6, 6)).astype(np.float32)
    path = save(
        tmp_path / "w.onnx",
        [node("Gemm", ["x", "w"], ["out"])],
        [value("x", ("N", 6))],
        [value("out", ("N", 6))],
        [const("w", w)],
    )
    assert list(weight_ranges(load_graph(path), [("w", w)])) == []
