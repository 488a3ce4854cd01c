"""The real TensorRT Python bindings over stub libraries, for tests on a machine without a GPU.

NVIDIA's wheels are downloaded by pip into ``.cache/trt`` (never committed) and made importable by
``shared/tools/make_trt_stub.py``. Classes, enumerations and signatures are TensorRT's own; nothing behind them is.
Tests run in a child process, with the bindings on its path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.locks import CACHE, alone
from tests.support.shared import shared_path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = CACHE / "trt"

RELEASES = {
    "8.6.1": ("tensorrt-bindings==8.6.1", (3, 11)),
    "10.0.1": ("tensorrt-cu12-bindings==10.0.1", (3, 12)),
    "10.16.1.11": ("tensorrt-cu12-bindings==10.16.1.11", (3, 13)),
    "11.4.0.106": ("tensorrt-cu12-bindings==11.4.0.106", (3, 13)),
}
"""Release -> what pip is asked for, and the newest Python that it has a wheel for."""

WITH_CALIBRATORS = tuple(release for release in RELEASES if not release.startswith("11"))


def each_release(*releases: str) -> list[object]:
    """Return pytest parameters, one per release; those without a wheel for this Python say so."""
    return [
        pytest.param(
            release,
            id=release,
            marks=[
                pytest.mark.trt,
                pytest.mark.skipif(
                    sys.version_info[:2] > RELEASES[release][1],
                    reason=f"NVIDIA made no wheel of the TensorRT {release} bindings for this Python",
                ),
            ],
        )
        for release in releases or RELEASES
    ]


def _missing(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"{reason} (CI must have it)")
    pytest.skip(reason)


@cache
def bindings(release: str) -> Path:
    """Return a folder that, on PYTHONPATH, makes ``import tensorrt`` give the bindings of a release."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    folder = FOLDER / "stub" / f"{release}-{python}"
    if (folder / "tensorrt").is_dir():
        return folder
    if not sys.platform.startswith("linux") or not all(map(shutil.which, ("cc", "nm", "readelf"))):
        _missing("the stub libraries need Linux, a C compiler and binutils")
    with alone(f"trt-{release}-{python}"):
        if not folder.exists():
            _make_stub(_wheel(release, python), folder)
    return folder


def _make_stub(wheel: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / "made"
        tool = shared_path("tools", "make_trt_stub.py")
        subprocess.run([sys.executable, str(tool), str(wheel), str(made)], check=True, capture_output=True)
        made.rename(folder)


def _wheel(release: str, python: str) -> Path:
    wheels = FOLDER / "wheels"
    pattern = f"*bindings-{release}-{python}-*.whl"
    if not any(wheels.glob(pattern)):
        got = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(wheels), RELEASES[release][0]],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if got.returncode:
            _missing(f"pip could not download the TensorRT {release} bindings: {got.stderr.strip()[-300:]}")
    return next(wheels.glob(pattern))


def environment(release: str) -> dict[str, str]:
    """Return the environment of a child process that is to import the bindings of a release."""
    paths = [str(bindings(release)), str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TRTCAL_BINDINGS": release}


def run_inside(release: str, *modules: str) -> None:
    """Run the tests of ``tests/trt/inside/<module>.py`` in a process that has the bindings of a release.

    Fails with that process's own report, unless every test of each passed or was skipped for the release.
    """
    files = [f"tests/trt/inside/{module}.py" for module in modules]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=environment(release),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if result.returncode:
        pytest.fail(f"with the bindings of TensorRT {release}:\n{result.stdout[-6000:]}\n{result.stderr[-2000:]}")
