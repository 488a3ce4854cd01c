"""Rows by name, and what they need: a list that the modules with rows fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Row = Callable[[Path], str]
"""Does something in a folder of its own and returns what was seen, in words; raises where it does not work."""

ROWS: dict[str, Row] = {}
ALONE: set[str] = set()
"""Rows that must not run beside others: they take the GPU's memory, or the time."""


def row(title: str, *, alone: bool = False) -> Callable[[Row], Row]:
    """Add a function to the table."""

    def add(function: Row) -> Row:
        ROWS[title] = function
        if alone:
            ALONE.add(title)
        return function

    return add


def need(condition: object, why: str) -> None:
    """Fail a row."""
    if not condition:
        raise AssertionError(why)
