"""What TensorRT 8.6.0 wrote: ``shared/data/trt86``, described in its README."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.support.shared import shared_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class Operator(NamedTuple):
    """A small model, and what TensorRT made of it."""

    path: Path
    facts: dict[str, Any]

    def feeds(self) -> list[dict[str, NDArray[np.generic]]]:
        """Return the batches that TensorRT was fed."""
        return [
            {name: _values([t, i, 11], shape, dtype, kind) for i, (name, shape, dtype, kind) in enumerate(self.inputs)}
            for t in range(self.facts["batches"])
        ]

    @property
    def inputs(self) -> list[tuple[str, list[int], str, Any]]:
        """Name, shape, element type and kind of each input."""
        return [tuple(entry) for entry in self.facts["inputs"]]

    def rows(self, algorithm: str) -> dict[str, float]:
        """Return row -> scale; ``entropy2``, ``minmax``, ``entropy`` or, for some, ``legacy``."""
        return rows_of(self.facts[algorithm]["cache"])


def operators() -> Iterator[Operator]:
    """Yield all small models."""
    for path in sorted(shared_path("data", "trt86", "operators").glob("*.onnx")):
        yield Operator(path, json.loads(path.with_suffix(".json").read_text("utf-8")))


def rows_of(text: str) -> dict[str, float]:
    """Return the rows of a cache in its order: an oracle that shares nothing with the package."""
    pairs = (line.rpartition(": ") for line in text.splitlines()[1:] if line)
    return {name: float(np.array(int(scale, 16), np.uint32).view(np.float32)) for name, _, scale in pairs}


def _values(seed: list[int], shape: list[int], dtype: str, kind: Any) -> NDArray[np.generic]:
    random = np.random.default_rng(seed)
    if dtype == "int32":
        return random.integers(0, kind, shape).astype(np.int32)
    if kind == "pos":
        return np.abs(random.normal(0, 1, shape)).astype(np.float32) + np.float32(0.1)
    return random.normal(0, 1.5, shape).astype(np.float32)
