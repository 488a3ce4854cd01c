"""What a command is, and which commands there are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["DIFFERENT", "FAILED", "INTERRUPTED", "OK", "Command", "commands"]

OK, DIFFERENT, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; ``diff`` or ``compare-data`` found a difference, ``check`` a refusal, ``data`` not enough or
``debug`` no plan; wrong usage or an error; Ctrl-C."""


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes
    ----------
    name
        What is typed after ``trtcal``.
    summary
        One line for the list of commands; no full stop.
    description
        What it does, in a user's words: the help of the command.
    add_arguments
        Adds its arguments to its own parser.
    run
        Does it, prints to stdout, returns the exit code. Raises TrtcalError for what the user can mend.
    examples
        Command lines for the help and the documentation.
    """

    name: str
    summary: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    examples: tuple[str, ...] = ()


_MODULES = (
    "calibrate",
    "calibrate_many",
    "merge",
    "show",
    "diff",
    "convert",
    "check",
    "port",
    "debug",
    "tune",
    "data",
    "compare_data",
    "report",
    "demo",
)
"""Modules of ``commands`` with a ``COMMAND``, in the order of the help. A new command is one more line here."""


def commands() -> tuple[Command, ...]:
    """Return all commands in the order of the help."""
    return tuple(import_module(f"trtcal_widgets.cli.commands.{name}").COMMAND for name in _MODULES)
