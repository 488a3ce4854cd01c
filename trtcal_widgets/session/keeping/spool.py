"""The temporary file that the counts of all batches are in."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import weakref


class Spool:
    """A temporary file that is read and written at positions, by several threads."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="trtcal-", buffering=0)  # noqa: SIM115 - closed by close()
        # A notebook drops sessions without closing them: the file goes with the store, without a warning.
        self.close = weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def write(self, start: int, data: bytes) -> None:
        """Write bytes at a position; an OSError where there is no room."""
        view = memoryview(data)
        while view:
            if sys.platform == "win32":
                with self._lock:
                    self._file.seek(start)
                    n = self._file.write(view)
            else:
                n = os.pwrite(self._file.fileno(), view, start)
            view, start = view[n:], start + n

    def read(self, start: int, length: int) -> bytes:
        """Return so many bytes from a position on; fewer at the end of the file."""
        pieces = []
        while length > 0:
            if sys.platform == "win32":
                with self._lock:
                    self._file.seek(start)
                    piece = self._file.read(length)
            else:
                piece = os.pread(self._file.fileno(), length, start)
            if not piece:
                break
            pieces.append(piece)
            start, length = start + len(piece), length - len(piece)
        return b"".join(pieces)
