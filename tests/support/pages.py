"""The Python in the README and in docs/: its blocks, and a folder in which they find the files that they name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.graphs import const, node, save, value
from trtcal_widgets.formats.cache import CalibrationCache

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")))
CLASSES = 10
RELU = "/relu/Relu_output_0"
"""What torch.onnx calls the tensor in front of ResNet's first pool."""

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def python_of(page: str) -> str:
    """All Python blocks of a page as one script whose line numbers are those of the page."""
    text = (ROOT / page).read_text("utf-8")
    lines = [""] * (text.count("\n") + 1)
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        for i, line in enumerate(block[1].splitlines()):
            lines[first + i] = line
    return "\n".join(lines)


def furnish(folder: Path, batch: int | str = "N") -> None:
    """Write what the pages take for granted: a model, two folders of images, caches."""
    rng = np.random.default_rng(7)
    model = write_model(folder / "model.onnx", rng, batch)
    (folder / "resnet18.onnx").write_bytes(model.read_bytes())
    for name in ("calib", "val"):
        (folder / name).mkdir()
        for i in range(32):
            Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).save(folder / name / f"{i}.png")
    for name, scale in {"theirs": 0.02, "mine": 0.03, "calibration": 0.02}.items():
        rows = dict.fromkeys(("images", "conv", RELU, "pool", "flat", "scores", "probabilities"), scale)
        CalibrationCache.build(rows).write(folder / f"{name}.cache")


def write_model(path: Path, rng: np.random.Generator, batch: int | str) -> Path:
    """Write a small classifier of 224x224 images with a tensor of ResNet's name in front of its pool."""
    nodes = [
        node("Conv", ["images", "w"], ["conv"], "conv", kernel_shape=[7, 7], strides=[16, 16]),
        node("Relu", ["conv"], [RELU], "relu"),
        node("MaxPool", [RELU], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pool"], ["flat"], "flatten"),
        node("Gemm", ["flat", "v"], ["scores"], "fc", transB=1),
        node("Softmax", ["scores"], ["probabilities"], "softmax", axis=1),
    ]
    weights = [
        const("w", rng.standard_normal((4, 3, 7, 7)) / 7),
        const("v", rng.standard_normal((CLASSES, 196)) / 7),
    ]
    inputs, outputs = [value("images", [batch, 3, 224, 224])], [value("probabilities", [batch, CLASSES])]
    save(path, nodes, inputs, outputs, weights)
    return path


__all__ = ["CLASSES", "PAGES", "furnish", "python_of", "write_model"]
