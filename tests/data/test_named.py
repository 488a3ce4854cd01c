"""Data for each input of a model: folders side by side, from Python and on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.support.graphs import const, node, save, value
from trtcal_widgets import ArrayBatches, CalibrationSession, ImageFolder, IterableBatches
from trtcal_widgets.cli import main
from trtcal_widgets.data import as_source
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache

RNG = np.random.default_rng(0)


@pytest.fixture
def pair(tmp_path):
    """A model of two cameras, and their folders; the right one is darker."""
    stored = [const("w", RNG.standard_normal((4, 3, 3, 3)))]
    nodes = [node("Conv", ["l", "w"], ["a"]), node("Conv", ["r", "w"], ["b"]), node("Add", ["a", "b"], ["y"])]
    inputs = [value("l", ["N", 3, 8, 8]), value("r", ["N", 3, 6, 6])]
    nodes[1].attribute.extend(node("Conv", [], [], pads=[1, 1, 1, 1]).attribute)
    model = save(tmp_path / "m.onnx", nodes, inputs, [value("y", None)], stored)
    for name, brightest in (("left", 256), ("right", 100)):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.fromarray(RNG.integers(0, brightest, (10, 10, 3), np.uint8)).save(tmp_path / name / f"{i}.png")
    return model, tmp_path / "left", tmp_path / "right"


def test_two_folders_are_fed_side_by_side_each_as_its_input_wants(pair):
    model, left, right = pair
    with CalibrationSession(model, {"l": left, "r": str(right)}, batch_size=2) as session:
        session.run()
        assert session.histogram("l").maximum > 0.9
        assert session.histogram("r").maximum < 0.4
        assert session.histogram("r").n_values == 4 * 3 * 6 * 6
        assert session.samples.labels() == ["0.png", "1.png", "2.png", "3.png"]


def test_the_command_line_names_the_other_inputs(pair, tmp_path, capsys):
    model, left, right = pair
    argv = ["calibrate", str(model), str(left), "--batch-size", "2", "-o", str(tmp_path / "c.cache")]
    assert main([*argv, "--input", "l", "--also", f"r={right}", "--leave-out", "1.png"]) == 0
    with CalibrationSession(model, {"l": left, "r": right}, batch_size=2) as session:
        session.run()
        session.samples.leave_out("1.png")
        assert CalibrationCache.read(tmp_path / "c.cache").scales["r"] == session.to_cache(version="8.6.1").scales["r"]
    for options, words in (
        (["--also", f"r={right}"], "say with --input"),
        (["--input", "l", "--also", f"l={right}"], "named twice"),
        (["--input", "l", "--also", "r"], "is not NAME=DATA"),
        (["--input", "l", "--also", f"x={right}"], "'x' is no input of"),
        (["--input", "l", "--also", f"r={right}", "--skip-unreadable"], "leave out what cannot be read"),
    ):
        assert main([*argv, *options]) == 2
        assert words in capsys.readouterr().err


def test_sources_that_do_not_go_together_are_refused(pair):
    _, left, right = pair
    (right / "4.png").write_bytes((right / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"different numbers of samples: 'l' 4, 'r' 5"):
        as_source({"l": ImageFolder(left, size=8), "r": ImageFolder(right, size=8)})
    batches = IterableBatches([np.zeros((2, 3), np.float32)])
    with pytest.raises(UsageError, match="come in batches"):
        as_source({"l": ImageFolder(left, size=8), "r": batches})
    named = ArrayBatches({"z": np.zeros((4, 3), np.float32)})
    with pytest.raises(DataError, match="have names of their own: 'z'"):
        as_source({"l": ImageFolder(left, size=8), "r": named}).load(0, 2)


def test_evaluation_data_name_their_own_folders(pair, tmp_path, capsys):
    model, left, right = pair
    (tmp_path / "few").mkdir()
    for name in ("0.png", "1.png"):
        (tmp_path / "few" / name).write_bytes((left / name).read_bytes())
    few = str(tmp_path / "few")
    argv = ["debug", str(model), str(left), few, "--batch-size", "2", "--input", "l", "--also", f"r={right}"]
    assert main(argv) == 2
    assert "misses 'r'" in capsys.readouterr().err
    assert main([*argv, "--eval-also", f"r={few}"]) == 0
