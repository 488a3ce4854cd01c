"""Explore, debug and export INT8 calibration for NVIDIA TensorRT in Jupyter.

Everything that a notebook needs is importable from here; each name is loaded when it is first used, so that
``import trtcal_widgets`` itself is fast and needs neither a GPU nor TensorRT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.lazy import lazy
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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "common.version": "__version__",
        "core.calibrate": "calibrate_array",
        "core.histogram": "Histogram",
        "data": "ArrayBatches IdxImages ImageFolder IterableBatches",
        "doctor.comparison": "DataComparison",
        "errors": "TrtcalError",
        "formats.cache": "CalibrationCache",
        "formats.reading": "read_scale_file",
        "runners.evaluation": "Evaluation",
        "runners.onnxruntime": "OnnxRuntimeRunner",
        "sample": "",
        "session": "CalibrationSession",
        "widgets.build.widget": "BuildPanel",
        "widgets.cache.widget": "CacheViewer",
        "widgets.data.widget": "DataDoctor",
        "widgets.debugger.widget": "AccuracyDebugger",
        "widgets.explorer.widget": "CalibrationExplorer",
    },
)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Tell ``jupyter labextension develop`` where the built extension is; a wheel has it where JupyterLab looks."""
    return [{"src": "labextension", "dest": "trtcal_widgets"}]
