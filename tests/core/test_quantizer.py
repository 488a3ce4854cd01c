"""The quantiser against ONNX Runtime bit for bit, and its estimates against exact integrals and real arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import oracles
from tests.core.test_entropy import KINDS as HISTOGRAMS
from trtcal_widgets.core.histogram import N_BINS, Histogram
from trtcal_widgets.core.quantizer import NoiseModel, costs, dequantize, fake_quantize, is_vague, quantize
from trtcal_widgets.core.thresholds import threshold
from trtcal_widgets.errors import UsageError

FLOAT32_MAX = float(np.finfo(np.float32).max)


def rng(seed=0):
    return np.random.default_rng(seed)


# --- quantize -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def onnx_quantize():
    """QuantizeLinear and DequantizeLinear of ONNX Runtime, int8, zero point 0."""
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    helper, tensor = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "qdq",
        [
            helper.make_tensor_value_info("x", tensor.FLOAT, ["n"]),
            helper.make_tensor_value_info("scale", tensor.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("q", tensor.INT8, ["n"]),
            helper.make_tensor_value_info("y", tensor.FLOAT, ["n"]),
        ],
        [helper.make_tensor("zero", tensor.INT8, [], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x, scale: session.run(["q", "y"], {"x": x, "scale": np.array(scale, np.float32)})


SCALES = [1.0, 0.5, 2.0**-20, 1 / 127, 0.0078125, 0.1, 3.0, 2.7537313 / 127, 1e-30, 1e30]


def awkward_values(scale):
    """Half-way values and their neighbours, the clipping edges, and random ones of every size."""
    steps = np.arange(-140, 141, dtype=np.float64)
    exact = np.concatenate([steps, steps + 0.5, steps + 0.25]) * float(np.float32(scale))
    x = exact.astype(np.float32)
    near = [np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))]
    noise = (rng(1).standard_normal(20_000) * scale * 60).astype(np.float32)
    extremes = np.array([0.0, -0.0, 1e-45, FLOAT32_MAX, -FLOAT32_MAX, np.inf, -np.inf], np.float32)
    return np.concatenate([x, *near, noise, extremes])


@pytest.mark.parametrize("scale", SCALES)
def test_quantising_is_onnx_runtimes_to_the_bit(onnx_quantize, scale):
    x = awkward_values(scale)
    expected_q, expected_y = onnx_quantize(x, scale)
    q = quantize(x, scale)
    assert q.dtype == np.int8
    np.testing.assert_array_equal(q, expected_q)
    y = dequantize(q, scale)
    np.testing.assert_array_equal(y.view(np.int32), expected_y.view(np.int32))
    np.testing.assert_array_equal(fake_quantize(x, scale).view(np.int32), expected_y.view(np.int32))


@settings(max_examples=200)
@given(st.floats(width=32, allow_nan=False), st.floats(2.0**-100, 2.0**100, width=32))
def test_any_value_with_any_scale_is_onnx_runtimes(onnx_quantize, value, scale):
    x = np.array([value], np.float32)
    np.testing.assert_array_equal(quantize(x, scale), onnx_quantize(x, scale)[0])


def test_half_way_values_round_to_even_and_the_ends_clip():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, 1000.0, -127.5, -128.5, -1000.0], np.float32)
    assert quantize(x, 1.0).tolist() == [0, 2, 2, 0, -2, 126, 127, 127, -128, -128, -128]
    assert quantize(x, 1.0, q_min=-127).tolist() == [0, 2, 2, 0, -2, 126, 127, 127, -127, -127, -127]


def test_nan_becomes_0():
    assert quantize(np.array([np.nan, 3.0], np.float32), 1.0).tolist() == [0, 3]


@pytest.mark.parametrize("x", [3.4, [1, 2], np.zeros((0, 2)), np.ones((2, 3, 4), np.float64), np.float16(2)])
def test_the_shape_is_kept_and_the_input_left_alone(x):
    before = np.array(x)
    q = quantize(x, 0.5)
    assert q.shape == np.shape(x)
    assert fake_quantize(x, 0.5).dtype == np.float32
    np.testing.assert_array_equal(np.array(x), before)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan, 1e39, 1e-60])
def test_a_scale_that_cannot_quantise_is_refused(scale):
    with pytest.raises(UsageError, match="scale must be finite and greater than 0"):
        quantize(np.ones(2), scale)


@pytest.mark.parametrize("q_min", [-129, -126, 0, 127])
def test_only_two_lower_ends_exist(q_min):
    with pytest.raises(UsageError, match="q_min"):
        quantize(np.ones(2), 1.0, q_min=q_min)


# --- the noise model against the exact integral ---------------------------------------------------------------------


def of_counts(counts, zeros=0):
    """A histogram with bins of width 1; its largest value is taken as the end of the last bin."""
    return Histogram(base=2048.0, doublings=0, counts=np.asarray(counts, np.int64), zeros=zeros, maximum=2048.0)


def random_counts(kind):
    draw = rng(len(kind))
    if kind == "uniform":
        return draw.integers(0, 1000, N_BINS)
    if kind == "falling":
        return (1e9 * np.exp(-np.arange(N_BINS) / 150.0)).astype(np.int64)
    if kind == "huge":
        return draw.integers(0, 1 << 38, N_BINS)
    counts = np.zeros(N_BINS, np.int64)
    places = {"first": [0], "last": [2047], "two": [3, 2000], "low": range(20)}.get(kind)
    counts[list(places) if places else draw.choice(N_BINS, 30, replace=False)] = 17
    return counts


@pytest.mark.parametrize("kind", ["uniform", "falling", "huge", "first", "last", "two", "low", "sparse"])
@pytest.mark.parametrize("zeros", [0, 5])
def test_noise_is_the_exact_integral(kind, zeros):
    counts = random_counts(kind)
    counts[0] += zeros
    histogram = of_counts(counts, zeros)
    n = histogram.n_finite
    amaxes = np.array([1e-3, 0.4, 1.0, 7.77, 63.5, 64.0, 127.0, 128.5, 700.25, 1023.5, 2047.0, 2047.999])
    beyond = np.array([2048.0, 2048.5, 3000.0, 1e4, 2.6e5, 1e7])
    noise = NoiseModel(histogram).noise(np.concatenate([amaxes, beyond]))
    for amax, (clipped, clip, rounding) in zip(amaxes.tolist(), noise.tolist(), strict=False):
        exact_beyond, exact_clip, exact_rounding = oracles.spread_noise(counts, zeros, amax)
        assert clipped == pytest.approx(float(exact_beyond) / n, rel=1e-12)
        assert clip == pytest.approx(float(exact_clip) / n, rel=1e-12)
        assert rounding == pytest.approx(float(exact_rounding) / n, rel=1e-9, abs=rounding_error(amax))
    for amax, (clipped, clip, rounding) in zip(beyond.tolist(), noise[amaxes.size :].tolist(), strict=True):
        assert (clipped, clip) == (0.0, 0.0)
        assert rounding == pytest.approx(float(oracles.spread_noise(counts, zeros, amax)[2]) / n, rel=1e-8)


def rounding_error(amax):
    """Rounding noise is a difference of integrals of x^2 up to amax (in bins), each rounded to float64."""
    return amax**2 * 2.0**-48


@given(
    st.lists(st.tuples(st.integers(0, 2047), st.integers(1, 1 << 40)), min_size=1, max_size=12),
    st.floats(0.01, 5000.0),
)
def test_noise_of_any_histogram_and_amax_is_the_exact_integral(bins, amax):
    counts = np.zeros(N_BINS, np.int64)
    for place, count in bins:
        counts[place] = count
    n = int(counts.sum())
    clipped, clip, rounding = NoiseModel(of_counts(counts)).noise(np.array([amax]))[0].tolist()
    exact_beyond, exact_clip, exact_rounding = oracles.spread_noise(counts, 0, amax)
    assert clipped == pytest.approx(float(exact_beyond) / n, rel=1e-9)
    assert clip == pytest.approx(float(exact_clip) / n, rel=1e-9)
    assert rounding == pytest.approx(float(exact_rounding) / n, rel=1e-9, abs=rounding_error(min(amax, 2048.0)))


def test_noise_falls_and_rises_as_it_must():
    histogram = Histogram.of(rng().standard_normal(50_000).astype(np.float32))
    noise = NoiseModel(histogram).noise(np.linspace(0.0, 1.2, 300) * histogram.amax)
    assert (np.diff(noise[:, 0]) <= 0).all()
    assert (np.diff(noise[:, 1]) <= 0).all()
    assert noise[0, 0] == pytest.approx(1.0, abs=1e-3)
    assert noise[0, 1] == pytest.approx(histogram.rms**2, rel=1e-4)


# --- the noise model against real arrays ----------------------------------------------------------------------------

N = 200_000
ARRAYS = {
    "gaussian": (lambda: rng(3).standard_normal(N), lambda r: r),
    "laplace": (lambda: rng(3).laplace(size=N), lambda r: 1.0),
    "relu": (lambda: np.maximum(rng(3).standard_normal(N), 0), lambda r: r),
    "uniform": (lambda: rng(3).uniform(-2, 2, N), lambda r: 0.0),
}
"""Values, and the steepest relative slope |p'/p| of their density up to the range R."""


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("name", ARRAYS)
def test_the_estimate_is_what_quantising_the_values_costs(name, share):
    """Within what the bins cannot tell: where in its bin, of width w, a value lies.

    The squared error f changes by at most w |f'| within a bin. Values that lie anywhere in their bins deviate from the
    bin's mean by that at most, with standard deviation w |f'| / sqrt(12); a density with relative slope b tilts each
    bin by b w, which moves the mean by at most b w * w |f'|. |f'| <= step where values are rounded and
    <= 2 (R - amax) where they are clipped. Five standard deviations are allowed.
    """
    make, slope = ARRAYS[name]
    x = make().astype(np.float32)
    histogram = Histogram.of(x)
    amax = share * histogram.amax
    cost = NoiseModel(histogram).cost(amax)
    error = (x.astype(np.float64) - oracles.fake_quantize(x, amax)) ** 2
    beyond = np.abs(x) > amax
    width, tilt = histogram.bin_width, slope(histogram.amax) * histogram.bin_width

    steepest = width * amax / 127.0
    assert abs(cost.rounding_noise - error[~beyond].sum() / N) <= steepest * (tilt + 5 / math.sqrt(12 * N))
    steepest = width * 2.0 * (histogram.amax - amax)
    # Twice: clipped values are few, and the bin that holds amax is cut in two.
    share_beyond = beyond.mean()
    allowed = steepest * (2 * tilt * share_beyond + 5 * math.sqrt(share_beyond / (12 * N)) + 1 / N)
    assert abs(cost.clip_noise - error[beyond].sum() / N) <= allowed
    in_bin = histogram.counts[min(int(amax / (histogram.range / N_BINS)), N_BINS - 1)]
    assert abs(cost.clipped_fraction - share_beyond) <= in_bin / N
    signal = float(np.mean(x.astype(np.float64) ** 2))
    assert cost.sqnr_db == pytest.approx(10 * math.log10(signal / error.mean()), abs=0.5)


def test_exact_zeros_cost_nothing():
    x = np.concatenate([np.zeros(10_000), rng().random(10_000)]).astype(np.float32)
    with_zeros, without = (NoiseModel(Histogram.of(v)).cost(0.7) for v in (x, x[10_000:]))
    assert with_zeros.rounding_noise == pytest.approx(without.rounding_noise / 2, rel=1e-12)
    assert with_zeros.clip_noise == pytest.approx(without.clip_noise / 2, rel=1e-12)


# --- cost -----------------------------------------------------------------------------------------------------------


def test_amax_0_clips_everything_and_the_largest_value_clips_nothing():
    x = rng().standard_normal(5000).astype(np.float32)
    model = NoiseModel(Histogram.of(x))
    nothing_left = model.cost(0.0)
    assert nothing_left.clipped_fraction == 1.0
    assert nothing_left.rounding_noise == 0.0
    assert nothing_left.sqnr_db == pytest.approx(0.0, abs=1e-2)
    for factor in (1.0, 1.5, 3.0):
        cost = model.cost(factor * float(np.abs(x).max()))
        assert (cost.clipped_fraction, cost.clip_noise) == (0.0, 0.0)


def test_the_largest_value_of_a_grown_range_clips_nothing():
    """It lies inside a bin, whose spread reaches further than any value."""
    histogram = Histogram.of(np.float32([1.0, 3.14159, -3.1]), 1.0)
    assert histogram.amax < histogram.range
    cost = NoiseModel(histogram).cost(histogram.amax)
    assert (cost.clipped_fraction, cost.clip_noise) == (0.0, 0.0)
    assert NoiseModel(histogram).cost(float(np.nextafter(histogram.amax, 0.0))).clip_noise > 0.0


def test_an_endless_amax_rounds_everything_to_0():
    histogram = Histogram.of(rng().standard_normal(5000).astype(np.float32))
    for amax in (1e20, 1e300, math.inf):
        cost = NoiseModel(histogram).cost(amax)
        assert cost.rounding_noise == pytest.approx(histogram.rms**2, rel=1e-4)
        assert cost.sqnr_db == pytest.approx(0.0, abs=1e-2)


def test_a_tiny_amax_clips_all_and_stays_finite():
    histogram = Histogram.of(np.float32([1.0, 0.5]))
    for amax in (1e-30, 1e-300, 5e-324):
        cost = NoiseModel(histogram).cost(amax)
        assert cost.clipped_fraction == pytest.approx(1.0)
        assert math.isfinite(cost.rounding_noise)
        assert cost.sqnr_db == pytest.approx(0.0, abs=1e-2)


def test_without_signal_there_is_no_ratio():
    for histogram in (Histogram.empty(), Histogram.of(np.zeros(4, np.float32)), Histogram.of(np.zeros(4), 2.0)):
        cost = NoiseModel(histogram).cost(1.0)
        assert (cost.clipped_fraction, cost.clip_noise, cost.rounding_noise) == (0.0, 0.0, 0.0)
        assert math.isnan(cost.sqnr_db)


@pytest.mark.parametrize("value", [1e-45, 1e-30, 1e30, FLOAT32_MAX])
def test_costs_are_finite_at_the_ends_of_float32(value):
    histogram = Histogram.of(np.array([value, -value / 2], np.float32))
    for share in (0.3, 1.0, 10.0):
        cost = NoiseModel(histogram).cost(share * value)
        assert math.isfinite(cost.clip_noise)
        assert math.isfinite(cost.rounding_noise)


@pytest.mark.parametrize("amax", [-1.0, math.nan, -math.inf])
def test_an_amax_that_is_no_threshold_is_refused(amax):
    for histogram in (Histogram.of(np.float32([1.0])), Histogram.empty()):
        model = NoiseModel(histogram)
        with pytest.raises(UsageError, match="amax must be 0 or more"):
            model.cost(amax)
        with pytest.raises(UsageError, match="amax must be 0 or more"):
            model.noise(np.array([1.0, amax]))


KINDS = {
    "normal": lambda rng: rng.normal(size=20_000),
    "cauchy": lambda rng: rng.standard_cauchy(100_000),
    "one outlier": lambda rng: np.append(rng.normal(size=10_000), [200.0]),
    "far outlier": lambda rng: np.append(rng.normal(size=10_000), [1e6]),
    "whole numbers": lambda rng: rng.integers(0, 11, 10_000) * 1.0,
    "quarters": lambda rng: np.round(rng.normal(size=10_000) * 4) / 4,
    "sparse": lambda rng: rng.normal(size=30_000) * (rng.random(30_000) > 0.99),
    "student": lambda rng: rng.standard_t(3, 50_000),
    "lognormal": lambda rng: rng.lognormal(0, 1.5, 50_000),
    "relu": lambda rng: np.maximum(rng.normal(size=50_000), 0),
    "constant": lambda rng: np.full(100, 2.5),
    "few": lambda rng: rng.normal(size=20),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["minmax", "entropy", "mse", "percentile:99.9", "percentile:50"])
@pytest.mark.parametrize("seed", range(3))
def test_the_true_sqnr_lies_in_the_range_that_is_shown(kind, method, seed):
    """Against the values themselves; what is left are the doubtful tenths of bins that neighbours vouch for."""
    x = KINDS[kind](np.random.default_rng(seed)).astype(np.float32)
    model = NoiseModel(Histogram.of(x))
    cost = model.cost(threshold(Histogram.of(x), method))
    low, high = model.sqnr_range_db(cost.amax)
    signal, step = np.sum(x.astype(np.float64) ** 2), cost.amax / 127
    error = x - np.clip(np.rint(x.astype(np.float64) / step), -127, 127) * step
    noise = float(np.sum(error**2))
    true = 10 * np.log10(signal / noise) if noise > 0 else math.inf
    assert low - 0.5 <= true <= high + 0.5
    assert low <= cost.sqnr_db <= high
    if abs(true - cost.sqnr_db) > 3:
        assert is_vague((low, high))


def test_a_smooth_tensor_is_not_vague_and_a_heavy_tail_at_its_maximum_is():
    rng = np.random.default_rng(0)
    smooth, heavy = (Histogram.of(KINDS[kind](rng).astype(np.float32)) for kind in ("normal", "cauchy"))
    for method in ("minmax", "entropy", "mse"):
        low, high = NoiseModel(smooth).sqnr_range_db(threshold(smooth, method))
        assert high - low < 0.1
    assert is_vague(NoiseModel(heavy).sqnr_range_db(heavy.amax))


def test_nothing_and_zeros_have_a_range_of_their_own_number():
    for histogram in (Histogram.empty(), Histogram.of(np.zeros(5, np.float32))):
        found = NoiseModel(histogram).sqnr_range_db(1.0)
        assert all(math.isnan(end) for end in found)
        assert not is_vague(found)
    histogram = Histogram.of(np.ones(5, np.float32))
    assert NoiseModel(histogram).sqnr_range_db(0.0) == pytest.approx((0.0, 0.0), abs=0.01)


# --- many at once ---------------------------------------------------------------------------------------------------


def test_costs_of_many_are_those_of_each():
    made = [make(rng(seed)) for make in HISTOGRAMS.values() for seed in range(3)]
    made += [Histogram.empty(), Histogram.of(np.zeros(3, np.float32)), Histogram.of([1.0]), Histogram.of([0, 1.0, 5.0])]
    amax = [float(h.amax * factor) for h, factor in zip(made, rng().uniform(0, 1.5, len(made)), strict=True)]
    found = costs(made, amax)
    assert [repr(cost) for cost in found] == [
        repr(NoiseModel(h).cost(limit)) for h, limit in zip(made, amax, strict=True)
    ]
    assert costs([], []) == []


@pytest.mark.parametrize("amax", [-1.0, math.nan])
def test_costs_of_no_threshold_are_refused(amax):
    with pytest.raises(UsageError, match="amax must be 0 or more"):
        costs([Histogram.of([1.0])] * 2, [1.0, amax])
