"""TensorRT 8.6.0 on an H100: the rows that it wrote for data sets of 20 distributions and 8 ways of growing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.core import oracles
from tests.support.shared import shared_path
from trtcal_widgets.core import calibrate_array
from trtcal_widgets.core.thresholds import Method, threshold, threshold_curve
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.scales import scale_of_amax, scale_to_hex


@pytest.fixture(scope="module")
def datasets():
    path = shared_path("data", "trt86", "datasets.py")
    spec = importlib.util.spec_from_file_location("trt86_datasets", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(name):
    cache = CalibrationCache.read(shared_path("data", "trt86", "histograms", f"{name}.cache"))
    return {row.name: row.digits for row in cache.rows}


def data_of(datasets, seed):
    """Yield each network input of a seed and its Relu, by the name of its row."""
    for k in range(datasets.SEEDS[seed][0]):
        batches = datasets.dataset(seed, k)
        yield f"in{k}", batches
        yield f"out{k}", [np.maximum(batch, 0) for batch in batches]


@pytest.fixture(scope="module")
def histograms(datasets):
    return {
        (seed, row): calibrate_array(batches, "minmax").histogram
        for seed in (1, 2)
        for row, batches in data_of(datasets, seed)
    }


PAIRS = ((1, 1), (0.9999, 1), (0.99, 1), (0.5, 1), (0.99, 0.5), (0.99, 0.1))


@pytest.mark.parametrize(
    ("name", "seed", "method", "n_rows"),
    [
        ("entropy2_1", 1, "entropy", 400),
        ("entropy2_2", 2, "entropy", 640),
        ("minmax_2", 2, "minmax", 640),
        *((f"legacy_2_{q:.10g}{'.0' * (q == 1)}_{c}{'.0' * (c == 1)}", 2, f"legacy:{q},{c}", 640) for q, c in PAIRS),
    ],
)
def test_every_row_is_tensorrts_bit_for_bit(histograms, name, seed, method, n_rows):
    expected = rows_of(name)
    got = {
        row: scale_to_hex(float(scale_of_amax(threshold(histogram, method))))
        for (s, row), histogram in histograms.items()
        if s == seed
    }
    assert len(got) == n_rows
    assert set(got) == set(expected)
    assert [row for row in got if got[row] != expected[row]] == []


@pytest.mark.parametrize(("quantile", "cutoff"), PAIRS)
def test_the_legacy_curve_picks_what_the_threshold_is(histograms, quantile, cutoff):
    method = Method("legacy", quantile, cutoff)
    by_line = 0
    for k, histogram in enumerate(histograms.values()):
        if k % 7 == 0:
            curve = threshold_curve(histogram, method)
            assert curve.amax == threshold(histogram, method)
            assert np.abs(curve.candidates - curve.amax).min() == abs(curve.candidates[curve.pick - 128] - curve.amax)
            by_line += "line" in curve.objective_label
    assert (by_line > 0) == (cutoff < 1)


def test_a_tie_of_the_exact_divergence_is_broken_by_the_plain_sum(datasets):
    """The Relu of 2 x 100 values: i = 1517 and 1754 are equal, but for rounding."""
    histogram = calibrate_array(dict(data_of(datasets, 2))["out112"]).histogram
    exact = [oracles.exact_divergence(histogram.counts, i) for i in (1517, 1754)]
    assert exact[0] == pytest.approx(exact[1], rel=0, abs=1e-15)
    assert oracles.entropy_pick(histogram.counts) == 1517
    assert calibrate_array(dict(data_of(datasets, 2))["out112"]).curve.pick == 1517
