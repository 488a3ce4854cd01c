"""What loading the package costs: the core stays free of front ends, and kernels are compiled once per machine."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import trtcal_widgets
from trtcal_widgets import core

FRONT_ENDS = [
    "ipywidgets",
    "anywidget",
    "plotly",
    "onnx",
    "onnxruntime",
    "tensorrt",
    "matplotlib",
    "PIL",
    "IPython",
    "pycuda",
]

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def top_level_modules_after(run_python, *names):
    return set(json.loads(run_python(LOADED, *names)))


def test_the_package_alone_loads_nothing_heavy(run_python):
    loaded = top_level_modules_after(run_python, "trtcal_widgets")
    assert not loaded & {*FRONT_ENDS, "numba", "llvmlite", "numpy"}


def test_the_core_alone_loads_nothing_heavy(run_python):
    loaded = top_level_modules_after(run_python, "trtcal_widgets.core")
    assert not loaded & {*FRONT_ENDS, "numba", "llvmlite"}


def test_every_module_of_the_core_is_free_of_front_ends(run_python):
    folder = Path(trtcal_widgets.__file__).parent / "core"
    modules = [path.relative_to(folder).with_suffix("") for path in sorted(folder.rglob("*.py"))]
    names = [".".join(("trtcal_widgets.core", *module.parts)) for module in modules if module.stem != "__init__"]
    loaded = top_level_modules_after(run_python, *names)
    assert not loaded & {*FRONT_ENDS, "pandas", "torch"}
    assert "numba" in loaded


def test_reading_a_cache_does_not_load_the_compiler(run_python):
    loaded = top_level_modules_after(run_python, "trtcal_widgets.formats.cache", "trtcal_widgets.formats.reading")
    assert not loaded & {*FRONT_ENDS, "numba", "llvmlite"}


@pytest.mark.skipif(
    importlib.util.find_spec("trtcal_widgets.session.session") is None, reason="there is no session module"
)
def test_the_session_is_free_of_front_ends(run_python):
    assert not top_level_modules_after(run_python, "trtcal_widgets.session") & set(FRONT_ENDS)


def test_everything_the_core_exports_exists_and_nothing_else(run_python):
    assert len(set(core.__all__)) == len(core.__all__)
    assert set(core.__all__) == set(dir(core))
    for name in core.__all__:
        value = getattr(core, name)
        if hasattr(value, "__qualname__"):  # functions and classes, by their own names
            assert getattr(importlib.import_module(value.__module__), name) is value
    with pytest.raises(AttributeError, match="no attribute 'histogramm'"):
        core.histogramm  # noqa: B018 - the access is the test
    assert run_python("from trtcal_widgets.core import *; print(calibrate_array.__name__)").strip() == "calibrate_array"


NO_CACHE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numba.core.caching as caching
# Root may write everywhere, so the refusal is made where numba finds out: no folder can be made sure of.
def refuse(self):
    raise OSError("read-only file system")
caching._CacheLocator.ensure_cache_path = refuse
import numpy as np
from trtcal_widgets.core.histogram import Histogram
print(Histogram.of(np.ones(10, np.float32)).n_finite)
"""


def test_a_machine_without_a_writable_folder_works_too(run_python, tmp_path):
    """Numba refuses to cache there, at import; the kernels are then compiled without."""
    copy = tmp_path / "elsewhere"
    for folder in ("core", "common", "formats"):
        shutil.copytree(Path(trtcal_widgets.__file__).parent / folder, copy / "trtcal_widgets" / folder)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(Path(trtcal_widgets.__file__).parent / name, copy / "trtcal_widgets" / name)
    assert run_python(NO_CACHE, str(copy)).strip() == "10"
