"""``trtcal check`` on a command line."""

from __future__ import annotations

import json
from types import SimpleNamespace

import onnx
import pytest

from tests.support.rtx import need_rtx
from trtcal_widgets import sample
from trtcal_widgets.cli import main, progress
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.trt.control import Progress

SCALES = {"data": 0.008, "pool1": 0.015, "flatten": 0.03, "relu1": 0.017}


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    need_rtx()
    path = tmp_path_factory.mktemp("check") / "lenet.qdq.onnx"
    build_qdq(sample.model_path(), SCALES).write(path)
    return path


def test_a_model_that_is_taken(lenet, capsys, tmp_path):
    plan = tmp_path / "keep.json"
    assert main(["check", str(lenet), "--builder", "rtx", "--shape", "data=4x1x28x28", "--plan", str(plan)]) == 0
    out = capsys.readouterr().out
    assert "of 4 quantised layers 4 in INT8" in out
    assert "built for 4×1×28×28" in out
    assert PrecisionPlan.load(plan).keep == ()


def test_json(lenet, capsys):
    assert main(["check", str(lenet), "--builder", "rtx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_a_model_that_is_refused_ends_with_1(lenet, capsys, tmp_path):
    proto = onnx.load(lenet)
    for tensor in proto.graph.initializer:
        if tensor.name == "zero_point_int8":
            tensor.raw_data = b"\x05"
    onnx.save(proto, tmp_path / "odd.onnx")
    assert main(["check", str(tmp_path / "odd.onnx"), "--builder", "rtx"]) == 1
    out = capsys.readouterr().out
    assert "data_QuantizeLinear (QuantizeLinear)" in out
    assert "->" in out


def test_a_long_build_says_how_long_it_has_been_at_it(capsys, monkeypatch):
    """After two seconds, four, eight, …; a quick one says nothing."""
    seconds = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    with progress.show_build("a\x1bb.onnx") as show:
        for second in range(60):
            seconds[0] = second + 0.5
            show(Progress("Building engine", "", 4, 6))
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(", ")[2].split()[0] for line in lines] == ["2.5", "4.5", "8.5", "16", "32"]
    assert lines[0].endswith("b.onnx: building engine, step 5 of 6, 2.5 s so far (Ctrl-C stops)")
    assert "\x1b" not in lines[0]
    with progress.show_build("a.onnx") as show:
        show(Progress("Parse"))
    assert not capsys.readouterr().err


@pytest.mark.parametrize("shape", ["data", "data=1xax28", "=1x2", "other=1x1x28x28"])
def test_shapes_that_cannot_be_read(lenet, capsys, shape):
    assert main(["check", str(lenet), "--builder", "rtx", "--shape", shape]) == 2
    assert "shape" in capsys.readouterr().err


def test_a_file_that_is_no_model(capsys, tmp_path):
    path = tmp_path / "calibration.cache"
    path.write_text("TRT-8601-EntropyCalibration2\nx: 3c008912\n")
    assert main(["check", str(path)]) == 2
    assert "calibration.cache" in capsys.readouterr().err
