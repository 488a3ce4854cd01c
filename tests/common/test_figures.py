"""Figures with their unit: the examples of the docstrings and what used to be shown wrongly."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.common.figures import AS_GIVEN, decibels, duration, milliseconds, percent, plain

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (30.0, "30"), (12.5, "12.5"), (1e-7, "1e-07"), (100.0, "100"), (0.0, "0"), (-0.0, "0"),
     (2.0, "2"), (-1.25, "-1.25"), (math.inf, "∞"), (-math.inf, "-∞"), (math.nan, "–")],
)  # fmt: skip
def test_given_figures_have_no_zeros_behind_them(value, text):
    assert plain(value) == text


@given(FINITE)
def test_a_plain_figure_is_the_number_to_its_digits(value):
    text = plain(value)
    assert float(text) == pytest.approx(value, rel=5.001e-3, abs=1e-300)
    assert not re.search(r"\.\d*0$|\.$|\.\d*0e|^-0$", text)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.125, "12.5 %"), (0.000234, "0.0234 %"), (1.0, "100 %"), (0.99999, "99.9 %"), (0.0, "0 %"), (-0.0, "0 %"),
     (0.5, "50 %"), (2.0, "200 %"), (math.nan, "–")],
)  # fmt: skip
def test_percentages(share, text):
    assert percent(share) == text


@pytest.mark.parametrize("given_as", ["0.9975", "0.9995", "0.99999", "0.95", "0.9", "0.123456"])
def test_a_share_that_was_given_is_written_as_it_was(given_as):
    text = percent(float(given_as), AS_GIVEN).removesuffix(" %")
    assert float(text) == pytest.approx(100 * float(given_as), rel=1e-12)
    assert len(text) <= len(given_as)


@given(st.floats(0, 1))
def test_less_than_all_is_not_all_and_more_than_nothing_is_not_nothing(share):
    assert (percent(share) == "100 %") == (share == 1)
    assert (percent(share) == "0 %") == (share == 0)


@pytest.mark.parametrize(
    ("value", "text", "in_column"),
    [(0.5, "0.5 dB", "0.5 dB"), (31.24, "31.2 dB", "31.2 dB"), (30.0, "30 dB", "30.0 dB"), (9.528, "9.53 dB", "9.5 dB"),
     (9.996, "10 dB", "10.0 dB"), (-0.04, "-0.04 dB", "0.0 dB"), (0.0, "0 dB", "0.0 dB"), (-0.0, "0 dB", "0.0 dB"),
     (0.001, "<0.01 dB", "0.0 dB"), (-12.34, "-12.3 dB", "-12.3 dB"), (math.inf, "∞ dB", "∞ dB"),
     (-math.inf, "-∞ dB", "-∞ dB"), (math.nan, "–", "–")],
)  # fmt: skip
def test_decibels(value, text, in_column):
    assert (decibels(value), decibels(value, column=True)) == (text, in_column)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "<0.1 s"), (0.03, "<0.1 s"), (0.07, "0.1 s"), (2.14, "2.1 s"), (9.97, "10 s"), (45.2, "45 s"),
     (59.7, "1 min 00 s"), (185.0, "3 min 05 s"), (3599.9, "1 h 00 min"), (7800.0, "2 h 10 min"), (math.nan, "–")],
)  # fmt: skip
def test_times(seconds, text):
    assert duration(seconds) == text


def test_milliseconds():
    assert [milliseconds(v) for v in (0.31236, 12.3456, 1.5, math.nan)] == ["0.3124 ms", "12.35 ms", "1.500 ms", "–"]
