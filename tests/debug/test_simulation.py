"""INT8 beside FP32: against plain runs of both models, and against NumPy for what one layer loses."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from tests.support.models import ocr_model
from tests.support.shared import shared_path
from trtcal_widgets import ArrayBatches, CalibrationSession, IdxImages, sample
from trtcal_widgets.debug import Control, Evaluation, Int8Simulation
from trtcal_widgets.errors import CancelledError, EvaluationError, ExportError, ModelError, UsageError
from trtcal_widgets.export.qdq import build_qdq


@pytest.fixture(scope="module")
def scales(session):
    return dict(session.to_cache().scales)


@pytest.fixture
def simulation(scales):
    return Int8Simulation(sample.model_path(), scales)


def plain_run(proto, images, names):
    """Run a model with plain onnxruntime, unoptimised, all named tensors as outputs."""
    proto = onnx.ModelProto.FromString(proto if isinstance(proto, bytes) else proto.SerializeToString())
    present = {info.name for info in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in present)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    run = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, run.run(names, {"data": images}), strict=True))


NAMES = ["conv1", "pool1", "conv2", "pool2", "ip1", "relu1", "ip2", "prob"]


def test_every_number_is_that_of_two_plain_runs(simulation, evaluation, scales):
    images = np.concatenate([next(iter(b.feeds.values())) for b in evaluation.plan])
    a = plain_run(onnx.load(sample.model_path()), images, NAMES)
    b = plain_run(build_qdq(sample.model_path(), scales).to_bytes(), images, NAMES)
    found = simulation.compare(evaluation)
    for name in NAMES:
        x, y = a[name].astype(np.float64), b[name].astype(np.float64)
        result = found.tensors[name]
        assert result.comparison.n == x.size
        assert result.sqnr_db == pytest.approx(10 * np.log10(np.sum(x * x) / np.sum((x - y) ** 2)), abs=1e-3)
        assert result.cosine == pytest.approx(np.sum(x * y) / np.linalg.norm(x) / np.linalg.norm(y), abs=1e-7)
        assert result.comparison.max_error == pytest.approx(np.abs(x - y).max(), rel=1e-4)
        assert result.reference.n_finite == result.tested.n_finite == x.size
    labels = evaluation.labels[: len(images)]
    assert found.fp32.top1 == np.mean(a["prob"].argmax(1) == labels)
    assert found.int8.top1 == np.mean(b["prob"].argmax(1) == labels)
    assert found.fp32.outputs.noise == 0.0
    clipped = np.mean(np.abs(a["pool1"]) > scales["pool1"] * 127)
    assert found.tensors["pool1"].clipped_fraction == pytest.approx(clipped, abs=2e-4)
    assert math.isnan(found.tensors["conv1"].clipped_fraction)


def test_memory_holds_one_batch_and_the_batches_may_have_any_size(simulation, evaluation):
    small = Evaluation(sample.test_images(), batch_size=7, max_batches=43)
    a, b = simulation.compare(small), simulation.compare(evaluation, names=["ip2"])
    assert list(b.tensors) == ["ip2"]
    assert a.int8.n_samples == 301
    assert a.tensors["ip2"].sqnr_db == pytest.approx(b.tensors["ip2"].sqnr_db, abs=0.2)


def test_lenet_in_int8_loses_at_most_half_a_percent_of_all_test_images(scales):
    images = IdxImages(
        shared_path("data", "mnist", "t10k-images-idx3-ubyte.gz"),
        shared_path("data", "mnist", "t10k-labels-idx1-ubyte.gz"),
    )
    found = Int8Simulation(sample.model_path(), scales).compare(Evaluation(images, batch_size=500), names=[])
    assert found.fp32.n_samples == 10_000
    assert found.fp32.top1 >= 0.985
    assert found.fp32.top1 - found.int8.top1 <= 0.005


def test_one_layer_alone_is_what_a_model_with_that_layer_alone_gives(simulation, evaluation, scales):
    images = np.concatenate([next(iter(b.feeds.values())) for b in evaluation.plan])
    a = plain_run(onnx.load(sample.model_path()), images, NAMES)
    ranked = {layer.node: layer for layer in simulation.isolated(evaluation)}
    assert set(ranked) == set(simulation.layers) == {"conv1", "conv2", "ip1", "ip2"}
    for node, layer in ranked.items():
        b = plain_run(build_qdq(sample.model_path(), scales, only={node}).to_bytes(), images, NAMES)
        noise = np.sum((a["prob"].astype(float) - b["prob"]) ** 2)
        assert layer.score.outputs.noise == pytest.approx(noise, rel=1e-3)
        own = np.sum((a[node].astype(float) - b[node]) ** 2)
        assert layer.own.noise == pytest.approx(own, rel=1e-3)
        upstream = NAMES[: NAMES.index(node)]
        assert all(np.array_equal(a[n], b[n]) for n in upstream)


def test_a_plan_recomputes_what_lies_behind_it_and_scores_as_a_whole_run_does(scales, evaluation):
    kept = Int8Simulation(sample.model_path(), scales)
    whole = Int8Simulation(sample.model_path(), scales, store_bytes=0)
    for keep in ([], ["ip2"], ["conv1", "ip1"], ["conv1", "conv2", "ip1", "ip2"]):
        plan = kept.plan.with_kept(keep)
        assert repr(kept.score(evaluation, plan)) == repr(whole.score(evaluation, plan))  # nan is not equal to itself
    everything = kept.score(evaluation, kept.plan.with_kept(kept.layers))
    assert everything.outputs.noise == 0.0
    moved = kept.plan.with_amax({"relu1": 0.01})
    assert repr(kept.score(evaluation, moved)) == repr(whole.score(evaluation, moved))
    assert kept.score(evaluation, moved).top1 < 0.9
    assert kept.reference_score(evaluation).top1 == whole.compare(evaluation, names=[]).fp32.top1


def test_a_closer_look_at_a_tensor(simulation, evaluation):
    detail = simulation.detail("conv2", evaluation)
    assert detail.pairs.shape[1] == 2
    assert 1000 < len(detail.pairs) <= 8000
    errors = np.abs(detail.pairs[:, 0] - detail.pairs[:, 1])
    assert errors.max() <= detail.comparison.max_error
    assert detail.error.amax == pytest.approx(detail.comparison.max_error, rel=1e-5)


def test_cancelling_and_progress(simulation, evaluation):
    told = []
    control = Control(lambda done, total, what: told.append((done, total, what)))
    simulation.isolated(evaluation, control=control)
    assert told[0][0] == 0
    assert told[-1][:2] == (12, 12)
    stopping = Control(lambda done, total, what: stopping.cancel())
    with pytest.raises(CancelledError, match="ranking layers"):
        simulation.isolated(evaluation, control=stopping)


def test_another_models_cache_is_refused_unless_forced(scales):
    other = {f"other/{name}": scale for name, scale in scales.items()}
    with pytest.raises(ExportError, match="0 of"):
        Int8Simulation(sample.model_path(), other)


def test_what_does_not_fit_is_named(simulation, evaluation):
    with pytest.raises(ModelError, match="'nothing' is not a layer"):
        simulation.isolated(evaluation, ["nothing"])
    wrong = Evaluation(sample.test_images(), batch_size=100, labels=np.full(1000, 10))
    with pytest.raises(EvaluationError, match="10 classes"):
        simulation.compare(wrong)
    with pytest.raises(UsageError, match="max_batches is a whole number of at least 1"):
        simulation.detail("conv1", evaluation, max_batches=0)
    with pytest.raises(ModelError, match="no tensor 'nothing'"):
        simulation.detail("nothing", evaluation)
    # The simulation is intact afterwards.
    assert simulation.compare(evaluation, names=[]).fp32.n_samples == 300


@pytest.mark.models
def test_every_quantised_layer_of_the_detector_has_results():
    rng = np.random.default_rng(4)
    images = rng.standard_normal((2, 3, 96, 96)).astype(np.float32)
    with CalibrationSession(ocr_model("det"), ArrayBatches(images), batch_size=1) as session:
        session.run()
    simulation = Int8Simulation(ocr_model("det"), dict(session.to_cache().scales))
    found = simulation.compare(Evaluation(ArrayBatches(images), batch_size=1))
    outputs = {name for node in simulation.graph.nodes if node.name in simulation.layers for name in node.outputs}
    assert outputs <= set(found.tensors)
    assert len(simulation.layers) > 60
    assert all(found.tensors[name].comparison.n > 0 for name in outputs)


def test_labels_are_judged_by_the_first_output_of_the_file(tmp_path, scales):
    """Features that come out beside the scores were taken for them, because they are computed first."""
    proto = onnx.load(sample.model_path())
    (prob,) = proto.graph.output
    proto.graph.output.append(onnx.helper.make_tensor_value_info("relu1", onnx.TensorProto.FLOAT, ["batch", 500]))
    assert proto.graph.output[0] == prob
    onnx.save(proto, tmp_path / "two.onnx")
    labelled = Evaluation(sample.test_images(), batch_size=100, max_batches=1, labels=sample.test_images().labels)
    assert Int8Simulation(tmp_path / "two.onnx", scales).reference_score(labelled).top1 > 0.9
