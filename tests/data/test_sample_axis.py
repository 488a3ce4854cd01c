"""Samples on another axis than the first, or a file that is one feed: in arrays and on the command line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets import ArrayBatches, CalibrationSession, Evaluation, IterableBatches, OnnxRuntimeRunner
from trtcal_widgets.cli import main
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.thresholds import threshold
from trtcal_widgets.data.base import Batch
from trtcal_widgets.data.plan import BatchPlan, KeptBatches
from trtcal_widgets.debug.controller import AccuracyDebugging
from trtcal_widgets.doctor import small_set
from trtcal_widgets.doctor.samples import Samples
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.runners.feeds import fitted

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 6, 5)).astype(np.float32)  # time, samples, features


@pytest.fixture
def model(tmp_path):
    """Adds a bias that it is fed, has no axis of samples, to a time-major sequence."""
    nodes = [node("Mul", ["x", "gain"], ["a"]), node("Relu", ["a"], ["y"])]
    io_ = [value("x", ["T", "N", 5]), value("gain", [])], [value("y", None)]
    return save(tmp_path / "m.onnx", nodes, *io_)


FEEDS = {"x": X, "gain": np.float32(3)}


def test_samples_are_cut_along_their_axis():
    source = ArrayBatches(FEEDS, sample_axis={"x": 1, "gain": None})
    assert source.n_items() == 6
    part = source.load(2, 4)
    np.testing.assert_array_equal(part["x"], X[:, 2:4])
    assert part["gain"] == 3
    whole = ArrayBatches(FEEDS, sample_axis=None)
    assert whole.n_items() == 1
    np.testing.assert_array_equal(whole.load(0, 1)["x"], X)


@pytest.mark.parametrize(("axis", "batch_size"), [({"x": 1, "gain": None}, 2), ({"x": -2}, 3), (None, 1)])
def test_whatever_the_batches_are_the_values_are_counted_once(model, axis, batch_size):
    with CalibrationSession(
        model, ArrayBatches(FEEDS, sample_axis=axis), batch_size=batch_size, range_mode="two-pass"
    ) as session:
        session.run()
        assert session.amax("a") == threshold(Histogram.of(X * 3), "entropy")
        assert session.histogram("x").n_values == X.size


def test_a_short_last_batch_is_filled_along_its_axis(model):
    source = ArrayBatches(FEEDS, sample_axis={"x": 1, "gain": None})
    with CalibrationSession(model, source, batch_size=4, last="pad") as session:
        session.run()
        assert session.histogram("x").n_values == 8 * 7 * 5


def recorded(model, source, batch_size, **options):
    session = CalibrationSession(model, source, batch_size=batch_size, **options)
    session.run()
    return session


@pytest.mark.parametrize("executor", [None, 2])
@pytest.mark.parametrize("axis", [1, -2])
def test_what_is_known_of_a_sample_is_of_its_own_axis(model, axis, executor):
    session = CalibrationSession(model, ArrayBatches(FEEDS, sample_axis={"x": axis, "gain": None}), batch_size=4)
    session.run(executor=executor)
    facts = session.samples.facts()
    assert len(facts) == 4
    assert len({bytes(digest) for digest in facts["digest"]}) == 4
    # Of the model's other tensors nobody knows where they have their samples.
    assert np.isnan(session.samples.extremes("x")).all()
    with pytest.raises(UsageError, match="samples on another axis than the first cannot be told apart"):
        session.samples.leave_out(1)
    assert session.histogram("x").n_values == 4 * 7 * 5


def test_a_whole_feed_is_a_sample_with_all_its_values(model):
    with recorded(model, ArrayBatches(FEEDS, sample_axis=None), 1) as session:
        assert session.samples.extremes("x").tolist() == [[X.min(), X.max()]]
        assert session.samples.extremes("y").tolist() == [[0, np.maximum(X * np.float32(3), 0).max()]]
    with pytest.raises(DataError, match=r"each feed .* is one sample.*use batch_size=1"):
        recorded(model, ArrayBatches(FEEDS, sample_axis=None), 4, last="pad")


def test_a_sample_is_left_out_beside_an_input_that_has_none(model):
    with recorded(model, ArrayBatches({**FEEDS, "gain": np.float32(2)}, sample_axis={"x": 0}), 7) as session:
        session.samples.leave_out(2)
        for name, values in (("x", np.delete(X, 2, 0)), ("a", np.delete(X, 2, 0) * 2)):
            histogram = session.histogram(name)
            assert (histogram.n_values, histogram.maximum) == (values.size, values.max())


def batches_of(shapes, gains):
    return [
        {"x": RNG.uniform(-1, 1, shape).astype(np.float32) * (k + 1), "gain": np.full(1, gain, np.float32)}
        for k, (shape, gain) in enumerate(zip(shapes, gains, strict=True))
    ]


SAME, OTHER = (7, 4, 5), (9, 4, 5)


@pytest.mark.parametrize(
    ("batches", "axis", "n"),
    [
        (batches_of([SAME] * 4, (1, 1, 1, 1)), {"x": 1, "gain": None}, 16),
        (batches_of([SAME] * 4, (1, 3, 2, 9)), {"x": 1, "gain": None}, 16),
        (batches_of([SAME, OTHER, SAME, OTHER], (2,) * 4), {"x": 1, "gain": None}, 16),
        (batches_of([(4, 7, 5), (4, 9, 5), (4, 2, 5)], (2,) * 3), {"x": 0, "gain": None}, 12),
        (batches_of([SAME, OTHER], (2, 3)), None, 2),
    ],
    ids=["alike", "other gains", "other lengths", "other lengths, samples first", "whole feeds"],
)
def test_all_of_the_samples_as_a_small_set_lose_nothing(tmp_path, batches, axis, n):
    nodes = [node("Mul", ["x", "gain"], ["a"]), node("Relu", ["a"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["A", "B", 5]), value("gain", [1])], [value("y", None)])
    source = IterableBatches(batches, sample_axis=axis)
    with CalibrationSession(path, source, last="keep", range_mode="two-pass", method="minmax") as session:
        session.run()
        found = small_set(session, count=n)
    assert (found.of, found.loss_db) == (n, 0)


def fixed_model(tmp_path, shape, *others):
    nodes = [node("Relu", ["x"], ["y"]), *(node("Neg", [name], [f"{name}_"]) for name, _ in others)]
    inputs = [value(name, list(size)) for name, size in (("x", shape), *others)]
    return save(tmp_path / "f.onnx", nodes, inputs, [value(f"{n}_", None) for n, _ in others] + [value("y", None)])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_fixed_batch_is_filled_up_along_its_axis(tmp_path, axis):
    path = fixed_model(tmp_path, (4, 6, 5) if axis == 0 else (6, 4, 5), ("q", ("B", 5)))
    x = X[:4, :6] if axis == 0 else X[:6, :4]
    feeds = {"x": np.take(x, [2], axis), "q": np.float32([[1, 2, 3, 4, 5]])}
    graph = OnnxRuntimeRunner(path).graph
    made = fitted(graph, Batch(0, feeds, 0, 1, {"x": axis, "q": 0})).feeds
    np.testing.assert_array_equal(made["x"], np.take(x, [2] * 4, axis))
    np.testing.assert_array_equal(made["q"], [[1, 2, 3, 4, 5]] * 4)
    with recorded(path, ArrayBatches({"x": x, "q": RNG.random((4, 5))}, sample_axis={"x": axis, "q": 0}), 4) as session:
        assert small_set(session, count=4).loss_db == 0


def test_a_length_that_is_fixed_is_no_batch_size(tmp_path):
    path = fixed_model(tmp_path, (6, "B", 5))
    x = RNG.standard_normal((6, 9, 5)).astype(np.float32)
    with recorded(path, ArrayBatches(x, sample_axis=1), 3) as session:
        assert not Samples(session).fixed
        assert small_set(session, count=5).loss_db >= 0


def test_what_all_samples_share_is_each_ones_own_even_if_it_is_as_long(tmp_path):
    path = fixed_model(tmp_path, ("B", 5), ("g", ("G",)))
    feeds = {"x": X[:4, 0], "g": np.float32([5, 7])}
    with recorded(path, ArrayBatches(feeds, sample_axis={"x": 0, "g": None}), 2) as session:
        assert session.samples.extremes("g").tolist() == [[5, 7]] * 4
        session.samples.leave_out(0)
        assert session.histogram("g").n_values == 4
        assert session.histogram("x").n_values == 15
    feeds["g"] = np.float32([5, 7, 9])
    with recorded(path, ArrayBatches(feeds, sample_axis={"x": 0, "g": None}), 1) as session:
        assert session.samples.extremes("y")[:, 1].tolist() == np.maximum(X[:4, 0], 0).max(1).tolist()


def test_pictures_are_those_of_samples():
    images = RNG.random((5, 3, 16, 16)).astype(np.float32)
    expected = ArrayBatches(images).thumbnails(0, 5)
    moved = {1: images.transpose(1, 0, 2, 3), -1: images.transpose(1, 2, 3, 0)}
    for axis, array in moved.items():
        looped = IterableBatches([array], sample_axis=axis)
        looped.load(0, 1)
        for source, stop in ((ArrayBatches(array, sample_axis=axis), 5), (looped, 1)):
            np.testing.assert_array_equal(source.thumbnails(0, stop), expected)
    assert ArrayBatches(images, sample_axis=None).thumbnails(0, 1) == []
    assert len(ArrayBatches(images[:1], sample_axis=None).thumbnails(0, 1)) == 1


def test_an_own_measure_sees_what_the_outputs_are_of(tmp_path):
    seen = []

    def measure(outputs, batch):
        seen.append((outputs["y"].shape, batch.feeds["x"].shape))
        return 1.0

    nodes, stored = [node("MatMul", ["x", "w"], ["y"])], [const("w", RNG.standard_normal((5, 3)))]
    path = save(tmp_path / "w.onnx", nodes, [value("x", ["T", "B", 5])], [value("y", None)], stored)
    source = ArrayBatches({"x": X}, sample_axis={"x": 1})
    with recorded(path, source, 2) as session:
        AccuracyDebugging(session, Evaluation(source, batch_size=4, last="pad", evaluate=measure)).run()
    assert {(outputs[:2], fed[:2]) for outputs, fed in seen} == {((7, 4), (7, 4))}


def test_a_batch_that_has_no_sample_left_is_passed_over_whatever_its_size():
    plan = BatchPlan(IterableBatches([np.full((n, 2), n, np.float32) for n in (4, 2, 4)]), last="keep")
    kept = KeptBatches(plan, samples_out={4, 5})
    assert [kept.load(0).index, kept.load(1).index] == [0, 2]


def test_names_that_are_no_inputs_are_refused(model):
    source = IterableBatches([FEEDS], sample_axis={"images": 1})
    with pytest.raises(DataError, match="sample_axis names 'images', and batch 0 has 'x', 'gain'"):
        recorded(model, source, None)


@pytest.mark.parametrize("axis", [{"x": 1, "gain": None}, {"x": 0, "gain": None}])
def test_a_small_set_is_of_whole_samples(model, axis):
    time_major = axis["x"] == 1
    x = RNG.standard_normal((7, 40, 5)).astype(np.float32) * RNG.uniform(0.1, 4, (40, 1)).astype(np.float32)
    x = x if time_major else x.swapaxes(0, 1)

    def fed(samples):
        return ArrayBatches({"x": x[:, samples] if time_major else x[samples], "gain": FEEDS["gain"]}, sample_axis=axis)

    with recorded(model, fed(range(40)), 8, range_mode="two-pass") as session:
        found = small_set(session, count=6)
        with recorded(model, fed(list(found.samples)), 6, range_mode="two-pass") as other:
            lost = [
                noise.cost(session.amax(name)).sqnr_db - noise.cost(other.amax(name)).sqnr_db
                for name in session.calibrated
                if (noise := NoiseModel(session.histogram(name)))
            ]
    assert found.loss_db == pytest.approx(max(*lost, 0), abs=1e-6)


def test_axes_that_are_not_there_are_refused_with_what_can_be_said():
    with pytest.raises(DataError, match="has no axis 3"):
        ArrayBatches(FEEDS, sample_axis={"x": 3})
    with pytest.raises(DataError, match=r"is a single number.*sample_axis=None"):
        ArrayBatches(FEEDS)
    with pytest.raises(DataError, match=r"7 samples.*but input 'h' has 1.*sample_axis="):
        ArrayBatches({"x": X, "h": X[:1]})
    with pytest.raises(UsageError, match="sample_axis names 'h', and the data has 'x', 'gain'"):
        ArrayBatches(FEEDS, sample_axis={"x": 1, "h": 0})
    with pytest.raises(UsageError, match="sample_axis is an axis"):
        ArrayBatches(FEEDS, sample_axis="first")


def test_the_command_line_says_where_samples_are(tmp_path, model, capsys):
    np.savez(tmp_path / "x.npz", **FEEDS)
    argv = ["calibrate", str(model), str(tmp_path / "x.npz"), "--range", "two-pass", "-o", str(tmp_path / "c.cache")]
    assert main(argv) == 2
    assert "or --sample-axis none where the arrays are one feed" in capsys.readouterr().err.replace("\n", " ")
    found = []
    for options in (["--sample-axis", "none"], ["--sample-axis", "x=1,gain=none", "--batch-size", "2"]):
        assert main([*argv, *options]) == 0
        found.append(dict(CalibrationCache.read(tmp_path / "c.cache").scales))
    assert found[0] == found[1]
    assert main([*argv, "--sample-axis", "time"]) == 2
    assert "neither an axis" in capsys.readouterr().err


def test_a_model_that_fixes_the_batch_is_not_told_to_take_another(tmp_path):
    nodes, stored = [node("Conv", ["x", "w"], ["y"])], [const("w", RNG.standard_normal((4, 3, 3, 3)))]
    path = save(tmp_path / "f.onnx", nodes, [value("x", [4, 3, 8, 8])], [value("y", None)], stored)
    few, ten = np.zeros((3, 3, 8, 8), np.float32), np.zeros((10, 3, 8, 8), np.float32)
    with pytest.raises(DataError, match=r"one batch of 4, which the model fixes: add samples, or pass last='pad'$"):
        CalibrationSession(path, ArrayBatches(few), batch_size=4)
    with pytest.raises(DataError, match=r"batches of 4 samples only, and the last batch .* has 2: pass last='pad' or"):
        CalibrationSession(path, ArrayBatches(ten), batch_size=4, last="keep")
    CalibrationSession(path, ArrayBatches(ten), batch_size=4, last="keep", max_batches=2).close()
