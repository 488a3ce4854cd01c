from __future__ import annotations

import json
import os

import numpy as np
import pytest

from tests.support.shared import shared_files, shared_path

NATIVE = (
    "resnet18-cifar10.TRT-8003.cache", "unet-prelu.TRT-8001.cache", "vgg16-cifar10.TRT-8400-minmax.cache",
    "yolo11.TRT-101200.cache", "yolov8.TRT-101401.cache",
)  # fmt: skip


def scales_of(trtcal, path):
    rows = json.loads(trtcal("show", path, "--json").out)["tensors"]
    return {row["name"]: int(row["hex"], 16) for row in rows}


@pytest.mark.parametrize("target", ["ranges", "json", "ort", "flatbuffers"])
@pytest.mark.parametrize("name", shared_files("data/caches", *NATIVE))
def test_there_and_back(trtcal, tmp_path, name, target):
    path = shared_path(*name.split("/"))
    there, back = tmp_path / "there", tmp_path / "back.cache"
    assert trtcal("convert", path, "-o", there, "--to", target).code == 0
    assert trtcal("convert", there, "-o", back, "--to", "cache", "--trt-version", "8.6.1").code == 0
    before, after = scales_of(trtcal, path), scales_of(trtcal, back)
    assert list(after) == list(before)
    # a scale that goes to amax and back is at most one unit in the last place off (there are fewer float32 amax)
    assert max(abs(after[tensor] - bits) for tensor, bits in before.items()) <= 1
    assert back.read_text().startswith("TRT-8601-EntropyCalibration2\n")


def test_ranges_are_what_the_sample_of_tensorrt_reads(trtcal, tmp_path):
    out = tmp_path / "ranges.txt"
    trtcal("convert", shared_path("data/golden/CalibrationTablemnist"), "-o", out, "--to", "ranges")
    rows = dict(line.rsplit(":", 1) for line in out.read_text().splitlines())
    assert float(rows["data"]) == pytest.approx(0.9963378738611937, rel=1e-7)


def test_a_cache_stays_byte_for_byte_and_a_new_header_changes_one_line(trtcal, tmp_path):
    path, out = shared_path("data/caches/yolo11.TRT-101200.cache"), tmp_path / "out.cache"
    trtcal("convert", path, "-o", out, "--to", "cache")
    assert out.read_bytes() == path.read_bytes()
    trtcal("convert", path, "-o", out, "--to", "cache", "--trt-version", "10.16.1", "--algorithm", "MinMaxCalibration")
    before, after = path.read_bytes().split(b"\n"), out.read_bytes().split(b"\n")
    assert after[0] == b"TRT-101601-MinMaxCalibration"
    assert after[1:] == before[1:]


def test_rows_that_the_other_format_cannot_hold(trtcal, tmp_path):
    path, out = shared_path("data/caches/diffusion.TRT-8601.cache"), tmp_path / "out.json"
    refused = trtcal("convert", path, "-o", out, "--to", "json")
    assert refused.code == 2
    assert "7 rows" in refused.err
    assert "--skip-unusable" in refused.err
    assert not out.exists()
    done = trtcal("convert", path, "-o", out, "--to", "json", "--skip-unusable")
    assert done.code == 0
    assert "left out: (Unnamed Layer* 273) [Constant]_output" in done.out
    ranges = json.loads(out.read_text())
    infinite = [name for name, bits in scales_of(trtcal, path).items() if bits == 0x7F800000]
    assert len(infinite) == 7
    assert not set(infinite) & set(ranges)
    assert np.isfinite(list(ranges.values())).all()


def test_nothing_else_is_replaced_by_accident(trtcal, tmp_path):
    source = tmp_path / "in.cache"
    source.write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    model = tmp_path / "model.onnx"
    model.write_bytes(b"\x08\x07 precious")
    refused = trtcal("convert", source, "-o", model, "--to", "ort")
    assert refused.code == 2
    assert "--force" in refused.err
    assert model.read_bytes() == b"\x08\x07 precious"
    same = trtcal("convert", source, "-o", source, "--to", "ort")
    assert same.code == 2
    assert source.read_text().startswith("TRT-")
    assert trtcal("convert", source, "-o", model, "--to", "ort", "--force").code == 0
    assert model.read_text() == "x 127.0\n"
    older = tmp_path / "older.txt"
    older.write_text("y 1.0\n")
    assert trtcal("convert", source, "-o", older, "--to", "ort").code == 0, "another table may be replaced"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(trtcal, tmp_path):
    source = tmp_path / "in.cache"
    source.write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    folder = tmp_path / "ro"
    folder.mkdir(mode=0o500)
    refused = trtcal("convert", source, "-o", folder / "out", "--to", "ort")
    assert refused.code == 2
    assert "cannot be written" in refused.err


def test_missing_folder_and_folder_as_file(trtcal, tmp_path):
    source = tmp_path / "in.cache"
    source.write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    assert "does not exist" in trtcal("convert", source, "-o", tmp_path / "no" / "out", "--to", "ort").err
    assert "is a folder" in trtcal("convert", source, "-o", tmp_path, "--to", "ort").err


def test_version_belongs_to_a_cache(trtcal, tmp_path):
    source = tmp_path / "in.cache"
    source.write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    refused = trtcal("convert", source, "-o", tmp_path / "out", "--to", "ort", "--trt-version", "8.6.1")
    assert refused.code == 2
    assert "11" in trtcal("convert", source, "-o", tmp_path / "out", "--to", "cache", "--trt-version", "11.0").err


@pytest.mark.parametrize("target", ["cache", "ranges", "ort", "json"])
def test_without_a_file_the_text_alone_goes_to_stdout(shell, tmp_path, target):
    source = shared_path("data/golden/CalibrationTablemnist")
    written = tmp_path / "out"
    assert shell("convert", source, "--to", target, "-o", written).returncode == 0
    printed = shell("convert", source, "--to", target)
    assert printed.returncode == 0
    assert printed.stdout.rstrip("\n") == written.read_text().rstrip("\n")
    assert "8 tensors" in printed.stderr


@pytest.mark.parametrize("target", ["flatbuffers", "qdq"])
def test_what_is_no_text_needs_a_file(trtcal, target):
    shown = trtcal("convert", shared_path("data/golden/CalibrationTablemnist"), "--to", target)
    assert shown.code == 2
    assert "--output" in shown.err
