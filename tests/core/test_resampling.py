"""Picks of many draws at once are those of histograms merged one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trtcal_widgets.core.histogram import Histogram, combine, replay
from trtcal_widgets.core.resampling import Resampling, rebinned
from trtcal_widgets.core.thresholds import Method, threshold
from trtcal_widgets.errors import UsageError

ENTROPY = Method("entropy")


def batches_of(rng, kind="gaussian", n=5, size=3000):
    spread = rng.uniform(0.5, 3.0, n)
    make = {
        "gaussian": lambda k: rng.standard_normal(size) * spread[k],
        "relu": lambda k: np.maximum(rng.standard_normal(size) - 1.0, 0) * spread[k],
        "lattice": lambda k: rng.integers(0, 200, size) / 128.0 * spread[k],
        "tail": lambda k: rng.standard_t(3, size) * spread[k],
    }[kind]
    return [make(k).astype(np.float32) for k in range(n)]


def counted(batches, base=None):
    parts = []
    for batch in batches:
        parts.append(Histogram.of(batch, base))
        base = base or parts[-1].base or None
    return parts


def all_draws(n):
    rows = [order for k in range(1, n + 1) for order in itertools.permutations(range(n), k)]
    draws = np.full((len(rows), n), -1, np.int64)
    for row, order in zip(draws, rows, strict=True):
        row[: len(order)] = order
    return draws, rows


@pytest.mark.parametrize("kind", ["gaussian", "relu", "lattice", "tail"])
def test_two_passes_give_what_every_subset_gives(kind):
    parts = counted(batches_of(np.random.default_rng(1), kind, 4))
    draws, rows = all_draws(4)
    picks, ranges = Resampling(parts, in_order=True).picks(draws, ENTROPY, one_pass=False)
    merged = [combine([parts[b] for b in row]) for row in rows]
    assert picks.tolist() == [threshold(h) for h in merged]
    assert ranges.tolist() == [h.range for h in merged]


@pytest.mark.parametrize("kind", ["gaussian", "relu", "lattice", "tail"])
def test_one_pass_is_exact_behind_the_recorded_first_batch(kind):
    parts = counted(batches_of(np.random.default_rng(2), kind, 5))
    draws, rows = all_draws(5)
    behind = [k for k, row in enumerate(rows) if row[0] == 0]
    picks, ranges = Resampling(parts, in_order=True).picks(draws[behind], ENTROPY, one_pass=True)
    merged = [replay([parts[b] for b in rows[k]]) for k in behind]
    assert picks.tolist() == [threshold(h) for h in merged]
    assert ranges.tolist() == [h.range for h in merged]


def test_edges_and_infinities_are_replayed_in_the_order_of_the_draw():
    rng = np.random.default_rng(3)
    values = batches_of(rng, n=4, size=500)
    values[0] = np.clip(values[0], -1, 1)  # those at the ends lie on the edge of the range
    values[1][:2] = np.inf
    values[2] *= 40
    values[3][:] = 0
    parts = counted(values)
    assert parts[0].edge >= 3
    draws, rows = all_draws(4)
    behind = [k for k, row in enumerate(rows) if row[0] == 0]
    picks, _ = Resampling(parts, in_order=True).picks(draws[behind], ENTROPY, one_pass=True)
    assert picks.tolist() == [threshold(replay([parts[b] for b in rows[k]])) for k in behind]
    picks, _ = Resampling(parts, in_order=True).picks(draws, ENTROPY, one_pass=False)
    assert picks.tolist() == [threshold(combine([parts[b] for b in row])) for row in rows]


@pytest.mark.parametrize("kind", ["gaussian", "relu", "lattice", "tail"])
def test_the_range_of_another_first_batch_is_exact_and_its_pick_close(kind):
    ratios = []
    for seed in range(4):
        values = batches_of(np.random.default_rng(seed), kind, 6, 20_000)
        recorded = Resampling(counted(values), in_order=True)
        orders = np.array([[k, *(b for b in range(6) if b != k)] for k in range(6)])
        picks, ranges = recorded.picks(orders, ENTROPY, one_pass=True)
        really = [replay(counted([values[b] for b in order])) for order in orders]
        assert ranges.tolist() == [h.range for h in really]
        assert picks[0] == threshold(really[0])
        ratios.append(picks[1:] / [threshold(h) for h in really[1:]])
    assert np.median(np.abs(np.log(ratios))) < 0.05


METHODS = ["minmax", "percentile:99.9", "percentile:100", "percentile:20", "mse", "legacy", "legacy:0.99,0.4"]


def one_by_one(parts, row, start_of, *, one_pass):
    """Merge a draw as the session does: in order where one pass starts from the recorded range, else over another."""
    merged = [parts[b] for b in row]
    if not one_pass:
        return combine(merged)
    start = next((h.amax for h in merged if h.amax > 0), 0.0)
    return replay(merged) if start in (0.0, start_of) else rebinned(combine(merged), start)


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize("kind", ["gaussian", "relu", "lattice", "tail", "few", "special"])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_picks_what_it_picks_one_by_one(method, kind, one_pass):
    rng = np.random.default_rng(6)
    values = batches_of(
        rng, "gaussian" if kind in ("few", "special") else kind, n=4, size=12 if kind == "few" else 3000
    )
    if kind == "special":
        values[0] = np.clip(values[0], -1, 1)
        values[1][:3] = np.inf
        values[2][:50] = np.nan
        values[3][:] = 0
    parts = counted(values)
    draws, rows = all_draws(4)
    picks, ranges = Resampling(parts, in_order=True).picks(draws, Method.parse(method), one_pass=one_pass)
    merged = [one_by_one(parts, row, parts[0].base, one_pass=one_pass) for row in rows]
    assert picks.tolist() == [threshold(h, method) for h in merged]
    assert ranges.tolist() == [h.range if h.amax else 0.0 for h in merged]


@pytest.mark.parametrize("seed", range(12))
def test_mse_leaves_no_candidate_that_is_best(seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_t(1 + seed % 4, (6, 400 * (1 + seed))) * np.exp(rng.standard_normal((6, 1)))
    values[rng.random(values.shape) < rng.random()] = 0
    parts = counted(values.astype(np.float32))
    draws, rows = all_draws(6)
    some = rng.permutation(len(rows))[:80]
    picks, _ = Resampling(parts, in_order=False).picks(draws[some], Method("mse"), one_pass=False)
    assert picks.tolist() == [threshold(combine([parts[b] for b in rows[k]]), "mse") for k in some]


@pytest.mark.parametrize("one_pass", [False, True])
def test_minmax_and_its_ranges_follow_from_the_maxima_alone(one_pass):
    rng = np.random.default_rng(8)
    values = batches_of(rng, n=5, size=50)
    values[0] *= 0.1
    values[3][:] = 0
    resampling = Resampling(counted(values), in_order=True)
    draws, _ = all_draws(5)
    picks, ranges = resampling.picks(draws, Method("minmax"), one_pass=one_pass)
    _, expected = resampling.picks(draws, ENTROPY, one_pass=one_pass)
    assert ranges.tolist() == expected.tolist()
    assert picks.tolist() == [max(float(np.abs(values[b]).max()) for b in row if b >= 0) for row in draws]


def test_moving_to_other_bins_keeps_every_value():
    values = np.abs(np.random.default_rng(7).laplace(size=5000)).astype(np.float32)
    values[:700] = 0
    histogram = Histogram.of(values)
    for factor in (0.51, 0.7, 1.0, 1.3, 1.99):
        moved = rebinned(histogram, float(np.float32(histogram.base * factor)))
        assert moved.counts.sum() == 5000
        assert moved.counts.min() >= 0
        assert moved.counts[0] >= 700
        assert moved.range >= histogram.amax
        really = Histogram.of(values, histogram.base * factor)
        assert moved.range == really.range
        assert np.abs(np.cumsum(moved.counts) - np.cumsum(really.counts)).max() < 40
    assert np.array_equal(rebinned(histogram, histogram.base).counts, histogram.counts)


def test_a_draw_without_values_has_no_range():
    parts = counted([np.zeros(10, np.float32), np.zeros(4, np.float32)])
    picks, ranges = Resampling(parts, in_order=True).picks(np.array([[0, 1], [1, -1]]), ENTROPY, one_pass=True)
    assert picks.tolist() == ranges.tolist() == [0.0, 0.0]


def test_histograms_of_different_ranges_are_refused():
    with pytest.raises(UsageError, match="2 bases"):
        Resampling([Histogram.of([1.0]), Histogram.of([2.0])], in_order=True)
    with pytest.raises(UsageError, match="0 bases"):
        Resampling([], in_order=True)
    with pytest.raises(UsageError, match="greater than 0"):
        rebinned(Histogram.of([1.0]), 0.0)


def test_draws_of_ranges_that_take_too_much_room_to_fold_are_merged_one_by_one(monkeypatch):
    values = batches_of(np.random.default_rng(9), n=4)
    values[2] *= 300
    values[3][:] = 0
    parts = counted(values)
    draws, rows = all_draws(4)
    expected = [threshold(combine([parts[b] for b in row])) for row in rows]
    for most in (512, 4):
        monkeypatch.setattr("trtcal_widgets.core.resampling._MOST_FOLDED", most)
        picks, _ = Resampling(parts, in_order=True).picks(draws, ENTROPY, one_pass=False)
        assert picks.tolist() == expected
