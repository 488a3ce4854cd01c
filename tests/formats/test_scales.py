"""Scale <-> amax <-> hex, against the numbers of real caches."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shared import shared_path
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.scales import (
    amax_of_scale,
    bits_to_scale,
    float32_text,
    hex_to_scale,
    scale_bits,
    scale_of_amax,
    scale_to_hex,
    scales_of_amaxes,
)

GOLDEN = (
    "mnist-input-entropy2",
    "cifar10-input-entropy2",
    "cifar10-input-minmax",
    "constant-one",
    "constant-half",
    "constant-two",
    "constant-sqrt2",
    "constant-rsqrt32",
    "constant-zero",
    "constant-inf",
    "yolo-anchors-640",
    "yolo-anchors-1280",
    "yolo-strides-640",
    "legacy-max",
)


def golden(case_id: str) -> dict:
    cases = {case["id"]: case for case in json.loads(shared_path("data/golden/golden.json").read_bytes())}
    return cases[case_id]


def test_every_golden_case_is_tested():
    cases = json.loads(shared_path("data/golden/golden.json").read_bytes())
    assert [case["id"] for case in cases] == list(GOLDEN)


@pytest.mark.parametrize("case_id", GOLDEN)
def test_golden_hex_is_the_golden_scale(case_id):
    case = golden(case_id)
    scale = hex_to_scale(case["expected_hex"])
    assert float(scale) == float(case["expected_scale"])
    assert scale_to_hex(scale) == case["expected_hex"]
    assert scale_to_hex(float(case["expected_scale"])) == case["expected_hex"]
    if case["expected_threshold"] is not None:
        assert amax_of_scale(scale) == case["expected_threshold"]


@pytest.mark.parametrize("case_id", [case for case in GOLDEN if case != "constant-inf"])
def test_golden_scale_comes_back_from_its_threshold(case_id):
    case = golden(case_id)
    assert scale_of_amax(case["expected_threshold"]) == np.float32(case["expected_scale"])


@pytest.mark.parametrize(
    ("amax", "digits"),
    [
        # i = 2048 of a constant c: float32(2048.5) * float32(c / 2048), from TENSORRT_FACTS
        (np.float32(2048.5) * np.float32(np.sqrt(np.float32(2)) / 2048), "3c367d3d"),
        (np.float32(2048.5) * np.float32(np.float32(1 / np.sqrt(32)) / 2048), "3ab67d3d"),
        (1.0, "3c010204"),
        (2.7537313, "3cb1a063"),
        (0.0, "0"),
        (-0.0, "0"),
    ],
)
def test_scale_of_amax_in_hex(amax, digits):
    assert scale_to_hex(scale_of_amax(amax)) == digits


def test_scale_is_computed_in_float32_not_float64():
    # TENSORRT_FACTS: in float64 the golden case constant-sqrt2 comes out one unit too high.
    amax = 2048.5 / 2048 * float(np.float32(np.sqrt(2)))
    assert scale_to_hex(np.float32(amax / 127)) == "3c367d3e"
    assert scale_to_hex(scale_of_amax(amax)) == "3c367d3d"


@given(st.integers(0, 2**32 - 1))
def test_hex_and_float32_are_a_bijection(bits):
    digits = f"{bits:x}"
    scale = hex_to_scale(digits)
    assert isinstance(scale, np.float32)
    assert scale_to_hex(scale) == digits
    # struct is the independent witness of what the bits mean
    expected = struct.unpack(">f", struct.pack(">I", bits))[0]
    assert scale == expected or (np.isnan(scale) and np.isnan(expected))
    assert scale_bits(scale) == bits
    if not np.isnan(scale):
        # a Python float carries every float32 (NaN payloads apart)
        assert scale_bits(float(scale)) == bits


def test_bit_patterns_of_the_whole_range():
    bits = np.concatenate([np.arange(0, 2**32, 65_537, dtype=np.uint64), [0x7F7FFFFF, 1]])
    values = bits.astype(np.uint32).view(np.float32)
    for pattern, value in zip(bits.tolist(), values, strict=True):
        assert scale_bits(bits_to_scale(pattern)) == pattern
        assert scale_bits(value) == pattern


@given(st.floats(0, 2.0**127, width=32))
def test_amax_back_to_scale_is_within_one_unit(amax):
    scale = scale_of_amax(amax)
    again = scale_of_amax(amax_of_scale(scale))
    assert abs(scale_bits(again) - scale_bits(scale)) <= 1


@given(st.lists(st.floats(0, 1e38), max_size=5))
def test_array_and_single_scales_agree(amaxes):
    assert [scale_of_amax(amax) for amax in amaxes] == scales_of_amaxes(amaxes).tolist()


def test_array_keeps_rubbish():
    scales = scales_of_amaxes([np.inf, -127.0, np.nan, 1e300])
    assert scales[0] == np.inf
    assert scales[1] == -1
    assert np.isnan(scales[2])
    assert scales[3] == np.inf


@pytest.mark.parametrize("amax", [-1.0, np.nan, np.inf, 1e39, -1e-30])
def test_amax_that_is_no_range_is_refused(amax):
    with pytest.raises(UsageError, match="amax must be a number from 0"):
        scale_of_amax(amax)


@pytest.mark.parametrize("text", ["", "0x3c010a14", "3c010a14 ", "123456789", "3c01_0a14", "xyz", "+1"])
def test_bad_hex_is_refused(text):
    with pytest.raises(UsageError, match="not a scale in hex"):
        hex_to_scale(text)


@given(st.floats(width=32, allow_nan=False))
def test_float32_text_is_exact_and_no_longer_than_repr(value):
    text = float32_text(value)
    assert np.float32(text) == np.float32(value)
    assert np.float32(float(text)) == np.float32(value)
    assert len(text) <= len(repr(value))


def test_float32_text_is_short():
    assert float32_text(float(np.float32(0.1))) == "0.1"
