# PYTHON_ARGCOMPLETE_OK
"""The parser, the exit codes and what happens when something goes wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from trtcal_widgets.cli.registry import FAILED, INTERRUPTED, Command, commands
from trtcal_widgets.cli.terminal import HelpFormatter, Parser, complain, end_output, give_up, outlive_reader
from trtcal_widgets.cli.wording import in_options, options_of
from trtcal_widgets.common.version import __version__
from trtcal_widgets.errors import TrtcalError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended: 128 + 13."""

_DEBUG_HELP = "show the Python traceback of an error"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``trtcal`` with all of its commands."""
    parser = Parser(
        prog="trtcal",
        description="Calibrate ONNX models to INT8 for NVIDIA TensorRT, and look into calibration caches.",
        epilog="Exit codes: 0 done, 1 diff or compare-data found a difference, check a refusal, data not enough or "
        "debug no plan, 2 wrong usage or an "
        "error, 130 stopped with Ctrl-C.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trtcal {__version__}")
    parser.add_argument("--debug", action="store_true", help=_DEBUG_HELP)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in commands():
        _add(subparsers, command)
    return parser


def _add(subparsers: argparse._SubParsersAction[Parser], command: Command) -> None:
    examples = "\n".join(f"  {line}" for line in command.examples)
    sub = subparsers.add_parser(
        command.name,
        help=command.summary,
        description=command.description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(sub)
    sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=_DEBUG_HELP)
    sub.set_defaults(run=command.run, options=options_of(sub))


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``trtcal`` and return its exit code.

    Parameters
    ----------
    argv
        The arguments without the program's name; ``sys.argv`` where they are not given.
    """
    _open_missing_streams()
    _make_output_lenient()
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could be typed next, and this answers and ends
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as done:  # argparse has said what is wrong (2), or printed the help or version (0)
        return int(done.code or 0)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return FAILED
    code = _guarded(arguments)
    if code == INTERRUPTED and argv is None:  # the program ends now
        _leave_in_peace()
    return code


def _guarded(arguments: argparse.Namespace) -> int:
    try:
        outlive_reader(wanted=False)
        code = int(arguments.run(arguments))
        end_output()
    except BrokenPipeError:
        # The reader (head, less) has had enough.
        give_up(sys.stdout)
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        complain("stopped by Ctrl-C")
        return INTERRUPTED
    except Exception as error:
        if arguments.debug:
            raise
        complain(_said_of(error, arguments))
        return FAILED
    return code


def _leave_in_peace() -> None:
    """Let a second Ctrl-C do nothing: all is kept and said, and Python would end with a traceback."""
    with contextlib.suppress(ValueError):  # another thread than the main one
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _said_of(error: Exception, arguments: argparse.Namespace) -> str:
    """Return what is said of an error that ended a command."""
    if isinstance(error, TrtcalError):
        typed = [value for value in vars(arguments).values() if isinstance(value, str)]
        return in_options(str(error), arguments.options, typed)
    if isinstance(error, OSError):  # the disk that the output goes to is full, say
        where = f"{error.filename}: " if error.filename else ""
        if not error.filename:
            give_up(sys.stdout)
        return f"{where}{error.strerror or error}. Free some space, or check the path and its permissions."
    if isinstance(error, MemoryError):
        return (
            f"there is not enough memory for this ({error or 'nothing more is known'}): take smaller batches or images "
            "(--batch-size, --size), or close other programs"
        )
    return (
        f"unexpected {type(error).__name__}: {error}\n"
        "This is a fault in trtcal. Run it again with --debug and report the traceback."
    )


def _open_missing_streams() -> None:
    """Send nowhere what would go to a stream that was closed (``>&-``, some daemons): the work is done all the same.

    No file that is opened later may get the number of one of the three, to which libraries print.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


_STDERR = 2


def _make_output_lenient() -> None:
    """Let a terminal that cannot show a character print an escape instead of ending in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
