"""Reading small files whole and writing files so that the old one survives a failure.

Every file that the package writes goes through :func:`write_atomic`: a full disk, a read-only folder
or a power cut leaves either the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from trtcal_widgets.common.arguments import path_text
from trtcal_widgets.errors import ExportError, TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_READ_BYTES = 256 * 1024 * 1024
"""Far beyond any calibration table: 100,000 rows with long names are about 20 MB."""

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EFBIG: (
        "the file would be larger than this system allows",
        "raise the limit (ulimit -f) or choose another disk",
    ),
    errno.EROFS: ("the file system is read-only", "choose a folder that can be written"),
    errno.EACCES: (
        "writing there is not permitted",
        "check the permissions, close other programs that use the file, or choose another folder",
    ),
    errno.ENOENT: ("its folder does not exist", "create the folder first or correct the path"),
    errno.ENOTDIR: ("a part of its path is a file, not a folder", "correct the path"),
    errno.EISDIR: ("it is a folder", "give the name of a file"),
    errno.ENAMETOOLONG: ("the file name is too long", "choose a shorter name"),
}
_REASONS[errno.EPERM] = _REASONS[errno.EACCES]
if hasattr(errno, "EDQUOT"):
    _REASONS[errno.EDQUOT] = ("your disk quota is used up", _REASONS[errno.ENOSPC][1])


def read_whole(
    path: str | os.PathLike[str],
    *,
    error: type[TrtcalError],
    what: str = "the file",
    limit: int = MAX_READ_BYTES,
) -> bytes:
    """Read a small file, or raise ``error`` saying why it cannot be read.

    ``error``: the class of the exception to raise: the caller knows what the file was for. ``what``: what the file is
    to the user, for the message ("the calibration cache"). ``limit``: size in bytes above which the file is refused
    instead of filling the memory.
    """
    path = path_text(path, what, error)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - Path("") would become "."
            # st_size of a pipe or device is 0 although more may come: hence both checks
            size = os.fstat(file.fileno()).st_size
            data = file.read(limit + 1) if size <= limit else b""
    except FileNotFoundError:
        raise error(f"{path}: there is no such file. Check the path.") from None
    except IsADirectoryError:
        raise error(f"{path}: this is a folder. Give the path of {what} itself.") from None
    except OSError as exc:
        raise error(f"{path}: {what} cannot be read: {_strerror(exc)}.") from exc
    size = max(size, len(data))
    if size > limit:
        raise error(
            f"{path}: {size / 1e6:,.0f} MB or more is too large for {what} "
            f"(the limit is {limit / 1e6:,.0f} MB). Is this the right file?"
        )
    return data


class ReadFiles(Protocol):
    """Files that were read, of which no output takes the place."""

    def refuse(self, path: str | os.PathLike[str]) -> None:
        """Raise ExportError where writing to ``path`` would replace one of them."""
        ...


def write_atomic(
    path: str | os.PathLike[str], data: bytes | Callable[[BinaryIO], None], *, inputs: ReadFiles | None = None
) -> None:
    """Write ``data`` to ``path``; where that fails, the old file stays as it was.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and replace the old
    file in one step. An existing file keeps its permissions; where ``path`` is a symbolic link, the
    file that it points to is replaced. The folder must exist: a misspelt path is not created silently.

    ``data``: all of its content, or what writes it to the open file, piece by piece. ``inputs``: what must not be
    replaced. Raises ExportError where the file
    cannot be written; says why and what to do. No temporary file is left behind.
    """
    shown = path_text(path, "the file to write", ExportError)
    if inputs is not None:
        inputs.refuse(shown)
    temporary: str | None = None
    try:
        target = os.path.realpath(shown)
        mode = _existing_mode(shown)
        temporary, descriptor = _create_beside(target)
        with os.fdopen(descriptor, "wb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            Path(temporary).chmod(mode)
        os.replace(temporary, target)  # noqa: PTH105 - one atomic step on POSIX and Windows
        temporary = None
    except (OSError, ValueError) as exc:
        raise ExportError(_explain(shown, exc)) from exc
    finally:
        # Also on KeyboardInterrupt. A temporary file that cannot be removed must not hide the reason.
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
    _sync_folder(target)


def _existing_mode(path: str) -> int | None:
    """Permissions of the file that is there, or ``None``; refuses what must not be replaced."""
    try:
        status = os.stat(path)  # noqa: PTH116 - follows links, as the replacement below does
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        # Replacing /dev/stdout or a pipe by a file would break it for everybody.
        raise ValueError("it is not a regular file (a device or a pipe)")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return stat.S_IMODE(status.st_mode)


def _create_beside(target: str) -> tuple[str, int]:
    """Open a new file in the target's folder, with the permissions that any new file gets."""
    folder, name = os.path.split(target)
    _clean_up(folder, name)
    # Not tempfile.mkstemp: its files are private (0600), which a cache for colleagues must not be.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(6)}.tmp")  # noqa: PTH118
        try:
            return temporary, os.open(temporary, flags, 0o666)
        except FileExistsError:  # one in 10**14; take another name
            continue


_OLD = 3600.0
"""Seconds after which a temporary file is one that a killed process has left: writing takes minutes at most."""


def _clean_up(folder: str, name: str) -> None:
    """Remove what killed processes have left of this file."""
    left = re.compile(rf"\.{re.escape(name[:40])}\.[0-9a-f]{{12}}\.tmp")
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if left.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _OLD:
                Path(entry.path).unlink()


def _sync_folder(target: str) -> None:
    """Make the new name itself survive a power cut, where the system can do that."""
    # The new file is complete and in place: a system that refuses this (Windows) is no failure.
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.dirname(target), os.O_RDONLY)  # noqa: PTH120
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _strerror(exc: OSError | ValueError) -> str:
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)).rstrip(".")


def _explain(path: str, exc: OSError | ValueError) -> str:
    code = exc.errno if isinstance(exc, OSError) else None
    reason, advice = _REASONS.get(code or 0, (_strerror(exc), "choose another file name or folder"))
    kept = " The file that was there is unchanged." if os.path.isfile(path) else ""  # noqa: PTH113
    return f"{path}: cannot be written: {reason}.{kept} To go on: {advice}."
