"""What ``trtcal_widgets.trt`` offers, and what it does not import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from trtcal_widgets import trt


def test_offers_what_it_says():
    for name in trt.__all__:
        assert getattr(trt, name).__name__ == name
    modules = {path.stem for path in Path(trt.__file__).parent.iterdir()}
    assert not modules & set(trt.__all__), "a module would hide a function"


def test_the_documentation_names_what_there_is():
    text = (Path(__file__).parents[2] / "docs" / "tensorrt.md").read_text()
    named = set(re.findall(r"\btrt\.(\w+)", text))
    assert named
    assert named <= set(trt.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'builder_of_things'"):
        _ = trt.builder_of_things


def test_importing_it_imports_nothing_heavy():
    code = (
        "import sys; before = set(sys.modules); import trtcal_widgets.trt; "  # a .pth file may have put 'cuda' there
        "heavy = {'numpy', 'onnx', 'tensorrt', 'cuda', 'pycuda', 'onnxruntime'}; "
        "print(sorted(heavy & set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
