"""One reader of a source at a time.

Sources are not written for threads: an image folder counts what it skipped, an iterable is at one place, a user's own
source may do anything. A TensorRT build in a worker thread and an explorer in another read the same source object, so
whoever reads one holds its lock meanwhile. :class:`~trtcal_widgets.data.plan.BatchPlan` does that.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from trtcal_widgets.data.base import Source

__all__ = ["reading"]

_registry = threading.Lock()
_locks: dict[int, AbstractContextManager[object]] = {}  # by identity: a source may compare equal to another
_others = threading.RLock()


def reading(source: Source) -> AbstractContextManager[object]:
    """Return the lock of a source, for a ``with`` block around its calls.

    It is the same for every plan and thread, and may be taken again by the thread that has it. Objects of a class that
    allows no weak references (``__slots__``) share one lock, since it would not be known when theirs can go.
    """
    key = id(source)
    with _registry:
        if key not in _locks:
            try:
                weakref.finalize(source, _locks.pop, key).atexit = False
            except TypeError:
                return _others
            _locks[key] = threading.RLock()
        return _locks[key]
