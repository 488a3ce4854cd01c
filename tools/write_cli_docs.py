"""Write docs/cli.md from the parser of trtcal, so that the page and the command never disagree.

    python tools/write_cli_docs.py

A test compares the page with what this writes.
"""

from __future__ import annotations

import argparse
import textwrap
from itertools import groupby
from pathlib import Path

from trtcal_widgets.cli.app import build_parser
from trtcal_widgets.cli.registry import Command, commands
from trtcal_widgets.cli.terminal import paragraphs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

INTRODUCTION = """\
# trtcal: the command line

The same code as the notebook, without a notebook. `python -m trtcal_widgets` is the same command.
<!-- Written by tools/write_cli_docs.py from the parser. Do not edit: run it again. -->

| command | what it does |
| --- | --- |
{table}

## In general

- **Exit codes**: 0 done; 1 `diff` or `compare-data` found a difference, `check` a refusal, `data` not enough, or
  `debug` no plan; 2 wrong usage or an error; 130 stopped with Ctrl-C.
- **Errors** are one message on stderr that says what to do. `--debug` shows the Python traceback as well.
- **Files** are replaced in one step: a full disk or a power cut leaves the old file. A file that is there is replaced
  without asking only where its content says that it is of the kind that the command writes: a calibration cache by its
  header, a session, a plan, a report and a Q/DQ model by trtcal's own mark, another table of scales where trtcal would
  have written the same bytes. Anything else is left alone unless `--force` is given. Two outputs, or an output and a
  file that is read, are never the same file, whatever their names; the external data of a model, the samples of a
  folder and the images of a list are read, too.
- **Progress** goes to stderr: a bar on a terminal, a few plain lines elsewhere. Results go to stdout.
- **Ctrl-C** stops after the batch at hand and writes no cache, because a cache of part of the data looks like a whole
  one. With `--session FILE` the batches that are done are kept.
- **Completion**: `eval "$(register-python-argcomplete trtcal)"` in `~/.bashrc` or `~/.zshrc` (zsh: after
  `autoload -U bashcompinit && bashcompinit`); `register-python-argcomplete --shell fish trtcal | source` in fish.
- **Names** of tensors are shown on one line; control characters appear as escapes such as `\\x1b`.
"""


def render() -> str:
    """Return the whole page."""
    parsers = _parsers(build_parser())
    rows = "\n".join(f"| [`trtcal {c.name}`](#trtcal-{c.name}) | {c.summary} |" for c in commands())
    sections = [_section(command, parsers[command.name]) for command in commands()]
    return "\n".join([INTRODUCTION.format(table=rows), *sections])


def _parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001 - no public way
    return dict(found.choices)


def _section(command: Command, parser: argparse.ArgumentParser) -> str:
    lines = [f"## trtcal {command.name}", "", *_described(command.description), ""]
    if command.examples:
        lines += ["```", *command.examples, "```", ""]
    lines += ["| argument | meaning |", "| --- | --- |"]
    # The help and --debug are the same everywhere.
    actions = [a for a in parser._actions if not {"--help", "--debug"} & set(a.option_strings)]  # noqa: SLF001
    actions.sort(key=lambda action: bool(action.option_strings))
    lines += [f"| {_usage(action)} | {_meaning(action)} |" for action in actions]
    return "\n".join([*lines, ""])


def _described(text: str) -> list[str]:
    """Return a description: prose in lines of 120 columns, indented lines as a block."""
    lines: list[str] = []
    for is_file, parts in groupby(paragraphs(text), lambda part: part.startswith(" ")):
        if is_file:
            lines += ["", "```yaml", *textwrap.dedent("\n".join(parts)).split("\n"), "```"]
        else:
            lines += [line for part in parts for line in textwrap.wrap(part, 120)]
    return lines


def _usage(action: argparse.Action) -> str:
    """Return ``-o CACHE, --output CACHE`` or ``--last drop|pad|keep``."""
    value = ""
    if action.choices is not None:
        value = "|".join(map(str, action.choices))
    elif action.nargs != 0:
        value = str(action.metavar or action.dest)
    names = ", ".join(action.option_strings)
    text = f"{names} {value}".strip() if names else value
    return "`" + text.replace("|", "\\|") + "`"


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": "trtcal"}
    required = " (required)" if action.required and action.option_strings else ""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;") + required


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}")
