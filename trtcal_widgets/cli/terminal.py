"""The one way in which text gets to a terminal: nothing that a file, a path or a library says can steer it."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from trtcal_widgets.common.words import printable, printable_lines, shorten_middle, some_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def say(*texts: str, flush: bool = False) -> None:
    """Print to stdout, each text on lines of its own, control characters as escapes."""
    with _outliving(sys.stdout):
        for text in texts:
            print(printable_lines(text), flush=flush)


class _Outlived:
    """Whether the work goes on without a reader, and the first error of a stream that was lost meanwhile."""

    wanted = False
    error: OSError | None = None


def outlive_reader(*, wanted: bool) -> None:
    """Let a command go on when the reader of its output ends (``| head``) or the log's disk is full.

    It is wanted where files are asked for: they are written whoever listens.
    """
    _Outlived.wanted, _Outlived.error = wanted, None


def flush() -> None:
    """Send on what stdout holds."""
    with _outliving(sys.stdout):
        sys.stdout.flush()


def end_output() -> None:
    """Send on what stdout holds; raise the error with which output was lost, but for a reader that went away."""
    flush()
    if _Outlived.error is not None and not isinstance(_Outlived.error, BrokenPipeError):
        raise _Outlived.error


@contextlib.contextmanager
def _outliving(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not _Outlived.wanted:
            raise
        _Outlived.error = _Outlived.error or error
        give_up(stream)


def give_up(stream: TextIO) -> None:
    """Send what is left in a stream's buffer nowhere: Python would try again at its end, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor in a test or an embedding
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
    with _outliving(sys.stderr):
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


class HelpFormatter(argparse.HelpFormatter):
    """argparse's, for texts of several paragraphs: prose fits the terminal, indented lines stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = paragraphs(text)
        return "\n".join(
            part if part[:1] == " " else super(HelpFormatter, self)._fill_text(part, width, indent) for part in parts
        )


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of prose in a text, each on one line, and its indented and empty lines as they are."""
    found: list[str] = []
    prose = False
    for line in text.split("\n"):
        is_prose = bool(line) and not line.startswith(" ")
        if is_prose and prose:
            found[-1] += f" {line}"
        else:
            found.append(line)
        prose = is_prose
    return found


_MOST_SHOWN = 5
"""Arguments that an error repeats: ``photos/*.jpg`` may be thousands."""


def _as_folder(rest: Sequence[str]) -> str:
    """Say how several files are given, where that is what is too much."""
    if not all(os.path.isfile(text) for text in rest):  # noqa: PTH113 - any text
        return ""
    folder = os.path.dirname(rest[0]) or "."  # noqa: PTH120
    return f"; several files are given as the folder that holds them ({folder}), or as a .txt file that lists them"


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors repeat what was typed, say what was meant and fit the terminal."""

    _typed: tuple[str, ...] = ()

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and end with exit code 2."""
        self.print_usage(sys.stderr)
        dashed = [text for text in self._typed if text.startswith("-") and os.path.exists(text)]  # noqa: PTH110 - any text
        if dashed:
            message += f"; a file whose name begins with - is given as ./{dashed[0]}"
        self.exit(2, printable_lines(_wrapped(f"{self.prog}: error: {message}")) + "\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse what is known, and remember what was typed for the errors."""
        self._typed = tuple(map(str, sys.argv[1:] if args is None else args))
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments; one that no option takes is an error that names the nearest option."""
        found, rest = self.parse_known_args(args, namespace)
        if "" in self._typed:
            self.error("an argument is empty: is it a variable of the shell that is not set?")
        if rest:
            options = getattr(found, "options", {}).values()
            meant = next((text for typed in rest if (text := did_you_mean(typed.partition("=")[0], options))), "")
            if not meant and hasattr(found, "data"):
                meant = _as_folder(rest)
            self.error(f"unrecognized arguments: {some_of(rest, _MOST_SHOWN, str)}{meant}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if action.choices is not None and "did you mean" not in error.message:
                error.message += did_you_mean(str(value), map(str, action.choices))
            raise
