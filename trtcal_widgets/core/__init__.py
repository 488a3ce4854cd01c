"""The numerics of calibration: numpy, and numba for the loops. Nothing here knows a notebook, a model or a GPU.

- Counting: :class:`Histogram` of |x| as TensorRT makes it, :func:`replay`, :func:`combine` and :func:`join_parts`.
- Choosing: :func:`threshold` and :func:`threshold_curve` with the :data:`METHODS`; :func:`calibrate_array` does it all.
- Costs: :class:`NoiseModel` from a histogram, :class:`TensorComparison` from two arrays; :func:`quantize` itself.
- Files: :class:`CalibrationCache` and :func:`read_scale_file`; scales and their hex.

Each name is loaded when it is first used, so that reading a cache does not wait for the compiler. What the words
and formulas mean is in ``docs/algorithm.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trtcal_widgets.core.calibrate import ArrayCalibration, calibrate_array
    from trtcal_widgets.core.comparison import TensorComparison, histogram_kl
    from trtcal_widgets.core.counting import amax_of
    from trtcal_widgets.core.histogram import N_BINS, Histogram, bin_factor, combine, join_parts, replay
    from trtcal_widgets.core.quantizer import Cost, NoiseModel, dequantize, fake_quantize, quantize
    from trtcal_widgets.core.thresholds import METHODS, Method, ThresholdCurve, threshold, threshold_curve
    from trtcal_widgets.formats.cache import CacheDiff, CacheRow, CalibrationCache, Oddity, diff, header_fits
    from trtcal_widgets.formats.reading import ScaleTable, convert, detect_format, read_scale_file
    from trtcal_widgets.formats.scales import amax_of_scale, hex_to_scale, scale_of_amax, scale_to_hex

_HOMES = {
    "METHODS": "trtcal_widgets.core.thresholds",
    "N_BINS": "trtcal_widgets.core.histogram",
    "ArrayCalibration": "trtcal_widgets.core.calibrate",
    "CacheDiff": "trtcal_widgets.formats.cache",
    "CacheRow": "trtcal_widgets.formats.cache",
    "CalibrationCache": "trtcal_widgets.formats.cache",
    "Cost": "trtcal_widgets.core.quantizer",
    "Histogram": "trtcal_widgets.core.histogram",
    "Method": "trtcal_widgets.core.thresholds",
    "NoiseModel": "trtcal_widgets.core.quantizer",
    "Oddity": "trtcal_widgets.formats.cache",
    "ScaleTable": "trtcal_widgets.formats.reading",
    "TensorComparison": "trtcal_widgets.core.comparison",
    "ThresholdCurve": "trtcal_widgets.core.thresholds",
    "amax_of": "trtcal_widgets.core.counting",
    "amax_of_scale": "trtcal_widgets.formats.scales",
    "bin_factor": "trtcal_widgets.core.histogram",
    "calibrate_array": "trtcal_widgets.core.calibrate",
    "combine": "trtcal_widgets.core.histogram",
    "convert": "trtcal_widgets.formats.reading",
    "dequantize": "trtcal_widgets.core.quantizer",
    "detect_format": "trtcal_widgets.formats.reading",
    "diff": "trtcal_widgets.formats.cache",
    "fake_quantize": "trtcal_widgets.core.quantizer",
    "header_fits": "trtcal_widgets.formats.cache",
    "hex_to_scale": "trtcal_widgets.formats.scales",
    "histogram_kl": "trtcal_widgets.core.comparison",
    "join_parts": "trtcal_widgets.core.histogram",
    "quantize": "trtcal_widgets.core.quantizer",
    "read_scale_file": "trtcal_widgets.formats.reading",
    "replay": "trtcal_widgets.core.histogram",
    "scale_of_amax": "trtcal_widgets.formats.scales",
    "scale_to_hex": "trtcal_widgets.formats.scales",
    "threshold": "trtcal_widgets.core.thresholds",
    "threshold_curve": "trtcal_widgets.core.thresholds",
}

__all__ = [
    "METHODS",
    "N_BINS",
    "ArrayCalibration",
    "CacheDiff",
    "CacheRow",
    "CalibrationCache",
    "Cost",
    "Histogram",
    "Method",
    "NoiseModel",
    "Oddity",
    "ScaleTable",
    "TensorComparison",
    "ThresholdCurve",
    "amax_of",
    "amax_of_scale",
    "bin_factor",
    "calibrate_array",
    "combine",
    "convert",
    "dequantize",
    "detect_format",
    "diff",
    "fake_quantize",
    "header_fits",
    "hex_to_scale",
    "histogram_kl",
    "join_parts",
    "quantize",
    "read_scale_file",
    "replay",
    "scale_of_amax",
    "scale_to_hex",
    "threshold",
    "threshold_curve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
