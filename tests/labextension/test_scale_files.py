"""The extension reads scale files as the package does: rows, bits, oddities, refusals, word for word."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.formats.test_foreign import CASES, OTHERS
from tests.support.shared import shared_path
from trtcal_widgets.common.words import significant
from trtcal_widgets.errors import CacheFormatError, UsageError
from trtcal_widgets.formats.cache import KNOWN_ALGORITHMS, CalibrationCache, diff, header_fits
from trtcal_widgets.formats.header import synthetic_label
from trtcal_widgets.formats.reading import detect_format, read_scale_file
from trtcal_widgets.formats.scales import scale_bits
from trtcal_widgets.formats.tables import write_flatbuffers_table
from trtcal_widgets.widgets.cache.facts import read_facts

REAL = [
    *(f"data/caches/{name}" for name in (
        "diffusion.TRT-8601.cache", "resnet18-cifar10.TRT-8003.cache", "resnet50.dynamic-range.txt",
        "resnet50v2.onnxruntime-ep.cache", "resnet50v2.onnxruntime-ep.flatbuffers", "resnet50v2.onnxruntime-ep.json",
        "unet-prelu.TRT-8001.cache", "vgg16-cifar10.TRT-8400-minmax.cache", "yolo11.TRT-101200.cache",
        "yolov8.TRT-101401.cache",
    )),
    *(f"data/golden/{name}" for name in ("CalibrationTablemnist", "LegacyCalibrationTable")),
]  # fmt: skip

HEAD = b"TRT-8601-EntropyCalibration2\n"
ODD = [
    b"",
    b" \r\n\t\n",
    HEAD,
    HEAD.rstrip(),
    HEAD + b"a: 3c010a14",
    HEAD + b"a: 3c010a14\n\n\nb: 0\n",
    HEAD.replace(b"\n", b"\r\n") + b"a: 3c010a14\r\nb: 3C010A14\r\n",
    b"\xef\xbb\xbf" + HEAD + b"a: 1\n",
    b"\xff\xfeT\x00R\x00",
    b"PK\x03\x04 and so on",
    b"\x08\x07\x12\x00\x00",
    HEAD + b"a: 7f800000\nb: 7fc00000\nc: ffc00001\nd: 80000000\ne: bf800000\nf: 00000000\ng: 1\nh: 007fffff\n",
    HEAD + b"a: 3f800000\na: 3f800000\na: 3f800001\n",
    HEAD + b"a:b: c: 3f800000\n: 3f800000\n",
    HEAD + b" : 3f800000\n",
    HEAD + b"a 3f800000\n",
    HEAD + b"a:1.5\n",
    HEAD + b"a: 1.5\n",
    HEAD + b"a: 0x3f800000\n",
    HEAD + b"a: 123456789\n",
    HEAD + b"a: \n",
    HEAD + b"a: zz\n",
    HEAD + b"a:   3f800000  \t\nb\t: 3f800000\n",
    HEAD + "Größe/層: 3f800000\n\u2028x: 0\nquote'\": 0\nback\\slash': 1\n".encode(),
    HEAD + b"caf\xe9: 3f800000\n\x80\xc3\xa4\xc3: 0\n\xf0\x9f\x98\x80 smile: 0\n\xed\xa0\x80: 0\n",
    HEAD + b"<img src=x onerror=alert(1)>: 3f800000\n\x1b[31mred: 3f800000\n",
    HEAD + ("long/" * 40).encode() + b": 1\n" + ("\U0001f600" * 80).encode() + b": zz\n",
    b"TRT-8601-EntropyCalibration2  \na: 1\n",
    b"TRT-860-EntropyCalibration2\na: 1\n",
    b"TRT-0860-EntropyCalibration2\na: 1\n",
    b"TRT--MyCalibrator\na: 1\n",
    b"TRT-101401-MinMaxCalibration\na: 1\n",
    "TRT-8601-Entropy\u00a0Calibration\na: 1\n".encode(),
    "TRT-8601-Entropy\ufeffCalibration\na: 1\n".encode(),
    b"03ff00000000000003feffffde7210be9\na: 1\n",
    b"3ff00000000000003feffffde7210be9\na: 1\n",
    b"040000000000000007ff8000000000000\na: 1\n",
    b"0 3feffffde7210be9 3ff0000000000000\na: 1\n",
    b"\nTRT-8601-EntropyCalibration2\na: 1\n",
    b"\r\n" + HEAD + b"\n# mine\na: 0x3f800000\n#\n# b: 3f800000\n",
    b" \nTRT-8XXX-Mine  \na: 1\n",
    b"\n0 4000000000000000 3ff0000000000000\na: 1\n",
    b"\n\n" + HEAD + b"a: 1\n",
    b"\na: 1\n",
    b"# mine: abe\n" + HEAD + b"a: 1\n",
    b"\n# mine\n" + HEAD + b"a: 1\n",
    b"# mine: 3c010a14\n",
    b"\n#\xff\n",
    HEAD + b"# mine\n",
    HEAD + "# größe \xff".encode() + b"\xff: zz\na: 0X3F800000\nb: 0x\nc: 0x123456789\n",
    b"a: 3f800000\nb: 3f800000\n",
    b"a: 3e345678\nb: 3e345679\n",
    b"a\rb\rc",
    b"hello world\n",
    b"a:1.5\nb:2\nb:2.0\nc:-1\nd:inf\ne:nan\nf:1e39\ng:1e-40\nh:0\ni:-0.0\nj:.5\nk:5.\nl:+1e+2\n",
    b"a:b:1.5\r\nc: 2 \r\n",
    b"a:1.5\nb\n",
    b"a:1_0\n",
    b"a 1.5\nb c 2\n",
    b"a -nan\nb -inf\nc Infinity\n",
    b'{"a": [-1, 2], "b": [NaN, 1], "a": [0, 1], "c": [3, -3], "d": [-Infinity, 1e400]}',
    b'{"CLS": "TensorsData", "data": {"x": {"CLS": "TensorData", "lowest": {"CLS": "numpy.array", "data": [-1, -2]}, '
    b'"highest": {"CLS": "numpy.array", "data": [1.5, 2.25]}}}}',
    b'{"a": 1}',
    b'{"a": [1]}',
    b'{"a": ["x", 1]}',
    b'{"a": [true, 1]}',
    b'{"": [0, 1]}',
    b'{"a\\u00e9\\ud83d\\ude00\\n": [0, 1]}',
    b'{"a": [0, 1],}',
    b'{"a": [0, 01]}',
    b'{"CLS": "TensorsData", "smooth_quant": true, "data": {"x": {"CLS": "TensorData", "lowest": -1, "highest": 2}, '
    b'"mean": {"CLS": "TensorData", "avg": 1, "std": 2}, "y": {"lowest": 0}}}',
    b'{"CLS": "TensorsData", "data": {"x": {"avg": 1}}}',
    b'{"CLS": "TensorsData", "data": {"": {"avg": 1}}}',
    b'{"CLS": "TensorsData", "data": [1]}',
    b"{}",
    b'{"a": [' + b"1" * 400 + b", 0]}",
    b"{" + b'"a":{' * 3000 + b"}" * 3001,
    write_flatbuffers_table([(b"a", b"1.5"), ("é".encode(), b" 2 "), (b"a", b"nan")]),
    write_flatbuffers_table([(b"", b"1.5")]),
    write_flatbuffers_table([(b"a", b"x")]),
    write_flatbuffers_table([(b"a", b"1.5")])[:-3],
    "a:\u0131nf\n".encode(),
    "a:1\nb:\u0130NF\n".encode(),
    "a nan\nb \u0131nf\n".encode(),
    *(json.dumps(data).encode() for data in (*(case[0] for case in CASES.values()), *OTHERS)),
]  # fmt: skip


def expected(path, source):
    """What the package says about a file, in the extension's shape."""
    file = read_scale_file(path)
    if isinstance(file, CalibrationCache):
        rows = [
            {"name": r.name, "bits": r.bits, "line": r.line, "amax": np.float64(r.scale) * 127.0} for r in file.rows
        ]
        version = None if file.version is None else list(file.version)
        legacy = None if file.legacy is None else list(file.legacy)
        header = {"text": file.header, "version": version, "algorithm": file.algorithm, "legacy": legacy}
        kind = "cache" if file.legacy is None else "legacy"
    else:
        bits = [scale_bits(scale) for scale in file.scales.values()]
        rows = [
            {"name": name, "bits": b, "line": 0, "amax": amax}
            for (name, amax), b in zip(file.amax.items(), bits, strict=True)
        ]
        header, kind = None, file.format
    oddities = [dataclasses.asdict(o) for o in file.oddities]
    return {"format": kind, "header": header, "rows": rows, "oddities": oddities}


def same(found, wanted):
    """Equal, where two NaN are equal (their bits are compared beside)."""
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return found == wanted


def is_nan(bits):
    return bits & 0x7FFFFFFF > 0x7F800000


def without_nan_signs(file):
    """JavaScript has one NaN: the sign of a table's "-nan" is not kept. A cache's bits are those of the file."""
    if file["header"] is None:
        for row in file["rows"]:
            row["bits"] = 0x7FC00000 if is_nan(row["bits"]) else row["bits"]
    return file


def check(readers, path):
    """Let both read a file and compare."""
    source = str(path)
    assert readers.ask("detect", path=source) == detect_format(path.read_bytes())
    try:
        wanted = expected(path, source)
    except CacheFormatError as error:
        said, found = str(error), readers.refusal("scale", path=source, source=source)
        if "this is not valid JSON" in said:  # what follows is the JSON parser's own
            said, found = (text.partition("valid JSON")[0] for text in (said, found))
        assert found == said
        return
    found = readers.ask("scale", path=source, source=source)
    found, wanted = without_nan_signs(found), without_nan_signs(wanted)
    assert found["rows"] == wanted["rows"] or same(found["rows"], wanted["rows"])
    assert found["oddities"] == wanted["oddities"]
    assert same(found, wanted)


@pytest.mark.parametrize("name", REAL)
def test_real_files(readers, name):
    check(readers, shared_path(*name.split("/")))


@pytest.mark.parametrize("number", range(len(ODD)))
def test_odd_files(readers, tmp_path, number):
    path = tmp_path / "it's a.cache"
    path.write_bytes(ODD[number])
    check(readers, path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([
        b"", HEAD, b"\n", b"\n" + HEAD, HEAD + b"# ", b"TRT-101401-MinMaxCalibration\r\n",
        b"03ff00000000000003feffffde7210be9\n",
    ]),
    pieces=st.lists(
        st.one_of(
            st.sampled_from([
                b"a", b"b/c", b": ", b":", b" ", b"\n", b"\r\n", b"\t", b"3f800000", b"0", b"7f800000", b"1.5", b"-2",
                b"nan", b"inf", b"\xc3\xa4", b"\xe5\xb1", b"\xff", b"{", b"}", b'"', b"\\", b"'", b"\x1f", b"\xc2\x85",
                b"(Unnamed Layer* 37) [Constant]_output", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf",
            ]),
            st.binary(max_size=3),
        ),
        max_size=24,
    ),
)  # fmt: skip
def test_any_text(readers, tmp_path, start, pieces):
    path = tmp_path / "fuzz.cache"
    path.write_bytes(start + b"".join(pieces))
    check(readers, path)


KEYS = st.sampled_from([
    "a", "b", "", "é", "scale", "offset", "min", "max", "bitwidth", "bw", "dtype", "is_symmetric", "is_sym", "name",
    "activation_encodings", "param_encodings", "configs", "values", "hash", "dominator", "policy", "bit_width",
    "zero_point", "axis", "quant_type", "rmin", "rmax", "symmetric", "CLS", "data", "lowest", "highest", "smooth_quant",
    "ASYMMETRICAL", "FLOATING", "DYNAMIC", "11", "True", "None", "__proto__",
])  # fmt: skip
VALUES = st.recursive(
    st.sampled_from([
        None, True, False, 0, -0.0, 1, 8, 8.0, 16, -128, 127.0, 0.01, 1e300, -3.5, math.nan, math.inf, "", "int",
        "INT8", "float", "true", "False", "QInt8", "onnx.QInt8", "QUInt8", "11", "é\n'", "TensorsData", "numpy.array",
    ]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


def changed(draw, value):
    """The same JSON with something else somewhere in it."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], changed(draw, value[place]), *value[place + 1 :]]
    return draw(VALUES)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_json_of_any_tool(readers, tmp_path, data):
    start = data.draw(st.sampled_from([*(case[0] for case in CASES.values()), {}]))
    found = changed(data.draw, start) if start else data.draw(st.dictionaries(KEYS, VALUES, max_size=4))
    path = tmp_path / "fuzz.json"
    path.write_bytes(json.dumps(found, ensure_ascii=data.draw(st.booleans())).encode())
    check(readers, path)


@pytest.mark.parametrize(
    "content",
    [
        b"a:1" + b"\t" * 400_000 + b"x\n",
        b"a:1\nb:" + b" " * 400_000 + b"1\n",
        b"a 1\nb\t" + "\u2003".encode() * 400_000 + b"1 x\n",
        HEAD + b"a" + b"\r" * 400_000 + b": 1\n",
        HEAD + b"a: 1" + b" " * 400_000 + b"\r\n",
        b"\xe9" * 4_000_000,
        HEAD + b"caf\xe9: 1\n" * 300_000,
    ],
    ids=["tabs", "spaces", "wide spaces", "returns", "at the end", "not UTF-8", "names not UTF-8"],
)
def test_long_runs_take_no_longer_than_their_bytes(readers, tmp_path, content):
    path = tmp_path / "long.cache"
    path.write_bytes(content)
    assert readers.ask("detect", path=str(path)) == detect_format(content)
    readers.refusal("scale", path=str(path), source="x")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_flatbuffers(readers, tmp_path, data):
    whole = bytearray(write_flatbuffers_table([(b"one", b"1.5"), (b"two", b"2.5")]))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzz.flatbuffers"
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    check(readers, path)


@pytest.mark.parametrize(("a", "b"), [(REAL[8], REAL[9]), (REAL[0], REAL[0]), (REAL[3], REAL[5])])
def test_two_files(readers, a, b):
    a, b = (shared_path(*name.split("/")) for name in (a, b))
    found = readers.ask("diff", a=str(a), b=str(b))
    wanted = diff(read_scale_file(a), read_scale_file(b))
    assert found["onlyInA"] == list(wanted.only_in_a)
    assert found["onlyInB"] == list(wanted.only_in_b)
    assert found["equal"] == list(wanted.equal)
    assert found["orderDiffers"] == wanted.order_differs
    changes = [
        {
            "name": c.name,
            "bitsA": scale_bits(c.scale_a),
            "bitsB": scale_bits(c.scale_b),
            "ratio": c.ratio,
            "ulps": c.ulps,
        }
        for c in wanted.changed
    ]
    assert same(found["changed"], changes)


def test_changes_of_every_kind(readers, tmp_path):
    bits = ["0", "80000000", "1", "3f800000", "3f800001", "7f800000", "ff800000", "7fc00000", "bf800000"]
    rows = [(f"{i}-{j}", one, two) for i, one in enumerate(bits) for j, two in enumerate(bits)]
    paths = []
    for which in (1, 2):
        paths.append(tmp_path / f"{which}.cache")
        paths[-1].write_bytes(HEAD + "".join(f"{row[0]}: {row[which]}\n" for row in rows).encode())
    found = readers.ask("diff", a=str(paths[0]), b=str(paths[1]))
    wanted = diff(*map(read_scale_file, paths))
    assert [(c["name"], c["ulps"]) for c in found["changed"]] == [(c.name, c.ulps) for c in wanted.changed]
    assert all(same(f["ratio"], w.ratio) for f, w in zip(found["changed"], wanted.changed, strict=True))


HEADERS = [
    b"TRT-8601-EntropyCalibration2\na: 1\n",
    b"TRT-8400-MinMaxCalibration\na: 1\n",
    b"TRT-101401-EntropyCalibration2\na: 1\n",
    b"TRT-x-EntropyCalibration2\na: 1\n",
    b"TRT-8601-EntropyCalibration2\n",
    b"\xef\xbb\xbfTRT-8601-EntropyCalibration2\na: 1\n",
    b"03ff00000000000003feffffde7210be9\na: 1\n",
    b"0 3feffffde7210be9 3ff0000000000000\na: 1\n",
]


@pytest.mark.parametrize("version", ["7.2.1", "8.6.1", "8.6", "10.14.1", "10.16.1", "11.0.0", "8", "x"])
@pytest.mark.parametrize("algorithm", [*KNOWN_ALGORITHMS[:2], "LegacyCalibration"])
def test_which_tensorrt_takes_it(readers, tmp_path, version, algorithm):
    for number, content in enumerate(HEADERS):
        path = tmp_path / f"{number}.cache"
        path.write_bytes(content)
        request = {"path": str(path), "version": version, "algorithm": algorithm}
        try:
            wanted = header_fits(CalibrationCache.read(path), version, algorithm)
        except UsageError as error:
            said = str(error)
        else:
            assert readers.ask("fit", **request) == {"verdict": wanted.verdict, "message": wanted.message}
            said = ""
        assert readers.refusal("fit", **request) == said


@pytest.mark.parametrize(("a", "b"), [(REAL[0], None), (REAL[8], REAL[9]), (REAL[4], REAL[3]), (REAL[11], REAL[10])])
def test_what_the_viewer_shows(readers, a, b):
    """Filters, notes and remarks are those of CacheViewer."""
    a, b = (None if name is None else shared_path(*name.split("/")) for name in (a, b))
    found = readers.ask("facts", path=str(a), other=None if b is None else str(b))
    wanted = read_facts(read_scale_file(a), None if b is None else read_scale_file(b))
    assert found["names"] == list(wanted.names)
    groups = [
        {"key": g.key, "label": g.label, "severity": g.severity, "text": g.text, "rows": g.rows.tolist()}
        for g in wanted.groups
    ]
    assert found["groups"] == groups
    assert {row: tuple(texts) for row, texts in found["notes"]} == dict(wanted.notes)
    assert dict(found["severities"]) == dict(wanted.severities)
    assert [(o["severity"], o["message"]) for o in found["remarks"]] == list(wanted.remarks)


def test_names_that_tensorrt_makes_up(readers):
    names = [
        "(Unnamed Layer* 37) [Constant]_output", "(Unnamed Layer* 3) [Shuffle]_output_2", "(Unnamed ITensor* 4)",
        "(Unnamed Layer* ٣) [Softmax]_output", "(Unnamed Layer* 1) []_output", "ONNXTRT_Broadcast_output",
        "ONNXTRT_Broadcast_12_output", "ONNXTRT_ShapeShuffle_1_output", "ONNXTRT_größe_output", "ONNXTRT_a b_output",
        "tmp_refittable_weight_7_output", "conv1", "conv1_output", "", "x\nONNXTRT_a_output",
    ]  # fmt: skip
    assert readers.ask("synthetic", names=names) == [synthetic_label(name) for name in names]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cn"])), max_size=8))
def test_literals(readers, texts):
    """What is written into a notebook is the text again."""
    shown = readers.ask("repr", texts=texts)
    assert shown == [repr(text) for text in texts]


@given(st.lists(st.one_of(st.floats(), st.builds(lambda n, k: n / 2**k, st.integers(0, 2**20), st.integers(0, 20)))))
def test_numbers(readers, values):
    shown = readers.ask("floats", values=values)
    assert [text for text, _, _ in shown] == [repr(value) for value in values]
    assert [text for _, text, _ in shown] == [significant(value) for value in values]


def test_every_bit_pattern_at_the_edges(readers, tmp_path):
    patterns = [0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    path = tmp_path / "edges.cache"
    path.write_bytes(HEAD + "".join(f"t{n}: {bits:x}\n" for n, bits in enumerate(patterns)).encode())
    found = readers.ask("scale", path=str(path), source="x")
    scales = [struct.unpack(">f", bits.to_bytes(4, "big"))[0] for bits in patterns]
    assert same([row["amax"] for row in found["rows"]], [scale * 127.0 for scale in scales])
    kinds = defaultdict(list)
    for oddity in found["oddities"]:
        kinds[oddity["kind"]].append(oddity["name"])
    assert kinds == {
        "zero": ["t0"], "denormal": ["t1", "t2"], "absurd": ["t4"], "inf": ["t5"], "nan": ["t6", "t7", "t9"],
        "negative": ["t8"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", ["conv1", "/a/Conv_output_0", "x[0]", "re:x"]),
        ("  CONV ", ["conv1", "/a/Conv_output_0"]),
        ("*_0", ["/a/Conv_output_0"]),
        ("conv?", ["conv1"]),
        ("[0]", ["x[0]"]),
        ("re:^.{4,5}$", ["conv1", "x[0]", "re:x"]),
        ("/conv[0-9]+$/", ["conv1"]),
        ("/a/", ["/a/Conv_output_0"]),
    ],
)
def test_search(readers, wanted, found):
    names = ["conv1", "/a/Conv_output_0", "x[0]", "re:x"]
    assert readers.ask("search", wanted=wanted, names=names) == {"found": found, "bad": False}


def test_search_with_an_expression_that_cannot_be_read(readers):
    assert readers.ask("search", wanted="re:(", names=["(", "a"]) == {"found": [], "bad": True}
