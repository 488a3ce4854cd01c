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
    from trtcal_widgets.core.cache import CacheDiff, CacheRow, CalibrationCache, Oddity, diff, header_fits
    from trtcal_widgets.core.calibrate import ArrayCalibration, calibrate_array
    from trtcal_widgets.core.comparison import TensorComparison, histogram_kl
    from trtcal_widgets.core.counting import amax_of
    from trtcal_widgets.core.formats import ScaleTable, convert, detect_format, read_scale_file
    from trtcal_widgets.core.histogram import N_BINS, Histogram, bin_factor
    from trtcal_widgets.core.merging import combine, join_parts, replay
    from trtcal_widgets.core.quantizer import Cost, NoiseModel, dequantize, fake_quantize, quantize
    from trtcal_widgets.core.scales import amax_of_scale, hex_to_scale, scale_of_amax, scale_to_hex
    from trtcal_widgets.core.thresholds import METHODS, Method, ThresholdCurve, threshold, threshold_curve

_HOMES = {
    "METHODS": "thresholds",
    "N_BINS": "histogram",
    "ArrayCalibration": "calibrate",
    "CacheDiff": "cache",
    "CacheRow": "cache",
    "CalibrationCache": "cache",
    "Cost": "quantizer",
    "Histogram": "histogram",
    "Method": "thresholds",
    "NoiseModel": "quantizer",
    "Oddity": "cache",
    "ScaleTable": "formats",
    "TensorComparison": "comparison",
    "ThresholdCurve": "thresholds",
    "amax_of": "counting",
    "amax_of_scale": "scales",
    "bin_factor": "histogram",
    "calibrate_array": "calibrate",
    "combine": "merging",
    "convert": "formats",
    "dequantize": "quantizer",
    "detect_format": "formats",
    "diff": "cache",
    "fake_quantize": "quantizer",
    "header_fits": "cache",
    "hex_to_scale": "scales",
    "histogram_kl": "comparison",
    "join_parts": "merging",
    "quantize": "quantizer",
    "read_scale_file": "formats",
    "replay": "merging",
    "scale_of_amax": "scales",
    "scale_to_hex": "scales",
    "threshold": "thresholds",
    "threshold_curve": "thresholds",
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
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
