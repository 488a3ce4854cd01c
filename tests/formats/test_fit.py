"""Which caches a TensorRT takes: what 8.6.0 did with files, and what is said of them."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from tests.support.shared import shared_path
from trtcal_widgets.errors import CacheFormatError
from trtcal_widgets.formats import installed
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.formats.fit import header_fits
from trtcal_widgets.formats.header import DEFAULT_VERSION
from trtcal_widgets.formats.reading import convert, scales_from_bytes

LONG = {
    "entropy2": "EntropyCalibration2",
    "entropy": "EntropyCalibration",
    "minmax": "MinMaxCalibration",
    "legacy": "LegacyCalibration",
}


@pytest.fixture(scope="module")
def seen():
    """What 8.6.0 did with a cache that it was given."""
    return json.loads(shared_path("data", "trt86", "headers.json").read_text("utf-8"))


def verdict(data, algorithm="EntropyCalibration2"):
    try:
        return header_fits(CalibrationCache.from_bytes(data), "8.6.0", algorithm)
    except CacheFormatError:  # what is no cache is not taken either
        return None


def taken(found):
    return found is not None and found.verdict == "reuse"


def test_a_version_is_taken_as_8_6_0_took_it(seen):
    base = seen["base"]["entropy2"].encode()
    versions = [key.removeprefix("ver_") for key in seen if key.startswith("ver_")]
    assert len(versions) == 10
    for version in versions:
        data = base.replace(b"TRT-8600-", b"TRT-" + version.encode() + b"-", 1)
        assert taken(verdict(data)) == (seen[f"ver_{version}"]["batches_run"] == 0), version


def test_an_algorithm_is_taken_by_its_own_calibrator_alone(seen):
    pairs = [key.removeprefix("algo_").split("_given_") for key in seen if key.startswith("algo_")]
    assert len(pairs) == 16
    for reader, given in pairs:
        data = seen["base"][given].encode()
        expected = seen[f"algo_{reader}_given_{given}"]["batches_run"] == 0
        assert taken(verdict(data, LONG[reader])) == expected == (reader == given), (reader, given)


@pytest.mark.parametrize(
    ("case", "edit"),
    [
        ("crlf", lambda data: data.replace(b"\n", b"\r\n")),
        ("bom", lambda data: b"\xef\xbb\xbf" + data),
        ("lower", lambda data: data.replace(b"TRT", b"trt", 1)),
        ("headeronly", lambda data: data.split(b"\n")[0] + b"\n"),
        ("nofinalnewline", lambda data: data[:-1]),
        ("leadblank", lambda data: b"\n" + data),
        ("comment", lambda data: data.replace(b"\n", b"\n# a comment\n", 1)),
        ("upperhex", lambda data: data.replace(b": 3cce649c", b": 3CCE649C")),
        ("0x", lambda data: data.replace(b": 3cce649c", b": 0x3cce649c")),
        ("trailspace", lambda data: data.replace(b": 3cce649c", b": 3cce649c ")),
        ("missingfirst", lambda data: data.replace(b"x: 3cce649c\n", b"")),
        ("extrarow", lambda data: data + b"nobody: 3c010a14\n"),
        ("dup", lambda data: data + b"x: 3cce649c\n"),
        ("noheader", lambda data: data.split(b"\n", 1)[1]),
    ],
)
def test_an_edited_file_is_taken_as_8_6_0_took_it(seen, case, edit):
    data = edit(seen["base"]["entropy2"].encode())
    assert taken(verdict(data)) == (seen[f"edit_{case}"]["batches_run"] == 0)


def test_six_digits_are_named_with_what_to_do():
    cache = CalibrationCache.build({"a": 0.5}, version="10.3.0")
    said = header_fits(cache, "8.6.1", "EntropyCalibration2")
    assert said.verdict == "recalibrate"
    assert "would ignore this file without a word" in said.message
    assert "six digits (100300, TensorRT 10.3.0)" in said.message
    mended = cache.with_header(version="8.6.1")
    assert "with_header(version='8.6.1')" in said.message
    assert header_fits(mended, "8.6.1", "EntropyCalibration2").verdict == "reuse"


# ---- the version of a new file ------------------------------------------------------------------------------------


@pytest.fixture
def install(monkeypatch):
    """Return a function that makes a TensorRT of a version be installed, imported or not."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    def put_in(imported="", packages=None):
        if imported:
            monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__=imported))
        monkeypatch.setattr(installed, "_version_of", lambda name: (packages or {}).get(name, ""))

    return put_in


@pytest.mark.parametrize(
    ("imported", "packages", "here", "new"),
    [
        ("", {}, "", DEFAULT_VERSION),
        ("8.6.1", {"tensorrt": "10.3.0"}, "8.6.1", "8.6.1"),
        ("", {"tensorrt": "8.6.1.post1"}, "8.6.1", "8.6.1"),
        ("", {"tensorrt-cu12-bindings": "10.9.0.34"}, "10.9.0", "10.9.0"),
        ("11.4.0.106", {}, "11.4.0", DEFAULT_VERSION),
        ("", {"tensorrt": "nightly", "tensorrt-cu12": "10.0.1"}, "10.0.1", "10.0.1"),
    ],
)
def test_a_new_cache_is_for_the_tensorrt_that_is_there(install, imported, packages, here, new):
    install(imported, packages)
    assert installed.installed_version() == here
    assert installed.default_version() == new
    built = CalibrationCache.build({"a": 0.5})
    assert built.version == tuple(map(int, new.split(".")))
    table = scales_from_bytes(b"a:1\n", source="ranges.txt")
    assert CalibrationCache.from_bytes(convert(table, "cache")).version == built.version


def test_a_version_that_is_asked_for_is_kept(install):
    install("8.6.1")
    assert CalibrationCache.build({"a": 0.5}, version="10.3.0").version == (10, 3, 0)
