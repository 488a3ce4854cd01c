"""The calibration cache: lossless, explained, and refused with a reason."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shared import shared_path
from trtcal_widgets.errors import CacheFormatError, ExportError, UsageError
from trtcal_widgets.formats.cache import (
    CalibrationCache,
    compare_with_names,
    diff,
    header_fits,
    parse_version_int,
    version_to_int,
)
from trtcal_widgets.formats.scales import scale_bits

HEADER = "TRT-8601-EntropyCalibration2\n"

REAL = {
    "data/caches/diffusion.TRT-8601.cache": (848, (8, 6, 1), "EntropyCalibration2"),
    "data/caches/resnet18-cifar10.TRT-8003.cache": (49, (8, 0, 3), "EntropyCalibration2"),
    "data/caches/unet-prelu.TRT-8001.cache": (108, (8, 0, 1), "EntropyCalibration2"),
    "data/caches/vgg16-cifar10.TRT-8400-minmax.cache": (67, (8, 4, 0), "MinMaxCalibration"),
    "data/caches/yolo11.TRT-101200.cache": (431, (10, 12, 0), "EntropyCalibration2"),
    "data/caches/yolov8.TRT-101401.cache": (323, (10, 14, 1), "EntropyCalibration2"),
    "data/golden/CalibrationTablemnist": (8, (7, 0, 0), "EntropyCalibration2"),
    "data/golden/LegacyCalibrationTable": (8, None, "LegacyCalibration"),
}


def read(name: str) -> CalibrationCache:
    return CalibrationCache.read(shared_path(*name.split("/")))


def cache_of(text: str) -> CalibrationCache:
    return CalibrationCache.from_bytes(text.encode("utf-8", "surrogateescape"))


def kinds(cache: CalibrationCache) -> list[tuple[str, int]]:
    return [(oddity.kind, oddity.line) for oddity in cache.oddities]


# --- real files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_real_file_is_read_and_written_back_byte_for_byte(name, tmp_path):
    data = shared_path(*name.split("/")).read_bytes()
    cache = read(name)
    rows, version, algorithm = REAL[name]
    assert cache.to_bytes() == data
    assert (len(cache.scales), cache.version, cache.algorithm) == (rows, version, algorithm)
    # an independent reading: every line but the first is a row, in order
    lines = data.decode().splitlines()
    assert cache.header == lines[0]
    assert [f"{row}: {cache.hex(row)}" for row in cache.scales] == lines[1:]
    cache.write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize("name", REAL)
def test_real_file_comes_out_the_same_when_built_anew(name):
    cache = read(name)
    finite = {row: scale for row, scale in cache.scales.items() if math.isfinite(scale)}
    if cache.legacy:
        quantile, cutoff = cache.legacy
        built = CalibrationCache.build_legacy(finite, quantile=quantile, regression_cutoff=cutoff, version="7.0.0")
    else:
        version = ".".join(map(str, cache.version))
        built = CalibrationCache.build(finite, algorithm=cache.algorithm, version=version)
    kept = [line for line in cache.to_bytes().split(b"\n") if not line.endswith(b": 7f800000")]
    assert built.to_bytes() == b"\n".join(kept)


def test_rows_of_nvidias_mnist_table():
    cache = read("data/golden/CalibrationTablemnist")
    assert list(cache.scales) == ["data", "conv1", "pool1", "conv2", "pool2", "ip1", "ip2", "prob"]
    assert cache.hex("data") == "3c008912"
    assert cache.scales["data"] == 0.007845180109143257
    assert cache.amax["data"] == 0.9963378738611937  # golden.json: expected_threshold
    assert cache.oddities == ()


def test_legacy_table():
    cache = read("data/golden/LegacyCalibrationTable")
    assert cache.legacy == (1.0, 0.999999)
    assert cache.amax["prob"] == 0.9999999962747097
    assert cache.oddities == ()


@pytest.mark.parametrize("pair", ["1.0_1.0", "0.9999_1.0", "0.99_1.0", "0.5_1.0", "0.99_0.5", "0.99_0.1"])
@pytest.mark.parametrize("version", ["8.6.1", "10.16.1"])
def test_legacy_tables_of_tensorrt_8_come_out_the_same_when_built_anew(pair, version):
    cache = read(f"data/trt86/histograms/legacy_2_{pair}.cache")
    quantile, cutoff = cache.legacy
    assert (quantile, cutoff) == tuple(map(float, pair.split("_")))
    assert (cache.version, cache.algorithm) == (None, "LegacyCalibration")
    assert {oddity.kind for oddity in cache.oddities} <= {"zero"}
    built = CalibrationCache.build_legacy(cache.scales, quantile=quantile, regression_cutoff=cutoff, version=version)
    assert built.to_bytes().rstrip(b"\n") == cache.to_bytes().rstrip(b"\n")
    assert header_fits(built, "8.6.1", "LegacyCalibration").verdict == "reuse"


def test_oddities_of_a_real_file():
    cache = read("data/caches/diffusion.TRT-8601.cache")
    by_kind = {kind: sum(o.kind == kind for o in cache.oddities) for kind in ("zero", "inf")}
    text = cache.to_bytes()
    assert by_kind == {"zero": text.count(b": 0\n"), "inf": text.count(b": 7f800000\n")}
    assert len(cache.oddities) == sum(by_kind.values())
    assert cache.problems == cache.oddities
    infinite = next(o for o in cache.oddities if o.kind == "inf")
    assert infinite.severity == "error"
    assert math.isinf(cache.scales[infinite.name])
    assert text.split(b"\n")[infinite.line - 1] == infinite.name.encode() + b": 7f800000"


# --- what a row may hold ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "onnx::Shape_699",
        "Relu:0",
        "(Unnamed Layer* 37) [Constant]_output",
        "a: b: 0",
        "ends with colon:",
        "ends with colon and space: ",
        " ",
        ": ",
        "\tTRT-8601-EntropyCalibration2",
        "<script>alert('x')</script>",
        "\"'&<b>",
        "größe/層",
        "line\u2028separator\x0b\x0c\x85",
        "\ufeffbom",
        "\udcff\udcc3",
    ],
)
def test_any_name_goes_through_a_file(name):
    built = CalibrationCache.build({name: 0.5, "other": 0.25})
    again = CalibrationCache.from_bytes(built.to_bytes())
    assert list(again.scales.items()) == [(name, 0.5), ("other", 0.25)]


names = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=12) | st.sampled_from(
    ["a", "b", "a: b", "x:", "Relu:0", " ", "\t", "é"]
)
# Any byte but newline and NUL; a CR in the middle of a line is a character like any other.
raw_names = st.one_of(
    names.map(str.encode),
    st.binary(min_size=1, max_size=8).filter(lambda b: not set(b) & set(b"\n\0")),
)
digits_of = st.one_of(
    st.integers(0, 2**32 - 1).map("{:x}".format),
    st.sampled_from(["0", "3c010a14", "3C010A14", "00000000", "7f800000", "7fc00000", "1"]),
)
ends = st.sampled_from([b"\n", b"\r\n"])
row_lines = st.tuples(raw_names, st.sampled_from([b": ", b":  ", b": \t"]), digits_of, ends)


@st.composite
def cache_files(draw):
    """Bytes of a cache and its rows as (name bytes, bits), drawn rather than parsed."""
    header = draw(
        st.sampled_from(["TRT-101601-EntropyCalibration2", "TRT-8XXX-Mine", "03ff" + "0" * 12 + "03ff" + "0" * 13])
    )
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + header.encode() + draw(ends)
    rows = []
    for name, separator, digits, end in draw(st.lists(row_lines, max_size=8)):
        blank = draw(st.sampled_from([b"", b"", b"", b"\n", b"  \r\n"]))
        data += name + separator + digits.encode() + draw(st.sampled_from([b"", b" "])) + end + blank
        rows.append((name, int(digits, 16)))
    tail = draw(st.sampled_from([b"", b"\n", b"\r\n", b"\n\n"]))
    return (data.rstrip(b"\r\n ") if draw(st.booleans()) else data) + tail, rows


@given(cache_files())
def test_every_accepted_file_is_kept_byte_for_byte(file):
    data, rows = file
    cache = CalibrationCache.from_bytes(data)
    assert cache.to_bytes() == data
    decoded = [(name.decode("utf-8", "surrogateescape"), bits) for name, bits in rows]
    assert [(row.name, row.bits) for row in cache.rows] == decoded
    expected = dict(decoded)  # the last row of a name counts
    assert list(cache.scales) == list(expected)
    for name, bits in expected.items():
        scale = struct.unpack(">f", struct.pack(">I", bits))[0]
        assert cache.scales[name] == scale or math.isnan(scale)
        assert cache.amax[name] == scale * 127 or math.isnan(scale)
        assert int(cache.hex(name), 16) == bits
    for oddity in cache.oddities:
        assert oddity.message.isprintable()
        assert 0 <= oddity.line <= data.count(b"\n") + 1


@given(cache_files(), st.data())
def test_changing_scales_touches_no_other_line(file, data):
    cache = CalibrationCache.from_bytes(file[0])
    scale = st.floats(0, 1000.0, width=32)
    chosen = data.draw(st.dictionaries(st.sampled_from([*cache.scales] or ["?"]), scale))
    chosen = {name: value for name, value in chosen.items() if name in cache.scales}
    edited = cache.with_scales(chosen)
    for name, value in cache.scales.items():
        wanted = scale_bits(abs(chosen[name])) if name in chosen else scale_bits(value)
        assert int(edited.hex(name), 16) == wanted or math.isnan(value)
    before, after = cache.to_bytes().split(b"\n"), edited.to_bytes().split(b"\n")
    changed_rows = {row.line - 1 for row in cache.rows if row.name in chosen}
    assert len(before) == len(after)
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if index not in changed_rows:
            assert old == new
    # and back again: the numbers are those of before
    writable = {n: cache.scales[n] for n in chosen if int(cache.hex(n), 16) < 0x7F800000}
    back = edited.with_scales(writable)
    assert [back.hex(name) for name in writable] == [cache.hex(name) for name in writable]


@given(st.dictionaries(names, st.floats(0, 2.0**100, width=32), min_size=1))
def test_built_file_gives_its_scales_back(scales):
    cache = CalibrationCache.from_bytes(CalibrationCache.build(scales).to_bytes())
    assert list(cache.scales.items()) == list(scales.items())
    assert {"odd-digits", "spacing", "no-final-newline"}.isdisjoint(o.kind for o in cache.oddities)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(HEADER.encode().__add__),
        st.text(alphabet='TRT-801 :\n\r{}[]"a,.e\ufeff', max_size=60).map(str.encode),
        cache_files()
        .flatmap(lambda file: st.tuples(st.just(file[0]), st.integers(0, 300), st.binary(max_size=3)))
        .map(lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + 1 :]),
    )
)
def test_arbitrary_bytes_are_kept_or_refused_with_a_reason(data):
    cache, refusal = parse(data)
    if cache is None:
        assert refusal.startswith("some.cache")
        assert refusal.isprintable()
    else:
        assert cache.to_bytes() == data
        cache.oddities  # noqa: B018 - must not raise either


def parse(data):
    """Read a cache, or return the message of the only error that may come."""
    try:
        return CalibrationCache.from_bytes(data, source="some.cache"), ""
    except CacheFormatError as error:
        return None, str(error)


def test_hundred_thousand_rows():
    rows = [f"/model.{i}/conv/Conv_output_{i}: {0x3C000000 + i:x}" for i in range(100_000)]
    data = ("\n".join(["TRT-8601-EntropyCalibration2", *rows, rows[5], ""])).encode()
    cache = CalibrationCache.from_bytes(data)
    assert cache.to_bytes() == data
    assert len(cache.scales) == 100_000
    assert kinds(cache) == [("duplicate", 100_002)]
    edited = cache.with_scales(dict.fromkeys(cache.scales, 1.0))
    assert set(edited.scales.values()) == {1.0}
    assert len(diff(cache, edited).changed) == 100_000


HEADER_KINDS = ("unknown-algorithm", "unknown-version", "spacing")

# --- oddities --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER + "a: 0\n", [("zero", 2)]),
        (HEADER + "a: 7f800000\n", [("inf", 2)]),
        (HEADER + "a: 7fc00000\nb: ffc00001\n", [("nan", 2), ("nan", 3)]),
        (HEADER + "a: bf800000\nb: 80000000\nc: ff800000\n", [("negative", n) for n in (2, 3, 4)]),
        (HEADER + "a: 1\nb: 7fffff\nc: 800000\n", [("denormal", 2), ("denormal", 3)]),
        (HEADER + "a: 7c010204\nb: 7c000000\nc: 7f7fffff\n", [("absurd", 2), ("absurd", 4)]),  # a: 3.4e38 / 127
        (HEADER + "a: 3c010a14\nb: 3c010a14\na: 3c010a14\n", [("duplicate", 4)]),
        ((HEADER + "a: 3c010a14\n").replace("\n", "\r\n"), [("crlf", 0)]),
        (HEADER + "a: 3c010a14\nb: 3c010a14\r\n", [("crlf", 0)]),
        ("\ufeff" + HEADER + "a: 3c010a14\n", [("bom", 1)]),
        (HEADER + "a\udcff: 3c010a14\n", [("non-utf8", 2)]),
        (HEADER + "a: 3c010a14", [("no-final-newline", 2)]),
        (HEADER + "\na: 3c010a14\n \t\nb: 3c010a14\n", [("blank-line", 2), ("blank-line", 4)]),
        (HEADER + "a: 3c010a14\n\n", []),
        ("\n" + HEADER + "a: 3c010a14\n", [("blank-line", 1)]),
        (" \n" + HEADER + "\na: 3c010a14\n", [("blank-line", 1), ("blank-line", 3)]),
        ("\nTRT-8XXX-Mine \na: 0\n", [("blank-line", 1), *((kind, 2) for kind in HEADER_KINDS), ("zero", 3)]),
        (HEADER + "# by hand\na: 3c010a14\n#\n", [("comment", 2), ("comment", 4)]),
        (HEADER + "a: 3c010a14\n# b: 0.5\n# c:1.5", [("comment", 3), ("no-final-newline", 4), ("comment", 4)]),
        (HEADER + "# a: 3c010a14\n", [("commented-out", 2)]),
        (HEADER + "# only\n", [("no-rows", 0), ("comment", 2)]),
        (HEADER + "a: 0x3c010a14\nb: 0X0\n", [("odd-digits", 2), ("zero", 3), ("odd-digits", 3)]),
        (HEADER + "a: 3C010A14\nb: 00800000\n", [("odd-digits", 2), ("odd-digits", 3)]),
        (HEADER + "a:  3c010a14\nb: 3c010a14 \n", [("spacing", 2), ("spacing", 3)]),
        (HEADER + "a\tb: 3c010a14\n", [("control-character", 2)]),
        (HEADER + "a\rb: 3c010a14\n", [("control-character", 2)]),
        (HEADER, [("no-rows", 0)]),
        ("TRT-8601-Mine\na: 3c010a14\n", [("unknown-algorithm", 1)]),
        ("TRT-8XXX-EntropyCalibration2\na: 3c010a14\n", [("unknown-version", 1)]),
        ("TRT-8.6.1-EntropyCalibration2\na: 3c010a14\n", [("unknown-version", 1)]),
        ("TRT-8601-EntropyCalibration2 \na: 3c010a14\n", [("spacing", 1)]),
        ("0" + struct.pack(">dd", 2, -1).hex() + "\na: 3c010a14\n", [("legacy-numbers", 1)]),
    ],
)
def test_oddity_is_found_and_nothing_else(text, expected):
    cache = cache_of(text)
    assert kinds(cache) == expected
    assert cache.to_bytes() == text.encode("utf-8", "surrogateescape")
    for oddity in cache.oddities:
        assert len(oddity.message) > 40  # says what to do, not only what it is called


def test_duplicate_tells_same_from_different():
    cache = cache_of(HEADER + "a: 3c010a14\na: 3c010a15\nb: 1000000\nb: 1000000\n")
    different, same = cache.oddities
    assert (different.severity, same.severity) == ("error", "info")
    assert "line 2" in different.message
    assert cache.hex("a") == "3c010a15"
    assert cache.problems == (different,)


def test_name_in_a_message_is_shortened_and_on_one_line():
    name = "<b>" + "x" * 5000 + "\r" + "\udcff"
    cache = cache_of(HEADER + f"{name}: 0\n")
    assert cache.oddities[0].name == name
    for oddity in cache.oddities:
        assert oddity.message.isprintable()
        assert len(oddity.message) < 500


def test_below_a_blank_line_the_header_is_the_second_line():
    cache = cache_of("\r\n" + HEADER.replace("\n", "\r\n") + "# kept\r\na: 0x3c010a14\r\n")
    assert (cache.header, dict(cache.scales)) == (
        HEADER.strip(),
        {"a": struct.unpack(">f", bytes.fromhex("3c010a14"))[0]},
    )
    assert cache.rows[0].line == 4
    other = cache.with_header(version="8.5.3").with_scales({"b": 1.0, "a": 0.5}, add_missing=True)
    assert other.to_bytes().split(b"\r\n") == [
        b"", b"TRT-8503-EntropyCalibration2", b"# kept", b"a: 3f000000", b"b: 3f800000", b"",
    ]  # fmt: skip


def test_what_a_comment_says_is_kept_in_the_oddity():
    cache = cache_of(HEADER + "# det, 12 März\na: 0\n")
    assert "'# det, 12 März'" in cache.oddities[0].message
    assert list(cache.scales) == ["a"]
    assert list(cache_of(HEADER + "#a: 3c010a14\n").scales) == ["#a"]  # a tensor may be called so


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n \r\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\x08\x07\x12\x04test\0\0", "binary file"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (b"a: 3c010a14\n", r"line 1: 'a: 3c010a14' is a row, but the header line is missing"),
        (b"\n\n" + HEADER.encode(), "line 2: the line is blank"),
        (b"\nhello\n", r"line 2: 'hello' is not the header"),
        (b"# mine\n" + HEADER.encode(), "line 1: a comment stands before the header"),
        (b"\n# mine: abe\n" + HEADER.encode(), "line 2: a comment stands before the header"),
        (b"# mine: 3c010a14\nb: 0\n", "line 1: '# mine: 3c010a14' is a row, but the header line is missing"),
        (HEADER.replace("\n", "\r").encode() + b"a: 3c010a14\r", "CR alone"),
        (b"hello\n", r"line 1: 'hello' is not the header.*TRT-<version>-<algorithm>"),
        (b"TRT-8601\na: 0\n", "not the header"),
        (b"a:1.5\nb:2.5\n", r"dynamic-range text file.*read_scale_file.*trtcal convert"),
        (b"a 1.5\nb 2.5\n", r"ONNX Runtime calibration table in text"),
        (b'{"a": [0, 1]}', "table of ranges or scales in JSON"),
        (HEADER.encode() + b"a: 3c010a14\nb: xyz\n", r"line 3: the scale 'xyz' of tensor 'b' is not hex"),
        (HEADER.encode() + b"a: 123456789\n", r"line 2: .*has 9 hex digits, but.*at most 8"),
        (HEADER.encode() + b"a: 0x123456789\n", "is not hex"),
        (HEADER.encode() + b"a: 3c010a14\n #b\n", r"line 3: ' #b' has no ': '"),
        (HEADER.encode() + b"a: \n", "has no ': ' between"),
        (HEADER.encode() + b"a: b: \n", "line 2"),
        (HEADER.encode() + b"a: 0.5\n", "is a decimal number"),
        (HEADER.encode() + b"a:4.6586\n", "as in a dynamic-range text file"),
        (HEADER.encode() + b": 3c010a14\n", "no tensor name"),
        (HEADER.encode() + b"3c010a14\n", "has no ': ' between"),
        (HEADER.encode() + b"a: 3c_01\n", "is not hex"),
        (HEADER.encode() + b"a: -1\n", "is a decimal number"),
        (HEADER.encode() + b"a" * 10_000 + b"\n", "line 2: 'aaa.*…"),
    ],
)
def test_refusal_says_where_and_why(data, reason):
    with pytest.raises(CacheFormatError, match=reason) as caught:
        CalibrationCache.from_bytes(data, source="some.cache")
    message = str(caught.value)
    assert message.startswith("some.cache")
    assert message.isprintable()
    assert len(message) < 600


def test_unreadable_paths(tmp_path):
    with pytest.raises(CacheFormatError, match=r"missing\.cache: there is no such file"):
        CalibrationCache.read(tmp_path / "missing.cache")
    with pytest.raises(CacheFormatError, match="this is a folder"):
        CalibrationCache.read(tmp_path)


def test_text_instead_of_bytes():
    with pytest.raises(UsageError, match=r"not from str\. Use CalibrationCache\.read"):
        CalibrationCache.from_bytes(HEADER)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a tensor name"),
        ("a\nb: 3c010a14", "line break"),
        ("a\r", "line break"),
        ("a\0", "NUL"),
        ("\ud800", "no valid text"),
        ("\udcc3\udca9", "no valid text"),  # these two bytes would come back as one letter
        (7, "needs a tensor name"),
    ],
)
def test_name_that_cannot_be_written(name, reason):
    with pytest.raises(ExportError, match=reason):
        CalibrationCache.build({"good": 1.0, name: 1.0})
    with pytest.raises(ExportError, match=reason):
        cache_of(HEADER + "good: 0\n").with_scales({name: 1.0}, add_missing=True)


@pytest.mark.parametrize("scale", [math.nan, math.inf, -1.0, -1e-60, 1e39, None, "x"])
def test_scale_that_cannot_be_written(scale):
    with pytest.raises(ExportError, match=r"tensor 'bad' cannot be written"):
        CalibrationCache.build({"good": 1.0, "bad": scale})
    with pytest.raises(ExportError, match=r"tensor 'bad' cannot be written"):
        cache_of(HEADER + "bad: 1000000\n").with_scales({"bad": scale})


def test_build_refuses_headers_that_no_tensorrt_has():
    with pytest.raises(UsageError, match="EntropyCalibration2, MinMaxCalibration"):
        CalibrationCache.build({"a": 1.0}, algorithm="entropy")
    with pytest.raises(UsageError, match=r"TensorRT 11.*Q/DQ"):
        CalibrationCache.build({"a": 1.0}, version="11.0.0")
    with pytest.raises(UsageError, match="map tensor names to scales"):
        CalibrationCache.build(["a"])
    with pytest.raises(ExportError, match="without rows"):
        CalibrationCache.build({})
    with pytest.raises(UsageError, match="quantile must be a number from 0 to 1"):
        CalibrationCache.build_legacy({"a": 1.0}, quantile=99.9, regression_cutoff=0)
    with pytest.raises(UsageError, match="regression_cutoff must be a number from 0 to 1"):
        CalibrationCache.build_legacy({"a": 1.0}, quantile=1, regression_cutoff=float("nan"))
    with pytest.raises(UsageError, match="TensorRT 11"):
        CalibrationCache.build_legacy({"a": 1.0}, quantile=1, regression_cutoff=1, version="11.0.0")


def test_build():
    cache = CalibrationCache.build({"b": 1 / 127, "a": 0.0}, algorithm="MinMaxCalibration", version="8.6.1")
    assert cache.to_bytes() == b"TRT-8601-MinMaxCalibration\nb: 3c010204\na: 0\n"
    assert CalibrationCache.build({"b": 1.0}).header == "TRT-101601-EntropyCalibration2"
    assert CalibrationCache.build({"b": -0.0}).hex("b") == "0"


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "folder.cache"
    path.mkdir()
    with pytest.raises(ExportError, match="it is a folder"):
        CalibrationCache.build({"a": 1.0}).write(path)


# --- edited copies ---------------------------------------------------------------------------------

EDIT = "\ufeffTRT-8601-EntropyCalibration2\r\na: 3C010A14 \r\nb\udcff:  1\r\n\r\na: 2\r\nc: 0\r\n\r\n"


def test_with_scales_keeps_everything_else():
    cache = cache_of(EDIT)
    edited = cache.with_scales({"b\udcff": 1.0})
    assert edited.to_bytes() == cache.to_bytes().replace(b":  1\r", b":  3f800000\r")
    assert cache.hex("b\udcff") == "1"  # the original is what it was


def test_with_scales_changes_every_row_of_a_repeated_name():
    edited = cache_of(EDIT).with_scales({"a": 1.0})
    assert [row.bits for row in edited.rows if row.name == "a"] == [0x3F800000, 0x3F800000]
    assert b"a: 3f800000 \r\n" in edited.to_bytes()


def test_same_scale_leaves_the_bytes_alone():
    cache = cache_of(HEADER + "a: 3C010A14\nb: 00000000\n")
    assert cache.with_scales({"a": cache.scales["a"], "b": 0.0}) == cache


def test_rows_are_added_at_the_end_on_request():
    cache = cache_of(EDIT)
    with pytest.raises(UsageError, match=r"no row for 'new'.*add_missing=True"):
        cache.with_scales({"new": 1.0})
    added = cache.with_scales({"new": 1.0}, add_missing=True)
    assert added.to_bytes() == cache.to_bytes().replace(b"c: 0\r\n", b"c: 0\r\nnew: 3f800000\r\n")


def test_without_some_rows():
    cache = cache_of(EDIT)
    assert cache.without([]) == cache
    edited = cache.without(["a", "c"])
    assert edited.to_bytes() == (b"\xef\xbb\xbfTRT-8601-EntropyCalibration2\r\nb\xff:  1\r\n\r\n\r\n")
    with pytest.raises(UsageError, match="no row for 'x'"):
        cache.without(["a", "x"])


def test_with_header():
    cache = cache_of(EDIT)
    edited = cache.with_header(version="10.16.1", algorithm="MinMaxCalibration")
    assert edited.header == "TRT-101601-MinMaxCalibration"
    assert edited.to_bytes().split(b"\n")[1:] == cache.to_bytes().split(b"\n")[1:]
    assert edited.to_bytes().startswith(b"\xef\xbb\xbfTRT-101601-MinMaxCalibration\r\n")
    assert cache.with_header(version="8.5.1").header == "TRT-8501-EntropyCalibration2"
    assert cache.with_header(algorithm="MinMaxCalibration").header == "TRT-8601-MinMaxCalibration"
    assert cache.with_header() == cache


def test_with_header_of_a_legacy_table():
    cache = CalibrationCache.build_legacy({"a": 1.0}, quantile=0.9999, regression_cutoff=1.0)
    assert cache.legacy == (0.9999, 1.0)
    with pytest.raises(UsageError, match="names no TensorRT version"):
        cache.with_header(algorithm="EntropyCalibration2")
    edited = cache.with_header(algorithm="EntropyCalibration2", version="8.6.1")
    assert edited.to_bytes() == b"TRT-8601-EntropyCalibration2\na: 3f800000\n"
    assert edited.legacy is None


# --- a value ---------------------------------------------------------------------------------------


def test_immutable_and_compared_by_content(tmp_path):
    cache = cache_of(HEADER + "a: 3c010a14\n")
    (tmp_path / "c").write_bytes(cache.to_bytes())
    same = CalibrationCache.read(tmp_path / "c")
    assert same == cache
    assert hash(same) == hash(cache)
    assert cache != cache_of(HEADER + "a: 3c010a14")
    with pytest.raises(dataclasses.FrozenInstanceError):
        cache.data = b""
    with pytest.raises(TypeError):
        cache.scales["a"] = 1.0
    with pytest.raises(TypeError):
        cache.amax["a"] = 1.0
    with pytest.raises(UsageError, match="no row for 'b'"):
        cache.hex("b")


def test_bytes_that_change_later_do_not_change_the_cache():
    data = bytearray((HEADER + "a: 3c010a14\n").encode())
    cache = CalibrationCache.from_bytes(data)
    data[-2:] = b"5\n"
    assert cache.to_bytes().endswith(b"3c010a14\n")


def test_pickles_and_copies():
    cache = cache_of(HEADER + "a: 3c010a14\n")
    assert cache.amax["a"] > 1
    for other in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache)):  # noqa: S301
        assert other == cache
        assert other.scales == cache.scales


# --- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7.0.0", 7000),
        ("7.2.3", 7203),
        ("8.6.1", 8601),
        ("8.6.1.6", 8601),
        ("10.3.0", 100300),
        ("10.14.1", 101401),
        ("10.16.1", 101601),
        ("10.16", 101600),
    ],
)
def test_version_numbers(text, number):
    assert version_to_int(text) == number
    assert parse_version_int(number) == tuple(int(part) for part in (text + ".0").split(".")[:3])


@given(st.integers(1, 99), st.integers(0, 99), st.integers(0, 99))
def test_version_round_trip(major, minor, patch):
    version = (major, minor % 10 if major < 10 else minor, patch)
    assert parse_version_int(version_to_int(version)) == version
    assert version_to_int(".".join(map(str, version))) == version_to_int(version)


@pytest.mark.parametrize("version", ["", "8", "8.x", "8.10.0", "8.6.100", "0.1.0", "100.0.0", None, (8, 6)])
def test_bad_versions(version):
    with pytest.raises(UsageError, match="not a TensorRT version"):
        version_to_int(version)


@pytest.mark.parametrize("number", [0, 999, 10000, 99999, 1000000, -8601])
def test_bad_version_numbers(number):
    with pytest.raises(UsageError, match="four digits"):
        parse_version_int(number)


# --- comparisons -----------------------------------------------------------------------------------


def test_names_of_another_model():
    names = ["images", "/conv/Conv_output_0", "missing", "images"]
    cache = CalibrationCache.build(
        dict.fromkeys(
            [
                "images",
                "(Unnamed Layer* 37) [Constant]_output",
                "(Unnamed Layer* 281) [PluginV2]_output_0",
                "(Unnamed ITensor* 5)",
                "ONNXTRT_Broadcast_112_output",
                "ONNXTRT_ShapeShuffle_287_output",
                "tmp_refittable_weight_output",
                "tmp_refittable_weight_1_output",
                "weight_output",
                "other_output",
                "/conv/Conv_output_0",
                "weight",
            ],
            1.0,
        )
    )
    found = compare_with_names(cache, names, also_known=["weight"])
    assert found.matched == ("images", "/conv/Conv_output_0", "weight")
    assert found.missing == ("missing",)
    assert found.unknown == ("other_output",)
    assert list(found.synthetic) == [name for name in cache.scales if name not in (*found.matched, *found.unknown)]
    assert "constant" in found.synthetic["(Unnamed Layer* 37) [Constant]_output"]
    assert "reshape" in found.synthetic["ONNXTRT_Broadcast_112_output"]
    assert "constant of that name without _output" in found.synthetic["weight_output"]


def test_synthetic_names_of_real_files_are_all_recognised():
    marks = ("(Unnamed", "ONNXTRT_", "tmp_refittable_weight")
    seen = 0
    for name in REAL:
        cache = read(name)
        made_up = [row for row in cache.scales if row.startswith(marks)]
        assert list(compare_with_names(cache, []).synthetic) == made_up
        seen += len(made_up)
    assert seen > 300


def test_header_fits():
    cache = cache_of(HEADER + "a: 0\n")
    assert header_fits(cache, "8.6.1", "EntropyCalibration2").verdict == "reuse"
    assert header_fits(cache, "8.6.1.6", "EntropyCalibration2").verdict == "reuse"
    other = header_fits(cache, "10.16.1", "MinMaxCalibration")
    assert other.verdict == "recalibrate"
    assert "TensorRT 8.6.1 and is to be read by 10.16.1" in other.message
    assert "EntropyCalibration2 and is to be read with MinMaxCalibration" in other.message
    assert "unverified" in other.message
    eleven = header_fits(cache, "11.0.0", "EntropyCalibration2")
    assert eleven.verdict == "unsupported"
    assert "Q/DQ" in eleven.message
    legacy = CalibrationCache.build_legacy({"a": 1.0}, quantile=1.0, regression_cutoff=1.0)
    assert "names no TensorRT version" in header_fits(legacy, "10.16.1", "LegacyCalibration").message
    with pytest.raises(UsageError):
        header_fits(cache, "newest", "EntropyCalibration2")


def test_diff():
    a = cache_of(HEADER + "x: 3f800000\ny: 3f800000\nz: 0\ngone: 1000000\nn: 7fc00000\nm: 7fc00000\n")
    b = cache_of(HEADER + "y: 40000000\nx: 3f800001\nz: 3f800000\nnew: 0\nn: 7fc00000\nm: 0\n")
    found = diff(a, b)
    assert found.only_in_a == ("gone",)
    assert found.only_in_b == ("new",)
    assert found.equal == ("n",)
    changes = {change.name: change for change in found.changed}
    assert list(changes) == ["x", "y", "z", "m"]
    assert (changes["x"].ulps, changes["x"].ratio) == (1, 1 + 2**-23)
    assert (changes["y"].ulps, changes["y"].ratio) == (2**23, 2.0)
    assert changes["z"].ratio == math.inf
    assert changes["m"].ulps == -1
    assert math.isnan(changes["m"].ratio)
    assert found.order_differs
    assert not found.header_differs
    assert not found.same_scales
    assert not found.same


def test_diff_of_equals_and_of_headers_and_order():
    a = read("data/caches/yolov8.TRT-101401.cache")
    assert diff(a, a).same
    assert len(diff(a, a).equal) == 323
    other_header = diff(a, a.with_header(version="10.16.1"))
    assert other_header.same_scales
    assert not other_header.same
    turned = CalibrationCache.build(dict(reversed(a.scales.items())), version="10.14.1")
    assert diff(a, turned).order_differs
    assert diff(a, turned).same_scales


@given(cache_files(), cache_files())
def test_diff_is_complete_and_mirrors(file_a, file_b):
    a, b = CalibrationCache.from_bytes(file_a[0]), CalibrationCache.from_bytes(file_b[0])
    there, back = diff(a, b), diff(b, a)
    changed = {change.name for change in there.changed}
    assert set(there.only_in_a) | changed | set(there.equal) == set(a.scales)
    assert set(there.only_in_b) | changed | set(there.equal) == set(b.scales)
    assert set(back.only_in_a) == set(there.only_in_b)
    assert {change.name: change.ulps for change in back.changed} == {
        change.name: change.ulps for change in there.changed
    }
    assert diff(a, a).same_scales
