"""``trtcal show``, ``diff`` and ``convert`` on models with Q/DQ."""

from __future__ import annotations

import json

import pytest

from tests.support.foreign_qdq import by_onnxruntime, symmetric
from trtcal_widgets import sample
from trtcal_widgets.cli import main
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.formats.cache import CalibrationCache

SCALES = {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    build_qdq(sample.model_path(), SCALES).write(folder / "ours.onnx")
    symmetric(folder / "theirs.onnx")
    by_onnxruntime(folder / "asymmetric.onnx")
    return folder


def test_show(folder, capsys):
    assert main(["show", str(folder / "ours.onnx")]) == 0
    out = capsys.readouterr().out
    assert "4 activations, 4 constants (4 of them per channel)" in out
    assert "20 on axis 0" in out


def test_show_as_json(folder, capsys):
    assert main(["show", str(folder / "asymmetric.onnx"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == "qdq"
    assert {pair["name"] for pair in found["pairs"] if not pair["constant"]} >= {"data", "prob"}
    assert {oddity["kind"] for oddity in found["oddities"]} >= {"asymmetric"}


def test_diff_of_models(folder, capsys):
    assert main(["diff", str(folder / "ours.onnx"), str(folder / "ours.onnx")]) == 0
    assert main(["diff", str(folder / "ours.onnx"), str(folder / "theirs.onnx")]) == 1
    out = capsys.readouterr().out
    assert "quantised only in B" in out
    assert out.index("data  ") < out.index("pool1  ") < out.index("flatten  ")
    assert main(["diff", str(folder / "ours.onnx"), str(folder / "theirs.onnx"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] == 4
    assert not found["same"]


def test_back_to_a_cache_and_to_our_pairs(folder, capsys, tmp_path):
    cache, model = tmp_path / "calibration.cache", tmp_path / "again.onnx"
    options = ["--to", "cache", "--trt-version", "8.6.1", "-o", str(cache)]
    assert main(["convert", str(folder / "theirs.onnx"), *options]) == 0
    assert CalibrationCache.read(cache).header == "TRT-8601-EntropyCalibration2"
    assert main(["diff", str(folder / "theirs.onnx"), str(cache), "--scales-only"]) == 0
    options = ["--to", "qdq", "--model", str(sample.model_path()), "-o", str(model)]
    assert main(["convert", str(folder / "theirs.onnx"), *options]) == 0
    capsys.readouterr()


def test_tensors_without_a_scale_are_named_for_dla(folder, capsys, tmp_path):
    assert main(["convert", str(folder / "ours.onnx"), "--to", "ranges", "-o", str(tmp_path / "r.txt")]) == 0
    out = capsys.readouterr().out
    assert "3 tensors of the model have no scale (ip1, ip2, prob)" in out


def test_a_float_model_has_no_scales(capsys):
    assert main(["show", str(sample.model_path())]) == 2
    assert "trtcal calibrate" in capsys.readouterr().err
