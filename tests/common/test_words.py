from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtcal_widgets.common.words import count_of, display_width, printable, shorten_middle, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1.00"),
        (0.99999, "1.00"),
        (0.0078740157, "0.00787"),
        (9.996, "10.0"),
        (1278.3, "1278"),
        (99999.4, "1.00e+05"),
        (123456.0, "1.23e+05"),
        (0.00012345, "0.000123"),
        (1.2345e-5, "1.23e-05"),
        (-3.14159, "-3.14"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_significant(value, text):
    assert significant(value) == text


@given(st.floats(1e-300, 1e300), st.integers(1, 9))
def test_significant_is_as_close_as_its_digits(value, digits):
    assert float(significant(value, digits)) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(st.text(st.characters()))
def test_printable_is_one_line_and_survives_utf8(name):
    shown = printable(name)
    assert shown.splitlines() in ([shown], [])
    assert "\x1b" not in shown
    shown.encode("utf-8")
    if name.isascii() and name.isprintable():
        assert shown == name


def test_printable_escapes():
    assert printable("a\nb\x1b[31m") == r"a\nb\x1b[31m"
    assert printable("caf\udce9") == r"caf\udce9"
    assert printable("\u202egnp.exe") == r"\u202egnp.exe"
    assert printable("層/0 <b>") == "層/0 <b>"


@given(st.text(), st.integers(1, 40))
def test_shorten_middle_keeps_both_ends(text, width):
    short = shorten_middle(text, width)
    assert len(short) <= max(width, 1)
    if len(text) <= width:
        assert short == text
    elif width >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_width_and_counts():
    assert display_width("層a") == 3
    assert display_width("e\u0301") == 1
    assert count_of(1, "row") == "1 row"
    assert count_of(1234, "row") == "1,234 rows"
    assert count_of(2, "batch", "batches") == "2 batches"
