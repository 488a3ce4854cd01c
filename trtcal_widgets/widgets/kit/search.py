"""What a list is searched with where the kernel searches; ``kit/js/search.js`` does the same in the browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SPECIAL = re.compile(r"[\\^$*+?()[\]{}|]")
_BETWEEN_SLASHES = re.compile(r"/(.+)/", re.DOTALL)


@dataclass(frozen=True)
class Search:
    """How to look for a text: whether a name ``fits``; ``error`` says why a text is no regular expression."""

    fits: Callable[[str], bool]
    error: str = ""


def search_for(wanted: str) -> Search:
    """Return how to look for a text, whatever its case.

    Words that a name must hold; with ``*`` and ``?`` the whole name; a regular expression as ``re:…`` or ``/…/``. Where
    that cannot be read, nothing fits.
    """
    text = wanted.strip()
    expression = _expression_in(text)
    if expression is not None:
        try:
            pattern = re.compile(expression, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            return Search(lambda _: False, f"Not a regular expression: {error}")
        return Search(lambda name: pattern.search(name) is not None)
    if "*" in text or "?" in text:
        source = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
        whole = re.compile(source, re.IGNORECASE | re.DOTALL)
        return Search(lambda name: whole.fullmatch(name) is not None)
    words = text.casefold().split()
    return Search(lambda name: all(word in name.casefold() for word in words))


def _expression_in(text: str) -> str | None:
    """Return the regular expression in ``re:…``, or in ``/…/`` where that can be no part of a name."""
    if text[:3].lower() == "re:":
        return text[3:]
    between = _BETWEEN_SLASHES.fullmatch(text)
    return between[1] if between and _SPECIAL.search(between[1]) else None
