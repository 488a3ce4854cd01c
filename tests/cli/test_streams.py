"""Streams that are closed, full or read by nobody cost what is printed, not the work."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from trtcal_widgets import CalibrationCache, sample

TRTCAL = f"{sys.executable} -m trtcal_widgets"


def shell(command, folder, **environment):
    return subprocess.run(  # noqa: S602 - redirections are what is tested
        command, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def here(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((4, 1, 28, 28), np.float32))
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed in a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_calibration_without_a_stream_writes_its_cache(here, closed):
    done = shell(f"{TRTCAL} calibrate {sample.model_path()} x.npy --batch-size 2 -o m.cache {closed}", here)
    if closed == "2>/dev/full":  # where progress goes: an error like any other, in its exit code
        assert done.returncode in (0, 2)
        return
    assert done.returncode == 0, done
    assert len(CalibrationCache.read(here / "m.cache").rows) == 10


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed in a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_an_error_without_a_stream_is_an_exit_code(here, closed):
    done = shell(f"{TRTCAL} show nothing.cache {closed}", here)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_memory_error_is_said_without_a_traceback(trtcal, here, monkeypatch):
    def full(*arguments, **options):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("trtcal_widgets.data.arrays.ArrayBatches.load", full)
    done = trtcal("calibrate", sample.model_path(), here / "x.npy", "--batch-size", "2", "-o", here / "m.cache")
    assert done.code == 2
    assert "not enough memory" in done.err
    assert "fault in trtcal" not in done.err
