"""What holds for any batches: merging is exact and free of order, replaying is counting again."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.core import oracles
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import SMALLEST_RANGE, Histogram, combine, join_parts, replay

BASES = st.sampled_from([1.0, 0.75, 2.7537313, 1e-3, 3.0e20, SMALLEST_RANGE]).map(np.float32).map(float)
ANY_FLOAT = st.floats(width=32)


@st.composite
def bases_and_batches(draw, most=5):
    """A range and batches that often hold it, its multiples and bin edges of theirs exactly."""
    base = draw(BASES)
    edges = st.builds(
        lambda doublings, index, sign: float(np.float32(sign * base * 2.0**doublings * index / 2048.0)),
        st.integers(-3, 13),
        st.integers(0, 2048),
        st.sampled_from([-1, 1]),
    )
    at_range = st.integers(0, 4).map(lambda doublings: float(np.float32(base)) * 2.0**doublings)
    values = st.one_of(at_range, edges, ANY_FLOAT, st.just(0.0))
    batch = st.lists(values, max_size=12).map(lambda v: np.array(v, np.float32))
    return base, draw(st.lists(batch, min_size=1, max_size=most))


def exact(histogram):
    """Everything of a histogram that has to be equal, sums as exact fractions."""
    return (
        histogram.base,
        histogram.doublings,
        histogram.counts.tolist(),
        histogram.edge,
        (histogram.zeros, histogram.nans, histogram.pos_infs, histogram.neg_infs),
        (histogram.minimum, histogram.maximum),
        sum(map(Fraction, histogram.sum_parts)),
        sum(map(Fraction, histogram.square_parts)),
    )


def count(batches, base):
    return [Histogram.of(batch, base) for batch in batches]


@given(bases_and_batches(), st.randoms())
def test_combining_does_not_depend_on_order_or_grouping(case, random):
    base, batches = case
    parts = count(batches, base)
    whole = exact(combine(parts))
    random.shuffle(parts)
    assert exact(combine(parts)) == whole
    cut = random.randint(0, len(parts))
    assert exact(combine(parts[:cut]).merge(combine(parts[cut:]))) == whole
    one_by_one = Histogram.empty()
    for part in parts:
        one_by_one = part.merge(one_by_one)
    assert exact(one_by_one) == whole


@given(bases_and_batches())
def test_combining_is_counting_each_batch_over_its_own_range_and_merging_pairs(case):
    base, batches = case
    counted = [oracles.one_pass([batch], base) for batch in batches]
    longest = max(bin_range for bin_range, _ in counted)
    expected = np.zeros(2048, np.int64)
    for bin_range, counts in counted:
        while bin_range < longest:
            counts, bin_range = oracles.merge_pairs(counts), 2.0 * bin_range  # noqa: PLW2901 - the point of the loop
        expected += counts
    result = combine(count(batches, base))
    assert result.range == longest
    np.testing.assert_array_equal(result.counts, expected)


@given(bases_and_batches(), st.data())
def test_replaying_any_subset_is_counting_it_again(case, data):
    base, batches = case
    chosen = [batch for batch in batches if data.draw(st.booleans())]
    parts = dict(zip(map(id, batches), count(batches, base), strict=True))
    bin_range, counts = oracles.one_pass(chosen, base)
    result = replay([parts[id(batch)] for batch in chosen])
    np.testing.assert_array_equal(result.counts, counts)
    if chosen:
        assert result.range == bin_range


@given(bases_and_batches())
def test_replaying_goes_on_from_what_was_replayed_before(case):
    base, batches = case
    parts = count(batches, base)
    running = Histogram.empty()
    for i, part in enumerate(parts):
        running = replay([running, part])
        assert exact(running) == exact(replay(parts[: i + 1]))


@given(bases_and_batches())
def test_joined_parts_of_an_array_are_the_array(case):
    base, batches = case
    joined, whole = join_parts(count(batches, base)), Histogram.of(np.concatenate(batches), base)
    assert exact(joined)[:6] == exact(whole)[:6]


@given(bases_and_batches(), st.randoms(), st.integers(1, 6))
def test_two_passes_do_not_depend_on_order_or_size_of_batches(case, random, n):
    _, batches = case
    values = np.concatenate(batches)
    known = amax_of(values)
    expected = exact(Histogram.of(values, known))[:6]
    shuffled = values.tolist()
    random.shuffle(shuffled)
    for split in (batches, np.array_split(np.float32(shuffled), n)):
        assert exact(combine(count(split, known)))[:6] == expected


@given(hnp.arrays(np.float32, st.integers(0, 40), elements=ANY_FLOAT))
def test_the_tallies_are_numpys(x):
    result = Histogram.of(x)
    finite = x[np.isfinite(x)]
    assert result.n_finite == finite.size
    assert result.n_values == x.size
    assert result.zeros == int((x == 0).sum())
    assert (result.nans, result.pos_infs, result.neg_infs) == (
        int(np.isnan(x).sum()),
        int((x == np.inf).sum()),
        int((x == -np.inf).sum()),
    )
    largest = float(np.abs(finite).max(initial=0.0))
    assert amax_of(x) == largest
    assert result.amax == (largest if largest >= np.finfo(np.float32).smallest_normal else 0.0)  # denormals are zeros
    if finite.size:
        assert (result.minimum, result.maximum) == (float(finite.min()), float(finite.max()))
        assert result.amax <= result.range


@settings(max_examples=50)
@given(
    hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e3, 1e3, width=32).filter(lambda v: abs(v) > 1e-3)),
    st.integers(-60, 60),
)
def test_scaling_by_a_power_of_two_scales_the_range_and_leaves_the_counts(x, exponent):
    one, other = Histogram.of(x), Histogram.of(np.ldexp(x, exponent))
    assert other.range == one.range * 2.0**exponent
    np.testing.assert_array_equal(one.counts, other.counts)


@given(st.lists(st.floats(-1e300, 1e300), max_size=30), st.randoms())
def test_sums_are_correctly_rounded_whatever_their_order(values, random):
    zero = np.zeros(2048, np.int64)
    parts = [Histogram(base=0.0, doublings=0, counts=zero, sum_parts=(value,)) for value in values]
    merged = combine([*parts, Histogram.empty()])
    assert merged.total == float(sum(map(Fraction, values)))
    random.shuffle(parts)
    halves = combine(parts[: len(parts) // 2]).merge(combine(parts[len(parts) // 2 :]))
    assert halves.total == merged.total
