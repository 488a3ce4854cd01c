"""The file of ``trtcal calibrate-many``: which models, with what data and options."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.cli.terminal import Parser
from trtcal_widgets.cli.wording import options_of
from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.collecting import uncollected
from trtcal_widgets.common.files import read_whole
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn

_PATHS = ("model", "data", "range-from")
"""Keys whose values are paths, relative to the file."""

_REPEATED = ("also", "leave-out")
"""Keys of options that may be given several times: a list gives one for each entry."""

_OURS = frozenset(("output", "session", "force", "workers", "dask", "debug", "help"))
"""Options of ``trtcal calibrate`` that hold for all models, or that the command sets."""


class Entry(NamedTuple):
    """One model.

    ``name``: what its files are called. ``title``: what the user calls it. ``facts``: key (as an option of ``trtcal
    calibrate`` without its dashes) -> value. ``wrong``: what is wrong with it; empty where nothing is.
    """

    name: str
    title: str
    facts: Mapping[str, Any]
    wrong: str = ""


class EntryParser(Parser):
    """The parser of ``trtcal calibrate`` for one model: what is wrong with it does not end the program."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong."""
        raise UsageError(message)


def parser_of(add_arguments: Callable[[argparse.ArgumentParser], None]) -> EntryParser:
    """Return a parser with these arguments."""
    parser = EntryParser(prog="trtcal calibrate", allow_abbrev=False)
    add_arguments(parser)
    parser.set_defaults(options=options_of(parser))
    return parser


def read_entries(path: Path) -> list[Entry]:
    """Read the models of a YAML (or JSON) file.

    It is a list of models, or a mapping with such a list under ``models`` and options for all under ``defaults``. What
    is wrong with one model is said in its entry; UsageError if the file as a whole cannot be read.
    """
    with uncollected():  # a hundred thousand new objects
        return _entries(path)


def _entries(path: Path) -> list[Entry]:
    import yaml

    data = read_whole(path, error=UsageError, what="the list of models", limit=_LARGEST)
    try:
        found = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if isinstance(found, dict):
        unknown = [str(key) for key in found if key not in ("models", "defaults")]
        if unknown or "models" not in found:
            raise UsageError(
                f"{path}: a list of models is needed, or `models:` with one and `defaults:` with options for all"
                + (f"; {', '.join(map(repr, unknown[:3]))} is neither" if unknown else "")
            )
        models, defaults = found["models"], found.get("defaults") or {}
    else:
        models, defaults = found, {}
    if not isinstance(models, list) or not models:
        raise UsageError(f"{path} lists no models; each is a mapping with `model:` and `data:`")
    if not isinstance(defaults, dict):
        raise UsageError(f"{path}: `defaults:` is a mapping of options, not {kind_of(defaults)}")
    entries: list[Entry] = []
    taken: set[str] = set()
    folder = "" if str(path.parent) == "." else str(path.parent)
    for i, given in enumerate(models):
        entry = _entry(i, given, defaults, folder)
        if entry.name.casefold() in taken:
            wrong = entry.wrong or f"another model is called {entry.name!r} too: give it a `name:` of its own"
            entry = entry._replace(name=f"{entry.name}-{i + 1}", wrong=wrong)
        taken.add(entry.name.casefold())
        entries.append(entry)
    return entries


_LARGEST = 1 << 20
_UNSAFE = re.compile(r"[^\w.+-]+")


def _entry(i: int, given: Any, defaults: Mapping[Any, Any], folder: str) -> Entry:
    if not isinstance(given, dict):
        return Entry(
            f"model-{i + 1}", f"model {i + 1}", {}, f"it is {kind_of(given)}, not a mapping with `model:` and `data:`"
        )
    facts = {str(key).replace("_", "-"): value for key, value in {**defaults, **given}.items()}
    name = facts.pop("name", None)
    stem = str(name) if isinstance(name, str | int | float) else _stem(str(facts.get("model", "")))
    title = stem
    stem = _UNSAFE.sub("-", stem).strip("-.")[:100] or f"model-{i + 1}"
    missing = [key for key in ("model", "data") if not isinstance(facts.get(key), str)]
    if missing:
        return Entry(stem, title, facts, f"it has no `{missing[0]}:` with a path")
    for key in _PATHS:
        if isinstance(facts.get(key), str):
            facts[key] = os.path.join(folder, facts[key])  # noqa: PTH118 - of a Path it takes five times as long
    if "also" in facts:
        also = facts["also"] if isinstance(facts["also"], list) else [facts["also"]]
        facts["also"] = [_in_folder(one, folder) for one in also]
    return Entry(stem, title, facts)


def _stem(path: str) -> str:
    """Return the last part of a path without its ending."""
    return os.path.splitext(os.path.basename(path.rstrip(os.sep)))[0]  # noqa: PTH119, PTH122 - as above


def _in_folder(named: Any, folder: str) -> Any:
    """Return NAME=PATH with the path relative to the file."""
    name, equals, path = named.partition("=") if isinstance(named, str) else ("", "", "")
    return f"{name}={os.path.join(folder, path)}" if equals and path else named  # noqa: PTH118


def argv_of(entry: Entry) -> list[str]:
    """Return what would be typed behind ``trtcal calibrate`` for a model; UsageError if a value cannot be one."""
    facts = dict(entry.facts)
    argv: list[str] = []
    for key, value in facts.items():
        if key in ("model", "data"):
            continue
        if key in _OURS:
            raise UsageError(f"`{key}:` cannot stand in the list of models: it holds for all, or the command sets it")
        if value is None or value is False:
            continue
        option = f"--{key}"
        if key in _REPEATED:
            argv += [f"{option}={_text(key, one)}" for one in (value if isinstance(value, list) else [value])]
            continue
        argv.append(option if value is True else f"{option}={_text(key, value)}")
    return [*argv, "--", str(facts["model"]), str(facts["data"])]


def _text(key: str, value: Any) -> str:
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
        raise UsageError(f"`{key}:` is text, a number, true, or a list of numbers")
    return ",".join(map(str, values))
