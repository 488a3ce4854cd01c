"""Discrete values: MSE's pick against all thresholds tried on the values themselves."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets.core.discrete import alone_share, discrete_values
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.thresholds import threshold_curve

RNG = np.random.default_rng(20)


def pick(values, n=20_000, p=None):
    return RNG.choice(np.asarray(values, np.float64), n, p=p)


def with_zeros(values, share=0.95):
    return np.where(RNG.random(len(values)) < share, 0.0, values)


KINDS = {
    "one value": pick([0.37]),
    "zero and one": pick([0, 1]),
    "one-hot rows of 1000": np.eye(1000)[RNG.integers(0, 1000, 300)],
    "two values": pick([0.31, 0.97]),
    "two values, one of them rare": pick([0.31, 0.97], p=[0.999, 0.001]),
    "plus and minus one": pick([-1, 1]),
    "plus and minus, and zero": pick([-0.7, 0, 0.7]),
    "three values": pick([0.11, 0.52, 1.3]),
    "two values and zero": pick([0, 0.2, 5.0], p=[0.9, 0.09, 0.01]),
    "pixels": pick(np.arange(256)),
    "pixels of 0 to 1": pick(np.arange(256) / 255),
    "pixels, most of them dark": np.minimum(np.abs(RNG.standard_normal(20_000) * 20).round(), 255),
    "a drawing: dark and light": with_zeros(pick(np.arange(200, 256) / 255), 0.8),
    "pixels of -1 to 1": pick(np.arange(256) / 127.5 - 1),
    "whole numbers to 10": pick(np.arange(11)),
    "whole numbers to 127": pick(np.arange(128)),
    "whole numbers to 200, most of them small": RNG.geometric(0.1, 20_000).clip(max=200).astype(float),
    "counts with one of 500": np.append(RNG.poisson(3, 20_000), 500).astype(float),
    "eighths": pick(np.arange(-40, 41) / 8),
    "multiples of 0.0173": pick(np.arange(60) * 0.0173),
    "sparse": with_zeros(pick(np.arange(1, 20) * 0.25)),
    "INT8 dequantised": np.clip(np.round(RNG.standard_normal(20_000) * 30), -127, 127) * 0.0211,
    "INT4 dequantised": np.clip(np.round(RNG.standard_normal(20_000) * 2), -7, 7) * 0.3,
    "powers of two": pick(2.0 ** np.arange(-6, 4)),
    "seven strange values": pick(RNG.random(7) * 3),
    "strange values, most of them zero": with_zeros(pick(RNG.random(12))),
    "normalised pixels of one channel": pick((np.arange(256) / 255 - 0.449) / 0.226),
}
CONTINUOUS = {
    "normal": RNG.standard_normal(50_000),
    "after a Relu": np.maximum(RNG.standard_normal(50_000), 0),
    "Cauchy": RNG.standard_cauchy(20_000),
    "few values": RNG.standard_normal(40),
    "one far outlier": np.append(RNG.standard_normal(5000), [1e6]),
}


def errors(values, counts, amax):
    """Mean squared error of INT8 with each threshold, from the values; float64, shape (k,)."""
    step = amax[:, None] / 127
    level = np.minimum(np.rint(values / step), 127) * step
    return ((values - level) ** 2 * counts).sum(axis=1) / counts.sum()


@pytest.mark.parametrize("grown", [1.0, 0.55, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_pick_is_nearly_the_best_threshold_there_is_or_marked(kind, grown):
    """``grown``: the first batch reaches so far of the largest value, so that the range is not that value."""
    data = KINDS[kind].reshape(-1).astype(np.float32)
    h = Histogram.of(data, base=float(np.float32(np.abs(data).max() * grown)))
    values, counts = np.unique(np.abs(data.astype(np.float64)), return_counts=True)
    curve = threshold_curve(h, "mse")
    if curve.is_uncertain:
        assert alone_share(h) > 0.5
        return
    tried = np.concatenate([np.linspace(h.amax / 16, h.amax, 6000), values[values >= h.amax / 16]])
    best = errors(values, counts, tried).min()
    found = errors(values, counts, np.array([curve.amax]))[0]
    assert found <= 1.1 * best + 1e-12 * h.amax**2, (found / best, curve.amax, h.amax)


def tried_everywhere(h, n_values):
    """The same search without leaving out any threshold: 32 in each bin where there are few values."""
    model, width = NoiseModel(h), h.bin_width

    def error(amax):
        return model.noise(amax)[:, 1:].sum(axis=1)

    steps = max(1, min(32, 2**20 // (n_values * 2048)))
    middles = (np.arange(128, 2049) + 0.5) * width
    best = min(middles[error(middles).argmin()], h.amax)
    places = np.arange(128 * steps, 2049 * steps) / steps
    for closer in (1 / steps, 1 / (32 * steps), 0.0):
        tried = np.append(np.minimum(places * width, h.amax), [best, h.amax]).astype(np.float32).astype(np.float64)
        found = error(tried)
        order = np.argsort(found, kind="stable")[:16]
        best = tried[found == found.min()].max()
        places = (tried[order][:, None] / width + np.linspace(-closer, closer, 65)).reshape(-1)
        places = places[places >= 128]
    return best


@pytest.mark.parametrize("grown", [1.0, 0.97, 0.55, 0.3, 1.9, 20.0])
@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_that_are_left_out_would_not_have_been_picked(kind, grown):
    """``grown`` above 1: the range is longer than any value, up to where all candidates are above it."""
    data = KINDS[kind].reshape(-1).astype(np.float32)
    h = Histogram.of(data, base=float(np.float32(np.abs(data).max() * grown)))
    known = discrete_values(h)
    if known is not None:
        assert threshold_curve(h, "mse").amax == tried_everywhere(h, len(known.values))


CERTAIN = set(KINDS) - {"powers of two", "seven strange values", "strange values, most of them zero"}


@pytest.mark.parametrize("kind", sorted(CERTAIN - {"pixels of -1 to 1", "normalised pixels of one channel"}))
def test_these_are_known_to_the_last_digit(kind):
    data = KINDS[kind].reshape(-1).astype(np.float32)
    found = discrete_values(Histogram.of(data))
    values, counts = np.unique(np.abs(data[data != 0].astype(np.float64)), return_counts=True)
    assert found is not None
    np.testing.assert_allclose(found.values, values, rtol=2e-6)
    np.testing.assert_array_equal(found.counts, counts)


@pytest.mark.parametrize("kind", [*CONTINUOUS, "seven strange values", "strange values, most of them zero"])
def test_what_is_not_told_is_not_guessed(kind):
    data = {**KINDS, **CONTINUOUS}[kind].astype(np.float32)
    h = Histogram.of(data)
    assert discrete_values(h) is None
    assert threshold_curve(h, "mse").is_uncertain == (kind not in ("normal", "after a Relu", "Cauchy"))


@pytest.mark.parametrize("seed", range(200))
def test_strange_values_are_never_taken_for_others(seed):
    """Up to eight arbitrary values, or random whole numbers: what is told is right, whatever else is not told."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    values = rng.random(n) if seed % 2 else rng.integers(1, int(rng.choice([5, 50, 500])) + 1, n)
    data = rng.choice(np.asarray(values, np.float64), int(rng.integers(20, 2000))).astype(np.float32)
    found = discrete_values(Histogram.of(data))
    if found is not None:
        np.testing.assert_allclose(found.values, np.unique(data.astype(np.float64)), rtol=1e-4)


@pytest.mark.parametrize("kind", ["pixels", "zero and one", "two values", "sparse"])
def test_the_cost_is_that_of_the_values(kind):
    data = KINDS[kind].astype(np.float32)
    h = Histogram.of(data)
    for amax in (0.2 * h.amax, 0.61 * h.amax, h.amax, 3 * h.amax):
        cost = NoiseModel(h).cost(amax)
        wanted = errors(np.abs(data.astype(np.float64)), np.ones(data.size), np.array([amax]))[0]
        assert cost.clip_noise + cost.rounding_noise == pytest.approx(wanted, rel=1e-5, abs=1e-12)
        assert cost.clipped_fraction == np.mean(np.abs(data) > np.float32(amax))
        low, high = NoiseModel(h).sqnr_range_db(amax)
        assert low == high == cost.sqnr_db
