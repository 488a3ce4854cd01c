from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from trtcal_widgets.cli.app import build_parser
from trtcal_widgets.cli.registry import commands

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cli.md"


def test_the_page_is_what_the_parser_says():
    spec = importlib.util.spec_from_file_location("write_cli_docs", ROOT / "tools" / "write_cli_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert PAGE.read_text(encoding="utf-8") == module.render(), "run python tools/write_cli_docs.py"


EXAMPLES = [example for command in commands() for example in command.examples]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_parses(line):
    argv = shlex.split(line.partition("|")[0])
    assert argv[0] == "trtcal"
    assert build_parser().parse_args(argv[1:]).command == argv[1]


def test_every_command_has_an_example_and_a_summary():
    for command in commands():
        assert command.examples, command.name
        assert command.summary
        assert not command.summary.endswith(".")


def test_command_lines_in_the_tutorial_parse():
    notebook = (ROOT / "notebooks" / "01_explore_calibration.ipynb").read_text(encoding="utf-8")
    lines = re.findall(r'trtcal (calibrate [^"\\]*)', notebook)
    assert lines
    for line in lines:
        assert build_parser().parse_args(shlex.split(line)).command == "calibrate"
