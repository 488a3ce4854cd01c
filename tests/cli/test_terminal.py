"""What gets to the terminal: no control character of a file, a path or a library."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from trtcal_widgets import CalibrationCache
from trtcal_widgets.cli import terminal

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.fixture
def hostile(tmp_path):
    """A model whose operator, names and file hold escapes that would clear the screen or set its title."""
    name = "\x1b[2J\x1b]0;owned\x07x\u202e"
    path = tmp_path / "m\x1b[31m.onnx"
    return save(
        path, [node("Relu", ["x"], [name], name=name), node("R\x01\x1b[2Jp", [name], ["o"])], [value("x")], [value("o")]
    )


@pytest.mark.parametrize(
    "command", ["calibrate {} {}", "show {}", "debug {} {} {}", "port {} {} {} -o x", "diff {} {}", "nothing {}"]
)
def test_hostile_names_are_escaped_in_errors(trtcal, hostile, command):
    done = trtcal(*[str(hostile) if word == "{}" else word for word in command.split()])
    assert done.code == 2
    assert done.err
    assert not CONTROL.search(done.out + done.err), done.out + done.err


def test_hostile_names_are_escaped_in_tables(trtcal, tmp_path):
    cache = tmp_path / "x.cache"
    cache.write_text("TRT-8601-EntropyCalibration2\n\x1b[2Jx\u202e: 3c008912\n" + "y" * 5000 + ": 3c008912\n")
    shown = trtcal("show", cache)
    assert shown.code == 0
    assert "\\x1b[2Jx" in shown.out
    assert not CONTROL.search(shown.out)
    assert max(map(len, shown.out.splitlines())) < 400, "a name of thousands of characters is cut"


def test_errors_are_wrapped_where_there_is_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "60")
    terminal.complain("word " * 40 + "/a/very/long/path/" + "x" * 100)
    lines = screen.getvalue().splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 60 for line in lines[:-1])
    assert lines[-1].endswith("x" * 100)


def test_very_long_names_are_cut_in_reports_and_errors(trtcal, tmp_path, monkeypatch):
    """64 kB without a space are 800 lines of a terminal."""
    monkeypatch.chdir(tmp_path)
    name = "n" * 65_536
    weights = [const("w", np.ones((4, 3, 3, 3))), const("w2", np.ones((2, 4, 1, 1)))]
    nodes = [node("Conv", ["x", "w"], [name]), node("Conv", [name, "w2"], ["o"])]
    save("m.onnx", nodes, [value("x", ["N", 3, 8, 8])], [value("o", None)], weights)
    Path("m.cache").write_text(f"TRT-8601-EntropyCalibration2\nx: 3d000000\n{name}: 3d000000\no: 3d000000\n")
    for argv in (
        ("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o", "q.onnx"),
        ("port", "m.onnx", "m.onnx", "m.cache", "-o", "p.cache"),
        ("show", "m.cache"),
        ("show", name),
    ):
        done = trtcal(*argv)
        assert done.code == (2 if argv[1] == name else 0), done.err
        assert max(map(len, (done.out + done.err).split("\n"))) < 1000
    assert name in CalibrationCache.read("p.cache").scales
