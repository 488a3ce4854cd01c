"""How much memory there is: what asks for more is refused before the system ends the process."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtcal_widgets.errors import TrtcalError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""What a container may take, in the two versions of the kernel's interface."""


@cache
def memory_size() -> int:
    """Return the bytes of memory that this process may take, swap not counted; 0 where the system does not say."""
    sizes = []
    with suppress(AttributeError, OSError, ValueError):  # not on Windows
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _LIMITS:
        with suppress(OSError, ValueError):  # "max" is no number
            sizes.append(int(Path(path).read_text()))
    return min((size for size in sizes if size > 0), default=0)


def check_room(needed: int, what: str, error: type[TrtcalError], advice: str) -> None:
    """Raise ``error`` where something takes more bytes than there is memory.

    ``what``: what takes them, for the message: ``"a batch of 32 samples"``; ``advice``: what to do.
    """
    there = memory_size()
    if there and needed > there:
        raise error(
            f"{what} does not fit in memory (it would take {needed / 1e9:,.0f} GB, and this machine has "
            f"{there / 1e9:,.0f} GB): {advice}"
        )
