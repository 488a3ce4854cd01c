from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.shared import shared_path
from trtcal_widgets import __version__, sample
from trtcal_widgets.cli.data_source import share
from trtcal_widgets.cli.registry import commands
from trtcal_widgets.errors import CacheFormatError


def test_no_command_is_wrong_usage_and_says_what_there_is(trtcal):
    shown = trtcal()
    assert shown.code == 2
    for name in ("calibrate", "show", "diff", "convert", "demo"):
        assert f"\n    {name}" in shown.err


@pytest.mark.parametrize("argv", [["--help"], ["calibrate", "--help"], ["--version"]])
def test_help_and_version(trtcal, argv):
    shown = trtcal(*argv)
    assert shown.code == 0
    assert shown.out
    if argv == ["--version"]:
        assert shown.out == f"trtcal {__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [["shwo"], ["show"], ["show", "--nonsense", "x"], ["convert", "x", "-o", "y", "--to", "qqq"], ["diff", "x"]],
)
def test_wrong_usage(trtcal, argv):
    shown = trtcal(*argv)
    assert shown.code == 2
    assert "usage: trtcal" in shown.err


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal(trtcal, monkeypatch, columns):
    """Prose is broken at the terminal's width; what is indented (examples, a file to copy) stays as it is."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in commands():
        text = trtcal(command.name, "--help").out
        _, prose = text.split("\n\n", 1)  # the usage is argparse's own
        whole = {f"  {line}" for line in command.examples} | set(command.description.split("\n"))
        long = [line for line in prose.splitlines() if len(line) > max(columns, 40) and line not in whole]
        assert not [line for line in long if not line.startswith("  --")], "choices are one word to argparse"
        for line in command.examples:
            assert f"\n  {line}" in text


def test_help_keeps_a_file_to_copy(trtcal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "\n  models:\n    - {model: det.onnx," in trtcal("calibrate-many", "--help").out


def test_a_name_that_begins_with_a_dash(trtcal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.cache").write_text("TRT-8601-EntropyCalibration2\na: 3f800000\n")
    assert "./-a.cache" in trtcal("show", "-a.cache").err
    assert trtcal("show", "./-a.cache").code == 0


def test_images_where_their_folder_is_wanted(trtcal, tmp_path):
    """``trtcal calibrate model.onnx photos/*.jpg``: the shell makes thousands of arguments of it."""
    (tmp_path / "photos").mkdir()
    images = [tmp_path / "photos" / f"{i}.jpg" for i in range(99)]
    for path in images:
        path.touch()
    done = trtcal("calibrate", sample.model_path(), *images)
    assert done.code == 2
    assert f"as the folder that holds them ({tmp_path / 'photos'})" in done.err
    assert "and 93 more" in done.err
    assert "the folder that holds" not in trtcal("show", *images[:2]).err


@pytest.mark.parametrize("command", ["calibrate", "debug", "tune"])
def test_data_before_the_model(trtcal, tmp_path, command):
    model = sample.model_path()
    rest = ["val"] if command != "calibrate" else []
    done = trtcal(command, tmp_path / "a b", model, *rest)
    assert done.code == 2
    assert "the model comes first" in done.err
    assert f"trtcal {command} {model} '{tmp_path / 'a b'}'" in done.err
    missing = trtcal(command, tmp_path / "none.onnx", model, *rest)
    assert "there is no file" in missing.err


def test_debug_shows_where_an_error_came_from(trtcal, tmp_path):
    with pytest.raises(CacheFormatError):
        trtcal("show", tmp_path / "none", "--debug")
    with pytest.raises(CacheFormatError):
        trtcal("--debug", "show", tmp_path / "none")
    assert trtcal("show", tmp_path / "none").code == 2


def test_as_a_program(shell, tmp_path):
    done = shell("show", tmp_path / "none")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("trtcal: ")
    debug = shell("show", tmp_path / "none", "--debug")
    assert "Traceback" in debug.stderr


def test_reader_that_has_had_enough(command, tmp_path):
    path = tmp_path / "long.cache"
    rows = "".join(f"tensor_{i}: 3f800000\n" for i in range(20_000))
    path.write_text("TRT-8601-EntropyCalibration2\n" + rows)
    show = subprocess.Popen([*command, "show", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert show.stdout is not None
    assert show.stderr is not None
    assert b"long.cache" in show.stdout.readline()
    show.stdout.close()
    assert show.stderr.read() == b""
    show.stderr.close()
    assert show.wait(timeout=60) == 141


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_had_enough_costs_no_file(command, tmp_path, stream):
    """``trtcal calibrate … | head -1``: the work is done all the same, and its exit code says how it went."""
    path = tmp_path / "lenet.cache"
    images = sample.model_path().with_name("calibration-images-idx3-ubyte.gz")
    argv = ["calibrate", sample.model_path(), images, "-o", path, "--batch-size", "50"]
    with Path(os.devnull).open("wb") as nowhere:
        streams = {"stdout": nowhere, "stderr": nowhere, stream: subprocess.PIPE}
        run = subprocess.Popen([*command, *map(str, argv)], **streams)
        reading = getattr(run, stream)
        reading.close()
        assert run.wait(timeout=120) == 0
    assert path.read_text().startswith("TRT-")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_log_on_a_full_disk_costs_no_file_and_is_said(command, tmp_path):
    cache, ranges = tmp_path / "a.cache", tmp_path / "ranges.txt"
    cache.write_text("TRT-8601-EntropyCalibration2\na: 3f800000\n")
    with Path("/dev/full").open("w") as full:
        argv = [*command, "convert", str(cache), "--to", "ranges", "-o", str(ranges)]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ranges.exists()
    assert done.returncode == 2
    assert "No space left" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_to_a_full_disk(command):
    path = shared_path("data/golden/CalibrationTablemnist")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "show", str(path)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "fault in trtcal" not in done.stderr


def test_terminal_without_unicode(shell):
    done = shell("show", shared_path("data/golden/CalibrationTablemnist"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\xb1amax" in done.stdout


def test_commands_load_nothing_heavy(command):
    code = (
        "import sys; from trtcal_widgets.cli.app import build_parser; build_parser(); "
        "print(sorted({'onnx', 'onnxruntime', 'plotly', 'ipywidgets', 'matplotlib', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([command[0], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["calibrat", "x"], "calibrate"),
        (["calibrate", "m", "d", "--bath-size", "3"], "--batch-size"),
        (["calibrate", "m", "d", "--tensorrt-version=8.6.1"], "--trt-version"),
        (["convert", "f", "-o", "o", "--to", "jsn"], "json"),
    ],
)
def test_what_was_meant_is_said(trtcal, argv, meant):
    shown = trtcal(*argv)
    assert shown.code == 2
    assert f"did you mean {meant}?" in shown.err


def test_nothing_is_guessed_where_nothing_is_near(trtcal):
    assert "did you mean" not in trtcal("calibrate", "m", "d", "--zzz").err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["debug", "m", "d", "e", "--target", "99"], "99 % is 0.99"),
        (["debug", "m", "d", "e", "--target", "0"], "share greater than 0"),
        (["debug", "m", "d", "e", "--target", "nan"], "share greater than 0"),
        (["debug", "m", "d", "e", "--batch-size", "0"], "at least 1"),
        (["calibrate", "m", "d", "--batch-size", "-3"], "at least 1"),
        (["calibrate", "m", "d", "--batches", "2.5"], "at least 1"),
        (["report", "s", "--worst", "0"], "at least 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_any_work(trtcal, argv, said):
    shown = trtcal(*argv)
    assert shown.code == 2
    assert said in shown.err


def test_a_share_may_be_written_in_percent():
    assert share("99%") == share(" 99 % ") == share("0.99") == 0.99
    for text in ("150%", "0%", "9%9", "%", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a share") as refused:
            share(text)
        assert "% is" not in str(refused.value)


def test_evaluation_data_that_do_not_fit_are_refused_before_calibrating(trtcal, tmp_path):
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((8, 3, 7, 7), np.float32))
    model = sample.model_path()
    images = model.with_name("calibration-images-idx3-ubyte.gz")
    shown = trtcal("debug", model, images, wrong)
    assert shown.code == 2
    assert "the evaluation data" in shown.err
    assert "batch 1" not in shown.err
    shown = trtcal("debug", model, images, images, "--scores", "prop")
    assert "there is no output 'prop'" in shown.err
    assert "did you mean prob?" in shown.err
    assert "batch 1" not in shown.err


def test_the_shell_completes(command, tmp_path):
    """What argcomplete's shell function does: the line so far in the environment, the answers on descriptor 8."""
    script = tmp_path / "ask.sh"
    script.write_text('exec 8>"$ANSWERS"; shift 0; exec "$@" 9>/dev/null\n')
    answers = tmp_path / "answers"
    line = "trtcal conv"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environment = {**os.environ, **asked, "ANSWERS": str(answers), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    subprocess.run(["bash", str(script), *command], env=environment, check=True, capture_output=True)
    assert answers.read_text().split() == ["convert"]
