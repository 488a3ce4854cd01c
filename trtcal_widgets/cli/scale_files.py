"""Files that a command takes scales from: caches and their neighbours, Q/DQ models, and saved sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.outputs import SESSION, is_kind
from trtcal_widgets.cli.progress import done_text
from trtcal_widgets.cli.terminal import note
from trtcal_widgets.formats.header import parse_version
from trtcal_widgets.model.explicit.table import read_scales

if TYPE_CHECKING:
    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.formats.reading import ScaleTable

SCALE_FILE = "cache, dynamic-range text, ONNX Runtime table, Q/DQ model or saved session"
"""What :func:`open_scales` takes, for the help."""

_NO_CACHES = 11
"""The first TensorRT without calibrators."""


def open_both(a: str, b: str) -> tuple[CalibrationCache | ScaleTable, CalibrationCache | ScaleTable]:
    """Read two files to compare; a session beside a cache gets the rows of the TensorRT that the cache is of."""
    if is_session(a) and not is_session(b):
        second, first = open_both(b, a)
        return first, second
    first = open_scales(a, constants_too=True)
    version = getattr(first, "version", None)
    return first, open_scales(b, constants_too=True, version=".".join(map(str, version)) if version else None)


def is_session(path: str) -> bool:
    """Whether a file is a saved session."""
    return is_kind(Path(path), SESSION)


def open_scales(path: str, *, constants_too: bool = False, version: str | None = None) -> CalibrationCache | ScaleTable:
    """Read scales: of a session those that it has chosen, as the cache that it would write.

    ``constants_too``: those of a Q/DQ model's constants as well. ``version``: the TensorRT that a session's cache is
    for; one that reads no caches counts as none. Raises TrtcalError where the file is none of these.
    """
    if not is_session(path):
        return read_scales(path, constants_too=constants_too)
    from trtcal_widgets.session import CalibrationSession

    with CalibrationSession.load(path) as session:
        if session.status.recorded != session.status.n_batches:
            note(f"{path} was stopped: it holds {done_text(session.status)}")
        if version is not None and parse_version(version)[0] >= _NO_CACHES:
            version = None
        return replace(session.to_cache(version=version), source=path)
