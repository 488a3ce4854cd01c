"""The one way in which text gets to a terminal: nothing that a file, a path or a library says can steer it."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn

from trtcal_widgets.common.words import printable, printable_lines, shorten_middle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def say(*texts: str, flush: bool = False) -> None:
    """Print to stdout, each text on lines of its own, control characters as escapes."""
    for text in texts:
        print(printable_lines(text), flush=flush)


def say_json(found: Mapping[str, Any]) -> None:
    """Print JSON for programs to stdout."""
    say(json.dumps(found, indent=1, allow_nan=False))


def print_file(data: bytes) -> None:
    """Print the content of a text file to stdout: byte for byte into a pipe or file, made harmless on a terminal."""
    raw = None if sys.stdout.isatty() else getattr(sys.stdout, "buffer", None)
    if raw is None:
        say(data.decode(errors="replace").removesuffix("\n"))
        return
    sys.stdout.flush()
    raw.write(data if data.endswith(b"\n") else data + b"\n")
    raw.flush()


def note(*texts: str) -> None:
    """Print to stderr, each text on lines of its own, control characters as escapes."""
    for text in texts:
        print(printable_lines(text), file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Print an error to stderr, wrapped at the terminal's width where there is one."""
    with contextlib.suppress(OSError):  # nobody is there to read it, or its disk is full: the exit code says it
        note(_wrapped(f"trtcal: {_LONG_WORD.sub(_cut, message)}"))


_LONG_WORD = re.compile(r"\S{600,}")
"""A name that a model or a file made up; paths are shorter than 4,096 characters and mostly far shorter."""


def _cut(found: re.Match[str]) -> str:
    return shorten_middle(printable(found[0]), 400)


def _wrapped(text: str) -> str:
    if not sys.stderr.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, 40)
    lines = (
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""] for line in text.split("\n")
    )
    return "\n".join(part for wrapped in lines for part in wrapped)


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean --batch-size?"`` for what is close to something known, else nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(typed.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {printable(by_lower[close[0]])}?" if close else ""


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors repeat what was typed, say what was meant and fit the terminal."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and end with exit code 2."""
        self.print_usage(sys.stderr)
        self.exit(2, printable_lines(_wrapped(f"{self.prog}: error: {message}")) + "\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments; one that no option takes is an error that names the nearest option."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            options = getattr(found, "options", {}).values()
            meant = next((text for typed in rest if (text := did_you_mean(typed.partition("=")[0], options))), "")
            self.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if action.choices is not None and "did you mean" not in error.message:
                error.message += did_you_mean(str(value), map(str, action.choices))
            raise
