"""Engines against FP32, with the stand-in, which quantises outputs that have a scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.common.figures import decibels
from trtcal_widgets.core.comparison import TensorComparison
from trtcal_widgets.data import BatchPlan
from trtcal_widgets.errors import DataError, SessionError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.runners.evaluation import Evaluation, Score
from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.trt.building import build
from trtcal_widgets.trt.comparing import EngineComparison, compare
from trtcal_widgets.trt.execution import Latency

LENET = sample.model_path()
UP_TO_50 = {"data": ((1, 1, 28, 28), (50, 1, 28, 28), (50, 1, 28, 28))}
SCALES = {"data": 1 / 127, "conv1": 0.02, "prob": 1 / 127}


def engine_of(machine, **options):
    cache = CalibrationCache.build(SCALES, version=machine.version)
    return build(LENET, cache=cache, profiles=UP_TO_50, **options)


def test_outputs_accuracy_and_time_against_a_session(machine):
    evaluation = Evaluation(sample.test_images(), batch_size=50, max_batches=3)
    with CalibrationSession(LENET, sample.calibration_images(), batch_size=50, max_batches=1) as session:
        seen = []
        found = compare(engine_of(machine), session, evaluation, latency_runs=2, progress=seen.append)
        # Oracle: the stand-in's quantiser by hand.
        sums = TensorComparison()
        runner = OnnxRuntimeRunner(LENET)
        for batch in evaluation.plan:
            fp32 = dict(runner.infer(batch.feeds))["prob"]
            scale = float(np.float32(1 / 127))
            sums += TensorComparison.of(fp32, (np.clip(np.rint(fp32 / scale), -128, 127) * scale).astype(np.float32))
        runner.close()
        assert session.runner.infer(evaluation.plan.load(0).feeds), "the session's model stays open"
    with pytest.raises(UsageError, match="is closed"):  # although the session itself has run no batch
        session.runner.infer(evaluation.plan.load(0).feeds)
    assert found.tensors["prob"] == sums
    assert found.outputs == ("prob",)
    assert found.n_batches == 3
    assert found.fp32.n_samples == found.engine.n_samples == 150
    assert found.fp32.top1 > 0.95
    assert abs(found.lost) < 0.02
    assert found.latency.batch_size == 50
    assert [(p.done, p.total) for p in seen] == [(1, 3), (2, 3), (3, 3)]
    text = str(found)
    assert "150 samples in 3 batches" in text
    assert f"top-1: FP32 {found.fp32.top1:.4f}, engine {found.engine.top1:.4f}" in text
    assert f"SQNR {decibels(sums.sqnr_db)}" in text


@pytest.mark.parametrize(
    ("release", "debug", "kind", "inner"),
    [
        ("8.6.1", ["conv1", "relu1"], "outputs", {"conv1", "relu1"}),
        ("10.0.1", ["conv1", "relu1"], "marked", {"conv1", "relu1"}),
        ("10.16.1.11", ["conv1"], "marked", {"conv1"}),
        ("10.16.1.11", True, "unfused", {"conv1", "pool1", "conv2", "pool2", "flatten", "ip1", "relu1", "ip2"}),
    ],
)
def test_inner_tensors_of_an_engine_that_was_built_for_it(plug, release, debug, kind, inner):
    machine = plug(release)
    engine = engine_of(machine, debug=debug)
    assert engine.provenance["debug"]["kind"] == kind
    found = compare(engine, LENET, sample.test_images(), batch_size=20, latency_runs=0)
    assert set(found.tensors) == inner | {"prob"}
    assert found.outputs == ("prob",)
    assert found.latency is None
    assert found.tensors["prob"].noise > 0
    if kind == "outputs":  # the stand-in quantises outputs only, and conv1 has a scale
        assert found.tensors["conv1"].noise > 0
    else:
        assert all(found.tensors[name].cosine > 0.9999 for name in inner)
    assert not math.isnan(found.tensors["prob"].sqnr_db)


def test_all_unfused_tensors_need_a_release_that_marks_them(plug):
    machine = plug("10.0.1")
    with pytest.raises(UsageError, match="name them"):
        engine_of(machine, debug=True)


def test_padding_is_not_counted(machine):
    images = next(iter(BatchPlan(sample.test_images(), 30).load(0).feeds.values()))
    evaluation = Evaluation(images, batch_size=20, last="pad")
    found = compare(engine_of(machine), LENET, evaluation, latency_runs=0)
    assert found.tensors["prob"].n == 30 * 10
    assert found.fp32.n_samples == 30


def test_a_runner_can_be_given(machine):
    with OnnxRuntimeRunner(LENET) as runner:
        found = compare(engine_of(machine), runner, sample.test_images(), batch_size=50, latency_runs=0)
        assert found.n_batches == 20
        assert len(list(runner.infer({"": np.zeros((1, 1, 28, 28), np.float32)}))) == 10  # it is still open


def test_a_loaded_session_without_its_model_says_what_to_do(machine, tmp_path):
    with CalibrationSession(LENET, sample.calibration_images(), batch_size=50, max_batches=1) as session:
        session.step()
        session.save(tmp_path / "s.npz")
    loaded = CalibrationSession.load(tmp_path / "s.npz")
    with pytest.raises(SessionError, match="model="):
        compare(engine_of(machine), loaded, sample.test_images(), batch_size=50)


def test_an_engine_of_another_model_is_noticed(machine, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 1, 28, 28]) for n in ("data", "other")]
    graph = helper.make_graph([helper.make_node("Relu", ["data"], ["other"], "relu")], "g", info[:1], info[1:])
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    engine = build(path, int8=False, profiles=UP_TO_50)
    with pytest.raises(DataError, match="built from another model"):
        compare(engine, LENET, sample.test_images(), batch_size=50)


def test_what_progress_raises_ends_it_and_frees_everything(machine, driver):
    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(engine_of(machine), LENET, sample.test_images(), batch_size=50, latency_runs=0, progress=stop)
    assert not driver.blocks


def test_a_short_last_batch_is_filled_for_an_engine_of_one_batch_size(machine, tmp_path):
    import onnx

    model = onnx.load(LENET)
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 20
    onnx.save(model, tmp_path / "m.onnx")
    engine = build(tmp_path / "m.onnx", int8=False)
    images = next(iter(BatchPlan(sample.test_images(), 30).load(0).feeds.values()))
    found = compare(engine, tmp_path / "m.onnx", images, batch_size=20, latency_runs=0)
    assert found.tensors["prob"].n == 30 * 10
    assert found.engine.n_samples == 30


def test_what_a_notebook_shows_says_what_was_not_compared_whatever_the_names_are():
    errors = TensorComparison.of(np.ones(4, np.float32), np.ones(4, np.float32))
    tensors = {"it's": errors, "it's inside": errors}
    found = EngineComparison(
        tensors, ("it's",), Score(4, top1=1.0), Score(4, top1=0.5), Latency(1.0, 1.0, 1.0, 3, 4), {"gone": "because"}
    )
    lines = found._summary().lines
    assert lines == (
        "top-1: FP32 1.0000, engine 0.5000",
        "1.000 ms per batch of 4 (median of 3, copies left out)",
        "'gone' was not compared: because",
    )
    assert str(found).splitlines()[-1] == lines[-1]
