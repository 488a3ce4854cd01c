from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.shared import shared_path
from trtcal_widgets import __version__, sample
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
