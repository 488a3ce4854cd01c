"""How much data is said to be needed, against data that were held back and laws that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trtcal_widgets.core.histogram import Histogram, combine
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.core.thresholds import Method, threshold
from trtcal_widgets.doctor.draws import draw
from trtcal_widgets.doctor.law import bootstrap, needed
from trtcal_widgets.doctor.settling import Setting, settle

BATCHES = 16
POOL = 1500


def setting(bar_db, n=BATCHES):
    draws = draw(n, 200, 0)
    return Setting(draws, bootstrap(draws, 0), bar_db, 1.0, tuple(range(n)), in_order=False)


def scale(rng):
    return rng.standard_normal(800) * math.exp(0.15 * rng.standard_normal())


def relu(rng):
    return np.maximum(
        rng.standard_normal(800) * math.exp(0.15 * rng.standard_normal()) + 0.3 * rng.standard_normal(), 0
    )


@pytest.mark.parametrize("make", [scale, relu])
def test_four_in_five_intervals_hold_on_data_that_were_held_back(make):
    """Each of 15 sets of 16 batches says how many batches it takes; 1,500 batches show how many it does take."""
    method, bar = Method("percentile", 99.0), 0.8
    rng = np.random.default_rng(5)
    pool = [Histogram.of(make(rng).astype(np.float32), 16.0) for _ in range(POOL)]
    sizes = np.array([16, 60, 100, 150, 200, 300, 400, 500, 650])
    errors = np.array([error_of(pool, n, method, rng) for n in sizes])
    assert errors[0] > 2 * bar  # 16 are not enough
    really = float(np.interp(-bar, -errors, sizes))
    told = []
    for _ in range(15):
        parts = [pool[k] for k in rng.choice(POOL, BATCHES, replace=False)]
        found = settle("x", ("x",), "p99", method, parts, setting(bar))
        assert found.settled is False
        assert 0.5 * errors[0] < found.off_db < 2 * errors[0]
        if found.needed.images:
            told.append(found.needed)
    assert len(told) >= 9
    assert sum(n.low <= really <= n.high for n in told) >= 0.7 * len(told)
    assert really / 2 < np.median([n.images for n in told]) < 2 * really


def exponential(rng):
    """Tails whose largest value grows by as much with each doubling of the data."""
    return rng.exponential(size=800) * math.exp(0.1 * rng.standard_normal())


def alike(rng):
    """Batches that do not differ: halves of them nearly always reach what all do."""
    return rng.standard_normal(800)


@pytest.mark.parametrize("method", ["minmax", "percentile:99.9999", "legacy:1"])
@pytest.mark.parametrize("make", [scale, exponential, alike])
def test_no_number_of_samples_is_named_for_the_largest_value(make, method):
    """It grows without end: how far it is off follows from how it grows, for halves say too little of that."""
    method = Method.parse(method)
    rng = np.random.default_rng(3)
    pool = [Histogram.of(make(rng).astype(np.float32), 32.0) for _ in range(POOL)]
    really = error_of(pool, BATCHES, Method("minmax"), rng)
    told = []
    for _ in range(15):
        parts = [pool[k] for k in rng.choice(POOL, BATCHES, replace=False)]
        found = settle("x", ("x",), "largest", method, parts, setting(0.05))
        assert found.needed.images is None
        assert "largest value grows" in found.needed.reason
        told.append(found.off_db)
    if method.kind != "legacy":  # at its quantile 1 that is the end of the range, which grows by doubling
        assert 0.5 < np.median(told) / really < 2


def error_of(pool, n, method, rng):
    """The 95 % quantile of what the SQNR of the pool differs with the threshold of n batches of it."""
    whole = combine(pool)
    model = NoiseModel(whole)
    own = model.cost(threshold(whole, method)).sqnr_db
    picks = [threshold(combine([pool[k] for k in rng.choice(POOL, n, replace=False)]), method) for _ in range(60)]
    off = [abs(model.cost(pick).sqnr_db - own) for pick in picks]
    return float(np.quantile(off, 0.95)) / math.sqrt(1 - n / POOL)


@pytest.mark.parametrize("power", [0.4, 0.5, 0.7])
def test_a_law_that_holds_exactly_is_found(power):
    """Errors of draws that follow c (1/n - 1/N)^a to the letter."""
    draws = draw(32, 400, 0)
    sizes = np.repeat(draws.sizes, draws.counts)
    errors = 3.0 * np.maximum(1.0 / sizes - 1.0 / 32, 0) ** power
    found = needed(errors, draws, bootstrap(draws, 0), 0.25, 10.0)
    assert found.exponent == pytest.approx(power, abs=0.06)
    assert found.low <= 10.0 * (3.0 / 0.25) ** (1 / power) <= found.high


def test_it_says_when_no_law_holds():
    draws = draw(16, 200, 0)
    boot = bootstrap(draws, 0)
    rng = np.random.default_rng(0)
    flat = np.where(np.repeat(draws.sizes, draws.counts) < 16, np.abs(rng.normal(2, 0.2, len(draws.rows))), 0.0)
    rare = np.zeros(len(draws.rows))
    rare[0] = 5.0
    jumps = np.repeat([3.0, 0.1, 3.0, 0.05, 2.0, 0.0], draws.counts)
    for errors, said in ((flat, "hardly falls"), (rare, "a few differ"), (jumps, "jumps")):
        found = needed(errors, draws, boot, 0.1, 1.0)
        assert found.images is None
        assert said in found.reason
    far = np.repeat(100.0 * np.maximum(1.0 / draws.sizes - 1.0 / 16, 0) ** 0.5, draws.counts)
    assert "30 times" in needed(far, draws, boot, 0.5, 1.0).reason
    few = draw(5, 50, 0)
    assert "5 batches are too few" in needed(np.ones(len(few.rows)), few, bootstrap(few, 0), 0.5, 1.0).reason
    assert needed(np.zeros(len(draws.rows)), draws, boot, 0.5, 1.0).images == 0


def test_draws_are_different_subsets_of_every_size():
    for n in (1, 2, 3, 4, 7, 16, 40):
        draws = draw(n, 200, 0)
        assert draws.sizes[-1] == n
        assert draws.sizes[draws.half] == max(n // 2, 1)
        assert len(draws.rows) <= 200 + n + len(draws.sizes)
        seen = set()
        for size, row in zip(np.repeat(draws.sizes, draws.counts), draws.rows, strict=True):
            assert (row[:size] >= 0).all()
            assert (row[size:] == -1).all()
            assert len(set(row[:size].tolist())) == size
            seen.add((frozenset(row[:size].tolist()), row[0] if size == n else -1))
        assert len(seen) == len(draws.rows)
