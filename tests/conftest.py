"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.browser import browser  # noqa: F401 - a fixture of all

# The first call compiles kernels, and how long a test takes is nothing to assert.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def run_python():
    """Run a program in a fresh interpreter and return what it prints; warnings are errors there too."""

    def run(program, *arguments, **environment):
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def pytest_collection_finish():
    """Take modules and tests, which stay to the end, out of what each full collection of garbage goes through."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Run the browser tests last: while Playwright is open, its event loop runs in the main thread.

    A widget that finds a running loop hands its results to that loop, as it does in a kernel, where the tests without
    a browser wait for them in vain.
    """
    items.sort(key=lambda item: item.get_closest_marker("ui") is not None)
