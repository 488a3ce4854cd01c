"""Errors of the package name Python arguments (``batch_size=``); here they become the command's own options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

_RENAMED = {
    "input_name": "input",
    "max_batches": "batches",
    "name": "input",
    "on_error": "skip_unreadable",
    "output": "scores",
    "providers": "gpu",
    "range_mode": "range",
    "version": "trt_version",
}
"""Python argument -> where argparse keeps the option, where the two differ (a command's ``output`` is its file)."""

_PYTHON_ONLY = frozenset(
    {"evaluate", "gpu_memory", "labels", "names", "output", "pattern", "pick", "providers", "threads"}
)
"""Arguments that messages name and that a command may have no option for."""

_FLAGS = frozenset({"True", "'skip'"})
"""Values that stand for an option without a value: ``force=True``, ``on_error='skip'``."""

_QUOTED = r"(?:(?<!\w)'(?:[^'\\]|\\.)*'|(?<!\w)\"(?:[^\"\\]|\\.)*\")"
_VALUE = rf"{_QUOTED}(?: or {_QUOTED})*|\([^()]*\)|[-+]?[0-9.][\w.+/-]*(?<![.-])|True|False|None"
_NAME = r"\b[a-z]+(?:_[a-z]+)*"
_SUBJECT = re.compile(r"^[a-z]+(?= (?:must|is|divides|goes)\b)")
_REPEATED = re.compile(r"(?P<option>--[a-z-]+) \((?P=option)\)")
_FOR_PYTHON = re.compile(rf" ?\(in Python: (?:{_QUOTED}|[^()'\"]|\([^()]*\))*\)")
_CALL = re.compile(r"\b[A-Z]\w+\(…, (?P<arguments>--[^()]*)\)")


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return a command's options by the name under which argparse keeps them: ``batch_size`` -> ``--batch-size``."""
    actions = parser._option_string_actions  # noqa: SLF001 - argparse has no public list of its options
    return {action.dest: option for option, action in actions.items() if option.startswith("--")}


def without_python(message: str) -> str:
    """Return a message without what it says for Python alone: ``… (in Python: cache.with_header(version='8.6.1'))``."""
    return _FOR_PYTHON.sub("", message)


def in_options(message: str, options: Mapping[str, str], given: Iterable[str] = ()) -> str:
    """Return an error's message with options of the command line where it names arguments of Python.

    ``message``: what an exception of the package says. ``options``: the command's own, see :func:`options_of`.
    ``given``: what the user typed: paths may hold anything, so they, and what follows them without a space, stay as
    they are. So does what stands in quotes, such as a tensor's name.
    """
    typed = "|".join(rf"(?<!\S){re.escape(text)}\S*" for text in given if text) or "(?!)"
    pattern = rf"(?P<keep>{typed})|(?P<name>{_NAME})=(?P<value>{_VALUE})?|{_QUOTED}|(?P<bare>{_NAME})"

    def translate(found: re.Match[str]) -> str:
        text = found[0]
        if found["name"]:
            return _assignment(text, found["name"], found["value"] or "", options)
        if found["bare"] and "_" in text:
            return _option(text, options) or text
        return text

    message = without_python(message)
    subject = _SUBJECT.match(message)
    start = _option(subject[0], options) if subject else ""
    rest = message[len(subject[0]) :] if subject and start else message
    text = start + re.sub(pattern, translate, rest)
    return _CALL.sub(r"\g<arguments>", _REPEATED.sub(r"\g<option>", text))


def _option(name: str, options: Mapping[str, str]) -> str:
    return options.get(_RENAMED.get(name, name), "")


def _assignment(text: str, name: str, value: str, options: Mapping[str, str]) -> str:
    option = _option(name, options)
    if not option:
        return f"{text} (in Python)" if name in _PYTHON_ONLY else text
    if not value or value in _FLAGS:
        return option
    return f"{option} {_as_typed(name, value)}"


def _as_typed(name: str, value: str) -> str:
    """Return a Python value as the command line takes it: ``(224, 224)`` is 224x224 as a size, else 224,224."""
    if value == "None":
        return "none"
    if value.startswith("("):
        parts = [part.strip() for part in value[1:-1].split(",") if part.strip()]
        return ("x" if name == "size" else ",").join(parts)
    return re.sub(r"(?<!\w)(['\"])(\S*?)\1", r"\2", value)  # a value with spaces keeps its quotes
