"""Caches judged before they are used: what 8.6.0 was seen to do with them."""

from __future__ import annotations

import json

import pytest

from tests.support.shared import shared_path
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.trt import check_cache


@pytest.mark.parametrize(
    ("case", "digits", "stops"),
    [("nan", "7fc00000", True), ("neg", "bf800000", True), ("inf", "7f800000", False), ("zero", "0", False)],
)
def test_a_scale_that_stops_the_build_is_said_before(case, digits, stops):
    """What 8.6.0 did with such a row: ``edit_*`` in headers.json."""
    seen = json.loads(shared_path("data", "trt86", "headers.json").read_text("utf-8"))
    assert seen[f"edit_{case}"]["built"] is not stops
    cache = CalibrationCache.from_bytes(f"TRT-8600-EntropyCalibration2\nx: 3c010a14\ny: {digits}\n".encode())
    report = check_cache(cache, version="8.6.0", algorithm="entropy2")
    assert report.fits is not stops
    assert ("the scale of 'y' is NaN or negative" in str(report)) is stops
