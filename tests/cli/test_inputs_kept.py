"""No output takes the place of what is read, also not of what is read with a file, and it is said what that is."""

from __future__ import annotations

import os
import shutil

import numpy as np
import onnx
import pytest

from trtcal_widgets import CalibrationCache, CalibrationSession, ImageFolder, sample
from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.port import port_scales
from trtcal_widgets.export.qdq import build_qdq
from trtcal_widgets.report import write_report
from trtcal_widgets.runners.inputs import Inputs

CACHE = "TRT-8601-EntropyCalibration2\ndata: 3c008912\npool1: 3c75c28f\nflatten: 3d23d70a\nrelu1: 3c8b4396\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A model with external data, folders of images and arrays, and a list of images."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    model = onnx.load(sample.model_path())
    onnx.save(model, "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "m.cache").write_text(CACHE)
    rng = np.random.default_rng(0)
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    (tmp_path / "arrays").mkdir()
    for i in range(4):
        pixels = rng.integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / "cats" / f"{i}.png")
        np.save(tmp_path / "arrays" / f"{i}.npy", rng.random((1, 28, 28), np.float32))
    (tmp_path / "list.txt").write_text("pictures/cats/0.png 1\npictures/cats/1.png 2\n")
    np.save("x.npy", rng.random((4, 1, 28, 28), np.float32))
    shutil.copy("x.npy", "labels.npy")
    return tmp_path


COMMANDS = {
    "calibrate": (("calibrate", "m.onnx", "pictures", "--batch-size", "2", "--force"), ("-o", "--session")),
    "arrays": (("calibrate", "m.onnx", "arrays", "--batch-size", "2", "--force"), ("-o", "--session")),
    "list": (("calibrate", "m.onnx", "list.txt", "--batch-size", "2", "--force"), ("-o", "--session")),
    "qdq": (("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "--force"), ("-o",)),
    "qdq report": (
        ("convert", "m.cache", "--to", "qdq", "--model", "m.onnx", "-o", "q.onnx", "--force"),
        ("--report",),
    ),
    "port": (("port", "m.onnx", "m.onnx", "m.cache", "--force"), ("-o",)),
    "debug": (("debug", "m.onnx", "pictures", "pictures", "--force"), ("--plan", "--qdq", "--state")),
    "tune": (
        ("tune", "m.onnx", "pictures", "pictures", "--force"),
        ("--plan", "--qdq", "--json", "--journal"),
    ),
    "check": (("check", "m.onnx", "--force"), ("--plan",)),
}
READ = {
    "calibrate": {"weights.bin": "external data of m.onnx", "pictures/cats/2.png": "one of the samples in pictures"},
    "arrays": {"arrays/3.npy": "one of the samples in arrays"},
    "list": {"pictures/cats/0.png": "listed in list.txt", "list.txt": ""},
    "qdq": {"weights.bin": "external data of m.onnx"},
    "qdq report": {"weights.bin": "external data of m.onnx"},
    "port": {"weights.bin": "external data of m.onnx"},
    "debug": {"weights.bin": "external data of m.onnx", "pictures/cats/2.png": "one of the samples in pictures"},
    "tune": {"weights.bin": "external data of m.onnx", "pictures/cats/2.png": "one of the samples in pictures"},
    "check": {"weights.bin": "external data of m.onnx"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_read_with_a_file_is_never_replaced_either(trtcal, here, command):
    argv, options = COMMANDS[command]
    for name, what in READ[command].items():
        before = (here / name).read_bytes()
        (here / "link").symlink_to(here / name)
        os.link(here / name, here / "hard")
        for option in options:
            for path in (name, here / name, "link", "hard", os.path.join(".", "..", here.name, name)):  # noqa: PTH118
                refused = trtcal(*argv, option, path)
                assert refused.code == 2
                assert "is a file that is read" in " ".join(refused.err.split()), refused.err
                assert what in " ".join(refused.err.split())
                assert (here / name).read_bytes() == before
        (here / "link").unlink()
        (here / "hard").unlink()


def test_a_file_of_ours_in_the_folder_of_the_data_is_no_sample(trtcal, here):
    for _ in range(2):
        done = trtcal("calibrate", "m.onnx", "pictures", "--batch-size", "2", "-o", "pictures/calibration.cache")
        assert done.code == 0, done.err


def test_no_model_of_a_list_writes_over_the_data_of_another(trtcal, here):
    (here / "out").mkdir()
    shutil.copy("m.onnx", "out/b.cache")
    shutil.copy("weights.bin", "out/weights.bin")
    (here / "models.yaml").write_text(
        "- {name: b, model: m.onnx, data: pictures, batch-size: 2}\n"
        "- {name: c, model: out/b.cache, data: pictures, batch-size: 2}\n"
    )
    before = (here / "out" / "b.cache").read_bytes()
    done = trtcal("calibrate-many", "models.yaml", "-o", "out", "--force")
    assert done.code == 2
    assert "is a file that is read" in " ".join(done.err.split())
    assert (here / "out" / "b.cache").read_bytes() == before


def sources(here):
    yield here / "pictures", ["pictures/cats/1.png"]
    yield ImageFolder(here / "list.txt", size=(28, 28), color="gray"), ["list.txt", "pictures/cats/1.png"]
    yield here / "arrays", ["arrays/2.npy"]
    yield "x.npy", ["x.npy"]
    yield {"data": here / "pictures"}, ["pictures/cats/1.png"]


def check_refused(here, writes, *names):
    """Every writer refuses every file that is read, which stays as it is."""
    for name in names:
        before = (here / name).read_bytes()
        for write in writes:
            with pytest.raises(ExportError, match="is a file that is read"):
                write(name)
        assert (here / name).read_bytes() == before


def test_python_does_not_replace_them_either(here):
    os.link("m.onnx", "hard")  # ONNX takes no weights with two names
    (here / "link").symlink_to(here / "m.onnx")
    for source, read in sources(here):
        with CalibrationSession("m.onnx", source, batch_size=2) as session:
            session.run()
            cache = session.to_cache()
            writes = (
                session.save,
                cache.write,
                cache.with_header(version="8.6.1").write,
                lambda path, session=session: write_report(session, path),
            )
            check_refused(here, writes, "m.onnx", "weights.bin", "hard", "link", *read)
            session.save("s.trtcal")
            session.save("s.trtcal")
            cache.write("made.cache")
            cache.write("made.cache")


class OwnSource:
    """A source of somebody's own: ``reads`` is what it is to them."""

    prebatched = False

    def __init__(self, reads):
        self.reads = reads

    def describe(self):
        return "own"

    def n_items(self):
        return 2

    def load(self, start, stop):
        return {"": np.ones((stop - start, 1, 28, 28), np.float32)}

    def thumbnails(self, start, stop):
        return []


@pytest.mark.parametrize("reads", [7, lambda: 7, "own.bin", [3], (3,), None], ids=lambda reads: type(reads).__name__)
def test_a_source_may_have_a_member_of_that_name_for_itself(here, reads):
    with CalibrationSession("m.onnx", OwnSource(reads), batch_size=1) as session:
        session.run()
        session.to_cache().write("own.cache")


def test_a_source_of_ones_own_names_its_files(here):
    (here / "own.bin").write_bytes(b"samples")
    for reads in (("own.bin",), (here / "own.bin",)):
        with CalibrationSession("m.onnx", OwnSource(reads), batch_size=1) as session:
            session.run()
            check_refused(here, (session.save, session.to_cache().write), "own.bin")


def test_models_and_caches_written_in_python_leave_their_models_alone(here):
    table = CalibrationCache.read("m.cache")
    table.write("m.cache")  # in its own place: it was edited
    made, ported = build_qdq("m.onnx", table), port_scales("m.onnx", "m.onnx", table)
    check_refused(here, (made.write, ported.write), "m.onnx", "weights.bin")
    made.write("q.onnx")
    made.write("q.onnx")
    onnx.load("q.onnx")


def test_sessions_that_are_read_stay(here):
    with CalibrationSession("m.onnx", "x.npy", batch_size=2) as session:
        session.run()
        session.save("a.trtcal")
    with CalibrationSession.load("a.trtcal") as loaded:
        loaded.save("a.trtcal")  # what was read is in it
    np.save("y.npy", np.random.default_rng(1).random((4, 1, 28, 28), np.float32))
    with CalibrationSession("m.onnx", "y.npy", batch_size=2, range_from="a.trtcal") as session:
        session.run()
        with pytest.raises(ExportError, match="is a file that is read"):
            session.save("a.trtcal")
        session.save("b.trtcal")
    merged = CalibrationSession.load(["a.trtcal", "b.trtcal"])
    with pytest.raises(ExportError, match="is a file that is read"):
        merged.save("b.trtcal")


def test_a_file_that_came_to_the_place_of_a_read_one_later_is_not_it(here):
    with CalibrationSession("m.onnx", "x.npy", batch_size=2) as session:
        session.run()
        cache = session.to_cache()
    os.replace("x.npy", "old.npy")  # noqa: PTH105
    cache.write("x.npy")
    cache.write("old.npy")


def test_what_links_in_a_folder_lead_to_is_read_too(trtcal, here):
    shutil.copy("pictures/cats/0.png", "elsewhere.png")
    (here / "more").mkdir()
    shutil.copy("pictures/cats/1.png", "more/9.png")
    (here / "pictures" / "linked.png").symlink_to(here / "elsewhere.png")
    (here / "pictures" / "dogs").symlink_to(here / "more")
    (here / "pictures" / "again").symlink_to(here / "pictures")
    for name in ("elsewhere.png", "more/9.png"):
        before = (here / name).read_bytes()
        done = trtcal("calibrate", "m.onnx", "pictures", "--batch-size", "2", "--force", "-o", name)
        assert done.code == 2
        assert "one of the samples in pictures" in " ".join(done.err.split())
        assert (here / name).read_bytes() == before


def test_an_output_that_is_named_as_a_missing_input_is_refused(trtcal, here):
    done = trtcal("calibrate", "m.onnx", "later.npy", "-o", "./later.npy")
    assert done.code == 2
    assert "is a file that is read" in " ".join(done.err.split())


def test_a_folder_that_cannot_be_looked_into_hides_no_samples_beside_it(here, monkeypatch):
    """Whatever order the disk gives: the locked one may come first."""
    (here / "pictures" / "a-locked").mkdir()
    (here / "pictures" / "z-locked").mkdir()
    scan = os.scandir

    def guarded(folder="."):
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    inputs = Inputs.of([here / "pictures"])
    for i in range(4):
        with pytest.raises(ExportError, match="one of the samples in"):
            inputs.refuse(here / "pictures" / "cats" / f"{i}.png")
