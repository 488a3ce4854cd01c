from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.support.graphs import const, node, save, value
from tests.support.shared import shared_path
from trtcal_widgets import sample
from trtcal_widgets.core.thresholds import METHODS
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.session import CalibrationSession

MODEL = sample.model_path()
IMAGES = MODEL.with_name("calibration-images-idx3-ubyte.gz")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """60 of the sample's images as PNG files."""
    from PIL import Image

    from trtcal_widgets.data.idx import read_idx

    where = tmp_path_factory.mktemp("images")
    for i, image in enumerate(read_idx(IMAGES)[:60]):
        Image.fromarray(image).save(where / f"img{i}.png")
    return where


def test_the_number_of_nvidias_own_table(trtcal, here):
    done = trtcal("calibrate", MODEL, IMAGES, "-o", "lenet.cache", "--batch-size", "50")
    assert done.code == 0, done.err
    cache = CalibrationCache.read("lenet.cache")
    assert cache.header == "TRT-101601-EntropyCalibration2"
    # the row 'data' of the calibration table that NVIDIA published for its MNIST sample
    published = CalibrationCache.read(shared_path("data/golden/CalibrationTablemnist"))
    assert cache.hex("data") == published.hex("data") == "3c008912"
    assert cache.hex("conv1") == cache.hex("pool1")
    assert "wrote lenet.cache: TRT-101601-EntropyCalibration2, 10 rows, from 10 of 10 batches, 500 samples" in done.out


def test_it_is_what_the_session_gives(trtcal, here):
    argv = [
        "--method",
        "percentile:99.9",
        "--batch-size",
        "64",
        "--batches",
        "3",
        "--range",
        "two-pass",
        "--last",
        "keep",
    ]
    done = trtcal("calibrate", MODEL, IMAGES, *argv, "--trt-version", "8.6.1", "--session", "run.trtcal")
    assert done.code == 0, done.err
    with CalibrationSession(
        MODEL,
        sample.calibration_images(),
        batch_size=64,
        max_batches=3,
        range_mode="two-pass",
        last="keep",
        method="percentile:99.9",
    ) as session:
        session.run()
        expected = session.to_cache(version="8.6.1")
    assert CalibrationCache.read("calibration.cache") == expected
    with CalibrationSession.load("run.trtcal") as loaded:
        assert loaded.to_cache(version="8.6.1") == expected
        assert loaded.status.n_samples == 192


def test_images_are_fed_as_the_model_wants_them(trtcal, here, folder):
    done = trtcal("calibrate", MODEL, folder, "-o", "images.cache", "--batch-size", "20")
    assert done.code == 0, done.err
    assert "stretch to 28x28" in done.out
    assert "gray NCHW" in done.out
    trtcal("calibrate", MODEL, IMAGES, "-o", "idx.cache", "--batch-size", "20", "--batches", "3")
    assert CalibrationCache.read("images.cache") == CalibrationCache.read("idx.cache")


def test_image_options_arrive(trtcal, here, folder):
    argv = [
        "--mean",
        "0.1307",
        "--std",
        "0.3081",
        "--scale",
        "1/255",
        "--size",
        "28",
        "--color",
        "gray",
        "--layout",
        "NCHW",
    ]
    assert trtcal("calibrate", MODEL, folder, "--batch-size", "60", *argv, "--method", "minmax").code == 0
    data = CalibrationCache.read("calibration.cache").amax["data"]
    assert data == pytest.approx((1 - 0.1307) / 0.3081, rel=1e-6)
    assert CalibrationCache.read("calibration.cache").algorithm == "MinMaxCalibration"


def test_arrays(trtcal, here):
    rng = np.random.default_rng(0)
    np.savez("inputs.npz", data=rng.random((9, 1, 28, 28), np.float32))
    done = trtcal("calibrate", MODEL, "inputs.npz", "--batch-size", "4")
    assert done.code == 0, done.err
    assert "1 sample left out" in done.out
    assert "--last pad" in done.out
    np.save("inputs.npy", rng.random((9, 1, 28, 28), np.float32))
    assert trtcal("calibrate", MODEL, "inputs.npy", "--batch-size", "4", "--input", "data").code == 0


def test_replaced_and_refused(trtcal, here, folder):
    argv = ["calibrate", MODEL, folder, "--batch-size", "60"]
    assert "wrote calibration.cache" in trtcal(*argv).out
    assert "replaced calibration.cache" in trtcal(*argv).out
    precious = here / "model.onnx"
    precious.write_bytes(b"\x08\x07")
    for option in ("-o", "--session"):
        refused = trtcal(*argv, option, precious)
        assert refused.code == 2
        assert "--force" in refused.err
        assert precious.read_bytes() == b"\x08\x07"
    assert trtcal(*argv, "-o", precious, "--force").code == 0
    assert precious.read_text().startswith("TRT-")


def test_an_unreadable_image_among_good_ones(trtcal, here, tmp_path_factory, folder):
    mixed = tmp_path_factory.mktemp("mixed")
    for path in folder.iterdir():
        (mixed / path.name).write_bytes(path.read_bytes())
    (mixed / "img7.png").write_bytes(b"not an image")
    refused = trtcal("calibrate", MODEL, mixed, "--batch-size", "20")
    assert refused.code == 2
    assert "img7.png" in refused.err
    assert not (here / "calibration.cache").exists()
    done = trtcal("calibrate", MODEL, mixed, "--batch-size", "20", "--skip-unreadable")
    assert done.code == 0
    assert "skipped" in done.out
    assert "img7.png" in done.out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([MODEL, "nowhere"], "nowhere"),
        ([IMAGES, IMAGES], "is not an ONNX model"),
        ([MODEL, MODEL], "cannot be used as calibration data"),
        (["nothing.onnx", IMAGES], "nothing.onnx"),
        ([MODEL, IMAGES, "--method", "magic"], "entropy, minmax"),
        ([MODEL, IMAGES, "--method", "percentile:101"], "percentile"),
        ([MODEL, IMAGES, "--trt-version", "11.0.0"], "Q/DQ"),
        ([MODEL, IMAGES, "--trt-version", "ten"], "'ten'"),
        ([MODEL, IMAGES, "--input", "dta"], "did you mean 'data'"),
        ([MODEL, IMAGES, "--input", "conv1"], "--input conv1 is no input of lenet.onnx, which has 'data'"),
        ([MODEL, IMAGES, "--size", "28x28"], "size"),
        ([MODEL, IMAGES, "--batch-size", "501"], "lower --batch-size"),
        ([MODEL, IMAGES, "-o", "no/such/folder/x.cache"], "does not exist"),
        ([MODEL, IMAGES, "--mean", "1,2,3"], "mean"),
    ],
)
def test_what_cannot_be_meant_costs_no_run(trtcal, here, argv, words):
    refused = trtcal("calibrate", *argv)
    assert refused.code == 2
    assert words in refused.err
    assert refused.err.count("\n") == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "argv",
    [
        ["--size", "3x"],
        ["--mean", "a,b"],
        ["--scale", "1/0"],
        ["--last", "throw"],
        ["--batch-size", "0"],
        ["--batches", "-1"],
    ],
)
def test_wrong_usage(trtcal, here, argv):
    refused = trtcal("calibrate", MODEL, IMAGES, *argv)
    assert refused.code == 2
    assert argv[0] in refused.err


def test_a_wrong_shape_leaves_the_old_cache(trtcal, here):
    (here / "calibration.cache").write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    np.save("inputs.npy", np.zeros((8, 3, 28, 28), np.float32))
    refused = trtcal("calibrate", MODEL, "inputs.npy", "--batch-size", "4")
    assert refused.code == 2
    assert "(4, 3, 28, 28)" in refused.err
    assert (here / "calibration.cache").read_text() == "TRT-8601-EntropyCalibration2\nx: 3f800000\n"


def test_suspicious_tensors_are_named(trtcal, here):
    data = np.zeros((8, 1, 28, 28), np.float32)
    data[0, 0, 0, 0] = np.nan
    np.save("inputs.npy", data)
    done = trtcal("calibrate", MODEL, "inputs.npy", "--batch-size", "4")
    assert done.code == 0, done.err
    assert "worth a look:" in done.out
    assert "  data: " in done.out


def test_a_list_of_images_gives_what_its_folder_gives(trtcal, here, folder):
    names = [f"{folder}/img{i}.png {i % 10}" for i in range(60)]
    (here / "calib.txt").write_text("\n".join(names), "utf-8")
    for data, cache in (("calib.txt", "list.cache"), (folder, "folder.cache")):
        done = trtcal("calibrate", MODEL, data, "-o", cache, "--batch-size", "20")
        assert done.code == 0, done.err
    assert (here / "list.cache").read_bytes() == (here / "folder.cache").read_bytes()


def test_absurd_scales_come_first_and_before_the_file(trtcal, here):
    many = [f"z{i}" for i in range(12)]
    nodes = [*(node("Mul", ["x", "zero"], [name]) for name in many), node("MaxPool", ["x"], ["y"], kernel_shape=[1, 1])]
    shape = ("N", 1, 64, 64)
    outputs = [value(name, shape) for name in ("y", *many)]
    save(here / "pool.onnx", nodes, [value("x", shape)], outputs, [const("zero", [0.0])])
    data = np.random.default_rng(0).normal(size=(8, 1, 64, 64)).astype(np.float32)
    data[3, 0, 0, 0] = np.finfo(np.float32).min
    np.save(here / "x.npy", data)
    done = trtcal("calibrate", "pool.onnx", "x.npy", "--batch-size", "4", "-o", "pool.cache")
    assert done.code == 0, done.err
    first = done.out.split("worth a look:")[1].lstrip().splitlines()[0]
    assert first.startswith("x: absurd scale")
    assert done.out.index("absurd scale") < done.out.index("wrote pool.cache")


@pytest.mark.parametrize("domain", ["", "com.microsoft"])
def test_a_model_that_is_quantised_already_is_said_before_the_run_and_by_show(trtcal, here, domain):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], domain=domain),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], domain=domain),
        node("Relu", ["d"], ["y"]),
    ]
    stored = [const("s", np.float32(0.1)), const("z", 0, np.int8)]
    save(here / "qdq.onnx", nodes, [value("x", ("N", 3))], [value("y", ("N", 3))], stored)
    np.save(here / "x.npy", np.eye(3, dtype=np.float32))
    done = trtcal("calibrate", "qdq.onnx", "x.npy", "--batch-size", "3", "-o", "qdq.cache")
    assert done.code == 0, done.err
    words = " ".join(done.out.split())
    said = "qdq.onnx is quantised already (1 DequantizeLinear, 1 QuantizeLinear): TensorRT takes the scales"
    assert said in words
    assert words.index(said) < words.index("qdq.onnx: ")
    shown = trtcal("show", "qdq.cache", "--model", "qdq.onnx", "--trt-version", "10.16.1")
    assert said in " ".join(shown.out.split())
    plain = trtcal("show", "qdq.cache", "--model", str(MODEL), "--trt-version", "10.16.1")
    assert "quantised already" not in plain.out


def test_rows_of_tensorrt_8_and_those_that_cannot_be_told(trtcal, here):
    nodes = [
        node("Add", ["x", "k"], ["a"]),
        node("CumSum", ["a", "axis"], ["c"]),
        node("Mul", ["c", "k"], ["m"]),
        node("Add", ["m", "k2"], ["y"]),
    ]
    stored = [const("k", [[1, 2, 3]]), const("k2", [[4, 5, 6]]), const("axis", 1, np.int64)]
    save(here / "cumsum.onnx", nodes, [value("x", ("N", 3))], [value("y", ("N", 3))], stored)
    np.save(here / "x.npy", np.eye(3, dtype=np.float32))
    argv = ["cumsum.onnx", "x.npy", "--batch-size", "3", "-o", "cumsum.cache"]
    done = trtcal("calibrate", *argv, "--trt-version", "8.6.1")
    assert done.code == 0, done.err
    assert list(CalibrationCache.read("cumsum.cache").scales) == [
        *("x", "(Unnamed Layer* 0) [Constant]_output", "a", "c", "m", "y")
    ]
    assert "left out, for TensorRT 8.x writes 1 row more that cannot be told from the model:" in done.out
    assert "(Unnamed Layer* ?) [Constant]_output: CumSum is not among the operators" in done.out
    assert "left out, for" not in trtcal("calibrate", *argv, "--trt-version", "10.3.0").out


def test_the_methods_in_the_help_are_those_there_are(trtcal):
    text = " ".join(trtcal("calibrate", "--help").out.split())
    for name in METHODS:
        assert name in text


def test_legacy_is_written_as_tensorrt_8_writes_it(trtcal, here):
    argv = (MODEL, IMAGES, "-o", "x.cache", "--batch-size", "50", "--batches", "2", "--method", "legacy:0.999,0.5")
    done = trtcal("calibrate", *argv, "--trt-version", "8.6.1")
    assert done.code == 0, done.err
    cache = CalibrationCache.read("x.cache")
    assert cache.header == "0 3fe0000000000000 3feff7ced916872b"
    assert cache.legacy == (0.999, 0.5)
    refused = trtcal("calibrate", *argv[:-1], "legacy:0.999,2")
    assert refused.code != 0
    assert "the regression cutoff of legacy is from 0 to 1, not 2" in refused.err


def test_plain_lines_where_there_is_no_terminal(shell, tmp_path):
    done = shell("calibrate", MODEL, IMAGES, "-o", tmp_path / "x.cache", "--batch-size", "5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert 5 <= len(lines) <= 12, "ten lines for a hundred batches"
    assert lines[-1] == "batch 100 of 100"
    assert "\r" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_bar_on_a_terminal(command, tmp_path):
    import pty

    leader, follower = pty.openpty()
    argv = [*command, "calibrate", str(MODEL), str(IMAGES), "--batch-size", "50"]
    process = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=follower, stdin=subprocess.DEVNULL)
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # Linux: the other end was closed
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert b"10/10" in seen
    assert b"\r" in seen


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
@pytest.mark.parametrize("with_session", [False, True])
def test_ctrl_c_says_what_is_left(command, tmp_path, with_session):
    np.save(tmp_path / "inputs.npy", np.random.default_rng(0).random((20_000, 1, 28, 28), np.float32))
    (tmp_path / "old.cache").write_text("TRT-8601-EntropyCalibration2\nx: 3f800000\n")
    argv = [*command, "calibrate", str(MODEL), "inputs.npy", "-o", "old.cache", "--batch-size", "1"]
    argv += ["--session", "kept.trtcal"] if with_session else []
    # A shell that runs the tests in the background has SIGINT ignored in all that it starts.
    process = subprocess.Popen(
        argv,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("batch "), first
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopped by Ctrl-C after" in err
    assert "old.cache is as it was" in err
    assert (tmp_path / "old.cache").read_text() == "TRT-8601-EntropyCalibration2\nx: 3f800000\n"
    if with_session:
        with CalibrationSession.load(tmp_path / "kept.trtcal") as session:
            assert 1 <= session.status.recorded < 20_000
            assert f"after {session.status.recorded:,} of 20,000 batches" in err
    else:
        assert "--session" in err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["inputs.npy", "old.cache"]
