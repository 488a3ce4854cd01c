"""One headless Chromium for all browser tests of a process: Playwright's loop can be there only once."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.ui.lab import CHROMIUM_FLAGS, chromium_path


def need(found, what: str):
    """Return what was found; skip without it, and fail in CI, where it must be there."""
    if not found:
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(f"{what} is missing, and in CI it must be there")
        pytest.skip(f"needs {what}")
    return found


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    need(importlib.util.find_spec("playwright"), "playwright")
    path = need(chromium_path(), "a system Chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # two tests run at a time

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
