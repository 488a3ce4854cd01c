"""How many cores there are for us."""

from __future__ import annotations

import os

MOST_CORES = 4096
"""More than any machine has; who asks for more threads or processes has mistyped, and starting them has no end."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
