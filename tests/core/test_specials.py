"""TensorRT 8.6.0 on NaN, infinity, zeros, denormals, huge values and growth: ``shared/data/trt86/specials.json``."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.support.shared import shared_path
from tests.support.trt86 import rows_of
from trtcal_widgets.core.calibrate import calibrate_array

METHODS = {"entropy2": "entropy", "minmax": "minmax", "legacy": "legacy:0.999,1"}

SPECIALS = json.loads(shared_path("data", "trt86", "specials.json").read_text("utf-8"))


def batches_of(case):
    """Return the network's input as the data's README describes it."""
    random = np.random.default_rng(3)
    batches = [random.normal(0, 1, (1, 1, 1, 4096)).astype(np.float32) for _ in range(3)]
    for word, value in (("ninf", -np.inf), ("nan", np.nan), ("inf", np.inf)):
        if case in (f"{word}0", f"{word}1"):
            batches[int(case[-1])].flat[0] = value
    firsts = {"exactR": (8, 8), "exact2R": (4, 8), "max": (3.4e38,)}
    for batch, value in zip(batches, firsts.get(case, ()), strict=False):
        batch.flat[0] = value
    for k in {"zero0": (0,), "zero01": (0, 1), "allzero": (0, 1, 2)}.get(case, ()):
        batches[k][:] = 0
    factors = {"grow3": (1, 3), "grow100": (2, 100), "grow1e6": (2, 1e6)}
    if case in factors:
        k, factor = factors[case]
        batches[k] *= np.float32(factor)
    if case == "allnan0":
        batches[0][:] = np.nan
    if case == "denorm":
        batches = [batch * np.float32(1e-40) for batch in batches]
    return batches[:1] if case == "one" else batches


def tensors_of(case):
    """Return x, y = Relu(x) (0 of a NaN) and z = Sigmoid(y)."""
    x = batches_of(case)
    y = [np.where(np.isnan(batch), np.float32(0), np.maximum(batch, 0)) for batch in x]
    with np.errstate(all="ignore"):
        z = [(1 / (1 + np.exp(-batch.astype(np.float64)))).astype(np.float32) for batch in y]
    return {"x": x, "y": y, "z": z}


@pytest.mark.parametrize("factor", [1e30, 3.4e38])
def test_a_batch_that_is_far_too_large_is_taken_as_one_with_infinite_values(factor):
    """As 8.6.0 did with 1e30, 3e38 and 3.4e38, while with 1e12 the range grew."""
    first, second = np.random.default_rng(4).normal(0, 1, (2, 4096)).astype(np.float32)
    second[:64] = factor
    result = calibrate_array([first, second])
    assert result.histogram.range == float(np.abs(first).max())
    assert result.histogram.counts.sum() == result.histogram.n_finite == 8192
    assert result.histogram.counts[2047] >= 64
    second[:64] = np.inf
    assert result.hex == calibrate_array([first, second]).hex
    second[:64] = 1e12
    assert calibrate_array([first, second]).histogram.range >= float(np.float32(1e12))


@pytest.mark.parametrize("key", [key for key in SPECIALS if not key.endswith("_none")])
def test_every_row_is_tensorrts(key):
    algorithm, case = key.split("_", 1)
    tensors = tensors_of(case)
    expected = rows_of(SPECIALS[key]["cache"])
    # The legacy calibrator runs after fusion: the Relu's output is inside a kernel.
    assert set(expected) == ({"x", "z"} if algorithm == "legacy" else {"x", "y", "z"})
    for row, scale in expected.items():
        result = calibrate_array(tensors[row], METHODS[algorithm])
        assert result.infinite_in_tensorrt == math.isinf(scale), row
        assert math.isfinite(result.scale)
        if row == "z":  # the sigmoids of a GPU and of NumPy differ in their last bits
            assert result.scale == pytest.approx(scale, rel=3e-6)
        elif math.isfinite(scale):
            assert result.scale == scale, row
