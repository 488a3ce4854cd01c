"""Aligned tables in plain text."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.common.words import display_width, printable, shorten_middle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MIN_NAME, _MAX_NAME = 20, 200


@dataclass(frozen=True)
class Column:
    """A column: its title, its cells, and whether they are numbers (aligned right)."""

    title: str
    cells: Sequence[str]
    is_number: bool = True


def table_lines(names: Sequence[str], columns: Sequence[Column], *, title: str = "tensor") -> Iterator[str]:
    """Yield the lines of a table whose first column holds tensor names.

    A name of more than 200 characters is cut in the middle; on a terminal every one that does not fit.
    """
    widths = [max(map(display_width, (column.title, *column.cells))) for column in columns]
    shown = [shorten_middle(printable(name), _MAX_NAME) for name in names]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(width + 2 for width in widths)
        shown = [shorten_middle(name, max(room, _MIN_NAME)) for name in shown]
    first = max(map(display_width, (title, *shown)))
    for row in (-1, *range(len(names))):
        cells = [_pad(title if row < 0 else shown[row], first, right=False)]
        for column, width in zip(columns, widths, strict=True):
            cells.append(_pad(column.title if row < 0 else column.cells[row], width, right=column.is_number))
        yield "  ".join(cells).rstrip()


def wrap(text: str, indent: str = "  ") -> list[str]:
    """Break a paragraph into indented lines that fit the terminal (at most 100 columns)."""
    from textwrap import wrap as wrapped

    width = min(shutil.get_terminal_size().columns, 100)
    return wrapped(text, max(width, 40), initial_indent=indent, subsequent_indent=indent, break_long_words=False)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space
