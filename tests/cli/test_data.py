"""``trtcal data`` and ``trtcal compare-data``: what they say, and how they end."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trtcal_widgets import CalibrationSession, sample


def record(path, images, batch_size=50):
    with CalibrationSession(sample.model_path(), images, batch_size=batch_size) as session:
        session.run()
        session.save(path)
    return path


@pytest.fixture(scope="module")
def digits():
    return sample.calibration_images().load(0, 500)[""]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, digits):
    return record(tmp_path_factory.mktemp("data") / "whole.trtcal", digits)


@pytest.fixture(scope="module")
def faint(tmp_path_factory, digits):
    """The same digits with a fifth of their light."""
    return record(tmp_path_factory.mktemp("data") / "faint.trtcal", (digits * np.float32(0.2))[:100], 10)


def test_a_strict_bar_fails_and_a_wide_one_passes(trtcal, whole):
    strict = trtcal("data", whole, "--bar", "0.001")
    assert strict.code == 1, strict.err
    assert "lenet.onnx: 500 samples in 10 batches" in strict.out
    assert "not settled" in strict.out
    assert "FAILED" in strict.out
    wide = trtcal("data", whole, "--bar", "60")
    assert wide.code == 0, wide.out
    assert "passed" in wide.out


def test_a_share_may_be_enough(trtcal, whole):
    found = json.loads(trtcal("data", whole, "--json").out)
    within = sum(tensor["off_db"] is not None and tensor["off_db"] <= 0.5 for tensor in found["tensors"])
    assert 0 < within < len(found["tensors"]) == 8
    assert trtcal("data", whole, "--share", within / 8, "--warnings", "none").code == 0
    assert trtcal("data", whole, "--share", (within + 1) / 8, "--warnings", "none").code == 1


def test_json_says_the_same(trtcal, whole):
    done = trtcal("data", whole, "--json")
    found = json.loads(done.out)
    assert (done.code == 0) == found["passed"]
    assert found["bar_db"] == 0.5
    assert found["samples"] == 500
    assert len(found["verdict"]) == 3
    names = [tensor["name"] for tensor in found["tensors"]]
    assert names[0] == "data"
    assert len(names) == len(set(names)) == 8
    for tensor in found["tensors"]:
        assert tensor["settled"] in (True, False, None)
        assert tensor["settled"] is None or tensor["off_db"] >= 0
        assert tensor["order"]["low"] <= tensor["amax"] * (1 + 1e-6)


def test_a_page_beside_it(trtcal, whole, tmp_path):
    done = trtcal("data", whole, "--html", tmp_path / "data.html", "--json")
    json.loads(done.out)  # what is said about the file goes to stderr
    assert "data.html" in done.err
    assert (tmp_path / "data.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    (tmp_path / "other.html").write_text("mine")
    done = trtcal("data", whole, "--html", tmp_path / "other.html")
    assert done.code == 2
    assert (tmp_path / "other.html").read_text() == "mine"


def test_the_list_is_as_long_as_asked(trtcal, whole):
    done = trtcal("data", whole, "--bar", "0.001", "--most", "1")
    section = done.out[done.out.index("\nnot settled") :].split("\n\n")[0].strip().splitlines()
    assert "the first 1" in section[0]
    assert len(section) == 3


def test_two_sets_that_part(trtcal, whole, faint):
    """Thresholds of faint digits clip those with all their light; the other way round only steps are lost."""
    done = trtcal("compare-data", faint, whole, "--most", "3")
    assert done.code == 1, done.err
    assert [len(line.split()) for line in done.out.split("\n\n")[1].splitlines()[2:]] == 3 * [11]
    found = json.loads(trtcal("compare-data", faint, whole, "--json").out)
    by_name = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert by_name["data"]["parts"]
    assert by_name["data"]["clipped"] > 0.05
    assert by_name["data"]["loss_db"] == pytest.approx(by_name["data"]["sqnr_own_db"] - by_name["data"]["sqnr_db"])
    assert found["verdict"]


def test_a_set_and_itself(trtcal, whole):
    done = trtcal("compare-data", whole, whole)
    assert done.code == 0, done.out
    found = json.loads(trtcal("compare-data", whole, whole, "--json").out)
    assert all(tensor["loss_db"] == pytest.approx(0, abs=1e-9) for tensor in found["tensors"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "missing.trtcal"),
        ("compare-data", "missing.trtcal", "missing.trtcal"),
        ("data", "missing.trtcal", "--bar", "0"),
        ("data", "missing.trtcal", "--bar", "nan"),
        ("data", "missing.trtcal", "--most", "0"),
    ],
)
def test_what_is_wrong_is_said(trtcal, arguments):
    try:
        code, said = (done := trtcal(*arguments)).code, done.err
    except SystemExit as stop:
        code, said = stop.code, "-"
    assert code == 2
    assert said
