"""TensorRT for RTX, NVIDIA's builder that needs no GPU: where it is not installed, a test skips, but fails in CI."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.util import find_spec

import pytest


def need_rtx() -> None:
    """Skip the test, or fail in CI, where the builder cannot be had."""
    reason = _lacking()
    if not reason:
        return
    ci = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    if ci and sys.platform.startswith("linux"):
        pytest.fail(f"{reason} (CI must have it)")
    pytest.skip(reason)


@cache
def _lacking() -> str:
    if find_spec("tensorrt_rtx") is None:
        return "tensorrt-rtx-cu13 is not installed: pip install 'trtcal_widgets[rtx]'"
    return ""
