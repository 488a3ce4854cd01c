"""Calibration by several processes and on several machines, from the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from trtcal_widgets import sample
from trtcal_widgets.cli.progress import show_run
from trtcal_widgets.errors import UsageError
from trtcal_widgets.session import CalibrationSession, RunStatus

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


CUDA = "CUDAExecutionProvider"


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA")
@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_a_gpu_that_onnx_runtime_cannot_use_is_said(trtcal, here, workers):
    shown = trtcal("calibrate", MODEL, "all.npy", "--gpu", *workers)
    assert shown.code == 2
    assert re.search(r"has no CUDAExecutionProvider .*\(onnxruntime-gpu for CUDA", shown.err)
    assert shown.err.rstrip().endswith("or leave --gpu out to use the CPU")
    assert not list(here.glob("*.cache"))


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA")
def test_a_list_of_models_says_which_of_them_run_on_the_gpu(trtcal, here):
    (here / "models.yaml").write_text(
        f"- {{model: {MODEL}, data: all.npy, name: on-cpu}}\n"
        f"- {{model: {MODEL}, data: all.npy, name: on-gpu, gpu: true}}\n"
    )
    one = trtcal("calibrate-many", "models.yaml", "-o", "one")
    assert re.findall(r"trtcal: (\S+): .* has no CUDAExecutionProvider", one.err) == ["on-gpu"]
    every = trtcal("calibrate-many", "models.yaml", "-o", "every", "--gpu")
    assert re.findall(r"trtcal: (\S+): .* has no CUDAExecutionProvider", every.err) == ["on-cpu", "on-gpu"]


def test_a_gpu_that_nothing_can_count_on_is_refused(trtcal, here, monkeypatch):
    monkeypatch.setattr("trtcal_widgets.runners.cuda._can_count", lambda: False)
    shown = trtcal("calibrate", MODEL, "all.npy", "--gpu")
    assert shown.code == 2
    assert "--gpu needs cuda-bindings or PyCUDA" in shown.err


def test_what_counts_whole_batches_only_says_so_before_the_first(here, monkeypatch):
    """As ONNX Runtime's CUDA provider does: hours later it would be said in vain."""
    monkeypatch.setattr("trtcal_widgets.runners.onnxruntime.OnnxRuntimeRunner.counts_samples", False)
    with CalibrationSession(MODEL, np.load("all.npy"), batch_size=4) as session:
        session.samples.expect(*range(4, 12))
        with pytest.raises(UsageError, match="counts whole batches only"):
            session.samples.expect(3)
        with pytest.raises(UsageError, match="counts whole batches only"):
            session.samples.expect(*range(4, 13))


@pytest.mark.gpu
def test_on_the_gpu_the_cache_is_that_of_a_session_there(trtcal, shell, here):
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA provider")
    with CalibrationSession(MODEL, np.load("all.npy"), batch_size=4, providers=[CUDA]) as session:
        session.run()
        expected = session.to_cache().to_bytes()
    assert trtcal("calibrate", MODEL, "all.npy", "--batch-size", 4, "-o", "one.cache", "--gpu").code == 0
    options = ["--batch-size", 4, "-o", "two.cache", "--gpu", "--workers", 2]
    done = shell("calibrate", MODEL, "all.npy", *options, cwd=here)
    assert done.returncode == 0, done.stderr
    assert (here / "one.cache").read_bytes() == (here / "two.cache").read_bytes() == expected


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("after", ["while workers start", "while they count"])
def test_ctrl_c_ends_workers_without_a_word_of_python(command, here, after):
    np.save("long.npy", np.zeros((20_000, 1, 28, 28), np.float32))
    argv = ["calibrate", str(MODEL), "long.npy", "--batch-size", "4", "--session", "part.trtcal", "--workers", "2"]
    # A shell that runs the tests in the background has SIGINT ignored in all that it starts.
    process = subprocess.Popen(
        [*command, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )
    starts = process.stdout if after == "while workers start" else process.stderr
    awaited = "lenet.onnx: " if after == "while workers start" else "batch "
    assert any(line.startswith(awaited) for line in starts)
    for _ in range(2):  # the second one comes while the program ends, or before
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    _, said = process.communicate(timeout=120)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in said
    assert "stopped by Ctrl-C" in said
    assert not (here / "calibration.cache").exists()


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


def test_both_passes_are_shown(trtcal, here):
    done = trtcal("calibrate", MODEL, "a.npy", "--batch-size", 4, "--range", "two-pass")
    assert done.code == 0
    shown = [line.partition(",")[0] for line in done.err.splitlines() if "pass: batch" in line]
    assert shown == [f"{name} pass: batch {i} of 5" for name in ("range", "histogram") for i in range(1, 6)]


class Standing:
    """A session whose run stands still for a while."""

    def __init__(self):
        self.status = RunStatus("running", 0, 3, 0, 3, 0)

    def subscribe(self, callback):
        self.tell = callback
        return lambda: None

    def change(self, **changes):
        self.status = replace(self.status, **changes)
        self.tell(frozenset({"status"}))


@pytest.mark.parametrize("terminal", [True, False])
def test_why_a_run_stands_still_is_said_once(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    session, why = Standing(), "The Dask cluster has no worker now: the run goes on when one comes."
    with show_run(session):
        for changes in ({"recorded": 1}, {"message": why}, {}, {"message": ""}, {"recorded": 2}, {"recorded": 3}):
            session.change(**changes)
    shown = capsys.readouterr().err
    if terminal:
        assert [part for part in re.split(r"\s*[\r\n]\s*", shown) if part and "calibrating" not in part] == [why]
        assert "3/3" in shown.rsplit("\r", 1)[-1]
    else:
        assert shown.splitlines() == ["batch 1 of 3", why, "batch 2 of 3", "batch 3 of 3"]


def test_a_part_that_was_stopped_is_said(trtcal, here):
    with CalibrationSession(MODEL, np.load("a.npy"), batch_size=4) as session:
        session.run(until=2)
        session.save("a.trtcal")
    done = trtcal("merge", "a.trtcal", "-o", "all.trtcal")
    assert "2 of 5 batches" in done.out
    with CalibrationSession(MODEL, np.load("b.npy"), batch_size=4, range_from="a.trtcal") as session:
        session.run()
        session.save("b.trtcal")
    done = trtcal("merge", "a.trtcal", "b.trtcal", "-o", "all.trtcal", "--cache", "all.cache")
    assert done.code == 0
    assert "Some were stopped before their end: a.trtcal (2 of 5 batches)." in done.err
    assert "7 of 10 batches" in done.out
