"""Explore, debug and export INT8 calibration for NVIDIA TensorRT in Jupyter.

Everything that a notebook needs is importable from here; each name is loaded when it is first used, so that
``import trtcal_widgets`` itself is fast and needs neither a GPU nor TensorRT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.version import __version__

if TYPE_CHECKING:
    from trtcal_widgets import sample
    from trtcal_widgets.core.calibrate import calibrate_array
    from trtcal_widgets.core.histogram import Histogram
    from trtcal_widgets.data import ArrayBatches, IdxImages, ImageFolder, IterableBatches
    from trtcal_widgets.doctor.comparison import DataComparison
    from trtcal_widgets.errors import TrtcalError
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.formats.reading import read_scale_file
    from trtcal_widgets.runners.evaluation import Evaluation
    from trtcal_widgets.runners.onnxruntime import OnnxRuntimeRunner
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.build.widget import BuildPanel
    from trtcal_widgets.widgets.cache.widget import CacheViewer
    from trtcal_widgets.widgets.data.widget import DataDoctor
    from trtcal_widgets.widgets.debugger.widget import AccuracyDebugger
    from trtcal_widgets.widgets.explorer.widget import CalibrationExplorer

_HOMES = {
    "AccuracyDebugger": "trtcal_widgets.widgets.debugger.widget",
    "ArrayBatches": "trtcal_widgets.data",
    "BuildPanel": "trtcal_widgets.widgets.build.widget",
    "CacheViewer": "trtcal_widgets.widgets.cache.widget",
    "CalibrationCache": "trtcal_widgets.formats.cache",
    "CalibrationExplorer": "trtcal_widgets.widgets.explorer.widget",
    "CalibrationSession": "trtcal_widgets.session",
    "DataComparison": "trtcal_widgets.doctor.comparison",
    "DataDoctor": "trtcal_widgets.widgets.data.widget",
    "Evaluation": "trtcal_widgets.runners.evaluation",
    "Histogram": "trtcal_widgets.core.histogram",
    "IdxImages": "trtcal_widgets.data",
    "ImageFolder": "trtcal_widgets.data",
    "IterableBatches": "trtcal_widgets.data",
    "OnnxRuntimeRunner": "trtcal_widgets.runners.onnxruntime",
    "TrtcalError": "trtcal_widgets.errors",
    "calibrate_array": "trtcal_widgets.core.calibrate",
    "read_scale_file": "trtcal_widgets.formats.reading",
}

__all__ = [
    "AccuracyDebugger",
    "ArrayBatches",
    "BuildPanel",
    "CacheViewer",
    "CalibrationCache",
    "CalibrationExplorer",
    "CalibrationSession",
    "DataComparison",
    "DataDoctor",
    "Evaluation",
    "Histogram",
    "IdxImages",
    "ImageFolder",
    "IterableBatches",
    "OnnxRuntimeRunner",
    "TrtcalError",
    "__version__",
    "calibrate_array",
    "read_scale_file",
    "sample",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    from importlib import import_module

    if name == "sample":
        return import_module("trtcal_widgets.sample")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell ``jupyter labextension develop`` where the built extension is; a wheel has it where JupyterLab looks."""
    return [{"src": "labextension", "dest": "trtcal_widgets"}]
