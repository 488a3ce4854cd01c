"""The entropy search against the loop that TENSORRT_FACTS describes, on histograms of many kinds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from tests.core import oracles
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.kernels.searching import plain_sum, prefix_sums, scratch
from trtcal_widgets.core.thresholds import FIRST_CANDIDATE, threshold, threshold_curve


def of_values(values):
    return Histogram.of(np.asarray(values, np.float32))


def of_counts(counts):
    return Histogram(base=1.0, doublings=0, counts=np.asarray(counts, np.int64), maximum=1.0)


def sparse_counts(rng):
    counts = np.zeros(N_BINS, np.int64)
    places = rng.choice(N_BINS, rng.integers(1, 40), replace=False)
    counts[places] = rng.integers(1, 1000, places.size)
    return of_counts(counts)


def equal_counts(rng):
    """Few distinct counts: many candidates whose terms are the same numbers in another order."""
    counts = np.zeros(N_BINS, np.int64)
    counts[rng.choice(N_BINS, rng.integers(2, 200), replace=False)] = rng.integers(1, 3)
    return of_counts(counts)


def softmax(rng):
    logits = rng.standard_normal((300, 20)) * 3.0
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return of_values(powers / powers.sum(axis=1, keepdims=True))


def grown(rng):
    """The last bins are empty, because the range doubled for values not far beyond it."""
    values = rng.standard_normal(4000)
    return Histogram.of(values.astype(np.float32), float(np.abs(values).max()) * rng.uniform(0.05, 0.9))


KINDS = {
    "gaussian": lambda rng: of_values(rng.standard_normal(rng.integers(10, 100_000))),
    "laplace": lambda rng: of_values(rng.laplace(size=20_000)),
    "heavy tail": lambda rng: of_values(rng.standard_t(2.5, size=20_000)),
    "relu": lambda rng: of_values(np.maximum(rng.standard_normal(30_000) - rng.uniform(-1, 2), 0)),
    "sigmoid": lambda rng: of_values(1 / (1 + np.exp(-4 * rng.standard_normal(30_000)))),
    "softmax": softmax,
    "lattice": lambda rng: of_values(rng.integers(0, rng.integers(3, 300), 5000) / 255.0),
    "uniform counts": lambda rng: of_counts(rng.integers(0, 100, N_BINS)),
    "rare counts": lambda rng: of_counts(rng.integers(0, 1000, N_BINS) * (rng.random(N_BINS) < 0.1)),
    "huge counts": lambda rng: of_counts(rng.integers(0, 1 << 40, N_BINS)),
    "sparse": sparse_counts,
    "equal": equal_counts,
    "grown": grown,
}


@njit
def _direct_sum(counts, i, room):
    prefix_sums(counts, room)
    return plain_sum(room, i)


ROOM = scratch()


def direct_sum(counts, i):
    """The divergence of one candidate as the kernel adds it up where others are close."""
    return _direct_sum(np.asarray(counts).astype(np.int64), i, ROOM)


def assert_agrees(histogram):
    curve = threshold_curve(histogram, "entropy")
    expected = oracles.entropy_curve(np.array(histogram.counts))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(curve.objective), finite)
    np.testing.assert_allclose(curve.objective[finite], expected[finite], rtol=0, atol=1e-10)
    pick = oracles.entropy_pick(histogram.counts)
    assert curve.pick == pick
    assert curve.amax == oracles.entropy_amax(histogram.range, pick)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_curve_and_pick_are_the_direct_loops(kind, seed):
    assert_agrees(KINDS[kind](np.random.default_rng([seed, *kind.encode()])))


@pytest.mark.parametrize(
    "bins", [[0], [1], [2047], [0, 1], [0, 2047], [1, 2047], [127], [128], [100, 101], [2046, 2047]]
)
@pytest.mark.parametrize("count", [1, 7, 1 << 45])
def test_one_and_two_bins(bins, count):
    counts = np.zeros(N_BINS, np.int64)
    counts[bins] = count
    assert_agrees(of_counts(counts))


def test_a_candidate_that_keeps_one_bin_alone_does_not_count():
    """Its divergence would be 0, as that of 2048 is, where each value is alone in its level and nothing is clipped."""
    histogram = of_values(np.repeat([8.0, 16.0, 32.0], [6400, 1600, 400]))
    curve = threshold_curve(histogram)
    assert np.flatnonzero(histogram.counts).tolist() == [512, 1024, 2047]
    assert math.isinf(curve.objective[513 - FIRST_CANDIDATE])
    assert curve.pick == 2048
    assert_agrees(histogram)


def test_of_two_bins_the_rule_takes_none_away():
    """Two non-empty bins below a candidate are enough for it to count, and one is where nothing lies beyond."""
    histogram = of_values(np.repeat([4.0, 8.0, 32.0], [6400, 1600, 400]))
    curve = threshold_curve(histogram)
    assert math.isinf(curve.objective[257 - FIRST_CANDIDATE])
    assert math.isfinite(curve.objective[513 - FIRST_CANDIDATE])
    assert math.isfinite(curve.objective[2048 - FIRST_CANDIDATE])


def test_ties_in_another_order_of_terms_are_broken_by_the_plain_sum():
    """Mirrored counts give two candidates the same terms; plain summation tells them apart by its rounding."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        counts = np.zeros(N_BINS, np.int64)
        half = rng.integers(0, 4, 64)
        counts[1024 : 1024 + 64] = half
        counts[2048 - 64 :] = half[::-1]
        assert_agrees(of_counts(counts))


def test_a_constant_gets_half_a_bin_more_than_itself():
    for value in (1.0, 0.5, -3.25, 1e-20, 1e30):
        curve = threshold_curve(of_values([value] * 5))
        assert curve.pick == 2048
        assert curve.amax == float(np.float32(2048.5) * np.float32(abs(np.float32(value)) / 2048))


@pytest.mark.parametrize("base", [None, 1.0, 250.0])
def test_zeros_get_0_over_any_range(base):
    histogram = Histogram.of(np.zeros(9, np.float32), base)
    curve = threshold_curve(histogram)
    assert curve.amax == threshold(histogram) == 0.0
    assert curve.pick == 2048
    assert np.isinf(curve.objective).all()


def test_no_values_get_0():
    curve = threshold_curve(Histogram.empty())
    assert (curve.amax, curve.pick) == (0.0, 2048)
    assert np.isinf(curve.objective).all()


def test_everything_in_bin_0_leaves_no_candidate():
    """Bin 0 takes bin 1's count, 0: only a subset of batches that keeps the range of the others comes here."""
    histogram = Histogram.of(np.float32([1e-5, 2e-5]), 1.0)
    curve = threshold_curve(histogram)
    assert np.isinf(curve.objective).all()
    assert curve.amax == oracles.entropy_amax(1.0, 2048)


def test_the_threshold_next_to_the_largest_float_is_finite():
    largest = float(np.finfo(np.float32).max)
    curve = threshold_curve(of_values([largest, 0.0]))
    assert curve.pick == 2048
    assert curve.amax == largest


@pytest.mark.parametrize("h", [*range(3, 40), 1 << 40])
@pytest.mark.parametrize("occupied", [3, 5, 7])
def test_where_clipping_makes_p_equal_q_the_divergence_is_exactly_0(h, occupied):
    """The last level has bins of h and, at its end, one of 1; h - 1 are clipped: P and Q are both uniform."""
    i = 128 * 8
    counts = np.zeros(N_BINS)
    counts[i - occupied : i] = h
    counts[i - 1] = 1
    counts[i + 100] = h - 1
    assert oracles.exact_divergence(counts, i) == 0.0
    assert direct_sum(counts, i) == 0.0


def test_a_divergence_below_the_rounding_is_not_negative():
    """Counts that differ by one in 10**9: less than 1e-18 is lost, and float64 rounds that to either side of 0."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = np.zeros(N_BINS)
        counts[-4:] = int(rng.integers(1 << 30, 1 << 45)) + rng.integers(0, 3, 4)
        assert 0.0 <= direct_sum(counts, N_BINS) < 1e-15


def test_the_direct_sum_is_the_plain_one_to_the_last_bit():
    """Neighbours that share a level of 12 bins or one of 16, but not both; the pairs change places: equal but for the
    order of their terms, which shows in the last bits of some."""
    in_twelve, in_sixteen = [(79, 80), (127, 128)], [(203, 204), (299, 300)]
    rng = np.random.default_rng(1)
    told_apart = 0
    for _ in range(200):
        counts = np.zeros(N_BINS)
        drawn = rng.integers(1, 1000, (2, 2))
        for places, values in ((in_twelve, drawn), (in_sixteen, drawn[::-1])):
            for pair, value in zip(places, values, strict=True):
                counts[list(pair)] = value
        found = [direct_sum(counts, 128 * width) for width in (12, 16)]
        assert found == [oracles.plain_divergence(counts, 128 * width) for width in (12, 16)]
        assert found[0] == pytest.approx(found[1], rel=1e-13)
        told_apart += found[0] != found[1]
    assert told_apart


@pytest.mark.parametrize("kind", ["gaussian", "relu", "lattice", "equal"])
def test_the_direct_sum_is_the_exact_one_to_the_last_bits(kind):
    histogram = KINDS[kind](np.random.default_rng(3))
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    taken = np.flatnonzero(counts) + 1  # other candidates cannot be taken, and the search looks at none of them
    taken = np.append(taken[taken >= FIRST_CANDIDATE], N_BINS)
    for i in taken[:: max(len(taken) // 20, 1)].tolist():
        expected = oracles.exact_divergence(histogram.counts, i)
        assert math.isclose(direct_sum(counts, i), expected, rel_tol=1e-13, abs_tol=1e-16)


def test_the_objective_is_never_negative():
    for kind in KINDS.values():
        assert threshold_curve(kind(np.random.default_rng(11))).objective.min() >= 0.0


def test_the_counts_are_not_changed_by_the_search():
    histogram = KINDS["gaussian"](np.random.default_rng(0))
    before = np.array(histogram.counts)
    threshold_curve(histogram)
    np.testing.assert_array_equal(histogram.counts, before)
