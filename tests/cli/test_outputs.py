"""Which files a command may replace: what their content says, never what they are called."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from trtcal_widgets import CalibrationSession, sample

MODEL = str(sample.model_path())
CACHE = "TRT-8601-EntropyCalibration2\ndata: 3c008912\npool1: 3c75c28f\nflatten: 3d23d70a\nrelu1: 3c8b4396\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(MODEL, "m.onnx")
    (tmp_path / "m.cache").write_text(CACHE)
    rng = np.random.default_rng(0)
    np.savez("data.npz", data=rng.random((8, 1, 28, 28), np.float32))
    np.save("eval.npy", rng.random((8, 1, 28, 28), np.float32))
    return tmp_path


def zipped(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "{}")


def npz_bytes():
    buffer = io.BytesIO()
    np.savez(buffer, data=np.zeros(3))
    return buffer.getvalue()


FOREIGN = {
    "a zip": lambda path: zipped(path, "a.txt"),
    "arrays": lambda path: path.write_bytes(npz_bytes()),
    "a zip with a session.json of another": lambda path: zipped(path, "session.json"),
    "a model": lambda path: shutil.copy(MODEL, path),
    "yaml": lambda path: path.write_text("learning_rate: 0.1\nepochs: 10\n"),
    "json": lambda path: path.write_text(json.dumps({"crop": [0, 224], "scale": [0.5, 1.0]}, indent=2)),
    "json of numbers": lambda path: path.write_text('{"a": 1}'),
    "labels": lambda path: path.write_text("cat.jpg 3\ndog.jpg 5\n"),
    "a page": lambda path: path.write_text("<!doctype html><title>mine</title>"),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "deep json": lambda path: path.write_text("[" * 100_000),
}

WRITES = {
    "calibrate -o": ("calibrate", "m.onnx", "data.npz", "--batch-size", "4", "-o"),
    "calibrate --session": ("calibrate", "m.onnx", "data.npz", "--batch-size", "4", "--session"),
    "convert to cache": ("convert", "m.cache", "--to", "cache", "-o"),
    "convert to ranges": ("convert", "m.cache", "--to", "ranges", "-o"),
    "convert to ort": ("convert", "m.cache", "--to", "ort", "-o"),
    "convert to json": ("convert", "m.cache", "--to", "json", "-o"),
    "convert to flatbuffers": ("convert", "m.cache", "--to", "flatbuffers", "-o"),
    "convert to qdq": ("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o"),
    "qdq --report": ("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o", "q.onnx", "--report"),
    "port -o": ("port", "m.onnx", "m.onnx", "m.cache", "-o"),
    "port --json": ("port", "m.onnx", "m.onnx", "m.cache", "-o", "p.cache", "--json"),
    "debug --plan": ("debug", "m.onnx", "data.npz", "eval.npy", "--batch-size", "4", "--plan"),
    "debug --qdq": ("debug", "m.onnx", "data.npz", "eval.npy", "--batch-size", "4", "--qdq"),
    "debug --state": ("debug", "m.onnx", "data.npz", "eval.npy", "--batch-size", "4", "--state"),
}


@pytest.mark.parametrize("write", WRITES)
def test_no_foreign_file_is_replaced(trtcal, here, write):
    for name, make in FOREIGN.items():
        path = here / f"precious-{name.replace(' ', '-')}"
        make(path)
        before = path.read_bytes()
        refused = trtcal(*WRITES[write], path)
        assert refused.code == 2, name
        assert "was not replaced" in refused.err, (name, refused.err)
        assert path.read_bytes() == before, name


@pytest.mark.parametrize("write", [name for name in WRITES if not name.startswith("debug")])
def test_a_file_of_its_kind_is_replaced(trtcal, here, write):
    for _ in range(2):
        done = trtcal(*WRITES[write], here / "out.file")
        assert done.code == 0, done.err


def test_the_report_of_a_session_replaces_reports_only(trtcal, here):
    assert trtcal(*WRITES["calibrate --session"], "s.trtcal").code == 0
    for _ in range(2):
        assert trtcal("report", "s.trtcal", "-o", "out.html").code == 0
    (here / "mine.html").write_text("<!doctype html><title>mine</title>")
    assert "was not replaced" in trtcal("report", "s.trtcal", "-o", "mine.html").err
    assert (here / "mine.html").read_text().endswith("mine</title>")


READS = [
    (("calibrate", "m.onnx", "data.npz", "--batch-size", "4"), "-o", ("m.onnx", "data.npz")),
    (("calibrate", "m.onnx", "data.npz", "--batch-size", "4"), "--session", ("m.onnx", "data.npz")),
    (("convert", "m.cache", "--to", "cache"), "-o", ("m.cache",)),
    (("convert", "m.cache", "--to", "qdq", "--model", "m.onnx"), "-o", ("m.cache", "m.onnx")),
    (("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o", "q.onnx"), "--report", ("m.cache", "m.onnx")),
    (("port", "m.onnx", "m.onnx", "m.cache"), "-o", ("m.onnx", "m.cache")),
    (("port", "m.onnx", "m.onnx", "m.cache", "-o", "p.cache"), "--json", ("m.onnx", "m.cache")),
    (("debug", "m.onnx", "data.npz", "eval.npy"), "--plan", ("m.onnx", "data.npz", "eval.npy")),
    (("debug", "m.onnx", "data.npz", "eval.npy"), "--qdq", ("m.onnx", "data.npz", "eval.npy")),
    (("debug", "m.onnx", "data.npz", "eval.npy"), "--state", ("m.onnx", "data.npz", "eval.npy")),
]


@pytest.mark.parametrize(("argv", "option", "inputs"), READS)
def test_what_is_read_is_never_replaced(trtcal, here, argv, option, inputs):
    for name in inputs:
        before = (here / name).read_bytes()
        (here / "link").symlink_to(here / name)
        os.link(here / name, here / "hard")
        for path in (name, here / name, "link", "hard", os.path.join(".", "..", here.name, name)):  # noqa: PTH118
            refused = trtcal(*argv, option, path, "--force")
            assert refused.code == 2
            assert "is a file that is read" in refused.err
            assert (here / name).read_bytes() == before
        (here / "link").unlink()
        (here / "hard").unlink()


def test_two_outputs_are_two_files(trtcal, here):
    (here / "link").symlink_to(here / "x")
    for other in ("x", "./x", "link"):
        refused = trtcal("calibrate", "m.onnx", "data.npz", "--batch-size", "4", "-o", "x", "--session", other)
        assert refused.code == 2
        assert "are the same file" in refused.err
    assert not (here / "x").exists()
    refused = trtcal("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o", "x", "--report", "x")
    assert "are the same file" in refused.err


def test_a_name_that_no_file_can_have_is_refused_in_words(trtcal, here):
    for name, why in (("x" * 300, "there can be no file of this name"), ("a\0b", "cannot hold a NUL")):
        refused = trtcal("convert", "m.cache", "--to", "json", "-o", name)
        assert refused.code == 2
        assert why in refused.err


def test_the_model_says_who_made_it(trtcal, here):
    assert trtcal(*WRITES["convert to qdq"], "q.onnx").code == 0
    made = onnx.load("q.onnx")
    assert made.producer_name == "trtcal_widgets"
    assert "Q/DQ" in made.producer_version
    assert made.producer_version.endswith(f"from {onnx.load('m.onnx').producer_name}")


@pytest.mark.parametrize("kind", ["a link into no folder", "a pipe", "a device"])
def test_what_no_file_can_be_put_into_the_place_of_costs_no_run(trtcal, tmp_path, monkeypatch, kind):
    def never(*arguments, **options):
        raise AssertionError("a batch was run")

    monkeypatch.setattr(CalibrationSession, "run", never)
    output = tmp_path / "out.cache"
    match kind:
        case "a link into no folder":
            output.symlink_to(tmp_path / "nowhere" / "x.cache")
        case "a pipe":
            os.mkfifo(output)
        case _:
            output = Path(os.devnull)
    np.save(tmp_path / "x.npy", np.ones((4, 1, 28, 28), np.float32))
    argv = ["calibrate", sample.model_path(), tmp_path / "x.npy", "--batch-size", "2", "-o", output]
    for force in ([], ["--force"]):
        done = trtcal(*argv, *force)
        assert done.code == 2
        assert "does not exist: create it first" in done.err or "is a device or a pipe" in done.err


@pytest.mark.parametrize("option", ["--also", "--leave-out"])
def test_files_that_options_name_are_never_replaced(trtcal, tmp_path, option):
    np.save(tmp_path / "x.npy", np.ones((4, 1, 28, 28), np.float32))
    other = tmp_path / "other"
    other.write_bytes((tmp_path / "x.npy").read_bytes())
    before = other.read_bytes()
    given = ["--input", "data", option, f"more={other}" if option == "--also" else str(other)]
    argv = ["calibrate", sample.model_path(), tmp_path / "x.npy", "-o", other, "--force", *given]
    done = trtcal(*argv)
    assert done.code == 2
    assert f"{other} is a file that is read" in done.err
    assert other.read_bytes() == before
