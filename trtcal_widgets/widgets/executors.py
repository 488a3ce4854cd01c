"""Where slow work runs, and how its results come back to the kernel's main thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Marshal", "SameThreadExecutor", "default_executor"]

T = TypeVar("T")


class SameThreadExecutor(Executor):
    """Runs work at once, in the caller's thread: for tests and for scripts."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it and return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - a future carries whatever was raised
            future.set_exception(error)
        return future


def default_executor() -> Executor:
    """Return one worker thread: runs come one after the other, and the kernel stays free."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="trtcal")


class Marshal:
    """Brings calls to the thread in which it was made, through the event loop that runs there.

    Without a loop (a script, a test) calls are made where they come from.
    """

    def __init__(self) -> None:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._here = _thread()

    def __call__(self, call: Callable[[], None]) -> None:
        """Make the call now where this is the right thread, else as soon as its loop comes round."""
        if self._loop is None or self._loop.is_closed() or _thread() == self._here:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def later(self, seconds: float, call: Callable[[], None]) -> bool:
        """Make the call in some seconds; False, and never, without a loop."""
        if self._loop is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)
        return True


def _thread() -> int:
    from threading import get_ident

    return get_ident()
