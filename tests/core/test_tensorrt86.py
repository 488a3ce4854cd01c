"""TensorRT 8.6.0 on an H100: the rows that it wrote for data sets of 20 distributions and 8 ways of growing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.core import oracles
from tests.support.shared import shared_path
from trtcal_widgets.core import calibrate_array
from trtcal_widgets.formats.cache import CalibrationCache


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


@pytest.mark.parametrize(
    ("name", "seed", "method", "n_rows"),
    [("entropy2_1", 1, "entropy", 400), ("entropy2_2", 2, "entropy", 640), ("minmax_2", 2, "minmax", 640)],
)
def test_every_row_is_tensorrts_bit_for_bit(datasets, name, seed, method, n_rows):
    expected = rows_of(name)
    got = {row: calibrate_array(batches, method).hex for row, batches in data_of(datasets, seed)}
    assert len(got) == n_rows
    assert set(got) == set(expected)
    assert [row for row in got if got[row] != expected[row]] == []


def test_a_tie_of_the_exact_divergence_is_broken_by_the_plain_sum(datasets):
    """The Relu of 2 x 100 values: i = 1517 and 1754 are equal, but for rounding."""
    histogram = calibrate_array(dict(data_of(datasets, 2))["out112"]).histogram
    exact = [oracles.exact_divergence(histogram.counts, i) for i in (1517, 1754)]
    assert exact[0] == pytest.approx(exact[1], rel=0, abs=1e-15)
    assert oracles.entropy_pick(histogram.counts) == 1517
    assert calibrate_array(dict(data_of(datasets, 2))["out112"]).curve.pick == 1517
