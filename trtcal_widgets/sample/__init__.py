"""The bundled sample: a LeNet for MNIST digits, 500 images to calibrate it and 1,000 to test it.

The topology and the tensor names are those of NVIDIA's MNIST sample. Where the files come from and under which
licences they are: ``ATTRIBUTION.md`` in this folder. ``tools/train_sample.py`` made them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.errors import DataError

if TYPE_CHECKING:
    from trtcal_widgets.data.idx import IdxImages

__all__ = ["calibration_images", "model_path", "test_images"]


def model_path() -> Path:
    """Return where ``lenet.onnx`` lies: input ``data`` float32 [N,1,28,28], output ``prob`` [N,10]."""
    return _file("lenet.onnx")


def calibration_images() -> IdxImages:
    """Return the first 500 MNIST training images with labels, fed as pixel / 255.

    In 10 batches of 50, TensorRT's entropy calibration gives their tensor the scale 0x3c008912: the row
    ``data`` of the table that NVIDIA published for its own sample.
    """
    return _images("calibration")


def test_images() -> IdxImages:
    """Return the first 1,000 MNIST test images with labels, fed as pixel / 255."""
    return _images("test")


test_images.__test__ = False  # type: ignore[attr-defined]  # its name must not make it a test for pytest


def _images(part: str) -> IdxImages:
    from trtcal_widgets.data.idx import IdxImages

    return IdxImages(_file(f"{part}-images-idx3-ubyte.gz"), _file(f"{part}-labels-idx1-ubyte.gz"))


def _file(name: str) -> Path:
    path = files(__name__) / name
    if not isinstance(path, Path) or not path.is_file():
        raise DataError(
            f"The bundled file {name} is missing from {path}: the package must be installed as files, not run "
            "from a zip; install trtcal_widgets again with pip"
        )
    return path
