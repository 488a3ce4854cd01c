"""The shortest road: values in, TensorRT's scale out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core import oracles
from trtcal_widgets.core.calibrate import calibrate_array
from trtcal_widgets.errors import UsageError


def batches(n=5, size=2000):
    rng = np.random.default_rng(7)
    return [(rng.standard_normal(size) * s).astype(np.float32) for s in np.linspace(0.5, 1.8, n)]


def test_entropy_is_the_naive_pass_and_the_naive_search():
    data = batches()
    bin_range, counts = oracles.one_pass(data)
    pick = oracles.entropy_pick(counts)
    result = calibrate_array(data)
    assert result.curve.pick == pick
    assert result.amax == oracles.entropy_amax(bin_range, pick)
    assert result.hex == oracles.scale_hex(result.amax)
    assert np.float32(result.scale) == np.float32(result.amax) / np.float32(127)
    np.testing.assert_array_equal(result.histogram.counts, counts)


def test_two_passes_know_the_range_first():
    data = batches()
    whole = np.concatenate(data)
    result = calibrate_array(data, range_mode="two-pass")
    assert result.histogram.range == float(np.abs(whole).max())
    np.testing.assert_array_equal(result.histogram.counts, oracles.one_pass([whole])[1])
    for other in (data[::-1], [whole], np.array_split(whole, 9)):
        assert calibrate_array(other, range_mode="two-pass").hex == result.hex


def test_one_pass_depends_on_the_order_as_tensorrts_does():
    data = batches()
    forward, backward = calibrate_array(data), calibrate_array(data[::-1])
    assert forward.histogram.range != backward.histogram.range
    assert backward.histogram.range == calibrate_array(data, range_mode="two-pass").histogram.range


@pytest.mark.parametrize("method", ["minmax", "percentile:99.9", "mse", "legacy:1"])
def test_the_methods_answer_for_the_merged_histogram(method):
    data = batches()
    magnitudes = np.abs(np.concatenate(data))
    result = calibrate_array(data, method)
    assert str(result.curve.method) == method
    if method == "legacy:1":
        assert result.amax == result.histogram.range > magnitudes.max()  # the end of the range, which has grown
        return
    assert 0.0 < result.amax <= magnitudes.max()
    if method == "minmax":
        assert result.amax == float(magnitudes.max())


FORMS = {
    "array": lambda: np.float32([[1, 2], [3, 4]]),
    "list of arrays": lambda: [np.float32([1, 2, 3, 4])],
    "list of numbers": lambda: [1, 2, 3, 4],
    "tuple of numbers": lambda: (1.0, 2.0, 3.0, 4.0),
    "float16": lambda: np.float16([1, 2, 3, 4]),
    "int8": lambda: np.int8([1, -2, 3, -4]),
    "nested lists": lambda: [[4, 1, 2, 3]],
    "generator": lambda: (np.float32([v]) for v in (4, 1, 2, 3)),
    "with empty and zero batches first": lambda: [np.empty(0), np.zeros(0), np.float32([4, 1, 2, 3])],
}


@pytest.mark.parametrize("form", FORMS)
def test_batches_come_in_many_forms(form):
    assert calibrate_array(FORMS[form]()).hex == calibrate_array(np.float32([4, 1, 2, 3])).hex


def test_a_scalar_is_a_constant():
    for value in (np.float32(1), 1.0, np.array(1.0), 1):
        assert calibrate_array(value).hex == "3c010a14"
        assert calibrate_array(value, range_mode="two-pass").hex == "3c010a14"


def test_many_batches_are_not_kept():
    """A histogram is 16 KiB: ten thousand of them would be 160 MB."""
    import tracemalloc

    one = np.ones(3, np.float32)
    calibrate_array(one)
    tracemalloc.start()
    result = calibrate_array(one for _ in range(2000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.histogram.n_finite == 6000
    assert peak < 2 << 20


@pytest.mark.parametrize("range_mode", ["tensorrt", "two-pass"])
@pytest.mark.parametrize("nothing", [[], [np.empty(0)], np.empty((0, 3)), ()])
def test_nothing_to_calibrate(nothing, range_mode):
    with pytest.raises(UsageError, match="nothing to calibrate"):
        calibrate_array(nothing, range_mode=range_mode)


def test_two_passes_over_an_iterator_are_refused():
    with pytest.raises(UsageError, match="give a list"):
        calibrate_array((b for b in batches()), range_mode="two-pass")


@pytest.mark.parametrize("wrong", [None, object(), 3j, "values"])
def test_what_is_no_batch_is_refused(wrong):
    for range_mode in ("tensorrt", "two-pass"):
        with pytest.raises(UsageError):
            calibrate_array(wrong, range_mode=range_mode)


def test_an_unknown_range_mode_or_method_is_refused_before_any_batch_is_taken():
    def never():
        raise AssertionError("a batch was asked for")
        yield

    with pytest.raises(UsageError, match="range_mode must be"):
        calibrate_array(never(), range_mode="one-pass")
    with pytest.raises(UsageError, match="no method"):
        calibrate_array(never(), "kl")


def test_nan_and_infinity_set_no_range():
    clean = np.float32([0.5, 1.0, -2.0])
    dirty = np.float32([np.nan, 0.5, np.inf, 1.0, -np.inf, -2.0])
    result = calibrate_array(dirty)
    assert result.hex == calibrate_array(clean).hex
    assert (result.histogram.nans, result.histogram.infs) == (1, 2)
    assert calibrate_array([np.float32([np.nan, np.inf]), clean]).hex == result.hex


def test_an_error_of_the_source_comes_through():
    def broken():
        yield np.ones(3)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        calibrate_array(broken())


@pytest.mark.parametrize("method", ["entropy", "minmax", "percentile:99.9", "mse", "legacy:0.999"])
@pytest.mark.parametrize("range_mode", ["tensorrt", "two-pass"])
def test_values_of_which_none_is_finite_have_no_scale_and_zeros_have_0(method, range_mode):
    nothing = [np.float32([np.nan, np.inf]), np.float32([-np.inf, np.nan, np.nan])]
    with pytest.raises(UsageError, match="of 5 values 3 are NaN and 2 infinite"):
        calibrate_array(nothing, method, range_mode=range_mode)
    zeros = calibrate_array([np.zeros(4), np.float32([np.nan])], method, range_mode=range_mode)
    assert (zeros.amax, zeros.scale, zeros.hex) == (0.0, 0.0, "0")
