"""Samples on another axis than the first, or a file that is one feed: in arrays and on the command line."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets import ArrayBatches, CalibrationSession
from trtcal_widgets.cli import main
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.thresholds import threshold
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache

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
    assert "or --sample-axis None where the arrays are one feed" in capsys.readouterr().err.replace("\n", " ")
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
