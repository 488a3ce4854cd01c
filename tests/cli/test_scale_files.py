"""A saved session where a command takes a file of scales: what it has chosen, without a cache in between."""

from __future__ import annotations

import json

import pytest

from trtcal_widgets import CalibrationCache, CalibrationSession, sample


@pytest.fixture
def recorded(tmp_path):
    """A session with a threshold by hand, and the cache that it writes."""
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2) as session:
        session.run()
        session.choose("conv2", amax=2.5)
        session.save(tmp_path / "a.trtcal")
        session.to_cache(version="8.6.1").write(tmp_path / "a.cache")
    return tmp_path


def test_show_and_diff(trtcal, recorded):
    shown = trtcal("show", recorded / "a.trtcal")
    assert shown.code == 0
    assert "a.trtcal: the scales of a saved session" in shown.out
    found = json.loads(trtcal("show", recorded / "a.trtcal", "--json", "--trt-version", "8.6.1").out)
    cache = CalibrationCache.read(recorded / "a.cache")
    assert {row["name"]: row["hex"] for row in found["tensors"]} == {name: cache.hex(name) for name in cache.scales}
    for pair in (("a.cache", "a.trtcal"), ("a.trtcal", "a.cache"), ("a.trtcal", "a.trtcal")):
        found = trtcal("diff", *(recorded / name for name in pair))
        assert found.code == 0, "rows are those of the cache's TensorRT"
        assert f"A  {recorded / pair[0]}" in found.out
    eleven = trtcal("show", recorded / "a.trtcal", "--trt-version", "11.4")
    assert "reads no calibration cache" in eleven.out


def test_convert(trtcal, recorded):
    done = trtcal(
        "convert", recorded / "a.trtcal", "--to", "cache", "--trt-version", "8.6.1", "-o", recorded / "b.cache"
    )
    assert done.code == 0, done.err
    assert (recorded / "b.cache").read_bytes() == (recorded / "a.cache").read_bytes()
    for source in ("a.trtcal", "a.cache"):
        argv = ["--to", "qdq", "--model", sample.model_path(), "-o", recorded / f"{source}.onnx"]
        assert trtcal("convert", recorded / source, *argv).code == 0
    assert trtcal("diff", recorded / "a.trtcal.onnx", recorded / "a.cache.onnx").code == 0


def test_a_run_that_was_stopped_is_said(trtcal, tmp_path):
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.step()
        session.save(tmp_path / "a.trtcal")
    shown = trtcal("show", tmp_path / "a.trtcal")
    assert shown.code == 0
    assert "1 of 10 batches, 50 samples" in shown.err


@pytest.mark.parametrize(("name", "what"), [("x.cache", "a TensorRT calibration cache"), ("x.onnx", "an ONNX model")])
def test_what_is_no_session_is_said(trtcal, tmp_path, name, what):
    (tmp_path / name).write_text("TRT-8601-EntropyCalibration2\na: 3f800000\n" if name == "x.cache" else "?")
    for argv in (["data"], ["report", "-o", tmp_path / "r.html"], ["merge", "-o", tmp_path / "m.trtcal"]):
        done = trtcal(*argv, tmp_path / name)
        assert done.code == 2
        assert f"not a saved session but {what}" in done.err
