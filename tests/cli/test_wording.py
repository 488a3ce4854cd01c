"""Errors at the command line name its options, not Python's arguments."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from PIL import Image

from trtcal_widgets import CalibrationSession, Evaluation, ImageFolder, sample
from trtcal_widgets.cli.app import build_parser
from trtcal_widgets.cli.wording import in_options
from trtcal_widgets.data.plan import BatchPlan

MODEL = sample.model_path()
IMAGES = MODEL.with_name("calibration-images-idx3-ubyte.gz")
LABELS = MODEL.with_name("calibration-labels-idx1-ubyte.gz")
ARGV = {"calibrate": ["m", "d"], "debug": ["m", "d", "e"], "convert": ["f", "-o", "o", "--to", "cache"]}


def options_for(command):
    return build_parser().parse_args([command, *ARGV[command]]).options


@pytest.mark.parametrize(
    ("command", "python", "typed"),
    [
        ("calibrate", "batch_size is needed", "--batch-size is needed"),
        ("calibrate", "lower batch_size to 5 or less", "lower --batch-size to 5 or less"),
        ("calibrate", "batch_size=3 was asked for", "--batch-size 3 was asked for"),
        ("calibrate", "pass last='pad' or 'keep'.", "pass --last pad or keep."),
        ("calibrate", "(last='pad' repeats 3)", "(--last pad repeats 3)"),
        ("calibrate", "there is no batch 9: max_batches is 3", "there is no batch 9: --batches is 3"),
        ("calibrate", "size must be (height, width)", "--size must be (height, width)"),
        ("calibrate", "Give size=(height, width), or", "Give --size heightxwidth, or"),
        ("calibrate", "the longer side of size=(224, 192)", "the longer side of --size 224x192"),
        ("calibrate", "mean=(1.0, 2.0) has 2 numbers", "--mean 1.0,2.0 has 2 numbers"),
        ("calibrate", "std divides, so", "--std divides, so"),
        ("calibrate", "use it with scale=1, without", "use it with --scale 1, without"),
        ("calibrate", "; ImageFolder(…, color='gray')", "; --color gray"),
        ("calibrate", "; on_error='skip' (--skip-unreadable) leaves", "; --skip-unreadable leaves"),
        ("calibrate", "range_mode must be 'tensorrt' or 'two-pass'", "--range must be 'tensorrt' or 'two-pass'"),
        (
            "calibrate",
            "name='a b' is for one array; leave name= out",
            "--input 'a b' is for one array; leave --input out",
        ),
        ("calibrate", "input='conv1' is no input", "--input conv1 is no input"),
        ("calibrate", "give them (in Python: pattern='*.ext' takes others); or", "give them; or"),
        ("convert", "`trtcal x` (in Python: cache.with_header(version='8.6.1')).", "`trtcal x`."),
        ("calibrate", "Choose minmax (in Python: session.choose('a) (b', method='mse')).", "Choose minmax."),
        (
            "convert",
            "names no version: pass version='10.16.1' or so",
            "names no version: pass --trt-version 10.16.1 or so",
        ),
        ("convert", "force=True (--force) takes the rows", "--force takes the rows"),
        ("convert", "(skip_unusable=True).", "(--skip-unusable)."),
        ("debug", "name the output with output=, or", "name the output with --scores, or"),
        ("debug", "pass it as labels=", "pass it as --labels"),
    ],
)
def test_arguments_become_options(command, python, typed):
    assert in_options(python, options_for(command)) == typed


@pytest.mark.parametrize(
    "kept",
    [
        "the model has no tensor 'batch_size=3'; its inputs are 'last=\\'x\\'' and \"size=(1, 2)\"",
        "the model's mean of two users' images",
        "ONNX Runtime says: axis=1, dim=(3, 4) out_of_range",
        "size is 3 x 3",
    ],
)
def test_other_text_stays(kept):
    assert in_options(kept, {}) == kept
    if not kept.startswith("size"):
        assert in_options(kept, options_for("calibrate")) == kept


def test_what_the_user_typed_stays():
    text = "./last=/batch_size=3.png cannot be read: lower batch_size"
    shown = in_options(text, options_for("calibrate"), ["./last="])
    assert shown == "./last=/batch_size=3.png cannot be read: lower --batch-size"


def test_every_argument_that_has_an_option_is_translated():
    """A new argument of the classes behind `trtcal calibrate` is noticed here."""
    options = options_for("calibrate")
    there = {
        name
        for owner in (CalibrationSession, BatchPlan, ImageFolder)
        for name, parameter in inspect.signature(owner).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    python_only = {"fixed", "interpolation", "pad_value", "dtype", "pattern", "recursive", "limit", "shuffle_seed"}
    for name in there - python_only - {"threads", "providers"}:
        assert in_options(f"{name}=3", options).startswith("--"), name
    shared = set(inspect.signature(Evaluation).parameters) - {"source", "evaluate"}
    for name in shared:
        assert in_options(f"{name}=3", options_for("debug")).startswith("--"), name


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    np.savez("named.npz", a=np.zeros((4, 2), np.float32))
    np.save("short.npy", np.zeros((3, 1, 28, 28), np.float32))
    for folder, sizes in {"sizes": [8, 9], "good": [28, 28]}.items():
        (tmp_path / folder).mkdir()
        for i, side in enumerate(sizes):
            Image.fromarray(rng.integers(0, 256, (side, side), np.uint8)).save(tmp_path / folder / f"{i}.png")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.png").write_bytes(b"no image")
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["calibrate", MODEL, IMAGES, "--batch-size", "501"], "lower --batch-size to 500"),
        (["calibrate", MODEL, IMAGES, "--batch-size", "0"], "argument --batch-size: "),
        (["calibrate", MODEL, IMAGES, "--batches", "0"], "argument --batches: "),
        (["calibrate", MODEL, "short.npy", "--batch-size", "4"], "--last pad or keep"),
        (["calibrate", MODEL, "good", "--mean", "1,2,3"], "--mean 1.0,2.0,3.0 has 3 numbers"),
        (["calibrate", MODEL, "good", "--std", "0"], "--std divides"),
        (["calibrate", MODEL, "good", "--scale", "0"], "--scale must be"),
        (["calibrate", MODEL, "good", "--short-side", "9"], "--short-side"),
        (["calibrate", MODEL, "good", "--color", "RGB", "--batch-size", "2"], "--color gray"),
        (["calibrate", MODEL, "bad", "--batch-size", "1"], "--skip-unreadable"),
        (["calibrate", MODEL, IMAGES, "--size", "28"], "--size"),
        (["calibrate", MODEL, "named.npz", "--input", "data"], "leave --input out"),
        (["calibrate", MODEL, IMAGES, "--input", "conv1"], "--input conv1 is no input"),
        (["debug", MODEL, IMAGES, IMAGES, "--eval-batches", "0"], "argument --eval-batches: "),
        (["debug", MODEL, IMAGES, IMAGES, "--labels", LABELS, "--scores", "x", "--keep-scales"], "no output 'x'"),
    ],
)
def test_the_commands_say_their_own_options(trtcal, here, argv, option):
    refused = trtcal(*argv)
    assert refused.code == 2
    assert option in refused.err
    assert not re.search(r"[a-z]_?[a-z]+=", refused.err.replace(str(MODEL.parent), "")), refused.err


@pytest.mark.parametrize(
    "argv",
    [
        ["show", "session.trtcal.cache", "--model", LABELS],
        ["merge", "c.cache", "-o", "x.trtcal"],
        ["merge", MODEL, "-o", "x.trtcal"],
        ["merge", "good", "-o", "x.trtcal"],
        ["merge", "a.trtcal", "b.trtcal", "-o", "x.trtcal"],
        ["calibrate", MODEL, IMAGES, "--range-from", "missing.trtcal"],
        ["calibrate", MODEL, IMAGES, "--range-from", "good"],
        ["calibrate", MODEL, "objects.npy"],
        ["calibrate", MODEL, IMAGES, "--threads", "100000000"],
        ["calibrate", MODEL, IMAGES, "--method", "entropi"],
        ["report", "a.trtcal", "--plan", "text.txt", "-o", "r.html"],
        ["convert", "empty.trtcal", "--to", "json"],
        ["debug", MODEL, IMAGES, IMAGES, "--labels", "text.txt"],
        ["show", "text.txt", "--model", ""],
    ],
)
def test_no_message_is_about_python(trtcal, here, argv):
    data = np.random.default_rng(3).standard_normal((8, 1, 28, 28)).astype(np.float32)
    for name, own in {"a": data, "b": data * 2}.items():
        with CalibrationSession(MODEL, own, batch_size=4) as session:
            session.save("empty.trtcal")
            session.run()
            session.save(f"{name}.trtcal")
            session.to_cache().write("c.cache")
    (here / "text.txt").write_text("hello")
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    refused = trtcal(*argv)
    assert refused.code == 2
    said = refused.err.replace(str(MODEL.parent), "")
    assert not re.search(r"\w\(|in Python|Errno|[a-z_]=|base 10|session\.(?!trtcal)", said)


def test_what_was_meant_and_what_is_wrong_are_said(trtcal, here):
    (here / "text.txt").write_text("1 2 three")
    assert "did you mean 'entropy'?" in trtcal("calibrate", MODEL, IMAGES, "--method", "entropi").err
    assert "an argument is empty" in trtcal("calibrate", MODEL, IMAGES, "--session", "").err
    assert "there is no such file" in trtcal("calibrate", MODEL, IMAGES, "--range-from", "gone.trtcal").err
    said = trtcal("debug", MODEL, IMAGES, IMAGES, "--labels", "text.txt").err
    assert "text.txt: 'three' is no class index" in said
    said = trtcal("calibrate", MODEL, "short.npy", "--batch-size", "1", "--threads", "9999999").err
    assert "--threads 9999999 is more than any machine has cores" in said
