"""``trtcal tune``, with a recorded device and without one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from tests.support.recorded_device import RecordedDevice
from trtcal_widgets import sample
from trtcal_widgets.cli.app import main
from trtcal_widgets.errors import DeviceError
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.session import CalibrationSession


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50, max_batches=2) as session:
        session.run()
        session.save(folder / "s.trtcal")
    images = sample.test_images()
    np.save(folder / "images.npy", images.load(0, 100)[""])
    np.save(folder / "labels.npy", images.labels[:100])
    return folder


def run(files, *more):
    where = [str(files / name) for name in ("s.trtcal", "images.npy")]
    return main(
        ["tune", str(sample.model_path()), *where, "--labels", str(files / "labels.npy"), "--batch-size", "50", *more]
    )


class Opened(RecordedDevice):
    def __init__(self, feeds, **options):
        super().__init__()
        assert next(iter(feeds.values())).shape == (50, 1, 28, 28)
        self.options = options

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def test_with_a_device_the_fastest_that_is_accurate_is_written(files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trtcal_widgets.trt.measuring.device.EngineDevice", Opened)
    plan, qdq, out = tmp_path / "plan.json", tmp_path / "m.qdq.onnx", tmp_path / "t.json"
    journal = tmp_path / "journal.json"
    options = ("--plan", str(plan), "--qdq", str(qdq), "--json", str(out), "--journal", str(journal))
    assert run(files, *options) == 0
    said = capsys.readouterr().out
    assert "as the implicit engine ran it" in said
    assert "gain in INT8, us" in said
    assert set(PrecisionPlan.load(plan).keep) == {"conv1", "ip1", "ip2"}
    found = json.loads(out.read_text())
    assert found["device"] == RecordedDevice.name
    assert {point["kind"] for point in found["points"]} == {"fp32", "fp16", "implicit", "explicit"}
    assert qdq.stat().st_size > 0
    assert run(files, *options) == 0, "its own files are replaced, its journal is read"


def test_without_a_gpu_it_says_so_and_looks_at_accuracy(files, monkeypatch, capsys):
    def none(feeds, **options):
        raise DeviceError("there is no NVIDIA GPU")

    monkeypatch.setattr("trtcal_widgets.trt.measuring.device.EngineDevice", none)
    assert run(files, "--variants", "1") == 0
    said = capsys.readouterr()
    assert "nothing is measured" in said.err
    assert "there is no NVIDIA GPU" in said.err
    assert "no GPU: accuracy only" in said.out


def test_where_fp16_wins_the_files_are_there_and_keep_every_layer(files, tmp_path, monkeypatch, capsys):
    """A script goes on with the files that it asked for: nothing is in INT8, and that is no failure."""

    class Slow(Opened):
        def measure(self, variant, graph):
            found = super().measure(variant, graph)
            return replace(found, ms=found.ms + 1) if variant.kind == "explicit" else found

    monkeypatch.setattr("trtcal_widgets.trt.measuring.device.EngineDevice", Slow)
    plan, qdq = tmp_path / "plan.json", tmp_path / "m.qdq.onnx"
    assert run(files, "--plan", str(plan), "--qdq", str(qdq), "--variants", "1") == 0
    said = capsys.readouterr()
    assert "fastest that reaches the target: FP16" in said.out
    assert "plan.json: 4 layers kept" in said.out
    assert "FP16 wins, so that" in said.err
    assert "trtexec --fp16" in said.err
    assert "with pairs, the fastest that reaches the target is" in said.err
    assert "times as long; the layers that it keeps are what --json FILE writes" in said.err
    kept = PrecisionPlan.load(plan)
    assert (set(kept.keep), kept.precision) == ({"conv1", "conv2", "ip1", "ip2"}, "fp16")
    assert not {node.op_type for node in onnx.load(qdq).graph.node} & {"QuantizeLinear", "DequantizeLinear"}


def test_no_gpu_is_asked_for_where_it_is_not_wanted(files, monkeypatch, capsys):
    monkeypatch.setattr("trtcal_widgets.trt.measuring.device.EngineDevice", None)
    assert run(files, "--no-gpu", "--variants", "1") == 0
    assert "nothing is measured" not in capsys.readouterr().err


def test_an_empty_plan_is_a_plan(files, tmp_path, capsys):
    """All layers in INT8 keep none: their model has all pairs."""
    qdq = tmp_path / "m.qdq.onnx"
    assert run(files, "--no-gpu", "--variants", "1", "--qdq", str(qdq)) == 0
    said = capsys.readouterr()
    assert "fastest that reaches the target: all layers in INT8" in said.out
    assert "4 layers quantised" in said.out
    assert "keep every layer" not in said.err


def test_a_damaged_journal_is_replaced_with_force_as_it_says(files, tmp_path, capsys):
    journal = tmp_path / "j.json"
    journal.write_text('{"format": "trtcal_widgets tuning jou')
    assert run(files, "--no-gpu", "--variants", "1", "--journal", str(journal)) == 2
    assert "--force" in capsys.readouterr().err
    assert run(files, "--no-gpu", "--variants", "1", "--journal", str(journal), "--force") == 0
    assert json.loads(journal.read_text())["losses"]
