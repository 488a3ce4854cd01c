from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys

import pytest
from PIL import Image

from trtcal_widgets.cli.commands import demo
from trtcal_widgets.formats.cache import CalibrationCache

NOTEBOOK = "01_explore_calibration.ipynb"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_headless(trtcal, here):
    done = trtcal("demo", "--headless", "out/demo")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (here / "out/demo").iterdir()) == ["calibration.cache", "calibration.png"]
    cache = CalibrationCache.read("out/demo/calibration.cache")
    assert cache.hex("data") == "3c008912"
    assert Image.open(io.BytesIO((here / "out/demo/calibration.png").read_bytes())).format == "PNG"
    table = done.out.split("\n\n")[0].splitlines()
    assert table[0].split() == ["tensor", "made", "by", "method", "±amax", "max", "|x|", "clipped", "SQNR", "hex"]
    assert {line.split()[0]: line.split()[-1] for line in table[1:]} == {name: cache.hex(name) for name in cache.scales}


def test_headless_where_no_folder_can_be(trtcal, here):
    (here / "file").write_text("")
    refused = trtcal("demo", "--headless", "file/demo")
    assert refused.code == 2
    assert "cannot be made" in refused.err


def test_the_notebook_is_written_and_an_edited_one_is_kept(trtcal, here):
    assert f"wrote {here / NOTEBOOK}" in trtcal("demo", "--no-open").out
    fresh = (here / NOTEBOOK).read_bytes()
    assert json.loads(fresh)["nbformat"] == 4
    assert "is there already." in trtcal("demo", "--no-open").out
    edited = fresh.replace(b"calibration", b"my calibration", 1)
    (here / NOTEBOOK).write_bytes(edited)
    kept = trtcal("demo", "--no-open")
    assert kept.code == 0
    assert "it is kept" in kept.out
    assert (here / NOTEBOOK).read_bytes() == edited
    assert trtcal("demo", "--no-open", "--force").code == 0
    assert (here / NOTEBOOK).read_bytes() == fresh


def test_without_jupyterlab_nothing_is_written(trtcal, here, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "jupyterlab" else real(name))
    refused = trtcal("demo")
    assert refused.code == 2
    assert "trtcal_widgets[demo]" in refused.err
    assert "--headless" in refused.err
    assert list(here.iterdir()) == []


def test_jupyterlab_is_opened_on_the_notebook(trtcal, here, monkeypatch):
    """A program of ours stands in for JupyterLab: what it was called with, and that its end is ours."""
    real, calls = subprocess.Popen, []

    def popen(argv, **options):
        calls.append(argv)
        return real([sys.executable, "-c", "raise SystemExit(3)"], **options)

    monkeypatch.setattr(demo.subprocess, "Popen", popen)
    assert trtcal("demo").code == 3
    (argv,) = calls
    assert argv[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={here}" in argv
    assert argv[-1].endswith(f"/lab/tree/{NOTEBOOK}")
