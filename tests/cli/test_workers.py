"""Calibration by several processes and on several machines, from the command line."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.session import CalibrationSession

MODEL = sample.model_path()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = np.random.default_rng(4).standard_normal((40, 1, 28, 28)).astype(np.float32)
    np.save("all.npy", data)
    np.save("a.npy", data[:20])
    np.save("b.npy", data[20:])
    return tmp_path


def test_workers_write_the_cache_of_one_process(trtcal, shell, here):
    assert trtcal("calibrate", MODEL, "all.npy", "--batch-size", 4, "-o", "one.cache").code == 0
    done = shell("calibrate", MODEL, "all.npy", "--batch-size", 4, "-o", "two.cache", "--workers", 2, cwd=here)
    assert done.returncode == 0, done.stderr
    assert "10 of 10 batches, 40 samples" in done.stdout
    assert (here / "two.cache").read_bytes() == (here / "one.cache").read_bytes()


def test_parts_are_merged_to_the_cache_of_one_machine(trtcal, here):
    size = ("--batch-size", 4)
    assert trtcal("calibrate", MODEL, "all.npy", *size, "-o", "one.cache").code == 0
    assert trtcal("calibrate", MODEL, "a.npy", *size, "-o", "a.cache", "--session", "a.trtcal").code == 0
    done = trtcal(
        "calibrate", MODEL, "b.npy", *size, "-o", "b.cache", "--session", "b.trtcal", "--range-from", "a.trtcal"
    )
    assert done.code == 0, done.err
    done = trtcal("merge", "a.trtcal", "b.trtcal", "-o", "all.trtcal", "--cache", "all.cache")
    assert done.code == 0, done.err
    assert "wrote all.trtcal: lenet.onnx, 10 of 10 batches, 40 samples" in done.out
    assert (here / "all.cache").read_bytes() == (here / "one.cache").read_bytes()
    assert CalibrationSession.load("all.trtcal").status.recorded == 10


def test_what_cannot_be_merged_is_refused_and_nothing_is_written(trtcal, here):
    size = ("--batch-size", 4)
    for part in "ab":
        assert (
            trtcal("calibrate", MODEL, f"{part}.npy", *size, "-o", "x.cache", "--session", f"{part}.trtcal").code == 0
        )
    done = trtcal("merge", "a.trtcal", "b.trtcal", "-o", "all.trtcal")
    assert done.code == 2
    assert "start from different ranges" in done.err
    assert "--range-from a.trtcal" in " ".join(done.err.split())
    assert not (here / "all.trtcal").exists()
    done = trtcal("merge", "a.trtcal", "b.trtcal", "-o", "a.trtcal")
    assert (done.code, "is a file that is read" in done.err) == (2, True)


def test_a_scheduler_that_is_not_there_is_said(trtcal, here, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("trtcal_widgets.cli.workers._SECONDS", 1)
    done = trtcal("calibrate", MODEL, "a.npy", "--batch-size", 4, "--dask", "tcp://127.0.0.1:9")
    assert done.code == 2
    assert "no Dask scheduler at tcp://127.0.0.1:9" in " ".join(done.err.split())
    done = trtcal("calibrate", MODEL, "a.npy", "--workers", 2, "--dask", "tcp://127.0.0.1:9")
    assert "give one of them" in done.err
