"""Smallest and largest value of each sample, found while a batch is counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trtcal_widgets.core import streams
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.steps import Step, StepKind
from trtcal_widgets.core.streams import Family, stream_histograms


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def expected(array):
    """NumPy's, sample by sample; NaN where a sample has no finite value."""
    rows = []
    for sample in np.asarray(array, np.float32):
        finite = sample[np.isfinite(sample)]
        rows.append([finite.min(), finite.max()] if finite.size else [np.nan, np.nan])
    return np.array(rows, np.float32)


def counted(arrays, samples, families=None, bases=None):
    with ThreadPoolExecutor(2) as pool:
        return dict(stream_histograms(iter(arrays.items()), bases or {}, pool, 2, families or {}, samples))


@pytest.mark.parametrize("shape", [(7, 3), (5, 1), (4, 2048), (3, 5000), (6, 2, 33, 65), (1, 70_001), (300, 7)])
def test_they_are_numpys(shape, rng):
    x = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, (shape[0],) + (1,) * (len(shape) - 1))).astype(
        np.float32
    )
    found = counted({"x": x, "positive": np.abs(x) + 1, "negative": -np.abs(x) - 1}, shape[0])
    np.testing.assert_array_equal(found["x"].samples, expected(x))
    np.testing.assert_array_equal(found["positive"].samples, expected(np.abs(x) + 1))
    np.testing.assert_array_equal(found["negative"].samples, expected(-np.abs(x) - 1))
    np.testing.assert_array_equal(found["x"].counts, Histogram.of(x).counts)


@pytest.mark.parametrize("per", [3, 2048, 3000])
def test_what_is_not_finite_is_no_extreme(per):
    x = np.tile(np.float32([1.0, -2.0, 0.5]), (4, per // 3 + 1))[:, :per].copy()
    x[0, 0], x[1, 1], x[2, :] = np.nan, np.inf, -np.inf
    found = counted({"x": x}, 4)["x"].samples
    np.testing.assert_array_equal(found, expected(x))
    assert np.isnan(found[2]).all()


def test_parts_of_a_large_array_are_put_together(rng, monkeypatch):
    monkeypatch.setattr(streams, "_PART", 1000)
    x = rng.standard_normal((3, 1777)).astype(np.float32)
    found = counted({"x": x}, 3, bases={"x": 0.5})
    np.testing.assert_array_equal(found["x"].samples, expected(x))


def test_what_is_made_of_another_tensor_has_them_too(rng):
    x = rng.standard_normal((9, 5000)).astype(np.float32)
    relu = Step(0, StepKind.CLIP, 0.0, float("inf"))
    found = counted({"x": x}, 9, {"x": Family(("relu",), (relu,))})
    np.testing.assert_array_equal(found["relu"].samples, expected(np.maximum(x, 0)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_other_dtypes_and_layouts(dtype, rng):
    x = (rng.standard_normal((5, 40)) * 9).astype(dtype)
    np.testing.assert_array_equal(counted({"x": x}, 5)["x"].samples, expected(x))
    gaps = x[:, ::2]
    np.testing.assert_array_equal(counted({"x": gaps}, 5)["x"].samples, expected(gaps))
    nhwc = rng.standard_normal((5, 4, 4, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(counted({"x": nhwc}, 5)["x"].samples, expected(nhwc))


def test_they_are_not_known_where_samples_do_not_lie_one_by_one(rng):
    x = rng.standard_normal((4, 6)).astype(np.float32)
    found = counted({"other": x[:3], "scalar": np.float32(2), "innermost": np.asfortranarray(x), "none": x[:, :0]}, 4)
    assert all(histogram.samples is None for histogram in found.values())
    assert counted({"x": x}, 0)["x"].samples is None
