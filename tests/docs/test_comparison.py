"""What docs/comparison.md says about ONNX Runtime is what the installed one has; its numbers are the measured ones."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text("utf-8")


def cells(feature):
    """The columns of a row: ours, TensorRT, Polygraphy, ModelOpt, ONNX Runtime."""
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| {feature} |"))
    return [cell.strip() for cell in row.strip("|").split(" | ")][1:]


def measured(name, what):
    """The numbers of a row of a results table."""
    text = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text("utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {what} |"))
    return re.findall(r"\d[\d,.]*", row.removeprefix(f"| {what} |"))


def test_the_calibration_methods_of_onnx_runtime():
    methods = [method.name for method in import_module("onnxruntime.quantization").CalibrationMethod]
    assert cells("methods")[4] == ", ".join(methods) + "[^ort]"
    assert import_module("onnxruntime.quantization").QuantFormat.QDQ
    assert import_module("onnxruntime.quantization").write_calibration_table
    assert import_module("onnxruntime.quantization.qdq_loss_debug").compute_activation_error


def test_the_measured_cells_are_the_results():
    if not (ROOT / "benchmarks" / "results").is_dir():
        pytest.skip("beside an installed wheel, where only a part of the repository is")
    ours, entropy, minmax = (measured("calibration", what) for what in ("one pass", "ORT Entropy", "ORT MinMax"))
    time, memory = cells("time, PP-OCRv4 detection, 16 photos, CPU"), cells("memory, 4 → 16 photos")
    assert f"[{ours[0]} × the bare run]" in time[0]
    assert f"[{entropy[0]} × (Entropy), {minmax[0]} × (MinMax)]" in time[4]
    assert f"[{ours[1]} → {ours[3]} MB]" in memory[0]
    assert f"[{entropy[1]} → {entropy[3]} MB (Entropy)]" in memory[4]
    debugging = cells("FP32 beside INT8, tensor by tensor")
    assert f"{measured('debugging', 'ours: all tensors compared')[0]} × the two bare runs" in debugging[0]
    assert f"[{measured('debugging', 'onnxruntime qdq_loss_debug (from 4 photos)')[0]} ×]" in debugging[4]


def test_every_other_cell_about_another_tool_has_a_source():
    """Linked, cited, or nothing said."""
    features = re.findall(r"^\| ([^|\-]+) \| (?!trtcal)", PAGE, re.MULTILINE)
    assert len(features) > 10
    for feature in features:
        for cell in cells(feature)[1:]:
            assert cell in {"–", "as TensorRT"} or "[^" in cell or "](" in cell, (feature, cell)
