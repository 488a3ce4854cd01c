"""The neighbours of the cache: recognised, read, converted, and witnessed by ONNX Runtime's own writer."""

from __future__ import annotations

import json
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shared import shared_path
from trtcal_widgets.errors import CacheFormatError, ExportError, TrtcalError, UsageError
from trtcal_widgets.formats.cache import CalibrationCache, diff
from trtcal_widgets.formats.detect import check_format
from trtcal_widgets.formats.reading import (
    CONVERT_TARGETS,
    FORMATS,
    ScaleTable,
    convert,
    describe_format,
    detect_format,
    read_scale_file,
    scales_from_bytes,
    unusable_rows,
)
from trtcal_widgets.formats.scales import scale_bits, scale_of_amax

REAL = {
    "data/caches/diffusion.TRT-8601.cache": ("cache", 848),
    "data/caches/resnet18-cifar10.TRT-8003.cache": ("cache", 49),
    "data/caches/resnet50.dynamic-range.txt": ("ranges", 178),
    "data/caches/resnet50v2.onnxruntime-ep.cache": ("ort", 175),
    "data/caches/resnet50v2.onnxruntime-ep.flatbuffers": ("flatbuffers", 175),
    "data/caches/resnet50v2.onnxruntime-ep.json": ("json", 175),
    "data/caches/unet-prelu.TRT-8001.cache": ("cache", 108),
    "data/caches/vgg16-cifar10.TRT-8400-minmax.cache": ("cache", 67),
    "data/caches/yolo11.TRT-101200.cache": ("cache", 431),
    "data/caches/yolov8.TRT-101401.cache": ("cache", 323),
    "data/golden/CalibrationTablemnist": ("cache", 8),
    "data/golden/LegacyCalibrationTable": ("legacy", 8),
}
ORT = "data/caches/resnet50v2.onnxruntime-ep."


def path_of(name):
    return shared_path(*name.split("/"))


def ort_table(suffix: str) -> ScaleTable:
    return read_scale_file(path_of(ORT + suffix))


# --- real files ------------------------------------------------------------------------------------


def test_no_real_file_is_forgotten():
    files = {f"data/caches/{path.name}" for path in shared_path("data", "caches").iterdir()}
    assert files == {name for name in REAL if name.startswith("data/caches")}


@pytest.mark.parametrize("name", REAL)
def test_real_file_is_recognised_and_read(name):
    kind, rows = REAL[name]
    data = path_of(name).read_bytes()
    assert detect_format(data) == kind
    table = read_scale_file(path_of(name))
    assert isinstance(table, CalibrationCache) == (kind in ("cache", "legacy"))
    assert len(table.scales) == len(table.amax) == rows
    for tensor, amax in table.amax.items():
        assert abs(table.scales[tensor] * 127 / amax - 1) < 2e-7 if 0 < amax < math.inf else True
    if isinstance(table, CalibrationCache):
        assert convert(table, "cache") == data
    if kind in ("ranges", "ort"):
        assert convert(table, kind) == data


def test_dynamic_range_rows_are_split_at_the_last_colon():
    table = read_scale_file(path_of("data/caches/resnet50.dynamic-range.txt"))
    assert table.amax["gpu_0/data_0"] == 1.000244122
    assert table.amax["(Unnamed Layer* 175) [Softmax]_output"] == 0.0303731018212
    assert table.oddities == ()
    # golden constant-one: this input is 1.0 at most, so its scale is that of a constant one
    assert table.hex("gpu_0/data_0") == "3c010a14"


def test_onnx_runtimes_three_files_agree():
    text, binary, ranges = ort_table("cache"), ort_table("flatbuffers"), ort_table("json")
    assert text.amax == binary.amax
    assert text.amax == ranges.amax
    assert text.ranges == binary.ranges == {}
    raw = json.loads(path_of(ORT + "json").read_bytes())
    assert ranges.ranges == {name: tuple(pair) for name, pair in raw.items()}
    assert diff(text, ranges).same_scales


def test_the_three_files_convert_into_each_other():
    text, binary, ranges = ort_table("cache"), ort_table("flatbuffers"), ort_table("json")
    in_order = {name: ranges.amax[name] for name in text.amax}
    reordered = ScaleTable("json", in_order, ranges.ranges)
    assert convert(reordered, "ort") == path_of(ORT + "cache").read_bytes()
    assert convert(text, "cache") == convert(reordered, "cache")
    assert scales_from_bytes(convert(binary, "flatbuffers")).amax == binary.amax
    assert scales_from_bytes(convert(ranges, "json")).ranges == ranges.ranges
    assert scales_from_bytes(convert(text, "json")).ranges == {name: (-amax, amax) for name, amax in text.amax.items()}


def test_every_real_file_converts_to_every_format():
    for name in REAL:
        table = read_scale_file(path_of(name))
        bad = set(unusable_rows(table))
        for to in CONVERT_TARGETS:
            again = scales_from_bytes(convert(table, to, skip_unusable=True))
            assert detect_format(convert(table, to, skip_unusable=True)) in (to, "legacy")
            kept = [tensor for tensor in table.amax if tensor not in bad]
            assert list(again.amax) == kept
            for tensor in kept:
                before, after = scale_bits(table.scales[tensor]), scale_bits(again.scales[tensor])
                assert abs(before - after) <= 1


# --- ONNX Runtime's own writer as the witness ----------------------------------------------------


@pytest.fixture(scope="module")
def written_by_onnxruntime(tmp_path_factory):
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.quant_utils import write_calibration_table

    folder = tmp_path_factory.mktemp("ort")
    data = {
        "images": (np.array(0, np.float32), np.array(1, np.float32)),
        "a b:0": (np.array(-1.25, np.float32), np.array(3.5, np.float32)),
        "größe": (np.array([-0.5], np.float32), np.array([0.1], np.float32)),
        "never positive": (np.array(-3.5, np.float32), np.array(-0.25, np.float32)),
    }
    write_calibration_table(TensorsData(CalibrationMethod.MinMax, data), str(folder))
    return folder


def test_files_of_the_present_onnxruntime(written_by_onnxruntime):
    expected = {"images": (0.0, 1.0), "a b:0": (-1.25, 3.5), "never positive": (-3.5, -0.25)}
    table = read_scale_file(written_by_onnxruntime / "calibration.json")
    assert table.format == "json"
    assert {name: table.ranges[name] for name in expected} == expected
    assert table.ranges["größe"] == (-0.5, float(np.float32(0.1)))
    assert table.amax["never positive"] == 3.5
    assert table.oddities == ()
    text = read_scale_file(written_by_onnxruntime / "calibration.cache")
    binary = read_scale_file(written_by_onnxruntime / "calibration.flatbuffers")
    assert (text.format, binary.format) == ("ort", "flatbuffers")
    assert text.amax == binary.amax
    assert text.amax["a b:0"] == 3.5


@pytest.mark.parametrize("smooth", [False, True])
def test_the_cache_of_ranges_that_onnxruntime_1_32_writes(tmp_path, smooth):
    from onnxruntime.quantization import calibrate

    f32 = np.float32
    made = {
        "x": calibrate.TensorData(lowest=np.array(-1.25, f32), highest=np.array(3.5, f32)),
        "rows": calibrate.TensorData(lowest=np.array([-1, -2], f32), highest=np.array([0.5, 0.25], f32)),
        "spread": calibrate.TensorData(avg=np.array(0.5, f32), std=np.array(0.25, f32)),
    }
    data = calibrate.TensorsData(calibrate.CalibrationMethod.MinMax, made)
    calibrate.save_tensors_data(data, tmp_path / "cache.json", smooth_quant=smooth)
    table = read_scale_file(tmp_path / "cache.json")
    assert dict(table.amax) == {"x": 3.5, "rows": 2.0}
    kinds = {oddity.kind: oddity.name for oddity in table.oddities}
    assert kinds["left-out"] == "spread"
    assert ("smooth-quant" in kinds) == smooth


def test_amax_that_onnxruntime_writes_wrong_is_reported(written_by_onnxruntime):
    # It writes max(min, max) instead of max(|min|, |max|).
    for name in ("calibration.cache", "calibration.flatbuffers"):
        table = read_scale_file(written_by_onnxruntime / name)
        (oddity,) = table.oddities
        assert (oddity.kind, oddity.name, oddity.severity) == ("negative", "never positive", "error")
        assert "use its JSON file" in oddity.message
        with pytest.raises(ExportError, match="'never positive' is negative"):
            convert(table, "cache")
        assert "never positive" not in scales_from_bytes(convert(table, skip_unusable=True)).amax


def test_onnxruntime_reads_the_flatbuffers_that_are_written_here():
    from onnxruntime.quantization.CalTableFlatBuffers.TrtTable import TrtTable

    table = ort_table("flatbuffers")
    found = TrtTable.GetRootAsTrtTable(convert(table, "flatbuffers"), 0)
    entries = [found.Dict(index) for index in range(found.DictLength())]
    assert {e.Key().decode(): float(e.Value()) for e in entries} == table.amax


def attempt(function, *arguments, error=ExportError, **keywords):
    """Result and ``""``, or ``None`` and the message of the one kind of error that may come."""
    try:
        return function(*arguments, **keywords), ""
    except error as caught:
        return None, str(caught)


# --- round trips -----------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=10) | st.sampled_from(
    ["a", "Relu:0", "a b", "a: 1.5", " ", "x:", "(Unnamed Layer* 1) [Softmax]_output"]
)
amaxes = st.floats(0, 2.0**127, width=32)
tables = st.dictionaries(names, amaxes, min_size=1, max_size=6)


@given(tables, st.sampled_from(["ranges", "ort", "json", "flatbuffers"]))
def test_table_round_trip_is_exact(amax, to):
    table = ScaleTable("json", amax)
    data, refusal = attempt(convert, table, to)
    if data is None:
        assert to in ("ranges", "ort")
        assert "in its first line" in refusal
        return
    again = scales_from_bytes(data)
    assert again.format == to
    assert list(again.amax.items()) == list(amax.items())
    assert again.scales == table.scales
    assert convert(again, to) == data


@given(tables, st.sampled_from(["ranges", "ort", "json", "flatbuffers"]))
def test_cache_to_table_keeps_the_float32_amax(amax, to):
    cache = CalibrationCache.build({name: float(scale_of_amax(value)) for name, value in amax.items()})
    data, refusal = attempt(convert, cache, to)
    if data is None:
        assert "in its first line" in refusal
        return
    again = scales_from_bytes(data)
    for name, value in cache.amax.items():
        assert np.float32(again.amax[name]) == np.float32(value)
        assert abs(scale_bits(again.scales[name]) - scale_bits(cache.scales[name])) <= 1


@given(tables)
def test_table_to_cache(amax):
    cache = scales_from_bytes(convert(ScaleTable("ranges", amax), "cache", version="8.6.1"))
    assert cache.header == "TRT-8601-EntropyCalibration2"
    assert list(cache.scales.items()) == [(name, scale_of_amax(value)) for name, value in amax.items()]


@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_line_ends_and_bom_do_not_change_a_text_table(amax, end, bom, last):
    rows = end.join(f"{name}:{value!r}" for name, value in amax.items())
    data = ("\ufeff" * bom + rows + end * last).encode()
    table = scales_from_bytes(data, kind="ranges")
    first = next(iter(amax))
    if not (first.startswith("\ufeff") and not bom):
        assert list(table.amax.items()) == list(amax.items())
    odd = {oddity.kind for oddity in table.oddities}
    assert ("no-final-newline" in odd) == (not last)
    assert ("crlf" in odd) == (end == "\r\n" and (last or len(amax) > 1))


def test_shortest_text_of_a_cache():
    cache = CalibrationCache.build({"a:b": float(scale_of_amax(0.1)), "c": 0.0})
    assert convert(cache, "ranges") == b"a:b:0.1\nc:0.0\n"
    assert convert(cache, "ort") == b"a:b 0.1\nc 0.0\n"
    assert json.loads(convert(cache, "json")) == {"a:b": [-0.1, 0.1], "c": [0.0, 0.0]}


def test_non_utf8_names_survive_every_format():
    cache = CalibrationCache.from_bytes(b"TRT-8601-EntropyCalibration2\na\xff: 3c010a14\n")
    for to in CONVERT_TARGETS:
        assert list(scales_from_bytes(convert(cache, to)).amax) == ["a\udcff"]


def test_header_of_a_converted_cache():
    cache = CalibrationCache.build({"a": 1.0}, version="8.6.1")
    assert convert(cache) == cache.to_bytes()
    changed = scales_from_bytes(convert(cache, version="10.16.1", algorithm="MinMaxCalibration"))
    assert changed.header == "TRT-101601-MinMaxCalibration"
    with pytest.raises(UsageError, match="for the header of a cache"):
        convert(cache, "json", version="10.16.1")
    with pytest.raises(UsageError, match=r"'xml' is not a format.*cache, ranges, json, ort"):
        convert(cache, "xml")


# --- odd content -----------------------------------------------------------------------------------


def found_in(data: bytes) -> list[tuple[str, int, str]]:
    return [(o.kind, o.line, o.name) for o in scales_from_bytes(data).oddities]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a:1.5\n", []),
        (b"a:0\n", [("zero", 1, "a")]),
        (b"a:1.5\nb:-2\n", [("negative", 2, "b")]),
        (b"a:1.5\nb:nan\nc:inf\nd:1e39\n", [("nan", 2, "b"), ("inf", 3, "c"), ("inf", 4, "d")]),
        (b"a 1.5\nb 1e-42\n", [("denormal", 2, "b")]),
        (b"a:1.5\nb:3.4028234e38\nc:1e38\n", [("absurd", 2, "b")]),
        (b"a:1\na:2\na:2.0\n", [("duplicate", 2, "a"), ("duplicate", 3, "a")]),
        (b"a:1\n\nb:2\n", [("blank-line", 2, "")]),
        (b'{"a": [0, 1], "a": [0, 2]}', [("duplicate", 0, "a")]),
        (b'{"a": [2, -1]}', [("min-above-max", 0, "a")]),
        (b'{"a": [NaN, 1], "b": [0, NaN]}', [("nan", 0, "a"), ("nan", 0, "b")]),
        (b'{"a": {"lowest": [0, 1], "highest": [2, NaN]}}', [("nan", 0, "a")]),
        (b'{"b": [-Infinity, 1]}', [("inf", 0, "b")]),
    ],
)
def test_oddities_of_tables(data, expected):
    assert found_in(data) == expected
    for oddity in scales_from_bytes(data).oddities:
        assert oddity.message.isprintable()


def test_last_of_several_rows_counts():
    table = scales_from_bytes(b"a:1\nb:5\na:2\n")
    assert dict(table.amax) == {"a": 2.0, "b": 5.0}
    assert scales_from_bytes(b'{"a": [0, 1], "a": [0, 2]}').amax["a"] == 2.0


def test_unusable_rows_are_refused_or_left_out():
    table = scales_from_bytes(b"a:1.5\nb:nan\nc:inf\nd:-2\ne:0\n")
    assert unusable_rows(table) == ("b", "c", "d")
    for to in CONVERT_TARGETS:
        with pytest.raises(ExportError, match=r"'b', 'c', 'd'.*skip_unusable=True"):
            convert(table, to)
        assert list(scales_from_bytes(convert(table, to, skip_unusable=True)).amax) == ["a", "e"]
    with pytest.raises(ExportError, match="no row is left"):
        convert(scales_from_bytes(b"a:nan\n"), "json", skip_unusable=True)


@pytest.mark.parametrize("to", ["cache", "ranges", "ort", "flatbuffers"])
def test_line_break_in_a_name_is_refused(to):
    table = scales_from_bytes(b'{"a\\nb": [0, 1]}')
    with pytest.raises(ExportError, match=r"'a\\nb' holds a line break"):
        convert(table, to)
    assert scales_from_bytes(convert(table, "json")).amax == table.amax


@pytest.mark.parametrize("to", ["cache", "ranges", "ort", "flatbuffers"])
def test_name_that_is_no_text_is_refused(to):
    with pytest.raises(ExportError, match="no valid text"):
        convert(scales_from_bytes(b'{"\\ud800": [0, 1]}'), to)


def test_first_row_that_would_be_taken_for_another_format():
    with pytest.raises(ExportError, match="in its first line"):
        convert(ScaleTable("json", {"\ufeffa": 1.0}), "ranges")


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0\0\0\0", "binary file"),
        (b"PK\x03\x04\x14\0", "zip file, such as a saved session"),
        (b"hello\nworld\n", "line 1: 'hello' is not the header.*Nor is it any of these.*JSON"),
        (b"data: 0\nconv1: 3e345678\n", "header line is missing"),
        (b"data: 3e345678\nconv1: 0\n", "header line is missing"),
        (b"a:1.5\nb:two\n", "line 2: 'b:two' is not a row <name>:<amax>"),
        (b"a:1.5\n:2\n", "line 2"),
        ("a:1.5\nb:\u0131nf\n".encode(), "line 2"),
        (b"a:1_0\n", "not the header"),
        (b"a 1.5\nb\n", "line 2: 'b' is not a row <name> <amax>"),
        (b"{", "not the header"),
        (b'{"a": [0, 1]', "not the header"),
        (b'{"a": [0, 1],}', "not valid JSON"),
        (b"{}", "holds no tensors"),
        (b'{"a": 1.5}', r"'a' is not of the form name: \[min, max\]"),
        (b'{"a": [0, 1, 2]}', "not of the form"),
        (b'{"a": ["0", "1"]}', "not of the form"),
        (b'{"a": [true, false]}', "not of the form"),
        (b'{"": [0, 1]}', "not of the form"),
        (b'{"a": {"lowest": 0}}', "not of the form"),
        (b'{"CLS": "TensorsData"}', "expected JSON of the form"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
    ],
)
def test_refusal_says_why(data, reason):
    with pytest.raises(CacheFormatError, match=reason) as caught:
        scales_from_bytes(data, source="some.file")
    assert str(caught.value).startswith("some.file")
    assert len(str(caught.value)) < 700


def test_truncated_or_damaged_flatbuffers():
    data = path_of(ORT + "flatbuffers").read_bytes()
    for length in [*range(0, 200, 7), len(data) // 2, len(data) - 100]:
        with pytest.raises(CacheFormatError):
            scales_from_bytes(data[:length], kind="flatbuffers")
    with pytest.raises(CacheFormatError, match="ends too early or is damaged"):
        scales_from_bytes(data[: len(data) // 2])
    with pytest.raises(CacheFormatError, match=r"flatbuffers.*trtcal convert"):
        CalibrationCache.from_bytes(data)


@given(st.integers(0, 12_927), st.integers(0, 255))
def test_one_changed_byte_of_flatbuffers_never_crashes(at, value):
    data = bytearray(path_of(ORT + "flatbuffers").read_bytes())
    data[at] = value
    for kind in (None, "flatbuffers"):
        table, refusal = attempt(scales_from_bytes, bytes(data), kind=kind, error=CacheFormatError)
        assert refusal.isprintable()
        assert table is None or len(table.amax) <= 175


@given(
    st.one_of(
        st.binary(max_size=100),
        st.text(alphabet='{}[]",:.e-+ 01aN\n\r\ufeff\\', max_size=50).map(str.encode),
        st.recursive(
            st.none() | st.floats() | st.text(max_size=3) | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["CLS", "data", "lowest", "highest", "a"]),
                    inner | st.sampled_from(["TensorsData", "numpy.array"]),
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.sampled_from([None, *FORMATS[:-1]]),
)
def test_arbitrary_bytes_are_read_or_refused(data, kind):
    assert detect_format(data) in FORMATS
    table, refusal = attempt(scales_from_bytes, data, kind=kind, error=CacheFormatError)
    assert refusal.isprintable()
    if table is None:
        return
    assert table.amax or isinstance(table, CalibrationCache)
    for to in CONVERT_TARGETS:
        _, refusal = attempt(convert, table, to, skip_unusable=True, error=TrtcalError)
        assert refusal.isprintable()


def test_kind_can_be_given():
    assert scales_from_bytes(b"a: 1.5\n").format == "ranges"
    assert dict(scales_from_bytes(b"a: 1.5\n", kind="ort").amax) == {"a:": 1.5}
    with pytest.raises(UsageError, match="'xml' is not a format"):
        scales_from_bytes(b"", kind="xml")
    with pytest.raises(UsageError, match="not a format"):
        check_format("unknown")


def test_every_format_is_described():
    descriptions = [describe_format(kind) for kind in FORMATS]
    assert len(set(descriptions)) == len(FORMATS)


def test_read_scale_file_paths(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a:1.5\nb:x\n")
    with pytest.raises(CacheFormatError, match=re.escape(str(tmp_path / "a.txt") + ", line 2")):
        read_scale_file(tmp_path / "a.txt")
    with pytest.raises(CacheFormatError, match="no such file"):
        read_scale_file(str(tmp_path / "b.txt"))


def test_table_is_immutable_and_pickles():
    amax = {"a": 1.0}
    table = ScaleTable("ranges", amax)
    amax["a"] = 2.0
    assert table.amax["a"] == 1.0
    with pytest.raises(TypeError):
        table.amax["a"] = 3.0
    with pytest.raises(TypeError):
        table.scales["a"] = 3.0
    with pytest.raises(UsageError, match="no row for 'b'"):
        table.hex("b")
    assert pickle.loads(pickle.dumps(table)) == table  # noqa: S301
    assert table.header == ""
    assert table.problems == ()


def test_table_of_numpy_numbers():
    table = ScaleTable("json", {"a": np.float32(0.5)}, {"a": (np.float64(-0.5), np.float32(0.25))})
    assert convert(table, "ranges") == b"a:0.5\n"
    assert json.loads(convert(table, "json")) == {"a": [-0.5, 0.25]}


def test_hundred_thousand_rows():
    amax = {f"tensor:{i}": 0.001 * i for i in range(1, 100_001)}
    table = ScaleTable("ranges", amax)
    for to in ("ranges", "json", "cache"):
        assert len(scales_from_bytes(convert(table, to)).amax) == 100_000
