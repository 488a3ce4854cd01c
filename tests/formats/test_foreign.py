"""Scale files of other tools: symmetric INT8 per tensor is read, everything else is named and left out."""

from __future__ import annotations

import json

import pytest

from trtcal_widgets import read_scale_file
from trtcal_widgets.cli import main
from trtcal_widgets.errors import CacheFormatError


def written(tmp_path, data):
    path = tmp_path / "scales.json"
    path.write_text(json.dumps(data))
    return path


AIMET = {"bitwidth": 8, "dtype": "int", "is_symmetric": "True", "max": 1.0, "min": -1.0, "offset": -128}
NEWER = {"bw": 8, "dtype": "INT", "is_sym": True}


def aimet(scale, **more):
    return {**AIMET, "scale": scale, **more}


AIMET_06 = {
    "version": "0.6.1",
    "activation_encodings": {
        "x": [aimet(0.01)],
        "relu": [aimet(0.02, is_symmetric="False", offset=0)],
        "wide": [aimet(0.02, bitwidth=16)],
        "half": [{"bitwidth": 16, "dtype": "float"}],
        "pair": [aimet(0.01), aimet(0.02)],
        "shifted": [aimet(0.02, offset=-30)],
    },
    "param_encodings": {"conv.weight": [aimet(0.1), aimet(0.2)]},
}
AIMET_10 = {
    "version": "1.0.0",
    "activation_encodings": [
        {
            "name": "x",
            "bw": 8,
            "dtype": "INT",
            "enc_type": "PER_TENSOR",
            "is_sym": True,
            "scale": [0.01],
            "offset": [-128],
        },
        {
            "name": "rows",
            "bw": 8,
            "dtype": "INT",
            "enc_type": "PER_CHANNEL",
            "is_sym": True,
            "scale": [0.1, 0.2],
            "offset": [-128, -128],
        },
    ],
    "param_encodings": [],
}
PPQ = {
    "configs": {
        "Conv_0": {
            "x": {"bit_width": 8, "policy": {"PER_TENSOR": True, "SYMMETRICAL": True}, "hash": 11, "dominator": 11},
            "w": {"bit_width": 8, "policy": {"PER_CHANNEL": True}, "hash": 12, "dominator": 12},
        },
        "Add_1": {
            "shared": {"bit_width": 8, "policy": {"PER_TENSOR": True}, "hash": 99, "dominator": 11},
            "four": {"bit_width": 4, "policy": {"PER_TENSOR": True}, "hash": 13, "dominator": 13},
            "gone": {"bit_width": 8, "policy": {}, "hash": 77, "dominator": 78},
            "moved": {"bit_width": 8, "policy": {}, "hash": 14, "dominator": 14},
        },
    },
    "values": {
        "11": {"scale": 0.01, "zero_point": 0},
        "12": {"scale": [0.1, 0.2], "zero_point": [0, 0]},
        "13": {"scale": 0.5, "zero_point": 0},
        "14": {"scale": 0.5, "zero_point": 12},
    },
}
NVDLA = {
    "x": {"scale": 0.01, "min": 0, "max": 0, "offset": 0},
    "ranged": {"min": -2.0, "max": 1.0, "offset": 0},
    "moved": {"scale": 0.01, "min": 0, "max": 0, "offset": 7},
    "nothing": {"scale": 0, "min": None, "max": 1},
}

OVERRIDES = {
    "x": [{"quant_type": "QInt8", "scale": 0.01, "zero_point": 0}],
    "array": [{"scale": [0.02], "zero_point": [0]}],
    "ranged": [{"quant_type": "QuantType.QInt8", "rmin": -2.0, "rmax": 1.0, "symmetric": True}],
    "moved": [{"quant_type": "QInt8", "scale": 0.01, "zero_point": 3}],
    "unsigned": [{"quant_type": "QUInt8", "scale": 0.01, "zero_point": 0}],
    "wide": [{"quant_type": "QInt16", "scale": 0.01, "zero_point": 0}],
    "rows": [{"axis": 0, "scale": 0.01, "zero_point": 0}, {"scale": 0.02, "zero_point": 0}],
    "lopsided": [{"rmin": -2.0, "rmax": 1.0}],
    "nothing": [{"symmetric": True}],
}

CASES = {
    "ONNX Runtime overrides": (
        OVERRIDES,
        {"x", "array", "ranged"},
        {"moved", "unsigned", "wide", "rows", "lopsided", "nothing"},
    ),
    "AIMET 0.6": (AIMET_06, {"x"}, {"relu", "wide", "half", "pair", "shifted", "conv.weight"}),
    "AIMET 1.0": (AIMET_10, {"x"}, {"rows"}),
    "PPQ": (PPQ, {"x", "shared"}, {"w", "four", "gone", "moved"}),
    "NVDLA": (NVDLA, {"x", "ranged"}, {"moved", "nothing"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_symmetric_int8_per_tensor_is_read_and_the_rest_is_named(tmp_path, case):
    data, read, left = CASES[case]
    table = read_scale_file(written(tmp_path, data))
    assert set(table.amax) == read
    assert table.amax["x"] == pytest.approx(0.01 * 127)
    assert {oddity.name for oddity in table.oddities if oddity.kind == "left-out"} == left
    assert all("left out" in oddity.message for oddity in table.oddities if oddity.kind == "left-out")


def test_a_range_counts_where_there_is_no_scale(tmp_path):
    assert read_scale_file(written(tmp_path, NVDLA)).amax["ranged"] == 2.0


def test_a_file_without_anything_usable_says_why(tmp_path):
    data = {"activation_encodings": {"x": [aimet(0.01, is_symmetric="False", offset=0)]}}
    with pytest.raises(CacheFormatError, match=r"a file of AIMET in which nothing is.*'x' is asymmetric"):
        read_scale_file(written(tmp_path, data))


def test_the_command_line_shows_and_converts_them(tmp_path, capsys):
    path = written(tmp_path, PPQ)
    assert main(["show", str(path)]) in (0, 1)
    assert "left-out" in capsys.readouterr().out
    assert main(["convert", str(path), "--to", "cache", "--trt-version", "8.6.1", "-o", str(tmp_path / "c.cache")]) == 0
    assert "shared: 3c23d70a" in (tmp_path / "c.cache").read_text()


OTHERS = [{}, {"x": {"a": 1}}, {"x": 1.0}, {"configs": {}, "values": 3}, {"x": {"scale": 1}, "y": [1, 2]}]


@pytest.mark.parametrize("data", OTHERS)
def test_other_json_is_none_of_them(tmp_path, data):
    with pytest.raises(CacheFormatError):
        read_scale_file(written(tmp_path, data))
