"""Calibrators, runner and engines on a real GPU's memory; what TensorRT computes is still the stand-in's."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.runners.evaluation import Evaluation
from trtcal_widgets.session import CalibrationSession
from trtcal_widgets.trt import Execution, TensorRTRunner, build, compare, make_calibrator

pytestmark = pytest.mark.gpu

LENET = sample.model_path()
IMAGES = np.random.default_rng(11).standard_normal((64, 1, 28, 28)).astype(np.float32)


def test_histograms_of_every_tensor_are_those_of_the_cpu_bit_for_bit(gpu_machine):
    bases: dict[str, float] = {}
    with TensorRTRunner(LENET) as runner:
        for size in (16, 64, 5):
            feeds = {"data": IMAGES[:size] * size}  # larger values each time: ranges grow by doubling
            found = dict(runner.histograms(feeds, bases))
            for name, array in runner.infer(feeds):
                expected = Histogram.of(array, bases.get(name))
                np.testing.assert_array_equal(found[name].counts, expected.counts, err_msg=name)
                for field in ("base", "doublings", "edge", "zeros", "nans", "infs", "minimum", "maximum"):
                    assert getattr(found[name], field) == getattr(expected, field), (name, field)
                bases.setdefault(name, expected.base)


def test_a_session_on_the_gpu_exports_the_scales_of_its_own_activations(gpu_machine):
    with CalibrationSession(TensorRTRunner(LENET), sample.calibration_images(), batch_size=50) as session:
        session.run()
        # The images are the same on every machine: this is the row of NVIDIA's own published table.
        assert session.to_cache().hex("data") == "3c008912"


def test_calibration_batches_arrive_on_the_device(gpu_machine):
    with make_calibrator(IMAGES, batch_size=16) as calibrator:
        engine = build(LENET, calibrator=calibrator)
    np.testing.assert_array_equal(np.concatenate([feeds["data"] for feeds in gpu_machine.calibrated_with]), IMAGES)
    assert engine.provenance["device"]["compute_capability"] >= [7, 0]
    found = compare(engine, LENET, Evaluation(sample.test_images(), batch_size=16, max_batches=2), latency_runs=3)
    assert found.tensors["prob"].cosine > 0.99
    with Execution(engine) as execution:
        assert execution.run({"data": IMAGES[:3]})["prob"].shape == (3, 10)
