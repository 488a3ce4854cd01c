"""A CUDA driver whose device memory is host memory, and Python processes that use it.

The library is made by ``../shared/tools/make_cuda_fake.py`` from the public header ``cuda.h``: the CUDA toolkit's if
there is one, otherwise that of the wheel ``nvidia-cuda-runtime``, which is downloaded to ``.cache/``. It must never
leak into another test, so everything that uses it runs in a process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.locks import CACHE, alone
from tests.support.shared import shared_path

ROOT = Path(__file__).resolve().parents[2]
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

BINDINGS = "cuda-bindings"
PYCUDA = "pycuda"

_PYCUDA_MINUTES = 15
"""Building PyCUDA takes about two minutes on one core, three where its C++ is optimised."""

_PROFILER_HEADER = """
#include <cuda.h>
CUresult cuProfilerStart(void);
CUresult cuProfilerStop(void);
"""

_NEWER_CALLS = """
W CUresult cuCtxSynchronize_v2(CUcontext c) { return 0; }
W CUresult cuCtxGetDevice_v2(CUdevice *d, CUcontext c) { *d = 0; return 0; }
"""
"""What newer bindings look for first; the fake has these calls under their older names only."""

_VERSION = "*v = CUDA_VERSION;"
_VERSION_OF_ENVIRONMENT = 'const char *e = getenv("FAKE_CUDA_VERSION"); *v = e ? atoi(e) : CUDA_VERSION;'


def _cannot(reason: str) -> None:
    """Skip, but fail in CI, which must have what the tests need."""
    if IN_CI:
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(reason)


def _pip(*arguments: str, minutes: float = 5) -> str | None:
    """Run pip; return the end of what it said if that failed."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * minutes, check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {minutes} minutes"
    return None if done.returncode == 0 else (done.stderr or done.stdout)[-500:]


@cache
def header_folder() -> Path:
    """Return a folder with ``cuda.h`` and ``cudaProfiler.h``."""
    for home in (os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"):
        if home and (Path(home) / "include/cudaProfiler.h").is_file():
            return Path(home) / "include"
    with alone("cuda_headers"):
        return _downloaded_headers()


def _downloaded_headers() -> Path:
    folder = CACHE / "cuda_headers"
    if not (folder / "cuda.h").is_file():
        wheels = CACHE / "wheels"
        failed = _pip("download", "--no-deps", "--only-binary=:all:", "-d", str(wheels), "nvidia-cuda-runtime")
        if failed:
            _cannot(f"no cuda.h, and the wheel nvidia-cuda-runtime cannot be had: {failed}")
        with zipfile.ZipFile(next(wheels.glob("nvidia_cuda_runtime-*.whl"))) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith("/include/cuda.h"))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cudaProfiler.h").write_text(_PROFILER_HEADER)
            (folder / "cuda.h").write_bytes(wheel.read(name))
    return folder


@cache
def fake_driver() -> Path:
    """Return the folder of the fake ``libcuda.so.1``, which is built by each test process for itself."""
    tool = shared_path("tools", "make_cuda_fake.py")
    if sys.platform != "linux":
        _cannot("the fake CUDA driver is a Linux library")
    spec = importlib.util.spec_from_file_location("make_cuda_fake", tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert _VERSION in module.IMPL
    module.IMPL = module.IMPL.replace(_VERSION, _VERSION_OF_ENVIRONMENT) + _NEWER_CALLS
    folder = CACHE / "fake_cuda" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
    before = sys.argv
    sys.argv = [str(tool), str(folder), "--include", str(header_folder())]
    try:
        module.main()
    except (OSError, subprocess.CalledProcessError) as error:
        _cannot(f"the fake CUDA driver cannot be built: {error}")
    finally:
        sys.argv = before
    return folder


@cache
def pycuda_folder() -> Path:
    """Return a folder to import PyCUDA from; it is built from source against the fake driver, once."""
    folder = CACHE / f"pycuda-{sys.version_info.major}.{sys.version_info.minor}"
    if (folder / "pycuda").is_dir():
        return folder
    if not (IN_CI or os.environ.get("TRTCAL_BUILD_PYCUDA")):
        pytest.skip("PyCUDA is not built; TRTCAL_BUILD_PYCUDA=1 builds it, which takes two minutes")
    with alone("pycuda"):
        return folder if (folder / "pycuda").is_dir() else _built_pycuda(folder)


def _built_pycuda(folder: Path) -> Path:
    home = CACHE / "pycuda_home"
    home.mkdir(parents=True, exist_ok=True)
    # PyCUDA's build reads its settings from the home folder.
    (home / ".aksetup-defaults.py").write_text(
        f"CUDA_ENABLE_CURAND = False\nCUDA_INC_DIR = [{str(header_folder())!r}]\n"
        f"CUDADRV_LIB_DIR = [{str(fake_driver())!r}]\n"
    )
    kept = os.environ.copy()
    os.environ.update(HOME=str(home), CUDA_ROOT=str(header_folder().parent), LIBRARY_PATH=str(fake_driver()))
    os.environ.update(CFLAGS="-O0 -g0", CXXFLAGS="-O0 -g0")  # it is asked few things, and building it takes longest
    try:
        failed = _pip("install", "--target", str(folder), "pycuda", minutes=_PYCUDA_MINUTES)
    finally:
        os.environ.clear()
        os.environ.update(kept)
    if failed:
        _cannot(f"PyCUDA cannot be built: {failed}")
    return folder


def run_on_fake(scenario: str, binding: str, **environment: str) -> str:
    """Run a function of :mod:`tests.support.fake_cuda_scenarios` on the fake driver; return what it printed."""
    try:
        importlib.import_module("cuda.bindings.driver")
    except ImportError:
        _cannot("cuda-bindings is not installed")
    path = [str(ROOT)]
    if binding == PYCUDA:
        path.append(str(pycuda_folder()))
    env = {**os.environ, "LD_LIBRARY_PATH": str(fake_driver()), "PYTHONPATH": os.pathsep.join(path), **environment}
    command = [sys.executable, "-W", "error", "-m", "tests.support.fake_cuda_scenarios", scenario, binding]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
