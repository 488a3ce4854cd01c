"""Errors between FP32 and INT8 tensors against numpy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trtcal_widgets.core.comparison import PairCounting, TensorComparison, histogram_kl
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.errors import UsageError

FINITE = st.floats(-1e6, 1e6, width=32)


@given(
    pair=hnp.array_shapes(max_dims=3, max_side=40).flatmap(
        lambda shape: st.tuples(
            hnp.arrays(np.float32, shape, elements=FINITE), hnp.arrays(np.float32, shape, elements=FINITE)
        )
    )
)
def test_sums_are_numpys(pair):
    a, b = pair
    x, y = a.astype(np.float64), b.astype(np.float64)
    found = TensorComparison.of(a, b)
    assert found.n == a.size
    assert found.signal == pytest.approx(np.sum(x * x), rel=1e-12)
    assert found.tested == pytest.approx(np.sum(y * y), rel=1e-12)
    assert found.product == pytest.approx(np.sum(x * y), rel=1e-9, abs=1e-9 * np.sum(np.abs(x * y)))
    assert found.noise == pytest.approx(np.sum((x - y) ** 2), rel=1e-12)
    assert found.absolute == pytest.approx(np.sum(np.abs(x - y)), rel=1e-12)
    assert found.max_error == pytest.approx(np.max(np.abs(x - y)), rel=1e-6)


def test_a_large_array_over_several_chunks_and_its_halves():
    rng = np.random.default_rng(1)
    a = rng.standard_normal(100_001).astype(np.float32)
    b = a + rng.standard_normal(a.size).astype(np.float32) / 64
    whole = TensorComparison.of(a, b)
    halves = TensorComparison.of(a[:7], b[:7]) + TensorComparison.of(a[7:], b[7:])
    assert whole.n == halves.n == a.size
    assert whole.noise == pytest.approx(halves.noise, rel=1e-12)
    assert whole.max_error == halves.max_error
    noise = np.mean((a.astype(float) - b) ** 2)
    assert whole.sqnr_db == pytest.approx(10 * np.log10(np.mean(a.astype(float) ** 2) / noise), rel=1e-9)
    assert whole.cosine == pytest.approx(float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)), rel=1e-5)


@pytest.mark.parametrize("at", [0, 4095, 4096, 9000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pairs_that_are_not_finite_are_counted_and_left_out(at, value):
    a = np.ones(9001, np.float32)
    b = np.full(9001, 1.5, np.float32)
    b[at] = value
    found = TensorComparison.of(a, b)
    assert (found.n, found.non_finite) == (9000, 1)
    assert (found.noise, found.max_error, found.mean_error, found.bias) == (2250.0, 0.5, 0.5, 0.5)


def test_the_edges_of_sqnr():
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert TensorComparison.of(one, one).sqnr_db == math.inf
    assert math.isnan(TensorComparison.of(zero, zero).sqnr_db)
    assert TensorComparison.of(zero, one).sqnr_db == -math.inf
    assert math.isnan(TensorComparison.of(zero, one).cosine)
    assert math.isnan(TensorComparison().sqnr_db)
    assert math.isnan(TensorComparison().mean_error)
    assert TensorComparison.of(np.zeros((0, 4)), np.zeros((0, 4))).n == 0


def test_shapes_must_agree():
    with pytest.raises(UsageError, match=r"\(3,\) and \(3, 1\)"):
        TensorComparison.of(np.zeros(3), np.zeros((3, 1)))


def test_kl_is_zero_for_equal_shapes_large_for_others_and_free_of_how_far_a_range_grew():
    rng = np.random.default_rng(2)
    values = rng.standard_normal(200_000).astype(np.float32)
    reference = Histogram.of(values, 1.0)
    same = Histogram.of(values, 1.0)
    crushed = Histogram.of(np.round(values), 1.0)
    assert histogram_kl(reference, same) < 0.01
    assert histogram_kl(reference, crushed) > 1
    longer = Histogram.of(np.append(values, np.float32(50)), 1.0)
    assert longer.doublings > reference.doublings
    assert histogram_kl(reference, longer) < 0.01
    assert math.isnan(histogram_kl(reference, Histogram.empty()))


def pair(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = np.maximum(rng.standard_normal(size), 0).astype(np.float32)
    return a, (a + rng.standard_normal(size) / 32).astype(np.float32)


def test_pairs_counted_together_are_what_each_is_alone():
    """Sizes around the kernels' blocks, growing ranges, other dtypes and layouts, NaN; some without a range."""
    pairs = [pair(size, size) for size in (1, 15, 4096, 131_072, 131_073, 300_001)]
    grown = pair(200_000, 1)
    grown[1][150_000] = 40.0
    odd = pair(5000, 2)
    odd[0][7], odd[1][8], odd[1][4999] = np.nan, np.inf, -np.inf
    wide = np.random.default_rng(3).standard_normal((40, 60))
    pairs += [grown, odd, (wide.T, wide.T.astype(np.float16)), (np.zeros(9), np.zeros(9)), (np.zeros(0), np.zeros(0))]
    bases = [None, 0.0, 0.25, 1.0, 2.0, 3.0, 5.0, None, 4.0, None, 1.0]
    found = list(PairCounting(pairs, bases).run().results())
    assert len(found) == len(pairs)
    for (a, b), base, (comparison, reference, tested) in zip(pairs, bases, found, strict=True):
        alone = TensorComparison.of(a, b)
        assert (comparison.n, comparison.non_finite, comparison.max_error) == (
            alone.n,
            alone.non_finite,
            alone.max_error,
        )
        assert comparison.noise == pytest.approx(alone.noise, rel=1e-12)
        assert comparison.product == pytest.approx(alone.product, rel=1e-12)
        expected = Histogram.of(a, base)
        for histogram, counted in ((reference, expected), (tested, Histogram.of(b, base or expected.base))):
            assert (histogram.base, histogram.doublings, histogram.edge) == (
                counted.base,
                counted.doublings,
                counted.edge,
            )
            assert (histogram.nans, histogram.infs, histogram.zeros) == (counted.nans, counted.infs, counted.zeros)
            np.testing.assert_array_equal(histogram.counts, counted.counts)
            assert histogram.total == pytest.approx(counted.total, rel=1e-9, abs=1e-9)


def test_a_pair_without_a_range_takes_the_tested_ones_where_the_reference_is_all_zero():
    ((comparison, reference, tested),) = (
        PairCounting([(np.zeros(4, np.float32), np.full(4, 3.0, np.float32))], [None]).run().results()
    )
    assert (reference.base, tested.base, comparison.max_error) == (0.0, 3.0, 3.0)


def test_shapes_of_pairs_must_agree():
    with pytest.raises(UsageError, match=r"\(3,\) and \(2,\)"):
        PairCounting([(np.zeros(3), np.zeros(2))], [None])
