"""The form of a file that a panel writes: its path as it was typed, whether it can go there, what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.words import printable_lines
from trtcal_widgets.errors import ExportError, UsageError


@dataclass(frozen=True)
class FileForm:
    """What the user filled in, and what came of the last write: words, and ``ok``, ``warn`` or ``error``."""

    path: str = ""
    result: str = field(default="", compare=False)
    result_kind: str = field(default="", compare=False)

    def as_state(self) -> dict[str, Any]:
        """Return what a panel shows of it."""
        return {
            "path": self.path,
            "exists": is_there(self.path),
            "result": printable_lines(self.result),
            "result_kind": self.result_kind,
        }


def typed_path(text: str) -> Path:
    """Return the path that someone typed: spaces around it do not count, ``~`` is the home folder."""
    return Path(os.path.expanduser(text.strip()))  # noqa: PTH111 - Path.expanduser raises where there is no home


def is_there(text: str) -> bool:
    """Whether something is at a typed path already, if only a broken link; False for no path."""
    return bool(text.strip()) and os.path.lexists(typed_path(text))


def checked_path(text: str, example: str) -> Path:
    """Return a typed path that is one of a file; a UsageError for none, an ExportError for a folder."""
    if not text.strip():
        raise UsageError(f"Where to? Give the file a name, such as {example}.")
    path = typed_path(text)
    if is_folder(path, ExportError):
        raise ExportError(f"{path} is a folder. Add a file name, such as {example}.")
    return path


def path_to_write(text: str, example: str, *, replace: bool) -> tuple[Path, str]:
    """Return where to write, and in a word what that does: ``Wrote`` or ``Replaced``.

    An ExportError where a file is there already and ``replace`` is false.
    """
    path = checked_path(text, example)
    there = os.path.lexists(path)
    if there and not replace:
        raise ExportError(f"{path} exists already. Press “replace” to write over it, or give another name.")
    return path, "Replaced" if there else "Wrote"
