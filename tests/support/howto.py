"""What the how-to pages take for granted: models as small as they come, with the names that the pages say."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.support.minilm import encode, minilm_model
from tests.support.models import ocr_model
from tests.support.pages import CLASSES, furnish
from tests.support.yolo import write_yolo

if TYPE_CHECKING:
    from pathlib import Path

_SUBJECTS = ("The engine", "A small model", "Our data set", "Nobody", "The new camera", "Every batch")
_REST = (
    "is faster than before.",
    "was not tested on rainy days.",
    "needs more memory.",
    "works.",
)


def furnish_howto(page: str, folder: Path) -> None:
    """Write the files that a page of docs/howto names."""
    makers = {"yolo": _yolo, "bert": _bert, "detector": _detector, "tensorrt11": _classifier, "classifier": _labelled}
    makers.get(page.rsplit("/", maxsplit=1)[-1].removesuffix(".md"), lambda folder: None)(folder)


def _yolo(folder: Path) -> None:
    write_yolo(folder / "yolov8n.onnx")
    _pictures(folder, 4)


def _bert(folder: Path) -> None:
    shutil.copy(minilm_model(), folder / "bert.onnx")
    sentences = [f"{subject} {rest}" for subject in _SUBJECTS for rest in _REST]
    np.savez(folder / "calib.npz", **encode(sentences[:16], 16))
    np.savez(folder / "val.npz", **encode(sentences[16:], 16))


def _detector(folder: Path) -> None:
    shutil.copy(ocr_model("det"), folder / "det.onnx")
    _pictures(folder, 4, "WORDS")


def _classifier(folder: Path) -> None:
    from trtcal_widgets import CalibrationSession, ImageFolder

    furnish(folder)
    images = ImageFolder(folder / "calib", size=(224, 224))
    with CalibrationSession(folder / "model.onnx", images, batch_size=16) as session:
        session.run()
        session.to_cache(version="8.6.1").write(folder / "calibration.cache")


def _labelled(folder: Path) -> None:
    furnish(folder)
    names = sorted(path.name for path in (folder / "val").iterdir())
    (folder / "val.txt").write_text("".join(f"val/{name} {i % CLASSES}\n" for i, name in enumerate(names)))


def _pictures(folder: Path, count: int, words: str = "") -> None:
    """Write soft backgrounds with boxes, or words, on them."""
    rng = np.random.default_rng(3)
    font = ImageFont.load_default(40)
    for name in ("calib", "val"):
        (folder / name).mkdir()
        for i in range(count):
            ground = Image.fromarray(rng.integers(90, 256, (9, 12, 3), np.uint8))
            picture = ground.resize((640, 480), Image.Resampling.BICUBIC)
            draw = ImageDraw.Draw(picture)
            for _ in range(6):
                x, y, size = (int(v) for v in (*rng.integers(0, 400, 2), rng.integers(20, 140)))
                colour = tuple(int(v) for v in rng.integers(0, 90, 3))
                if words:
                    draw.text((x, y), f"{words} {size}", colour, font)
                else:
                    draw.rectangle((x, y, x + size, y + size), colour)
            picture.save(folder / name / f"{i}.jpg", quality=95)
