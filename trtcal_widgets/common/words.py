"""Numbers and names as people read them: shared by the command line, the widgets and the static pictures.

Tensor names come from model files and may hold anything: line breaks, terminal escapes, half a surrogate pair.
Here they are made printable; nothing here makes markup.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable


def significant(value: float, digits: int = 3) -> str:
    """Return a number with this many significant digits: ``"0.996"``, ``"1230"``, ``"3.1e-05"``, ``"inf"``.

    ``digits``: significant digits, 1 or more. Whole numbers below 100,000 keep all of their digits; with more than
    three digits larger ones do too.
    """
    if not math.isfinite(value):
        return str(float(value))
    if value == 0:
        return "0"
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)  # after rounding: 0.9999 is 1.00, not 1.000
    if not -4 <= exponent < max(digits + 2, 5):
        return f"{mantissa}e{exponent:+03d}"
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"


def count_of(number: int, singular: str, plural: str = "") -> str:
    """Return ``"1 row"``, ``"1,234 rows"``; ``plural`` where adding an s does not make it."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def some_of(names: Collection[str], most: int = 3, show: Callable[[str], str] = repr) -> str:
    """Return the first of some names and how many more there are: ``'conv1', 'conv2', 'fc' and 12 more``."""
    first = [show(name) for name, _ in zip(names, range(most), strict=False)]
    return ", ".join(first) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """Return ``"; did you mean 'conv1'?"`` for what is close to something known, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=most)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def json_number(value: float) -> float | None:
    """Return a number that JSON can hold: None for nan and infinities."""
    return value if math.isfinite(value) else None


def printable(name: str) -> str:
    r"""Return a name on one line without control characters: a line break becomes ``\n``, an escape ``\x1b``.

    Text in any script stays as it is. Invisible format characters (such as right-to-left overrides, which make a
    name look like another one) are written as escapes too.
    """
    if name.isprintable():
        return name
    return "".join(_visible(character) for character in name)


_LONGEST_NAME = 200
"""Characters of a name in a report or table: what is longer is cut in its middle."""


def shown_name(name: str) -> str:
    """Return a name as it stands in lines of text: printable, and cut in its middle where it is very long."""
    return shorten_middle(printable(name), _LONGEST_NAME)


def _visible(character: str) -> str:
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return ascii(character)[1:-1]
    return character


def printable_lines(text: str) -> str:
    """Return a text of several lines, each of them printable."""
    return "\n".join(printable(line) for line in text.split("\n"))


def display_width(text: str) -> int:
    """Return how many terminal columns a printable text takes: two for East Asian wide characters."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def shorten_middle(text: str, width: int) -> str:
    """Cut a text in the middle so that it takes at most ``width`` characters, with an ellipsis where it was cut."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    tail = width - 1 - head
    return f"{text[:head]}…{text[len(text) - tail :]}"
