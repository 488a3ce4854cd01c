"""What several test processes share is made by one of them, while the others wait."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock

CACHE = Path(os.environ.get("TRTCAL_TEST_CACHE") or Path(__file__).resolve().parents[2] / ".cache")
"""What tests fetch or build once and keep; never committed. ``TRTCAL_TEST_CACHE`` names another folder."""


def alone(what: str) -> FileLock:
    """Let one process at a time into a ``with`` block of that name."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return FileLock(CACHE / f"{what}.lock")
