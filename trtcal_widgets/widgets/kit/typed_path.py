"""Where a file goes that a panel writes: the path as it was typed, and whether it can be written there."""

from __future__ import annotations

import os
from pathlib import Path

from trtcal_widgets.errors import ExportError, UsageError

__all__ = ["checked_path", "is_there", "path_to_write", "typed_path"]


def typed_path(text: str) -> Path:
    """Return the path that someone typed: spaces around it do not count, ``~`` is the home folder."""
    return Path(os.path.expanduser(text.strip()))  # noqa: PTH111 - Path.expanduser raises where there is no home


def is_there(text: str) -> bool:
    """Whether something is at a typed path already, if only a broken link; False for no path."""
    return bool(text.strip()) and os.path.lexists(typed_path(text))


def checked_path(text: str, example: str) -> Path:
    """Return a typed path that is one of a file.

    Raises
    ------
    UsageError
        If there is none.
    ExportError
        If it is a folder's. ``example`` is a file name for the message.
    """
    if not text.strip():
        raise UsageError(f"Where to? Give the file a name, such as {example}.")
    path = typed_path(text)
    if path.is_dir():
        raise ExportError(f"{path} is a folder. Add a file name, such as {example}.")
    return path


def path_to_write(text: str, example: str, *, replace: bool) -> tuple[Path, str]:
    """Return where to write, and in a word what that does: ``Wrote`` or ``Replaced``.

    Raises
    ------
    UsageError, ExportError
        If it is no file's path, or a file is there already and ``replace`` is false.
    """
    path = checked_path(text, example)
    there = os.path.lexists(path)
    if there and not replace:
        raise ExportError(f"{path} exists already. Press “replace” to write over it, or give another name.")
    return path, "Replaced" if there else "Wrote"
