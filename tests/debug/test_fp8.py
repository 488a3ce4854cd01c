"""FP8 beside INT8, simulated."""

from __future__ import annotations

import numpy as np

from trtcal_widgets import sample
from trtcal_widgets.debug import Evaluation, Fp8Simulation, Int8Simulation

SCALES = {"data": 1 / 127, "pool1": 2.0 / 127, "flatten": 4.0 / 127, "relu1": 4.0 / 127}


def test_fp8_is_simulated_with_the_same_thresholds():
    evaluation = Evaluation(sample.calibration_images(), batch_size=50, max_batches=4)
    int8, fp8 = Int8Simulation(sample.model_path(), SCALES), Fp8Simulation(sample.model_path(), SCALES)
    assert int8.placed == fp8.placed
    a, b = int8.compare(evaluation), fp8.compare(evaluation)
    assert a.tensors.keys() == b.tensors.keys()
    assert {name for name, one in b.tensors.items() if one.quantized} == {"pool1", "flatten", "relu1"}
    assert b.tensors["pool1"].amax == a.tensors["pool1"].amax
    # E4M3 keeps 4 bits of every value: about 31 dB on real activations, less than INT8's with good thresholds.
    sqnr = b.tensors["ip2"].comparison.sqnr_db
    assert 20 < sqnr < 40
    assert a.tensors["ip2"].comparison.sqnr_db > sqnr
    assert b.int8.top1 > 0.97


def test_a_changed_plan_is_scored_in_fp8():
    evaluation = Evaluation(sample.calibration_images(), batch_size=50, max_batches=2)
    simulation = Fp8Simulation(sample.model_path(), SCALES)
    whole = simulation.score(evaluation)
    kept = simulation.score(evaluation, simulation.plan.with_kept(["ip1", "ip2"]))
    assert np.isfinite(whole.outputs.sqnr_db)
    assert kept.outputs.sqnr_db > whole.outputs.sqnr_db
