"""Ctrl-C while TensorRT computes: what is raised inside one of its callbacks it swallows, and goes on for minutes."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_TICK_S = 0.1
"""How often the waiting thread looks up."""

_GRACE_S = 0.7
"""How long a build may take to stop; Ctrl-C is to be answered within a second."""

_INTERRUPTED = 130


def run_aside(work: Callable[[], T], *, waiting: Callable[[], object], stop: Callable[[], object]) -> T:
    """Run work in a thread of its own and wait for it, so that this thread hears Ctrl-C.

    ``waiting`` is called at once and then about ten times a second, in this thread; what it raises ends the wait as
    Ctrl-C does. ``stop`` then asks the work to end. Work that does not (TensorRT before 10 cannot be stopped) is left
    behind: it is no longer waited for, and if the process ends before it does, it ends with it, at once.

    Returns what the work returns, and raises what it raises.
    """
    results: list[T] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failures.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=run, name="trtcal: NVIDIA's builder", daemon=True)
    try:
        thread.start()
        waiting()
        while not over.wait(_TICK_S):
            waiting()
    except BaseException:
        stop()
        if not over.wait(_GRACE_S):
            atexit.register(_leave_at_once, over)
        raise
    if failures:
        raise failures[0]
    return results[0]


def _leave_at_once(over: threading.Event) -> None:
    """End the process without Python's end, which would wait for TensorRT's threads or fall over them."""
    if not over.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_INTERRUPTED)


@contextmanager
def interrupts_kept() -> Iterator[Callable[[], None]]:
    """Keep Ctrl-C while TensorRT runs in this thread.

    Gives a function that raises KeyboardInterrupt if it was pressed: for TensorRT's progress monitor, which can stop a
    build, and for when TensorRT is back. Other threads never get Ctrl-C; there it does nothing.
    """
    came: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread() and callable(handler)
    if here:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))

    def raise_if_came() -> None:
        if came:
            raise KeyboardInterrupt

    try:
        yield raise_if_came
    finally:
        if here:
            signal.signal(signal.SIGINT, handler)
