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


def policy(*properties):
    """As PPQ's exporter writes it: every property that there is."""
    known = (
        "PER_TENSOR", "PER_CHANNEL", "LINEAR", "FLOATING", "SYMMETRICAL", "ASYMMETRICAL", "POWER_OF_2", "DYNAMIC",
    )  # fmt: skip
    return {name: name in properties for name in known}


def config(which, *properties, bits=8, dominator=None):
    more = {"state": "ACTIVATED", "quant_min": -127, "quant_max": 127}
    return {
        "bit_width": bits, "policy": policy(*properties), **more, "hash": which,
        "dominator": which if dominator is None else dominator,
    }  # fmt: skip


USUAL = ("PER_TENSOR", "LINEAR", "SYMMETRICAL")
PPQ = {
    "configs": {
        "Conv_0": {"x": config(11, *USUAL), "w": config(12, "PER_CHANNEL", "LINEAR", "SYMMETRICAL")},
        "Add_1": {
            "shared": config(99, *USUAL, dominator=11),
            "four": config(13, *USUAL, bits=4),
            "gone": config(77, *USUAL, dominator=78),
            "moved": config(14, *USUAL),
            "shifted": config(15, "PER_TENSOR", "LINEAR", "ASYMMETRICAL"),
            "fp8": config(11, "PER_TENSOR", "FLOATING", "SYMMETRICAL", "POWER_OF_2"),
            "dynamic": config(11, *USUAL, "DYNAMIC"),
        },
    },
    "dispatchings": {"Conv_0": "TRT_INT8", "Add_1": "TRT_INT8"},
    "values": {
        "11": {"scale": 0.01, "zero_point": 0},
        "12": {"scale": [0.1, 0.2], "zero_point": [0, 0]},
        "13": {"scale": 0.5, "zero_point": 0},
        "14": {"scale": 0.5, "zero_point": 12},
        "15": {"scale": 0.5, "zero_point": 0},
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
    "PPQ": (PPQ, {"x", "shared"}, {"w", "four", "gone", "moved", "shifted", "fp8", "dynamic"}),
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
