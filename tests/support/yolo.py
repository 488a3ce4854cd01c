"""A small detector with the head of YOLOv8 as Ultralytics exports it: one output, boxes and scores in one Concat.

The backbone is a few convolutions with random weights (the published weights are AGPL and no wheel has them); the head
is node by node the exported one: three scales, distribution of box edges, anchors, strides, a Sigmoid for the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.support.graphs import const, node, save, value

if TYPE_CHECKING:
    from pathlib import Path

CLASSES, BINS, STRIDES = 80, 16, (8, 16, 32)
WIDTHS = (8, 16, 24, 32, 48)


class _Writer:
    """Collects nodes and weights."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes, self.stored = [], []

    def op(self, kind: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(node(kind, list(inputs), [f"{name}_output_0"], name, **attributes))
        return f"{name}_output_0"

    def constant(self, name: str, array: object, dtype: object = np.float32) -> str:
        self.stored.append(const(name, array, dtype))
        return name

    def conv(self, scope: str, x: str, sizes: tuple[int, int], *, kernel: int = 3, stride: int = 1, bias: float = 0):
        made, read = sizes
        spread = np.sqrt(2 / (read * kernel * kernel))
        weight = self.constant(f"{scope}.weight", self.rng.standard_normal((made, read, kernel, kernel)) * spread)
        offset = self.constant(f"{scope}.bias", bias + self.rng.standard_normal(made) * 0.3)
        edge = kernel // 2
        return self.op(
            "Conv", f"/{scope}/Conv", x, weight, offset, kernel_shape=[kernel, kernel], strides=[stride, stride],
            pads=[edge] * 4,
        )  # fmt: skip

    def silu(self, scope: str, x: str) -> str:
        return self.op("Mul", f"/{scope}/act/Mul", x, self.op("Sigmoid", f"/{scope}/act/Sigmoid", x))


def write_yolo(path: Path, size: int = 640, seed: int = 5) -> Path:
    """Write the model: ``images`` (N, 3, size, size) to ``output0`` (N, 84, boxes)."""
    w, x, features = _Writer(seed), "images", []
    for i, width in enumerate(WIDTHS):
        scope = f"model.{i}"
        x = w.silu(scope, w.conv(f"{scope}.conv", x, (width, (3, *WIDTHS)[i]), stride=2))
        features.append(x)
    scales = [_scale(w, i, x, width) for i, (x, width) in enumerate(zip(features[2:], WIDTHS[2:], strict=True))]
    everything = w.op("Concat", "/model.22/Concat_3", *scales, axis=2)
    split = w.constant("split", [4 * BINS, CLASSES], np.int64)
    w.nodes.append(node("Split", [everything, split], ["edges", "classes"], "/model.22/Split", axis=1))
    boxes = _boxes(w, size)
    scores = w.op("Sigmoid", "/model.22/Sigmoid", "classes")
    w.nodes.append(node("Concat", [boxes, scores], ["output0"], "/model.22/Concat_5", axis=1))
    count = sum((size // stride) ** 2 for stride in STRIDES)
    outputs = [value("output0", ["batch", 4 + CLASSES, count])]
    return save(path, w.nodes, [value("images", ["batch", 3, size, size])], outputs, w.stored)


def _scale(w: _Writer, index: int, x: str, width: int) -> str:
    head = f"model.22.cv{{}}.{index}.2"
    box = w.conv(head.format(2), x, (4 * BINS, width), kernel=1)
    score = w.conv(head.format(3), x, (CLASSES, width), kernel=1, bias=-4)
    both = w.op("Concat", f"/model.22/Concat_{index}", box, score, axis=1)
    flat = w.constant(f"flat_{index}", [0, 4 * BINS + CLASSES, -1], np.int64)
    return w.op("Reshape", f"/model.22/Reshape_{index}", both, flat)


def _boxes(w: _Writer, size: int) -> str:
    grids = [np.stack(np.meshgrid(*[np.arange(size // s) + 0.5] * 2)).reshape(2, -1) for s in STRIDES]
    anchors = w.constant("anchors", np.concatenate(grids, axis=1)[None])
    strides = w.constant(
        "strides", np.concatenate([np.full(g.shape[1], s) for g, s in zip(grids, STRIDES, strict=True)])[None]
    )
    shape = w.constant("dfl_shape", [0, 4, BINS, -1], np.int64)
    turned = w.op(
        "Transpose",
        "/model.22/dfl/Transpose",
        w.op("Reshape", "/model.22/dfl/Reshape", "edges", shape),
        perm=[0, 2, 1, 3],
    )
    shares = w.op("Softmax", "/model.22/dfl/Softmax", turned, axis=1)
    bins = w.constant("dfl.weight", np.arange(BINS).reshape(1, BINS, 1, 1))
    mean = w.op("Conv", "/model.22/dfl/conv/Conv", shares, bins, kernel_shape=[1, 1])
    edges = w.op("Reshape", "/model.22/dfl/Reshape_1", mean, w.constant("edge_shape", [0, 4, -1], np.int64))
    halves = w.constant("halves", [2, 2], np.int64)
    w.nodes.append(node("Split", [edges, halves], ["before", "behind"], "/model.22/Split_1", axis=1))
    first = w.op("Sub", "/model.22/Sub", anchors, "before")
    last = w.op("Add", "/model.22/Add", anchors, "behind")
    middle = w.op("Div", "/model.22/Div", w.op("Add", "/model.22/Add_1", first, last), w.constant("two", 2.0))
    extent = w.op("Sub", "/model.22/Sub_1", last, first)
    return w.op("Mul", "/model.22/Mul", w.op("Concat", "/model.22/Concat_4", middle, extent, axis=1), strides)
