"""The file of ``trtcal calibrate-many``: which models, with what data and options."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.cli.terminal import Parser, did_you_mean
from trtcal_widgets.cli.wording import options_of
from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.common.collecting import uncollected
from trtcal_widgets.common.files import read_whole
from trtcal_widgets.data.lists import LIST_SUFFIXES
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
        found = yaml.load(data, _loader())  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        why = re.sub(r'in "<[a-z ]+>", ', "in ", " ".join(str(error).split()))
        raise UsageError(f"{path} is no YAML: {why}") from error
    if isinstance(found, dict):
        unknown = [str(key) for key in found if key not in ("models", "defaults")]
        if unknown or "models" not in found:
            raise UsageError(
                f"{path}: a list of models is needed, or `models:` with one and `defaults:` with options for all"
                + (f"; {', '.join(map(repr, unknown[:3]))} is neither" if unknown else "")
                + (did_you_mean(unknown[0], ("models", "defaults")) if unknown else "")
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
            entry = entry._replace(wrong=wrong)
        if not entry.wrong:
            taken.add(entry.name.casefold())
        entries.append(entry)
    return entries


def _loader() -> Any:
    """Return a loader that refuses a key that is given twice: YAML's own takes the last one without a word."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"`{key.value}:` is there twice in one mapping", key.start_mark
                    )
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
            return super().construct_mapping(node, deep)

    return Loader


_LARGEST = 1 << 20
_LONGEST = 200
"""Bytes of a file's name without its ending; most systems take 255 with it."""

_UNSAFE = re.compile(r"[^\w.+-]+")


def _entry(i: int, given: Any, defaults: Mapping[Any, Any], folder: str) -> Entry:
    if not isinstance(given, dict):
        return Entry(
            f"model-{i + 1}",
            f"model {i + 1}",
            {},
            f"it is {'empty' if given is None else kind_of(given)}, not a mapping with `model:` and `data:`",
        )
    facts = {str(key).replace("_", "-"): value for key, value in {**defaults, **given}.items()}
    name = facts.pop("name", None)
    stem = str(name) if _is_text(name) and str(name).strip() else _stem(str(facts.get("model", "")))
    title = stem or f"model {i + 1}"
    stem = _file_name(stem) or f"model-{i + 1}"
    if stem.casefold() == "index":  # that is the page about all
        stem = f"{stem}-{i + 1}"
    if not (name is None or _is_text(name)):
        return Entry(stem, title, facts, f"its `name:` is text, not {kind_of(name)}: put it in quotes")
    missing = [key for key in ("model", "data") if not (isinstance(facts.get(key), str) and facts[key].strip())]
    if missing:
        return Entry(stem, title, facts, f"it has no `{missing[0]}:` with a path")
    for key in _PATHS:
        if isinstance(facts.get(key), str):
            facts[key] = os.path.join(folder, facts[key])  # noqa: PTH118 - of a Path it takes five times as long
    if "leave-out" in facts:
        out = facts["leave-out"] if isinstance(facts["leave-out"], list) else [facts["leave-out"]]
        facts["leave-out"] = [_list_in_folder(one, folder) for one in out]
    if "also" in facts:
        also = facts["also"] if isinstance(facts["also"], list) else [facts["also"]]
        facts["also"] = [_in_folder(one, folder) for one in also]
    return Entry(stem, title, facts)


def _stem(path: str) -> str:
    """Return the last part of a path without its ending."""
    return os.path.splitext(os.path.basename(path.rstrip(os.sep)))[0]  # noqa: PTH119, PTH122 - as above


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _file_name(text: str) -> str:
    """Return what files can be called: letters, digits and few signs, no longer than a system takes."""
    return _UNSAFE.sub("-", text).encode()[:_LONGEST].decode(errors="ignore").strip("-.")


def _list_in_folder(name: Any, folder: str) -> Any:
    """Return a list of images to leave out relative to the file; other names are those of images in the data."""
    is_a_list = isinstance(name, str) and os.path.splitext(name)[1].lower() in LIST_SUFFIXES  # noqa: PTH122 - as above
    return os.path.join(folder, name) if is_a_list else name  # noqa: PTH118 - as above


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
