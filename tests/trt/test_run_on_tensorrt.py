"""The rows of ``tools/run_on_tensorrt.py`` run on the stand-in, so that they can be run where there is a GPU."""

from __future__ import annotations

import pytest

from tools import run_on_tensorrt
from tools.trt_run import lenet_rows
from tools.trt_run.table import ROWS


@pytest.fixture(autouse=True)
def fresh_scales(monkeypatch, tmp_path):
    lenet_rows.scales.cache_clear()
    monkeypatch.chdir(tmp_path)
    yield
    lenet_rows.scales.cache_clear()


@pytest.mark.parametrize("title", [
    "names and signatures", "calibrator entropy2", "calibrator legacy: quantile 0.999, regression_cutoff 0.5",
    "caches of other headers: error, use, recalibrate", "amax alone, and over a cache",
    "scales of a session; batches that it leaves out", "plan: layers kept in FP32 and FP16", "debug tensors",
    "profiles and dynamic batch sizes", "Q/DQ model", "pause, step, resume and cancel at batches",
    "errors of the data come out, and no cache is kept", "a user's own calibrator",
    "two builds, one after the other, with one calibrator", "a build in a worker thread while the session runs",
    "build panel", "what this release or device has not is said",
])  # fmt: skip
def test_a_row_works_on_the_stand_in(plug, title):
    plug("8.6.1")
    found = run_on_tensorrt.run_here(title)
    assert found["works"], found["seen"] + found.get("trace", "")
    assert found["seen"]


def test_a_row_that_does_not_work_says_why(monkeypatch):
    monkeypatch.setitem(ROWS, "broken", lambda folder: 1 / 0)
    found = run_on_tensorrt.run_here("broken")
    assert not found["works"]
    assert "ZeroDivisionError" in found["seen"]
    assert "| broken | **does not** | ZeroDivisionError: division by zero |" in run_on_tensorrt.as_markdown([found])


def test_rows_are_chosen_by_words_in_their_title():
    assert run_on_tensorrt.wanted([]) == list(ROWS)
    assert run_on_tensorrt.wanted(["MiniLM"]) == [title for title in ROWS if "MiniLM" in title]
    assert len(run_on_tensorrt.wanted(["MiniLM"])) == 3
