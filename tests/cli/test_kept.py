"""What a run has recorded is kept on every error, and what can be refused is refused before the first batch."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from tests.support.graphs import const, node, save, value
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.runners import onnxruntime


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).random((12, 1, 28, 28), np.float32))
    return path


def failing_at(monkeypatch, batch, error):
    real, seen = onnxruntime.OnnxRuntimeRunner.infer, []

    def infer(self, feeds):
        seen.append(1)
        if len(seen) > batch:
            raise error
        return real(self, feeds)

    monkeypatch.setattr(onnxruntime.OnnxRuntimeRunner, "infer", infer)
    real_histograms = onnxruntime.OnnxRuntimeRunner.histograms

    def histograms(self, *arguments, **options):
        seen.append(1)
        if len(seen) > batch:
            raise error
        return real_histograms(self, *arguments, **options)

    monkeypatch.setattr(onnxruntime.OnnxRuntimeRunner, "histograms", histograms)


@pytest.mark.parametrize("error", [RuntimeError("the disk broke"), MemoryError(), OSError(28, "No space left")])
def test_an_error_in_the_third_batch_keeps_two(trtcal, tmp_path, data, monkeypatch, error):
    failing_at(monkeypatch, 2, error)
    saved = tmp_path / "s.trtcal"
    done = trtcal(
        "calibrate", sample.model_path(), data, "--batch-size", "3", "-o", tmp_path / "c.cache", "--session", saved
    )
    assert done.code == 2
    assert f"before the error are saved in {saved}" in done.err
    assert not (tmp_path / "c.cache").exists()
    with CalibrationSession.load(saved) as session:
        assert session.status.recorded == 2


def test_an_error_while_the_cache_is_written_keeps_all(trtcal, tmp_path, data, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(CalibrationCache, "write", full)
    saved = tmp_path / "s.trtcal"
    done = trtcal(
        "calibrate", sample.model_path(), data, "--batch-size", "4", "-o", tmp_path / "c.cache", "--session", saved
    )
    assert done.code == 2
    with CalibrationSession.load(saved) as session:
        assert session.status.recorded == 3


def never(*arguments, **options):
    raise AssertionError("a batch was run")


def test_a_name_that_no_row_can_hold_is_refused_before_the_first_batch(trtcal, tmp_path, monkeypatch):
    path = save(
        tmp_path / "m.onnx", [node("Relu", ["x"], ["a\nb"]), node("Abs", ["a\nb"], ["y"])], [value("x")], [value("y")]
    )
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))

    monkeypatch.setattr(CalibrationSession, "run", never)
    done = trtcal("calibrate", path, tmp_path / "x.npy", "--batch-size", "2", "-o", tmp_path / "c.cache")
    assert done.code == 2
    assert "holds a line break" in done.err


@pytest.fixture
def images(tmp_path):
    """Six images, one of them in a folder inside."""
    folder = tmp_path / "calib"
    (folder / "b").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("0.png", "1.png", "2.png", "3.png", "4.png", "b/0.png"):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["9.png"], "'9.png' names no sample: no sample is called so; they are '0.png'"),
        (["0.png"], "'0.png' names no sample: 2 samples are called so: 0.png, b/0.png"),
        (["4.png"], "'4.png' names no sample"),  # the short last batch is dropped, and it with it
        (["1.png", "2.png", "3.png", "calib/0.png"], "all 4 samples would be left out"),
    ],
)
def test_a_sample_that_cannot_be_left_out_is_refused_before_the_first_batch(
    trtcal, tmp_path, images, monkeypatch, given, words
):
    if given == ["0.png"]:
        (images / "a").mkdir()
        (images / "0.png").rename(images / "a" / "0.png")
        words = words.replace("0.png, b", "a/0.png, b")
    size = "3" if given == ["0.png"] else "4"
    monkeypatch.setattr(CalibrationSession, "run", never)
    argv = ["calibrate", sample.model_path(), images, "--batch-size", size, "-o", tmp_path / "c.cache"]
    done = trtcal(*argv, *(f"--leave-out={name}" for name in given))
    assert done.code == 2
    assert words in done.err


def test_leaving_out_every_sample_is_refused_before_the_first_batch(trtcal, tmp_path, images, monkeypatch):
    monkeypatch.setattr(CalibrationSession, "run", never)
    listed = tmp_path / "out.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(images.glob("**/*.png"))))
    argv = ["calibrate", sample.model_path(), images, "--batch-size", "3", "-o", tmp_path / "c.cache"]
    done = trtcal(*argv, "--leave-out", listed)
    assert done.code == 2
    assert "all 6 samples would be left out" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--placement", "everywhere"], "--placement must be 'recommended'"),
        (["--placement", "MODEL"], "this is not the JSON of an engine inspector"),
        (["--labels", "LABELS"], "labels go from 0 to 10, but the output has 10 classes"),
        (["--scores", "probe"], "--scores: there is no output 'probe', but prob; did you mean prob?"),
    ],
)
@pytest.mark.parametrize("command", ["debug", "tune"])
def test_what_a_later_step_cannot_take_costs_no_calibration(
    trtcal, tmp_path, data, monkeypatch, command, options, words
):
    monkeypatch.setattr(CalibrationSession, "run", never)
    np.save(tmp_path / "labels.npy", np.arange(12) % 11)
    paths = {"MODEL": str(sample.model_path()), "LABELS": str(tmp_path / "labels.npy")}
    given = [paths.get(option, option) for option in options]
    done = trtcal(command, sample.model_path(), data, data, "--batch-size", "4", *given)
    assert done.code == 2
    assert words in done.err


@pytest.mark.parametrize("scores", ["z", "s"])
def test_scores_that_are_no_array_are_refused_before_the_calibration(trtcal, tmp_path, monkeypatch, scores):
    """ZipMap makes a map of each sample's class scores; another exporter hands out a sequence."""
    of_floats = helper.make_tensor_type_proto(1, None)
    made = {
        "z": helper.make_sequence_type_proto(helper.make_map_type_proto(7, of_floats)),
        "s": helper.make_sequence_type_proto(of_floats),
    }
    nodes = [
        node("Gemm", ["x", "w"], ["a"]),
        node("ZipMap", ["a"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
        node("SplitToSequence", ["a"], ["s"], axis=1),
    ]
    outputs = [helper.make_value_info(name, kind) for name, kind in made.items()]
    stored = [const("w", np.ones((5, 3)))]
    model = save(
        tmp_path / "m.onnx", nodes, [value("x", ["N", 5])], [*outputs, value("a", None)], stored, domains=["ai.onnx.ml"]
    )
    np.save(tmp_path / "x.npy", np.ones((4, 5), np.float32))
    (tmp_path / "l.txt").write_text("\ufeff0\n1\n2\n1\n")
    monkeypatch.setattr(CalibrationSession, "run", never)
    argv = ["debug", model, tmp_path / "x.npy", tmp_path / "x.npy", "--batch-size", "2", "--labels", tmp_path / "l.txt"]
    done = trtcal(*argv, "--scores", scores)
    assert done.code == 2
    assert f"the output '{scores}' is a sequence or a map, no array of class scores" in done.err


def test_an_evaluation_shorter_than_the_models_batch_is_filled_up(trtcal, tmp_path):
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])]
    stored = [const("w", np.random.default_rng(0).standard_normal((4, 3, 3, 3)))]
    model = save(tmp_path / "m.onnx", nodes, [value("x", [4, 3, 8, 8])], [value("y", None)], stored)
    x = np.random.default_rng(1).standard_normal((8, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "few.npy", x[:3])
    assert trtcal("debug", model, tmp_path / "x.npy", tmp_path / "few.npy").code == 0
