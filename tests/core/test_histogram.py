"""The histogram against naive counting, and every kind of array that can be handed to it."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from tests.core import oracles
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import N_BINS, SMALLEST_RANGE, Histogram, bin_factor, combine, join_parts, replay
from trtcal_widgets.core.kernels import counting as _kernels
from trtcal_widgets.errors import UsageError

FLOAT32_MAX = float(np.finfo(np.float32).max)
CHUNK_SIZES = (1, 2, 2047, 2048, 2049, 4095, 4096, 4097, 10_000)


def rng(seed=0):
    return np.random.default_rng(seed)


def gaussian(size, scale=1.0, seed=0):
    return (rng(seed).standard_normal(size) * scale).astype(np.float32)


def assert_same(one, other):
    """All that is exact is equal, and so are the sums."""
    np.testing.assert_array_equal(one.counts, other.counts)
    for name in ("base", "doublings", "edge", "zeros", "nans", "pos_infs", "neg_infs", "minimum", "maximum"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.total == pytest.approx(other.total, rel=1e-12, abs=1e-12 * math.sqrt(other.sum_squares))
    assert one.sum_squares == pytest.approx(other.sum_squares, rel=1e-12)


# --- counting -------------------------------------------------------------------------------------------------------

ONE_PASS = {
    "gaussian growing": [gaussian(3000, s, i) for i, s in enumerate((0.1, 0.05, 1.0, 0.3, 40.0, 0.2))],
    "relu": [np.maximum(gaussian(2500, s, i), 0) for i, s in enumerate((1.0, 1.7, 0.9))],
    "sigmoid": [1 / (1 + np.exp(-gaussian(2000, 4, i))) for i in range(4)],
    "sparse": [gaussian(4000, 1, i) * (rng(i).random(4000) < 0.02) for i in range(3)],
    "lattice": [rng(i).integers(-255, 256, 3000) / np.float32(255) for i in range(3)],
    "one value": [[3.0], [-5.0], [0.1]],
    "zeros first": [np.zeros(50), [0.5, -0.25], np.zeros(3), [2.0]],
    "only zeros": [np.zeros(10), np.zeros(20)],
    "at the range": [[1.0, 0.5, -1.0], [1.0, 2.0], [2.0, -1.0, 4.0], [1.0, 2.0, -4.0, 0.0]],
    "just above the range": [[1.0], [np.nextafter(np.float32(1), np.float32(2))], [2.0, 1.0]],
    "far above": [[1e-3, 5e-4], [1e30], [1e-3, 1e29]],
    "shrinking": [gaussian(2000, s, 9) for s in (8.0, 1.0, 0.01)],
}


@pytest.mark.parametrize("name", ONE_PASS)
def test_replay_equals_a_naive_pass_over_the_batches(name):
    batches = [np.asarray(b, np.float32) for b in ONE_PASS[name]]
    bin_range, counts = oracles.one_pass(batches)
    base = next((amax_of(b) for b in batches if amax_of(b)), 0.0)
    result = replay(Histogram.of(batch, base) for batch in batches)
    assert result.range == bin_range
    np.testing.assert_array_equal(result.counts, counts)
    assert result.n_finite == sum(b.size for b in batches)


def test_a_value_at_the_range_stays_in_the_last_bin_where_it_was_counted_before_the_range_doubled():
    early = replay(Histogram.of(np.float32(b), 1.0) for b in ([1.0], [2.0]))
    late = replay(Histogram.of(np.float32(b), 1.0) for b in ([2.0], [1.0]))
    assert early.counts[1023] == 1
    assert early.counts[1024] == 0
    assert late.counts[1023] == 0
    assert late.counts[1024] == 1


@pytest.mark.parametrize("exponent", [-20, 0, 11, 30])
def test_counts_equal_numpys_where_the_bin_width_is_a_power_of_two(exponent):
    bin_range = 2.0**exponent
    x = rng(1).uniform(-bin_range, bin_range, 20_000).astype(np.float32)
    x[:3] = bin_range, -bin_range, 0.0
    expected, _ = np.histogram(np.abs(x), bins=N_BINS, range=(0.0, bin_range))
    np.testing.assert_array_equal(Histogram.of(x).counts, expected)


def test_counts_differ_from_numpys_only_by_values_next_to_a_bin_edge():
    x = gaussian(50_000)
    bin_range = float(np.abs(x).max())
    counts = Histogram.of(x).counts
    expected, edges = np.histogram(np.abs(x).astype(np.float64), bins=N_BINS, range=(0.0, bin_range))
    # Two float32 roundings (the factor, the product) move a value by less than 2**-23 of itself.
    near = np.abs(np.abs(x).astype(np.float64) / edges[1] - np.rint(np.abs(x) / edges[1])) < 2048 * 2.0**-23
    assert np.abs(np.cumsum(counts) - np.cumsum(expected)).sum() <= near.sum()
    assert counts.sum() == expected.sum() == x.size


@pytest.mark.parametrize("size", CHUNK_SIZES)
def test_the_end_of_a_chunk_is_counted_once(size):
    x = gaussian(size, seed=size)
    _, counts = oracles.one_pass([x])
    np.testing.assert_array_equal(Histogram.of(x).counts, counts)


@pytest.mark.parametrize("size", CHUNK_SIZES)
def test_growth_within_one_array_is_as_if_the_range_had_been_known(size):
    x = (gaussian(size, seed=size) * np.linspace(0.01, 30.0, size)).astype(np.float32)
    x[0] = 0.125
    _, counts = oracles.one_pass([x], base=0.125)
    result = Histogram.of(x, 0.125)
    np.testing.assert_array_equal(result.counts, counts)
    assert result.range >= result.amax > result.range / 2 or result.doublings == 0


@pytest.mark.parametrize("later", [1.5, 3.0, 40.0, 2.0**11, 3000.0, 2.0**12, 1e6])
def test_edge_values_counted_before_the_range_grows_in_the_same_array_move_with_it(later):
    """The kernel has counted several chunks by then; naively, the range of an array is known before its first value."""
    x = np.full(5000, 0.5, np.float32)
    x[::3] = 1.0
    x[4990] = later
    result = Histogram.of(x, 1.0)
    np.testing.assert_array_equal(result.counts, oracles.one_pass([x], 1.0)[1])
    assert result.edge == int(later == result.range)


def test_the_bin_factor_halves_exactly_when_the_range_doubles():
    for bin_range in (SMALLEST_RANGE, 1e-30, 0.3, 1.0, 2.7537313, 3.0e38):
        assert bin_factor(bin_range).dtype == np.float32
        assert np.isfinite(bin_factor(bin_range))
        assert bin_factor(2.0 * bin_range) * np.float32(2) == bin_factor(bin_range)


# --- what is counted beside the bins --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", CHUNK_SIZES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_counted_and_in_no_bin(size, bad):
    x = gaussian(size, seed=size)
    places = sorted({0, size // 2, size - 1, min(2047, size - 1), min(2048, size - 1)})
    clean = np.delete(x, places)
    x[places] = bad
    result = Histogram.of(x)
    expected = Histogram.of(clean)
    np.testing.assert_array_equal(result.counts, expected.counts)
    assert (result.base, result.minimum, result.maximum) == (expected.base, expected.minimum, expected.maximum)
    assert result.n_values == size
    assert {"nans": result.nans, "pos": result.pos_infs, "neg": result.neg_infs} == {
        "nans": len(places) * np.isnan(bad),
        "pos": len(places) * (bad == np.inf),
        "neg": len(places) * (bad == -np.inf),
    }
    assert result.total == pytest.approx(expected.total, rel=1e-12, abs=1e-10)


def test_a_whole_chunk_of_nan_between_good_ones():
    x = np.concatenate([gaussian(2048), np.full(4096, np.nan, np.float32), gaussian(100, seed=1)])
    result = Histogram.of(x)
    assert (result.nans, result.n_finite) == (4096, 2148)
    np.testing.assert_array_equal(result.counts, oracles.one_pass([x])[1])


def test_nan_with_any_sign_and_payload_is_nan():
    bits = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF, 0x3F800000], np.uint32)
    result = Histogram.of(bits.view(np.float32))
    assert (result.nans, result.infs, result.n_finite, result.amax) == (4, 0, 1, 1.0)


@pytest.mark.parametrize("values", [[np.nan], [np.inf, -np.inf], [np.nan, np.inf], []])
def test_nothing_finite(values):
    result = Histogram.of(np.array(values, np.float32))
    assert result.n_values == len(values)
    assert (result.n_finite, result.base, result.range, result.bin_width) == (0, 0.0, 0.0, 0.0)
    assert (result.minimum, result.maximum, result.amax, result.mean, result.rms) == (0.0, 0.0, 0.0, 0.0, 0.0)


def test_zeros_of_both_signs_are_zeros_and_denormals_are_not():
    tiny = np.float32(1e-45)
    result = Histogram.of(np.array([0.0, -0.0, tiny, -tiny, 1.0], np.float32))
    assert (result.zeros, result.counts[0], result.n_finite) == (2, 4, 5)
    assert (result.minimum, result.maximum) == (float(-tiny), 1.0)


@pytest.mark.parametrize(
    "values",
    [
        [-3.0, -1.0, -2.0],
        [3.0, 1.0, 2.0],
        [-0.0, -1.0],
        [-0.0, 0.0],
        [-0.0],
        [0.0, 2.0],
        [-1e-45, 1e-45],
        [5.0],
        [-5.0],
        [-FLOAT32_MAX, FLOAT32_MAX],
    ],
)
def test_the_extremes_are_numpys_and_never_minus_zero(values):
    x = np.array(values, np.float32)
    result = Histogram.of(x)
    assert (result.minimum, result.maximum) == (float(x.min()), float(x.max()))
    assert math.copysign(1.0, result.minimum) == (1.0 if x.min() == 0 else math.copysign(1.0, x.min()))
    assert math.copysign(1.0, result.maximum) == (1.0 if x.max() == 0 else math.copysign(1.0, x.max()))


def test_sums_of_whole_numbers_are_exact_and_others_close():
    whole = rng(2).integers(-1000, 1000, 50_000)
    result = Histogram.of(whole)
    assert result.total == int(whole.sum())
    assert result.sum_squares == int((whole.astype(np.int64) ** 2).sum())
    x = gaussian(50_000, 3.0, 4)
    result = Histogram.of(x)
    # At most one rounding of 2**-53 of the running sum for each value.
    assert abs(result.total - math.fsum(x.tolist())) <= x.size * 2.0**-53 * float(np.abs(x).sum())
    squares = math.fsum(float(v) ** 2 for v in x.tolist())
    assert abs(result.sum_squares - squares) <= x.size * 2.0**-53 * squares
    assert result.rms == pytest.approx(float(np.sqrt(np.mean(x.astype(np.float64) ** 2))), rel=1e-12)


def test_merged_sums_are_the_exact_sums_of_the_parts_in_any_order():
    parts = [Histogram.of(gaussian(500, 10.0**s, s % 7), 1.0) for s in range(-12, 13)]
    exact = sum(Fraction(p.sum_parts[0]) for p in parts)
    squares = sum(Fraction(p.square_parts[0]) for p in parts)
    for seed in range(5):
        merged = combine([parts[i] for i in rng(seed).permutation(len(parts))])
        assert sum(map(Fraction, merged.sum_parts)) == exact
        assert merged.total == float(exact)
        assert merged.sum_squares == float(squares)


# --- the ends of float32 --------------------------------------------------------------------------------------------


def test_values_next_to_the_largest_float():
    x = np.array([FLOAT32_MAX, -FLOAT32_MAX, FLOAT32_MAX / 2, 1.0], np.float32)
    result = Histogram.of(x)
    assert (result.infs, result.range, result.counts[2047], result.counts[1023] + result.counts[1024]) == (
        0,
        FLOAT32_MAX,
        2,
        1,
    )
    grown = Histogram.of(x, 1.0)
    assert grown.range == 2.0**128
    np.testing.assert_array_equal(grown.counts, oracles.one_pass([x], 1.0)[1])


def test_float64_beyond_float32_counts_as_infinite_and_below_as_zero():
    result = Histogram.of(np.array([1e39, -1e300, 1e-60, 2.0]))
    assert (result.pos_infs, result.neg_infs, result.zeros, result.amax) == (1, 1, 1, 2.0)


def test_denormals_set_no_range_however_an_array_lies_in_memory():
    """To TensorRT they are zeros; float64 and every other element go through blocks."""
    x = np.full(64, 1e-40)
    for array in (np.float32(x), np.float32(x)[::2], x):
        assert Histogram.of(array).base == 0.0


@pytest.mark.parametrize("tiny", [1.2e-38, 1e-37, 1e-36])
def test_a_range_too_short_for_its_bins_is_raised_to_the_shortest(tiny):
    x = np.array([tiny, -tiny / 2, 0.0], np.float32)
    result = Histogram.of(x)
    assert result.base == SMALLEST_RANGE
    assert result.n_finite == 3
    assert result.amax == float(x[0])
    width = SMALLEST_RANGE / N_BINS
    expected = np.bincount((np.abs(x.astype(np.float64)) / width).astype(int), minlength=N_BINS)
    np.testing.assert_array_equal(result.counts, expected)
    grown = replay([result, Histogram.of(np.float32([1.0]), result.base)])
    assert grown.counts[0] == 3
    assert grown.range >= 1.0
    assert grown.counts.sum() == 4


@pytest.mark.parametrize("tiny", [1e-45, 1e-40, 1.17e-38])
def test_denormals_are_zeros_that_set_no_range(tiny):
    result = Histogram.of(np.array([tiny, -tiny / 2, 0.0], np.float32))
    assert (result.base, result.amax, result.n_finite, result.counts[0]) == (0.0, 0.0, 3, 3)
    assert result.maximum == float(np.float32(tiny))
    later = replay([result, Histogram.of(np.float32([2.0]), result.base)])
    assert (later.base, later.amax, later.counts[0], later.counts[2047]) == (2.0, 2.0, 3, 1)


def test_infinite_values_behind_the_first_batch_are_in_the_last_bin():
    one, with_inf, more = (np.float32(v) for v in ([1.0, 0.5], [0.25, np.inf, -np.inf], [4.0]))
    parts = [Histogram.of(batch, 1.0) for batch in (one, with_inf, more)]
    two = replay(parts[:2])
    assert (two.counts[2047], two.clamped, two.infs, two.n_finite) == (3, 2, 2, 3)
    assert not two.has_infinite_range
    three = replay([two, parts[2]])  # they stay with the bin when the range grows
    assert (three.counts[511], three.clamped, three.n_finite, three.range) == (3, 2, 4, 4.0)
    same_counts = replay(parts)
    np.testing.assert_array_equal(three.counts, same_counts.counts)


def test_infinite_values_of_the_first_batch_leave_all_out():
    batches = [np.float32([0.0]), np.float32([1.0, np.inf]), np.float32([0.5, np.inf])]
    merged = replay([Histogram.of(batch, 1.0) for batch in batches])
    assert (merged.has_infinite_range, merged.clamped, merged.infs, merged.counts.sum()) == (True, 0, 2, 3)
    combined = combine([Histogram.of(batch, 1.0) for batch in batches[::-1]])
    assert (combined.clamped, combined.counts.sum()) == (0, 3)


def test_the_shortest_range_is_as_short_as_it_can_be():
    assert np.isfinite(bin_factor(SMALLEST_RANGE))
    with np.errstate(over="ignore"):
        assert np.isinf(bin_factor(SMALLEST_RANGE / 2.0))


def test_many_doublings_leave_all_older_values_in_bin_0():
    old = Histogram.of(np.array([1e-30, 5e-31], np.float32))
    new = Histogram.of(np.array([1e30], np.float32), old.base)
    for join in (replay, combine, join_parts):
        for order in ((old, new), (new, old)):
            merged = join(order)
            assert (merged.counts[0], merged.counts.sum(), merged.doublings) == (2, 3, new.doublings)


@pytest.mark.parametrize("doublings", [1, 2, 10, 11, 12, 13, 40])
def test_an_edge_value_is_lifted_into_the_bin_that_the_longer_range_has_for_it(doublings):
    grown = Histogram.of(np.float32([2.0**doublings]), 1.0)
    assert grown.doublings == doublings
    at_edge = Histogram.of(np.float32([1.0, 1.0, 0.25]), 1.0)
    assert at_edge.edge == 2
    _, counts = oracles.one_pass([[2.0**doublings], [1.0, 1.0, 0.25]], 1.0)
    np.testing.assert_array_equal(replay([grown, at_edge]).counts, counts)
    np.testing.assert_array_equal(join_parts([at_edge, grown]).counts, counts)


# --- kinds of arrays ------------------------------------------------------------------------------------------------

DTYPES = [
    np.float16,
    np.float32,
    np.float64,
    np.longdouble,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
    np.int8,
    np.uint8,
    np.int16,
    np.int32,
    np.int64,
    np.uint64,
    np.bool_,
    ">f4",
    ">f8",
    ">f2",
    ">i4",
]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).str + np.dtype(d).name)
def test_any_real_dtype_counts_as_its_float32_values(dtype):
    x = (np.abs(gaussian(70_001, 20.0)) % 100).astype(dtype)
    assert_same(Histogram.of(x), Histogram.of(x.astype(np.float32)))
    assert amax_of(x) == float(np.abs(x.astype(np.float32)).max())


LAYOUTS = {
    "every third": lambda x: x.reshape(-1)[::3],
    "backwards": lambda x: x[::-1, :, ::-1],
    "transposed": lambda x: x.transpose(2, 0, 1),
    "fortran": np.asfortranarray,
    "rows cut": lambda x: x[:, 1:-1, 2:],
    "transposed and cut": lambda x: x[:, ::2].transpose(2, 1, 0),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "column": lambda x: x[:, :1, :],
    "new axis": lambda x: x[None, :, None],
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype),
    "list": lambda x: x[0].tolist(),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ">f4", ml_dtypes.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_counts_as_its_contiguous_copy(layout, dtype):
    x = gaussian(40 * 60 * 30).reshape(40, 60, 30).astype(dtype)
    x[3, 4, 5] = np.nan
    view = LAYOUTS[layout](x)
    copy = np.array(view, dtype=np.float32, order="C")
    assert_same(Histogram.of(view), Histogram.of(copy))
    assert amax_of(view) == amax_of(copy)


@pytest.mark.parametrize("scalar", [np.float32(-2.5), np.array(-2.5), -2.5, np.int8(-2), True])
def test_a_number_is_an_array_of_one(scalar):
    result = Histogram.of(scalar)
    assert (result.n_values, result.amax) == (1, abs(float(scalar)))


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (0, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ">f4"])
def test_an_empty_array_counts_nothing(shape, dtype):
    for view in (np.empty(shape, dtype), np.empty(shape, dtype).T):
        result = Histogram.of(view)
        assert (result.n_values, result.base) == (0, 0.0)
        assert amax_of(view) == 0.0
        assert Histogram.of(view, 3.0).base == 3.0


@pytest.mark.parametrize(
    "wrong",
    [np.ones(3, complex), np.array(["a"]), np.array([object()]), np.zeros(2, "M8[s]"), np.zeros(2, "f4,f4"), None],
)
def test_what_is_not_a_real_number_is_refused(wrong):
    for call in (Histogram.of, amax_of):
        with pytest.raises(UsageError, match="real numbers"):
            call(wrong)


@pytest.mark.parametrize("base", [-1.0, math.nan, math.inf, 1e39])
def test_a_base_that_cannot_be_a_range_is_refused(base):
    with pytest.raises(UsageError, match="range to start from"):
        Histogram.of(np.ones(3, np.float32), base)


@pytest.mark.parametrize("base", [1e-60, 1e-45, 1e-38])
def test_a_base_below_the_shortest_range_becomes_the_shortest(base):
    assert Histogram.of(np.ones(3, np.float32), base).base == SMALLEST_RANGE


def test_counts_of_another_shape_or_kind_are_refused():
    for counts in (np.zeros(2047, np.int64), np.zeros(2048, np.float64), np.zeros((1, 2048), np.int64)):
        with pytest.raises(UsageError, match="2048 int64 counts"):
            Histogram(base=1.0, doublings=0, counts=counts)


# --- merging --------------------------------------------------------------------------------------------------------


def test_histograms_of_different_ranges_cannot_be_merged():
    one, other = Histogram.of(np.float32([1.0])), Histogram.of(np.float32([1.0000001]))
    with pytest.raises(UsageError, match=r"1\.0, 1\.0000001"):
        one.merge(other)


def test_the_empty_histogram_is_neutral():
    one = Histogram.of(gaussian(1000), 0.5)
    for merged in (one.merge(Histogram.empty()), Histogram.empty().merge(one), combine([one]), replay([one])):
        assert_same(merged, one)
    assert_same(combine([]), Histogram.empty())


def test_zeros_before_the_range_is_known_join_any_range():
    zeros, one = Histogram.of(np.zeros(7, np.float32)), Histogram.of(np.float32([4.0, 1.0]), 1.0)
    for merged in (replay([zeros, one]), replay([one, zeros]), combine([one, zeros])):
        assert (merged.zeros, merged.counts[0], merged.range, merged.base) == (7, 7, 4.0, 1.0)


# --- being a good guest ---------------------------------------------------------------------------------------------


def test_the_input_is_not_changed_and_what_is_returned_cannot_be():
    x = gaussian(5000)
    x[7] = np.nan
    before = x.copy()
    one = Histogram.of(x, 0.01)
    merged = one.merge(Histogram.of(x, 0.01))
    np.testing.assert_array_equal(x, before)
    for histogram in (one, merged, Histogram.empty(), combine([])):
        with pytest.raises(ValueError, match="read-only"):
            histogram.counts[0] = 1
    with pytest.raises(AttributeError):
        one.base = 2.0


MEMORY_PROBE = """
import resource, sys
import numpy as np
from trtcal_widgets.core.histogram import Histogram

make = {
    "float32": lambda n: np.ones(n, np.float32),
    "read-only": lambda n: np.frombuffer(bytes(4 * n), np.float32),
    "float16": lambda n: np.ones(2 * n, np.float16),
    "float64": lambda n: np.ones(n // 2, np.float64),
    "fortran": lambda n: np.ones((n // 4096, 4096), np.float32).T,
    "strided": lambda n: np.ones((n // 4096, 4096), np.float32)[:, ::2],
    "nan": lambda n: np.full(n, np.nan, np.float32),
}[sys.argv[1]]
Histogram.of(make(8192 * 16))  # compiles, and brings in everything that is loaded once
x = make(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Histogram.of(x)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read with the resource module")
@pytest.mark.parametrize("kind", ["float32", "read-only", "float16", "float64", "fortran", "strided", "nan"])
def test_counting_64_megabytes_makes_no_temporary_of_that_size(kind, run_python):
    grown = int(run_python(MEMORY_PROBE, kind))
    assert grown < 4 << 20


def test_threads_do_not_disturb_each_other():
    arrays = [gaussian(30_000, 1.0 + s, s) for s in range(12)]
    expected = [Histogram.of(x) for x in arrays]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for one, other in zip(pool.map(Histogram.of, arrays), expected, strict=True):
                assert_same(one, other)


def test_the_32_bit_counters_are_emptied_in_time(monkeypatch):
    """The kernel's own source, run as Python with a limit that is reached here: 2**30 values would take too long."""
    emptied = []

    def flush(counters, slots):
        emptied.append(int(counters.sum()))
        python(counters, slots)

    python = _kernels.flush.py_func
    monkeypatch.setattr(_kernels, "_FLUSH_AFTER", 5000)
    # Inner kernels are called by others alone, never from Python.
    for name in ("_fold_pairs", "_sums", "_zeros", "_extremes", "_sample_of", "_widen", "count"):
        monkeypatch.setattr(_kernels, name, getattr(_kernels, name).py_func)
    monkeypatch.setattr(_kernels, "flush", flush)
    # Only compiled code has these.
    monkeypatch.setattr(_kernels, "prefetch", lambda _array, _index: None)
    monkeypatch.setattr(_kernels, "seen_as", lambda array, dtype: array.view(dtype))
    monkeypatch.setattr(_kernels, "part", lambda array, start, stop: array[start:stop])
    monkeypatch.setattr(_kernels, "row_of", lambda array, index: array[index])
    monkeypatch.setattr(_kernels, "scratch", np.empty)
    monkeypatch.setattr(_kernels, "larger", max)
    monkeypatch.setattr(_kernels, "smaller", min)
    monkeypatch.setattr(_kernels, "whole", int)
    x = gaussian(20_001)
    x[15_000] = 30.0
    slots = np.zeros(N_BINS + 1, np.int64)
    moments = np.array([math.inf, -math.inf, 0.0, 0.0])
    tally = np.zeros(4, np.int64)
    doublings = _kernels.accumulate.py_func(x, slots, 8.0, tally, moments)
    assert doublings == 2
    assert slots[:N_BINS].tolist() == oracles.one_pass([x], 8.0)[1]
    assert sum(emptied) == x.size
    # Together the sets of counters never held more than the limit, and none was lost.
    assert max(emptied) <= 5000
    assert len([n for n in emptied if n]) >= 20_001 // 5000


@pytest.mark.parametrize("doublings", [0, 1, 3])
def test_values_beyond_an_edge_are_counted_alike_over_every_range(doublings):
    """A single sample's range is shorter than that of all: the same threshold must cut off the same values."""
    values = np.random.default_rng(doublings).laplace(size=4000).astype(np.float32)
    values[:3] = [np.inf, -np.inf, np.nan]
    largest = float(np.abs(values[3:]).max())
    own, width = Histogram.of(values, largest), largest * 2**doublings / N_BINS
    for edge in (1, 5, N_BINS // 16, N_BINS):
        assert own.n_beyond(edge * float(np.float32(width))) == 2 + int(
            (np.floor(np.abs(values[3:]) * bin_factor(largest)).clip(0, N_BINS - 1) >= edge << doublings).sum()
        )
    assert Histogram.of([0.0, np.inf]).n_beyond(1.0) == 1
    assert Histogram.empty().n_beyond(1.0) == 0
