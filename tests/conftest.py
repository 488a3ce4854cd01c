"""What holds for all tests."""

from __future__ import annotations


def pytest_collection_modifyitems(items):
    """Run the browser tests last: while Playwright is open, its event loop runs in the main thread.

    A widget that finds a running loop hands its results to that loop, as it does in a kernel, where the tests without
    a browser wait for them in vain.
    """
    items.sort(key=lambda item: item.get_closest_marker("ui") is not None)
