"""Files that a command is about to write: nothing that cannot be made again is replaced by accident."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trtcal_widgets.errors import ExportError, TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_output", "is_scale_file", "is_session_file"]


def check_output(path: Path, replaceable: Callable[[Path], bool], what: str, *, force: bool) -> None:
    """Refuse a bad output path before any work is done.

    A file of the kind that the command writes is replaced without asking: calibrating again is normal, and the
    file is replaced in one step. Anything else at that path is more likely a slip (``-o model.onnx``).

    Parameters
    ----------
    path
        Where the command will write.
    replaceable
        Whether an existing file is of the kind that may be replaced.
    what
        That kind, for the message.
    force
        Replace whatever file is there.

    Raises
    ------
    ExportError
        Where the file cannot or should not be written; says what to do.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise ExportError(
            f"{path} is a folder: give the name of the file to write, such as {path / 'calibration.cache'}."
        )
    if not folder.is_dir():
        raise ExportError(f"The folder {folder} does not exist: create it first (mkdir -p) or correct the path.")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ExportError(f"{path} cannot be written: check the permissions or choose another folder.")
    if path.exists() and not force and not replaceable(path):
        raise ExportError(
            f"{path} exists and is not {what}, so it was not replaced. Choose another name, "
            "or add --force to replace it."
        )


def is_scale_file(path: Path) -> bool:
    """Whether the file is empty or in one of the formats of scales and ranges."""
    from trtcal_widgets.common.files import read_whole
    from trtcal_widgets.formats.reading import detect_format

    try:
        data = read_whole(path, error=ExportError)
    except TrtcalError:
        return False
    return not data or detect_format(data) != "unknown"


def is_session_file(path: Path) -> bool:
    """Whether the file is empty or an archive as sessions are saved in."""
    try:
        with path.open("rb") as file:
            return file.read(4) in {b"", b"PK\x03\x04"}
    except OSError:
        return False
