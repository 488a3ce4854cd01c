"""The methods beside entropy, their names, and what holds for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.core import oracles
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.thresholds import FIRST_CANDIDATE, METHODS, Method, threshold, threshold_curve
from trtcal_widgets.errors import UsageError

ALL = [
    *("entropy", "minmax", "percentile:99.99", "percentile:50", "percentile:100", "mse"),
    *("legacy:0.999", "legacy:1", "legacy:0.99,0.2"),
]
CANDIDATES = np.arange(FIRST_CANDIDATE, N_BINS + 1)


def rng(seed=0):
    return np.random.default_rng(seed)


VALUES = {
    "gaussian": lambda: rng().standard_normal(20_000),
    "laplace": lambda: rng().laplace(size=20_000),
    "relu": lambda: np.maximum(rng().standard_normal(20_000), 0),
    "uniform": lambda: rng().uniform(-1, 1, 20_000),
    "lattice": lambda: rng().integers(0, 256, 5000) / 255,
    "negative": lambda: -rng().random(500) - 2,
    "outlier": lambda: np.append(rng().standard_normal(20_000), 80.0),
    "one": lambda: np.array([0.37]),
}


def histogram_of(name, base=None):
    return Histogram.of(VALUES[name]().astype(np.float32), base)


# --- all methods ----------------------------------------------------------------------------------------------------

FLOATS = st.floats(-1e6, 1e6, width=32)
ARRAYS = hnp.arrays(np.float32, st.integers(1, 60), elements=FLOATS)


@settings(max_examples=60)
@given(ARRAYS, st.sampled_from([None, 1e-3, 1.0, 3e5]), st.sampled_from(ALL))
def test_what_holds_for_any_values(x, base, method):
    histogram = Histogram.of(x, base)
    curve = threshold_curve(histogram, method)
    assert threshold(histogram, method) == curve.amax
    assert curve.amax == float(np.float32(curve.amax))
    # A line through the tail may end at twice the range.
    longest = 4096.0 if method == "legacy:0.99,0.2" else 2048.5
    assert 0.0 <= curve.amax <= float(np.float32(longest) * np.float32(histogram.bin_width))
    assert FIRST_CANDIDATE <= curve.pick <= N_BINS
    assert curve.objective.shape == curve.candidates.shape == (1921,)
    assert not np.isnan(curve.objective).any()
    assert not curve.objective.flags.writeable
    assert (curve.objective >= 0.0).all()
    if not method.startswith(("entropy", "legacy")):
        # Only TensorRT's own may lie beyond the data: by up to a bin, or in the empty part of a grown range.
        assert curve.amax <= histogram.amax


@settings(max_examples=40)
@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=FLOATS.filter(lambda v: v == 0 or abs(v) > 1e-3)),
    st.integers(-40, 40),
    st.sampled_from(ALL),
)
def test_scaling_by_a_power_of_two_scales_amax_exactly(x, exponent, method):
    one, other = Histogram.of(x), Histogram.of(np.ldexp(x, exponent))
    assert threshold(other, method) == math.ldexp(threshold(one, method), exponent)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("name", VALUES)
def test_the_sign_and_the_order_do_not_matter(name, method):
    x = VALUES[name]().astype(np.float32)
    flipped = (x * rng(1).choice([-1, 1], x.size)).astype(np.float32)
    rng(2).shuffle(flipped)
    assert threshold(Histogram.of(x), method) == threshold(Histogram.of(flipped), method)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("base", [None, 4.0])
def test_no_values_and_only_zeros_give_0(method, base):
    for histogram in (Histogram.empty(), Histogram.of(np.zeros(5, np.float32), base)):
        assert threshold_curve(histogram, method).amax == threshold(histogram, method) == 0.0


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("value", [1e-45, 1e-38, float(np.finfo(np.float32).max)])
def test_the_ends_of_float32_give_a_finite_threshold(method, value):
    histogram = Histogram.of(np.array([value, value / 2, 0], np.float32))
    amax = threshold(histogram, method)
    assert math.isfinite(amax)
    assert amax == threshold_curve(histogram, method).amax
    assert np.isfinite(np.float32(amax) / np.float32(127))


# --- minmax, percentile, legacy -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("method", ["minmax", "percentile:100", "legacy:1"])
def test_keeping_everything_is_the_largest_value(name, method):
    expected = float(np.abs(VALUES[name]().astype(np.float32)).max())
    assert threshold(histogram_of(name), method) == expected


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("percent", [1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999])
def test_a_percentile_is_numpys_within_a_bin(name, percent):
    x = np.abs(VALUES[name]().astype(np.float32).astype(np.float64))
    histogram = histogram_of(name)
    # The value that the share reaches lies in one bin; numpy may answer with either neighbour in rank.
    low, high = (np.quantile(x, percent / 100, method=m) for m in ("inverted_cdf", "higher"))
    amax = threshold(histogram, f"percentile:{percent}")
    assert low - histogram.bin_width <= amax <= high + histogram.bin_width


@pytest.mark.parametrize("name", VALUES)
def test_a_higher_percentile_never_lowers_the_threshold(name):
    histogram = histogram_of(name)
    amax = [threshold(histogram, Method("percentile", p)) for p in np.linspace(0.1, 100, 200).tolist()]
    assert amax == sorted(amax)


def test_the_clipped_share_of_minmax_is_numpys_within_the_candidates_bin():
    x = np.abs(VALUES["laplace"]().astype(np.float32))
    histogram = histogram_of("laplace")
    curve = threshold_curve(histogram, "minmax")
    for i in (128, 300, 1000, 2047, 2048):
        beyond = int((x > curve.candidates[i - 128]).sum())
        in_bin = int(histogram.counts[i]) if i < N_BINS else 0
        assert abs(curve.objective[i - 128] * x.size - beyond) <= in_bin


def test_the_percentile_objective_is_smallest_at_its_pick():
    curve = threshold_curve(histogram_of("gaussian"), "percentile:99")
    assert abs(int(np.argmin(curve.objective)) + FIRST_CANDIDATE - curve.pick) <= 1


# --- legacy, beside what TensorRT wrote (test_tensorrt86.py) ---------------------------------------------------------


def of_counts(counts, **more):
    full = np.zeros(N_BINS, np.int64)
    for index, count in counts.items():
        full[index] = count
    return Histogram(base=2048.0, doublings=0, counts=full, maximum=float(max(counts)), **more)


def test_legacy_takes_the_upper_edge_of_the_bin_in_which_the_share_exceeds_the_quantile():
    histogram = of_counts({3: 50, 700: 25, 900: 25})
    got = {q: threshold(histogram, f"legacy:{q}") for q in (0.25, 0.49, 0.5, 0.74, 0.75, 0.99, 1)}
    # At 0.5 and 0.75 exactly the share is reached and not exceeded; nothing exceeds 1, so all of the range is kept.
    assert got == {0.25: 4.0, 0.49: 4.0, 0.5: 701.0, 0.74: 701.0, 0.75: 901.0, 0.99: 901.0, 1: 2048.0}


def test_nan_counts_as_0_for_the_legacy_quantile():
    histogram = of_counts({3: 50, 700: 25, 900: 25}, nans=300)
    assert threshold(histogram, "legacy:0.7") == 1.0
    assert threshold(histogram, "legacy:0.9") == 701.0


def exponential(last, scale=12.0):
    return {i: int(100_000 * 2.0 ** (-i / scale)) for i in range(1, last)}


def test_the_line_through_the_tail_is_numpys_least_squares():
    counts = exponential(150)
    y = np.log([c + 1.0 for c in counts.values()]) - 0.694
    kept = y >= 0.25 * y[0]
    slope, intercept = np.polyfit(np.array(list(counts))[kept] + 0.5, y[kept], 1)
    curve = threshold_curve(of_counts(counts), "legacy:0.5,0.25")
    assert curve.amax == pytest.approx(-intercept / slope, rel=1e-6)
    assert curve.objective_label == "distance of the tail's line from 0"
    assert threshold(of_counts(counts | {0: 10**9}), "legacy:0.5,0.25") == curve.amax  # bin 0 is no point


@pytest.mark.parametrize(
    ("counts", "cutoff", "by_line"),
    [
        ({5: 100, 9: 25}, 0.5, True),
        ({5: 100, 9: 25}, 0.95, False),  # one point
        ({5: 1, 9: 1}, 0.1, False),  # ln 2 is below 0.694
        ({5: 100, 9: 100}, 1.0, False),  # a level line
        ({5: 100, 100: 99}, 0.1, False),  # it ends beyond twice the largest value
        ({5: 100, 9: 30}, 0.5, False),  # so does this one, which ends before twice the last bin
        ({5: 100, 9: 50, 1500: 1}, 0.5, True),
    ],
)
def test_where_there_is_no_line_the_quantile_decides(counts, cutoff, by_line):
    curve = threshold_curve(of_counts(counts), Method("legacy", 0.5, cutoff))
    assert ("line" in curve.objective_label) == by_line
    if not by_line:
        assert curve.amax == threshold(of_counts(counts), "legacy:0.5")


# --- mse ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian", "laplace", "relu", "uniform", "outlier"])
def test_mse_picks_the_candidate_with_the_least_exact_noise(name):
    histogram = histogram_of(name)
    curve = threshold_curve(histogram, "mse")
    exact = {}
    for i in {*range(FIRST_CANDIDATE, N_BINS + 1, 160), *range(max(curve.pick - 2, 128), min(curve.pick + 3, 2049))}:
        exact[i] = float(sum(oracles.spread_noise(histogram.counts, histogram.zeros, i + 0.5)[1:]))
        # Beyond the largest value nothing is clipped, which the bin's other half does not tell.
        scale = histogram.n_finite / (histogram.range / N_BINS) ** 2
        if curve.candidates[i - 128] < histogram.amax:
            assert curve.objective[i - 128] * scale == pytest.approx(exact[i], rel=1e-9)
    assert min(exact, key=exact.__getitem__) == curve.pick
    assert curve.amax == min(oracles.entropy_amax(histogram.range, curve.pick), histogram.amax)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "relu"])
def test_mse_is_near_the_best_threshold_of_the_values_themselves(name):
    x = VALUES[name]().astype(np.float32)
    histogram = histogram_of(name)
    amaxes = np.linspace(0.2, 1.0, 100) * histogram.amax
    errors = [float(np.mean((x - oracles.fake_quantize(x, a)) ** 2)) for a in amaxes]
    picked = threshold(histogram, "mse")
    error = float(np.mean((x - oracles.fake_quantize(x, picked)) ** 2))
    assert error <= 1.01 * min(errors)


def test_the_objective_of_mse_is_the_noise_model():
    histogram = histogram_of("laplace")
    curve = threshold_curve(histogram, "mse")
    noise = NoiseModel(histogram).noise(curve.candidates)
    np.testing.assert_array_equal(curve.objective, noise[:, 1] + noise[:, 2])


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "parameter"),
    [
        ("entropy", "entropy", None),
        ("  Entropy ", "entropy", None),
        ("MINMAX", "minmax", None),
        ("percentile", "percentile", 99.99),
        ("percentile:99.99999", "percentile", 99.99999),
        ("percentile: 50", "percentile", 50.0),
        ("percentile:1e-3", "percentile", 0.001),
        ("percentile:100", "percentile", 100.0),
        ("legacy", "legacy", 0.9999),
        ("legacy:0.5,1", "legacy", 0.5),
        ("legacy:1", "legacy", 1.0),
        ("mse", "mse", None),
    ],
)
def test_parsing(text, kind, parameter):
    method = Method.parse(text)
    assert (method.kind, method.parameter) == (kind, parameter)
    assert Method.parse(method) is method
    assert Method(kind, parameter) == method


@given(st.sampled_from(["percentile", "legacy"]), st.floats(0, 1, exclude_min=True))
def test_the_text_of_a_method_reads_back_the_same(kind, share):
    cutoff = None if kind == "percentile" else 1.0 - share / 3
    method = Method(kind, share * (100.0 if kind == "percentile" else 1.0) or 1.0, cutoff)
    assert Method.parse(str(method)) == method
    assert Method.parse(str(Method.parse(kind))) == Method(kind)


def test_labels_keep_the_digits():
    assert Method.parse("percentile:99.99999").label == "p99.99999"
    assert Method.parse("percentile:100").label == "p100"
    assert Method.parse("legacy:0.5").label == "legacy:0.5"
    assert Method.parse("Legacy:0.5, 0.25").label == "legacy:0.5,0.25"
    assert str(Method.parse("legacy:.5,1")) == "legacy:0.5"
    assert str(Method.parse("legacy:0.5,0")) == "legacy:0.5,0"
    assert Method.parse("entropy").label == "entropy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kl", "no method 'kl'; there are entropy, minmax, percentile, mse, legacy"),
        ("", "no method ''"),
        ("percentil:99", "no method 'percentil'"),
        (None, "no method 'none'"),
        ("percentile:", "'' is not a number"),
        ("percentile:abc", "'abc' is not a number"),
        ("percentile:0", "greater than 0 and at most 100, not 0"),
        ("percentile:-3", "greater than 0"),
        ("percentile:100.1", "at most 100"),
        ("percentile:nan", "greater than 0"),
        ("percentile:inf", "at most 100"),
        ("legacy:1.5", "at most 1"),
        ("legacy:0.9,1.5", "the regression cutoff of legacy is from 0 to 1, not 1.5"),
        ("legacy:0.9,nan", "from 0 to 1, not nan"),
        ("legacy:0.9,-0.1", "from 0 to 1"),
        ("legacy:0.9,", "'' is not a number"),
        ("legacy:0.9,0.5,0.1", "'0.5,0.1' is not a number"),
        ("legacy:,0.5", "'' is not a number"),
        ("percentile:99,0.5", "'99,0.5' is not a number"),
        ("entropy:5", "'entropy' takes no parameter"),
        ("mse:0", "'mse' takes no parameter"),
    ],
)
def test_names_that_cannot_be_meant(text, message):
    for call in (
        Method.parse,
        lambda t: threshold(Histogram.empty(), t),
        lambda t: threshold_curve(Histogram.empty(), t),
    ):
        with pytest.raises(UsageError, match=message):
            call(text)


@pytest.mark.parametrize(("kind", "parameter"), [("kl", None), ("percentile", 0.0), ("legacy", 2.0), ("entropy", 1.0)])
def test_a_method_made_by_hand_is_checked_too(kind, parameter):
    with pytest.raises(UsageError):
        Method(kind, parameter)


def test_a_cutoff_belongs_to_legacy_alone():
    assert Method("legacy", 0.5, 0.25).legacy == (0.5, 0.25)
    assert Method("entropy").legacy == Method("legacy", 1.0).legacy == (1.0, 1.0)
    with pytest.raises(UsageError, match="'percentile' takes no cutoff"):
        Method("percentile", 99.0, 0.5)


def test_every_method_explains_itself():
    for kind, spec in METHODS.items():
        assert spec.objective_label
        assert spec.help
        assert Method(kind).kind == kind
