import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.data.pixels import normalisation
from trtcal_widgets.errors import UsageError

ALL_PIXELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def test_pixel_over_255_is_the_division_not_the_product():
    fed = normalisation(1 / 255, None, None, "float32", channels=1).apply(ALL_PIXELS, "NHWC")
    assert np.array_equal(fed, ALL_PIXELS.astype(np.float32) / np.float32(255))
    products = ALL_PIXELS.astype(np.float64) * (1 / 255)
    assert not np.array_equal(products, ALL_PIXELS / 255.0)  # which is why the division matters


@given(
    scale=st.floats(1e-3, 4) | st.sampled_from([1 / 255, 1 / 127.5, 1.0]),
    mean=st.none() | st.tuples(*[st.floats(-200, 200)] * 3),
    std=st.none() | st.tuples(*[st.floats(0.01, 300)] * 3),
    layout=st.sampled_from(["NCHW", "NHWC"]),
)
def test_the_table_for_bytes_agrees_with_arithmetic_on_floats(scale, mean, std, layout):
    rule = normalisation(scale, mean, std, "float32", channels=3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    fed = rule.apply(pixels, layout)
    assert fed.shape == ((2, 5, 7, 3) if layout == "NHWC" else (2, 3, 5, 7))
    assert fed.flags.c_contiguous
    assert np.array_equal(fed, rule.apply(pixels.astype(np.float64), layout))


def test_order_is_scale_then_mean_then_std_per_channel():
    pixels = np.full((1, 1, 1, 3), 200, np.uint8)
    fed = normalisation(0.5, (10, 20, 30), (2, 4, 5), "float32", channels=3).apply(pixels, "NHWC")
    assert fed.ravel().tolist() == [45.0, 20.0, 14.0]
    assert normalisation(0.5, (10, 20, 30), 2, "float32", channels=3).describe() == "(pixel / 2 - (10, 20, 30)) / 2"


def test_bytes_pass_unchanged_as_uint8():
    fed = normalisation(1, None, None, np.uint8, channels=1).apply(ALL_PIXELS, "NHWC")
    assert fed.dtype == np.uint8
    assert np.array_equal(fed, ALL_PIXELS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, None, None, "float32"), "scale"),
        ((float("nan"), None, None, "float32"), "scale"),
        ((1, (1, 2), None, "float32"), "2 numbers"),
        ((1, "blue", None, "float32"), "mean"),
        ((1, None, (1, 0, 1), "float32"), "0"),
        ((1, float("inf"), None, "float32"), "finite"),
        ((1 / 255, None, None, "uint8"), "scale=1"),
        ((1, None, None, "int8"), "uint8 or wider"),
        ((1, None, None, "complex64"), "complex64"),
        ((1, None, None, "flaot32"), "flaot32"),
    ],
)
def test_nonsense_is_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        normalisation(*arguments, channels=3)
