"""The one way in which text gets to a terminal: nothing that a file, a path or a library says can steer it."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from typing import NoReturn

from trtcal_widgets.common.words import printable_lines


def say(text: str = "", *, flush: bool = False) -> None:
    """Print to stdout, control characters as escapes."""
    print(printable_lines(text), flush=flush)


def note(text: str) -> None:
    """Print to stderr, control characters as escapes."""
    print(printable_lines(text), file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """Print an error to stderr, wrapped at the terminal's width where there is one."""
    text = f"trtcal: {message}"
    if sys.stderr.isatty():
        width = max(shutil.get_terminal_size().columns, 40)
        lines = (
            textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
            for line in text.split("\n")
        )
        text = "\n".join(part for wrapped in lines for part in wrapped)
    note(text)


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors repeat what was typed."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with exit code 2."""
        super().error(printable_lines(message))
