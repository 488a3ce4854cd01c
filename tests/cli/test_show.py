from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.shared import shared_files, shared_path

ALL = (
    "diffusion.TRT-8601.cache", "resnet18-cifar10.TRT-8003.cache", "resnet50.dynamic-range.txt",
    "resnet50v2.onnxruntime-ep.cache", "resnet50v2.onnxruntime-ep.flatbuffers", "resnet50v2.onnxruntime-ep.json",
    "unet-prelu.TRT-8001.cache", "vgg16-cifar10.TRT-8400-minmax.cache", "yolo11.TRT-101200.cache",
    "yolov8.TRT-101401.cache",
)  # fmt: skip


@pytest.mark.parametrize("name", shared_files("data/caches", *ALL))
def test_every_published_file_is_shown_row_by_row(trtcal, name):
    path = shared_path(*name.split("/"))
    shown = trtcal("show", path)
    assert shown.code == 0, shown.err
    found = json.loads(trtcal("show", path, "--json").out)
    table = shown.out.split("\n\n")[1].splitlines()
    assert table[0].split() == ["tensor", "±amax", "scale", "hex"]
    assert [line.split()[-1] for line in table[1:]] == [row["hex"] for row in found["tensors"]]


def test_a_published_row_by_hand(trtcal):
    found = json.loads(trtcal("show", shared_path("data/golden/CalibrationTablemnist"), "--json").out)
    assert found["header"] == "TRT-7000-EntropyCalibration2"
    assert found["tensorrt"] == "7.0.0"
    # golden case mnist-input-entropy2
    assert found["tensors"][0]["name"] == "data"
    assert found["tensors"][0]["hex"] == "3c008912"
    assert found["tensors"][0]["scale"] == pytest.approx(0.007845180109143257, rel=1e-12)
    assert [row["name"] for row in found["tensors"]] == [
        "data", "conv1", "pool1", "conv2", "pool2", "ip1", "ip2", "prob",
    ]  # fmt: skip


def test_hex_in_json_is_the_bits_of_the_scale(trtcal):
    found = json.loads(trtcal("show", shared_path("data/caches/diffusion.TRT-8601.cache"), "--json").out)
    for row in found["tensors"]:
        scale = np.uint32(int(row["hex"], 16)).view(np.float32)
        expected = float(scale) if np.isfinite(scale) else None
        assert row["scale"] == expected
    kinds = [oddity["kind"] for oddity in found["oddities"]]
    assert kinds.count("inf") == 7
    assert kinds.count("zero") == 80


def test_oddities_are_told_once_per_kind(trtcal):
    out = trtcal("show", shared_path("data/caches/diffusion.TRT-8601.cache")).out
    assert out.count("error: inf, 7 times in line 147, 148") == 1
    assert out.count("attention mask") == 1


def test_legacy_table(trtcal):
    found = json.loads(trtcal("show", shared_path("data/golden/LegacyCalibrationTable"), "--json").out)
    assert found["format"] == "legacy"
    assert {row["name"]: row["hex"] for row in found["tensors"]}["data"] == "3c008102"


def test_against_a_model(trtcal):
    from trtcal_widgets.sample import model_path

    out = trtcal("show", shared_path("data/golden/CalibrationTablemnist"), "--model", model_path()).out
    assert "8 rows match the model" in out
    assert "0 unknown" in out
    found = json.loads(
        trtcal("show", shared_path("data/caches/unet-prelu.TRT-8001.cache"), "--model", model_path(), "--json").out
    )
    assert found["model"]["matched"] == 0
    assert "conv1" in found["model"]["missing"]
    assert "(Unnamed Layer* 37) [Constant]_output" in found["model"]["synthetic"]


@pytest.mark.parametrize(
    ("version", "words"), [("8.0.1", "TensorRT 8.0.1 takes it"), ("10.16.1", "calibrate again"), ("11.0", "Q/DQ")]
)
def test_verdict_of_a_tensorrt_version(trtcal, version, words):
    path = shared_path("data/caches/unet-prelu.TRT-8001.cache")
    verdict = json.loads(trtcal("show", path, "--trt-version", version, "--json").out)["verdict"]
    assert words in verdict
    assert "verdict  " in trtcal("show", path, "--trt-version", version).out


def test_hostile_names_stay_text_on_one_line(trtcal, tmp_path):
    path = tmp_path / "evil.cache"
    path.write_bytes("TRT-8601-EntropyCalibration2\n\x1b[31mred\x07: 3c010a14\n<b>: 3c010a14\n層: 3c010a14\n".encode())
    shown = trtcal("show", path)
    assert "\x1b" not in shown.out
    assert r"\x1b[31mred\x07" in shown.out
    table = shown.out.split("\n\n")[1].splitlines()
    assert len(table) == 4
    # aligned in terminal columns: the wide character takes two
    assert table[3].index("1.00") == table[2].index("1.00") - 1


def test_bytes_that_are_no_text(trtcal, tmp_path):
    path = tmp_path / "latin1.cache"
    path.write_bytes(b"TRT-8601-EntropyCalibration2\ncaf\xe9: 3c010a14\n")
    shown = trtcal("show", path)
    assert shown.code == 0
    assert r"caf\udce9" in shown.out
    assert json.loads(trtcal("show", path, "--json").out)["tensors"][0]["name"] == "caf\udce9"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x08\x07\x12\x04onnx\0\0", "binary"),
        (b"hello\nworld\n", "not the header"),
        (b"TRT-8601-EntropyCalibration2\nx: zzz\n", "line 2"),
        (b"x: 3c010a14\n", "header line is missing"),
    ],
)
def test_rubbish_is_refused_with_a_reason(trtcal, tmp_path, content, words):
    path = tmp_path / "rubbish.cache"
    path.write_bytes(content)
    shown = trtcal("show", path)
    assert shown.code == 2
    assert shown.out == ""
    assert words in shown.err
    assert str(path) in shown.err
    assert "Traceback" not in shown.err
