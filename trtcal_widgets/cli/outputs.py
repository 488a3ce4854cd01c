"""Files that a command is about to write: nothing that cannot be made again is replaced by accident.

One rule for every output of every command. A file that is there is replaced without asking only where its content says
that it is of the kind that is written; its name counts for nothing. Two outputs, or an output and a file that is read,
are never the same file, also not through links and not with ``--force``; what is read with a file counts as read: the
external data of a model, the samples in a folder, the images of a list.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trtcal_widgets.cli.terminal import outlive_reader
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.errors import ExportError, ModelError, TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trtcal_widgets.formats.detect import Format
    from trtcal_widgets.runners.inputs import Inputs


class Kind(NamedTuple):
    """A kind of file that commands write.

    ``what``: in words, for the message. ``is_ours``: whether the content of an existing file, which is not empty, has
    the mark of this kind.
    """

    what: str
    is_ours: Callable[[Path], bool]


class Output(NamedTuple):
    """A file that a command will write: the option that names it, its path (None: not asked for) and its kind."""

    option: str
    path: str | os.PathLike[str] | None
    kind: Kind


def check_outputs(
    outputs: Iterable[Output], *, inputs: Iterable[str | os.PathLike[str] | None] | Inputs = (), force: bool = False
) -> None:
    """Refuse bad output paths before any work is done.

    ``outputs``: all that the command will write. ``inputs``: all files and folders that it reads; None for what is not
    given, or those that were put together before. ``force``: replace whatever other file is there. Raises ExportError
    where a file cannot or should not be written; says what to do. From here on a reader of the output that goes away
    ends nothing: the files are written first.
    """
    from trtcal_widgets.runners.inputs import Inputs, place_of

    wanted = [(option, Path(path), kind) for option, path, kind in outputs if path is not None]
    outlive_reader(wanted=bool(wanted))
    read = inputs if isinstance(inputs, Inputs) else Inputs.of(inputs)
    if any(os.path.exists(path) for _, path, _ in wanted):  # noqa: PTH110 - also for names that no file can have
        read = read.looked_up()
    absent = read.absent if wanted else frozenset()
    for i, (option, path, kind) in enumerate(wanted):
        _check_place(path)
        foreign = path.exists() and path.stat().st_size > 0 and not is_kind(path, kind)
        other = f", and is not {kind.what}" if foreign else ""
        read.refuse(path, f"Choose another name for {option}", other)
        if place_of(path) in absent:
            raise ExportError(f"{path} is a file that is read. Choose another name for {option}.")
        if foreign and not force:
            raise ExportError(
                f"{path} exists and is not {kind.what}, so it was not replaced. Choose another name, "
                "or add --force to replace it."
            )
        for named, earlier, _ in wanted[:i]:
            if _same(path, earlier):
                raise ExportError(f"{named} {earlier} and {option} {path} are the same file. Give two names.")


def _same(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)  # noqa: PTH121 - through links, hard ones too
    except (OSError, ValueError):
        from trtcal_widgets.runners.inputs import place_of

        # Nothing is there yet.
        return os.path.abspath(a) == os.path.abspath(b) or place_of(a) == place_of(b)  # noqa: PTH100


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # a name that no file can have
        return os.fspath(path)


def _check_place(path: Path) -> None:
    try:
        folder = Path(_real(path.absolute())).parent  # where a link leads
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ExportError(f"{path} is a device or a pipe, not a file: choose another name.")
        if path.is_dir():
            raise ExportError(
                f"{path} is a folder: give the name of the file to write, such as {path / 'calibration.cache'}."
            )
        if not folder.is_dir():
            raise ExportError(f"The folder {folder} does not exist: create it first (mkdir -p) or correct the path.")
        if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise ExportError(f"{path} cannot be written: check the permissions or choose another folder.")
    except (OSError, ValueError) as error:  # a name that is too long, or that no file can have
        raise ExportError(f"{path}: there can be no file of this name ({error}). Choose another one.") from error


def is_kind(path: Path, kind: Kind) -> bool:
    """Whether the content of a file has the mark of a kind."""
    try:
        with damage_as(ExportError, f"{path} is something else", ""):
            return kind.is_ours(path)
    except TrtcalError:
        return False  # it cannot be read as one


def table_kind(name: Format) -> Kind:
    """Return the kind of a file of scales or ranges in one format.

    TensorRT's own files carry a header. The others have no mark: such a file is of its kind where writing what it says
    would give the same bytes again, as this package's own files do and a list or a configuration hardly ever does.
    """
    from trtcal_widgets.formats.detect import describe_format

    return Kind(describe_format(name), lambda path: _is_table(path, name))


def _is_table(path: Path, name: Format) -> bool:
    from trtcal_widgets.common.files import read_whole
    from trtcal_widgets.formats.reading import convert, detect_format, scales_from_bytes

    data = read_whole(path, error=ExportError)
    found = detect_format(data)
    if found in ("cache", "legacy"):
        return bool(scales_from_bytes(data, source=str(path)).amax)
    return found == name and convert(scales_from_bytes(data, source=str(path)), found) == data


def _is_session(path: Path) -> bool:
    from trtcal_widgets.session.persist import FORMAT

    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("session.json")
        return entry.file_size < _LARGEST_JSON and json.loads(archive.read(entry)).get("format") == FORMAT


_LARGEST_JSON = 1 << 28
"""Bytes: the facts of a session with 100,000 tensors are a tenth of it."""


def _json_with(mark: str) -> Callable[[Path], bool]:
    def check(path: Path) -> bool:
        return path.stat().st_size < _LARGEST_JSON and json.loads(path.read_bytes()).get("format") == mark

    return check


def _is_search(path: Path) -> bool:
    return path.stat().st_size < _LARGEST_JSON and json.loads(path.read_bytes()).keys() == {"subject", "scores"}


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(4096)
    return start.lstrip().lower().startswith((b"<!doctype html", b"<html")) and b'content="trtcal_widgets"' in start


def _is_qdq_model(path: Path) -> bool:
    from trtcal_widgets.export.qdq.write import is_our_model
    from trtcal_widgets.model.files import read_proto

    try:
        return is_our_model(read_proto(path)[0])
    except ModelError:
        return False


CACHE = table_kind("cache")
SESSION = Kind("a session that trtcal saved", _is_session)
PLAN = Kind("a precision plan", _json_with("trtcal_widgets precision plan"))
REPORT = Kind("a report that trtcal wrote", _json_with("trtcal_widgets report"))
SEARCH = Kind("the state of a plan search", _is_search)
JOURNAL = Kind("the journal of a tuning", _json_with("trtcal_widgets tuning journal"))
TUNED = Kind("what trtcal tune wrote", _json_with("trtcal_widgets tuning"))
PAGE = Kind("an HTML file that trtcal wrote", _is_page)
QDQ_MODEL = Kind("a Q/DQ model that trtcal wrote", _is_qdq_model)
