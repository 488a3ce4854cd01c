from __future__ import annotations

import json

import pytest

from tests.support.shared import shared_path

HEADER = "TRT-8601-EntropyCalibration2\n"


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_file_does_not_differ_from_itself(trtcal):
    path = shared_path("data/caches/yolo11.TRT-101200.cache")
    found = trtcal("diff", path, path)
    assert found.code == 0
    assert "0 tensors changed, 0 only in A, 0 only in B, 431 equal" in found.out


def test_changed_added_and_removed(trtcal, write):
    # 3f800000 is 1.0, 40000000 is 2.0, 3f000000 is 0.5
    a = write("a", HEADER + "same: 3f800000\nup: 3f800000\ndown: 3f800000\ngone: 3f800000\n")
    b = write("b", HEADER + "same: 3f800000\nup: 41000000\ndown: 3f000000\nnew: 40000000\n")
    found = trtcal("diff", a, b)
    assert found.code == 1
    assert "2 tensors changed, 1 only in A, 1 only in B, 1 equal" in found.out
    lines = found.out.splitlines()
    up, down = (next(line for line in lines if line.startswith(name)) for name in ("up", "down"))
    assert up.split() == ["up", "127", "1016", "8.00", "3f800000", "41000000"]
    assert down.split() == ["down", "127", "63.5", "0.500", "3f800000", "3f000000"]
    assert lines.index(up) < lines.index(down), "the largest change comes first"
    as_json = json.loads(trtcal("diff", a, b, "--json").out)
    assert [change["ratio"] for change in as_json["changed"]] == [8.0, 0.5]
    assert (as_json["only_in_a"], as_json["only_in_b"]) == (["gone"], ["new"])


def test_ends_of_a_scale_have_no_ratio_in_json(trtcal, write):
    a = write("a", HEADER + "zero: 0\nbig: 3f800000\n")
    b = write("b", HEADER + "zero: 3f800000\nbig: 7f800000\n")
    found = json.loads(trtcal("diff", a, b, "--json").out)
    assert [(c["name"], c["ratio"]) for c in found["changed"]] == [("zero", None), ("big", None)]
    assert "inf" in trtcal("diff", a, b).out


def test_one_unit_in_the_last_place_is_said_in_words(trtcal, write):
    a, b = write("a", HEADER + "x: 3f800000\n"), write("b", HEADER + "x: 3f800001\n")
    assert "1 + 1 ulp" in trtcal("diff", a, b).out
    assert trtcal("diff", a, b).code == 1


@pytest.mark.parametrize(
    ("typed", "code"), [("5%", 0), ("0.05", 0), ("4%", 1), ("1", 2), ("5", 2), ("x", 2), ("nan", 2)]
)
def test_a_tolerance_is_a_share_below_1(trtcal, write, typed, code):
    """With 5 for 5 % every scale that shrank would pass."""
    a, b = write("a", HEADER + "x: 3f800000\n"), write("b", HEADER + "x: 3f733334\n")  # 1.0 and 0.95
    found = trtcal("diff", a, b, "--tolerance", typed)
    assert found.code == code
    assert ("5 % is 0.05" in found.err) == (typed == "5")


def test_tolerance(trtcal, write):
    a, b = write("a", HEADER + "x: 3f800000\n"), write("b", HEADER + "x: 3f820000\n")  # 1.015625
    assert trtcal("diff", a, b, "--tolerance", "0.02").code == 0
    assert trtcal("diff", a, b, "--tolerance", "0.015").code == 1
    refused = trtcal("diff", a, b, "--tolerance", "-1")
    assert refused.code == 2
    assert "--tolerance" in refused.err


def test_header_and_order_count_unless_only_scales_do(trtcal, write):
    a = write("a", HEADER + "x: 3f800000\ny: 3f800000\n")
    for text in (
        HEADER.replace("8601", "8501") + "x: 3f800000\ny: 3f800000\n",
        HEADER + "y: 3f800000\nx: 3f800000\n",
    ):
        b = write("b", text)
        assert trtcal("diff", a, b).code == 1
        assert trtcal("diff", a, b, "--scales-only").code == 0


def test_across_formats(trtcal):
    # the same calibration as text and as flatbuffers, both as ONNX Runtime wrote them
    text = shared_path("data/caches/resnet50v2.onnxruntime-ep.cache")
    binary = shared_path("data/caches/resnet50v2.onnxruntime-ep.flatbuffers")
    found = trtcal("diff", text, binary, "--scales-only")
    assert found.code == 0, found.out


def test_error_is_not_difference(trtcal, write, tmp_path):
    a = write("a", HEADER + "x: 3f800000\n")
    missing = trtcal("diff", a, tmp_path / "none")
    assert missing.code == 2
    assert "there is no such file" in missing.err
