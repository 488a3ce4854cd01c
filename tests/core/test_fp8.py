"""E4M3 against ml_dtypes bit for bit, and the estimate from a histogram against real arrays."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.core.fp8 import E4M3_MAX, _levels, fake_quantize_fp8, fp8_cost, fp8_scale
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.quantizer import fake_quantize
from trtcal_widgets.errors import UsageError


def by_ml_dtypes(array, scale):
    """Saturating E4M3, as ONNX's QuantizeLinear with ``saturate`` = 1."""
    levels = np.clip(np.asarray(array, np.float32) / np.float32(scale), -448, 448)
    return levels.astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * np.float32(scale)


def test_the_levels_are_all_values_that_the_type_has():
    codes = np.arange(0, 0x7F, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    np.testing.assert_array_equal(_levels(), codes)
    assert _levels()[-1] == E4M3_MAX == float(ml_dtypes.finfo(ml_dtypes.float8_e4m3fn).max)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 448, 3.7, 2.0**-40])
def test_rounding_is_that_of_ml_dtypes(scale):
    middles = (_levels()[1:] + _levels()[:-1]) / 2
    near = np.concatenate(
        [_levels(), middles, np.nextafter(middles, 0), np.nextafter(middles, 1e9), [449, 1e6, np.inf]]
    )
    values = np.concatenate([near, -near]).astype(np.float32) * np.float32(scale)
    np.testing.assert_array_equal(fake_quantize_fp8(values, scale), by_ml_dtypes(values, scale))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=50), st.floats(0.0078125, 100, width=32))
def test_rounding_is_that_of_ml_dtypes_for_any_values(values, scale):
    np.testing.assert_array_equal(fake_quantize_fp8(values, scale), by_ml_dtypes(values, scale))


def test_nan_stays_and_bad_scales_are_refused():
    assert math.isnan(fake_quantize_fp8([np.nan], 1.0)[0])
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="scale"):
            fake_quantize_fp8([1.0], scale)
    with pytest.raises(UsageError, match="amax"):
        fp8_scale(-1.0)
    assert fp8_scale(448.0) == 1.0


def arrays():
    random = np.random.default_rng(5)
    return {
        "normal": random.normal(0, 1, 200_000),
        "relu": np.maximum(random.normal(0, 1, 200_000), 0),
        "laplace": random.laplace(0, 1, 200_000),
        "uniform": random.uniform(-1, 1, 200_000),
        "sigmoid": 1 / (1 + np.exp(-random.normal(0, 2, 200_000))),
    }


@pytest.mark.parametrize("name", arrays())
@pytest.mark.parametrize("share", [1.0, 0.6, 0.2])
def test_the_estimate_is_what_the_array_loses(name, share):
    array = arrays()[name].astype(np.float32)
    histogram = Histogram.of(array)
    amax = share * histogram.amax
    cost = fp8_cost(histogram, amax)
    error = by_ml_dtypes(array, fp8_scale(amax)).astype(np.float64) - array
    beyond = np.abs(array) > amax
    assert cost.clip_noise == pytest.approx((error[beyond] ** 2).sum() / array.size, rel=0.02, abs=1e-12)
    assert cost.rounding_noise == pytest.approx((error[~beyond] ** 2).sum() / array.size, rel=0.03)
    assert cost.clipped_fraction == pytest.approx(beyond.mean(), abs=2e-3)
    power = (array.astype(np.float64) ** 2).mean()
    assert cost.sqnr_db == pytest.approx(10 * math.log10(power / (error**2).mean()), abs=0.15)


def test_it_is_worse_than_int8_for_even_values_and_better_for_a_long_tail():
    random = np.random.default_rng(1)
    even = random.uniform(-1, 1, 100_000).astype(np.float32)
    tail = (random.normal(0, 1, 100_000) * np.where(random.random(100_000) < 1e-3, 100, 1)).astype(np.float32)
    for array, better in ((even, False), (tail, True)):
        histogram = Histogram.of(array)
        error = fake_quantize(array, histogram.amax / 127) - array
        int8 = 10 * math.log10((array.astype(np.float64) ** 2).mean() / (error.astype(np.float64) ** 2).mean())
        assert (fp8_cost(histogram, histogram.amax).sqnr_db > int8) == better


def test_nothing_and_everything():
    empty = Histogram.empty()
    assert fp8_cost(empty, 1.0).rounding_noise == 0.0
    histogram = Histogram.of(np.ones(10, np.float32))
    assert fp8_cost(histogram, 0.0).clipped_fraction == 1.0
    with pytest.raises(UsageError, match="amax"):
        fp8_cost(histogram, math.nan)
