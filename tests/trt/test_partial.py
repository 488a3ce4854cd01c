"""Merging caches, and what DLA lacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shared import shared_path
from trtcal_widgets import sample
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.trt.calibration.caches import check_dla, merge_caches

NAMES = st.dictionaries(
    st.text("abc:/ <", min_size=1, max_size=4).filter(lambda name: name == name.strip()),
    st.floats(0, 10, width=32),
    min_size=1,
    max_size=8,
)


@given(NAMES, NAMES)
def test_every_row_comes_from_where_the_report_says(base, other):
    merged, report = merge_caches(CalibrationCache.build(base), CalibrationCache.build(other))
    assert set(merged.scales) == set(base) | set(other)
    for name, scale in merged.scales.items():
        assert np.float32(scale) == np.float32(other[name] if name in other else base[name])
    assert set(report.replaced) | set(report.same) | set(report.added) == set(other)
    assert set(report.kept) == set(base) - set(other)
    assert list(merged.scales)[: len(base)] == list(base)
    assert all(before != after for before, after in report.replaced.values())


def test_a_backbones_rows_are_taken_under_their_new_names():
    backbone = CalibrationCache.build({"conv1": 0.5, "conv2": 0.25, "head": 9.0}, algorithm="MinMaxCalibration")
    detector = CalibrationCache.build({"backbone/conv1": 1.0, "neck": 2.0})
    merged, report = merge_caches(
        detector, backbone, {"conv1": "backbone/conv1", "conv2": "backbone/conv2", "conv3": "backbone/conv3"}
    )
    assert dict(merged.scales) == {"backbone/conv1": 0.5, "neck": 2.0, "backbone/conv2": 0.25}
    assert merged.header == detector.header
    assert report.replaced == {"backbone/conv1": (1.0, 0.5)}
    assert report.added == ("backbone/conv2",)
    assert report.absent == ("conv3",)
    text = str(report)
    assert "rows: 1 replaced, 0 the same in both, 1 added, 1 kept" in text
    assert "conv3" in text
    assert "MinMaxCalibration" in text
    assert "higher precision" in text


def test_a_real_cache_into_itself_changes_no_byte():
    cache = CalibrationCache.read(shared_path("data", "caches", "yolov8.TRT-101401.cache"))
    finite = [name for name, scale in cache.scales.items() if np.isfinite(scale)]
    merged, report = merge_caches(cache, cache, finite)
    assert merged.to_bytes() == cache.to_bytes()
    assert set(report.same) == set(finite)


def test_caches_are_read_from_their_files(tmp_path):
    CalibrationCache.build({"a": 1.0}).write(tmp_path / "a.cache")
    CalibrationCache.build({"b": 2.0}).write(tmp_path / "b.cache")
    merged, _ = merge_caches(tmp_path / "a.cache", str(tmp_path / "b.cache"))
    assert dict(merged.scales) == {"a": 1.0, "b": 2.0}
    assert not check_dla(load_graph(sample.model_path()), tmp_path / "a.cache").complete


def test_nothing_to_take_says_what_there_is():
    with pytest.raises(UsageError, match="its own names begin with 'a'"):
        merge_caches(CalibrationCache.build({"x": 1.0}), CalibrationCache.build({"a": 1.0}), ["b"])


def test_dla_needs_a_usable_scale_on_every_tensor():
    graph = load_graph(sample.model_path())
    full = dict.fromkeys(graph.calibrated, 0.5)
    assert check_dla(graph, CalibrationCache.build(full)).complete
    assert str(check_dla(graph, CalibrationCache.build(full))) == "every tensor that DLA needs has a scale"
    lacking = CalibrationCache.build({**{n: s for n, s in full.items() if n != "conv2"}, "ip1": 0.0})
    infinite = CalibrationCache.from_bytes(lacking.to_bytes().replace(b"conv1: 3f000000", b"conv1: 7f800000"))
    report = check_dla(graph, infinite)
    assert report.missing == ("conv2",)
    assert set(report.unusable) == {"ip1", "conv1"}
    assert not report.complete
    assert "only zeros" in str(report)
    assert "infinite" in str(report)


def test_dla_takes_entropy_2_only():
    graph = load_graph(sample.model_path())
    cache = CalibrationCache.build(dict.fromkeys(graph.calibrated, 0.5), algorithm="MinMaxCalibration")
    report = check_dla(graph, cache)
    assert report.algorithm == "MinMaxCalibration"
    assert "EntropyCalibration2 only" in str(report)
