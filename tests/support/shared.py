"""Where the shared acceptance data lies: ``../shared`` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def shared_path(*parts: str) -> Path:
    """``shared/<parts>``; a test that needs it skips where it is absent, but fails in CI.

    At import time of a test module (for ``parametrize``) use :func:`shared_files`.
    """
    path = SHARED.joinpath(*parts)
    if not path.exists():
        reason = f"the shared data is missing: {path}"
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(reason + " (CI must have it)")
        pytest.skip(reason)
    return path


def shared_files(folder: str, *names: str) -> list[object]:
    """Build one pytest parameter per file name, so that each file is a test of its own.

    The file is looked up when the test runs (``shared_path(folder, name)``), so that a missing one
    is a skip (or a failure in CI), never a test that silently does not exist.
    """
    return [pytest.param(f"{folder}/{name}", id=name) for name in names]
