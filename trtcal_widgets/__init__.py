"""Explore, debug and export INT8 calibration for NVIDIA TensorRT in Jupyter."""

from __future__ import annotations

from trtcal_widgets._version import __version__

__all__ = ["__version__"]
