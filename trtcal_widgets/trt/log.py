"""TensorRT's log lines as values, so that a panel can show them and errors can quote them."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEPT = 20_000
"""Lines that a book keeps; older ones are dropped. A verbose build writes more."""

_OUT_OF_MEMORY = ("out of memory", "outofmemory", "insufficient memory", "cudaerrormemoryallocation")

_SERIOUS = ("error", "internal error")


@dataclass(frozen=True)
class LogLine:
    """One line that TensorRT logged.

    Attributes
    ----------
    severity
        ``"internal error"``, ``"error"``, ``"warning"``, ``"info"`` or ``"verbose"``.
    text
        The message. It quotes names from the model: text, never markup.
    seconds
        Since the capture began.
    """

    severity: str
    text: str
    seconds: float


class LogBook:
    """The lines of one capture, in order.

    ``sink``: called with each line as it comes, perhaps from one of TensorRT's own threads. What it raises does not
    reach TensorRT (which would swallow it): it is kept, the sink is not called again, and :meth:`raise_if_failed`
    raises it. ``verbose``: whether verbose lines (thousands) are taken too.
    """

    def __init__(self, sink: Callable[[LogLine], object] | None = None, *, verbose: bool = False) -> None:
        self._sink = sink
        self._verbose = verbose
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)
        self._start = time.monotonic()
        self._failure: BaseException | None = None

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """All lines that are kept."""
        return tuple(self._lines)

    def add(self, severity: str, text: str) -> None:
        """Take a line. Never raises."""
        if severity == "verbose" and not self._verbose:
            return
        line = LogLine(severity, text, time.monotonic() - self._start)
        self._lines.append(line)
        if self._sink is None or self._failure is not None:
            return
        try:
            self._sink(line)
        except BaseException as error:  # noqa: BLE001 - an exception must not pass through TensorRT; raised later
            self._failure = error

    def raise_if_failed(self) -> None:
        """Raise what the sink raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def last_errors(self, limit: int = 3) -> str:
        """Return TensorRT's last error lines for a message; its last warnings where there is no error."""
        lines = self.lines  # TensorRT's threads, and another build, may add to them meanwhile
        chosen = [line.text.strip() for line in lines if line.severity in _SERIOUS]
        chosen = chosen or [line.text.strip() for line in lines if line.severity == "warning"]
        return " | ".join(chosen[-limit:]) or "TensorRT logged no reason"


def out_of_memory(text: str) -> bool:
    """Whether TensorRT's words are about memory that it could not have."""
    return any(word in text.lower() for word in _OUT_OF_MEMORY)


_lock = threading.Lock()
_books: list[LogBook] = []


def _hand_out(severity: str, text: str) -> None:
    with _lock:
        books = tuple(_books)
    for book in books:
        book.add(severity, text)


@cache
def _logger(trt: Any) -> Any:
    """Return the process's logger: TensorRT keeps one pointer for good, so there is one object, kept for good."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # tensorrt is Any
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            _hand_out(str(severity.name).replace("_", " ").lower(), str(msg))

    return Logger()


@contextmanager
def capture(
    trt: Any, sink: Callable[[LogLine], object] | None = None, *, verbose: bool = False
) -> Iterator[tuple[Any, LogBook]]:
    """Collect what TensorRT logs while the block runs, verbose lines too if asked: the ``trt.ILogger``, and the lines.

    TensorRT has one logger per process: two builds at a time see each other's lines.
    """
    book = LogBook(sink, verbose=verbose)
    with _lock:
        _books.append(book)
    try:
        yield _logger(trt), book
    finally:
        with _lock:
            _books.remove(book)
