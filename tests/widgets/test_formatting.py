"""Numbers and names as the screens take them."""

from __future__ import annotations

import html
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.common.figures import duration
from trtcal_widgets.widgets.kit.formatting import percent, plot_text, typeset


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.0, "0"),
        (2.39869, "2.40"),
        (-3.14159, "−3.14"),
        (9.81e-7, "9.81e−7"),
        (-1.5e12, "−1.50e12"),
        (0.99999, "1.00"),
    ],
)
def test_typeset(value, text):
    assert typeset(value) == text


def test_more_digits_keep_larger_whole_numbers():
    assert typeset(123456, 4) == "123456"
    assert typeset(123456) == "1.23e5"


def test_percent_and_duration():
    assert percent(0.000234) == "0.0234 %"
    assert percent(math.nan) == "–"
    assert percent(1.23e-9) == f"{typeset(1.23e-7)} %" == "1.23e−7 %", (
        "an exponent as in every other number of a screen"
    )
    assert [duration(s) for s in (2.14, 45.2, 185, 7800)] == ["2.1 s", "45 s", "3 min 05 s", "2 h 10 min"]


@given(st.text(), st.integers(2, 80))
def test_plot_text_is_no_markup_and_as_long_as_asked(name, longest):
    shown = plot_text(name, longest)
    assert not {"<", ">"} & set(shown)
    assert len(html.unescape(shown)) <= longest


def test_plot_text_keeps_both_ends():
    assert plot_text("a" * 50 + "<b>" + "z" * 50) == f"{'a' * 29}…{'z' * 30}"
    assert plot_text("x<script>&y") == "x&lt;script&gt;&amp;y"
