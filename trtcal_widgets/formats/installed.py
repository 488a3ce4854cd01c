"""Which TensorRT is installed here, found without importing it."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version

from trtcal_widgets.formats.header import DEFAULT_VERSION, parse_version

_PACKAGES = (
    "tensorrt",
    "tensorrt-cu13",
    "tensorrt-cu12",
    "tensorrt-cu11",
    "tensorrt-cu13-bindings",
    "tensorrt-cu12-bindings",
    "tensorrt-cu11-bindings",
    "tensorrt-bindings",
    "nvidia-tensorrt",
)
"""What NVIDIA's wheels and system packages are called."""


def installed_version() -> str:
    """Return the installed TensorRT's version, ``"8.6.1"``; empty where there is none.

    A module that is imported already says it itself; else the package's metadata do.
    """
    found = getattr(sys.modules.get("tensorrt"), "__version__", None)
    texts = (found, *map(_version_of, _PACKAGES))
    return next(filter(None, map(_three_numbers, texts)), "")


def default_version() -> str:
    """Return the version for the header of a new cache where none is asked for.

    That of the installed TensorRT, which will be the one to read it; the last release line with calibrators where none
    is installed, or one that reads no caches (11 and later).
    """
    here = installed_version()
    return here if here and parse_version(here)[0] < 11 else DEFAULT_VERSION


def _three_numbers(text: object) -> str:
    """Return major, minor and patch of ``"8.6.1.post1"``; empty for what is no release's version."""
    numbers = re.match(r"[0-9]{1,2}(?:\.[0-9]{1,3}){1,3}", str(text))
    return ".".join(map(str, parse_version(numbers[0]))) if numbers else ""


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
