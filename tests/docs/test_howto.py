"""The how-to pages: their Python runs from top to bottom, on small models, and what they promise comes out."""

from __future__ import annotations

import re

import pytest

from tests.support.howto import furnish_howto
from tests.support.pages import ROOT, python_of
from trtcal_widgets import CalibrationCache
from trtcal_widgets.cli import main
from trtcal_widgets.model.load import load_graph


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a page in a folder with the files that it names; returns the names that it made."""
    monkeypatch.chdir(tmp_path)

    def run(page):
        furnish_howto(page, tmp_path)
        names = {}
        exec(compile(python_of(page), str(ROOT / page), "exec"), names)  # noqa: S102 - our own page
        return names

    return run


def operators(path):
    return [node.op_type for node in load_graph(path).nodes]


def test_yolo(run, tmp_path, capsys):
    names = run("docs/howto/yolo.md")
    printed = capsys.readouterr().out
    page = (ROOT / "docs/howto/yolo.md").read_text("utf-8")
    quoted = " ".join(re.findall(r"^> (.*)$", page, re.MULTILINE)).split(" […]")
    assert len(quoted) == 2
    assert [
        part
        for part in (*quoted, re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0])
        if part not in printed
    ] == []
    assert {h.kind for h in names["hazards"] if h.severity == "severe"} >= {"concat-ranges"}
    assert names["planned"].value >= names["everything"].value
    assert 0 < names["planned"].value <= 1
    kept = {layer.name for layer in load_graph(tmp_path / "yolov8n.onnx").nodes if layer.name in names["plan"].keep}
    assert "/model.22/Concat_5" in kept
    assert operators(tmp_path / "yolov8n.qdq.onnx").count("QuantizeLinear") > 10
    assert (tmp_path / "yolo.cache").read_text().startswith("TRT-101601-EntropyCalibration2")


def test_classifier(run, tmp_path):
    names = run("docs/howto/classifier.md")
    assert set(names["top1"]) == {"entropy", "minmax", "percentile"}
    assert {"resnet18.cache", "resnet18.qdq.onnx"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.models
def test_bert(run, tmp_path):
    scores = run("docs/howto/bert.md")["scores"]
    assert scores["minmax"] > scores["entropy"]
    assert scores["minmax, six layers kept"] > scores["minmax"]
    assert scores["minmax, FP8"] > scores["minmax"]
    assert {"bert.qdq.onnx", "bert.fp8.onnx"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.models
def test_detector(run, tmp_path):
    names = run("docs/howto/detector.md")
    assert set(names["scores"]) == {"entropy", "minmax", "percentile"}
    assert all(0 < score < 1 for score in names["scores"].values())
    assert operators(tmp_path / "det.qdq.onnx").count("QuantizeLinear") > 20


def test_tensorrt11(run, tmp_path):
    run("docs/howto/tensorrt11.md")
    assert main(["convert", "model.qdq.onnx", "--to", "cache", "-o", "back.cache"]) == 0
    old, back = (CalibrationCache.read(tmp_path / f"{name}.cache").scales for name in ("calibration", "back"))
    assert back["flat"] == old["flat"], "the tensor with a pair has its scale back, to the bit"
    assert "QuantizeLinear" in operators(tmp_path / "model.qdq.onnx")


def test_accuracy_drop(run, tmp_path):
    names = run("docs/howto/accuracy-drop.md")
    found = names["found"]
    assert found.before.value < found.goal <= found.after.value
    assert names["worst"].node == "conv2"
    assert found.plan.amax or found.plan.keep
    assert (tmp_path / "mended.qdq.onnx").exists()


def test_data_set(run, tmp_path):
    names = run("docs/howto/data-set.md")
    assert len(names["few"].samples) == 25
    assert names["comparison"].parted
    assert (tmp_path / "recorded.trtcal").exists()
