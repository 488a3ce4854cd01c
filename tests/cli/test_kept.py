"""What a run has recorded is kept on every error, and what can be refused is refused before the first batch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import node, save, value
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


def test_a_name_that_no_row_can_hold_is_refused_before_the_first_batch(trtcal, tmp_path, monkeypatch):
    path = save(
        tmp_path / "m.onnx", [node("Relu", ["x"], ["a\nb"]), node("Abs", ["a\nb"], ["y"])], [value("x")], [value("y")]
    )
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))

    def never(*arguments, **options):
        raise AssertionError("a batch was run")

    monkeypatch.setattr(CalibrationSession, "run", never)
    done = trtcal("calibrate", path, tmp_path / "x.npy", "--batch-size", "2", "-o", tmp_path / "c.cache")
    assert done.code == 2
    assert "holds a line break" in done.err
