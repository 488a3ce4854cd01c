"""The numerics of calibration: numpy, and numba for the loops. Nothing here knows a notebook, a model or a GPU.

- Counting: :class:`Histogram` of |x| as TensorRT makes it, :func:`replay`, :func:`combine` and :func:`join_parts`.
- Choosing: :func:`threshold` and :func:`threshold_curve` with the :data:`METHODS`; :func:`calibrate_array` does it all.
- Costs: :class:`NoiseModel` from a histogram, :class:`TensorComparison` from two arrays; :func:`quantize` itself.
- Files: :class:`CalibrationCache` and :func:`read_scale_file`; scales and their hex.

Each name is loaded when it is first used, so that reading a cache does not wait for the compiler. What the words
and formulas mean is in ``docs/algorithm.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.common.lazy import lazy

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

__getattr__, __dir__ = lazy(
    __name__,
    {
        "core.calibrate": "ArrayCalibration calibrate_array",
        "core.comparison": "TensorComparison histogram_kl",
        "core.counting": "amax_of",
        "core.histogram": "N_BINS Histogram bin_factor combine join_parts replay",
        "core.quantizer": "Cost NoiseModel dequantize fake_quantize quantize",
        "core.thresholds": "METHODS Method ThresholdCurve threshold threshold_curve",
        "formats.cache": "CacheDiff CacheRow CalibrationCache Oddity diff header_fits",
        "formats.reading": "ScaleTable convert detect_format read_scale_file",
        "formats.scales": "amax_of_scale hex_to_scale scale_of_amax scale_to_hex",
    },
)
