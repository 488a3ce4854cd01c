"""Many models in one call: one fails, the others are done, and a page has a line for each."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from trtcal_widgets import sample
from trtcal_widgets.cli.many import argv_of, read_entries
from trtcal_widgets.formats.cache import CalibrationCache
from trtcal_widgets.report.index import ModelLine, index_page
from trtcal_widgets.session import CalibrationSession

MODEL = sample.model_path()


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    folder = tmp_path / "lists"
    folder.mkdir()
    shutil.copy(MODEL, folder / "lenet.onnx")
    data = np.random.default_rng(4).standard_normal((40, 1, 28, 28)).astype(np.float32)
    np.save(folder / "data.npy", data)
    np.save(folder / "wrong.npy", data[:, :, :20])
    return folder


def test_a_model_that_fails_does_not_stop_the_others(trtcal, here):
    (here / "models.yaml").write_text(
        """
        defaults: {batch-size: 4, method: minmax}
        models:
          - {model: lenet.onnx, data: data.npy}
          - {name: "<b>wrong</b>", model: lenet.onnx, data: wrong.npy}
          - {name: gone, model: gone.onnx, data: data.npy}
          - {name: misspelt, model: lenet.onnx, data: data.npy, bach-size: 4}
          - {model: lenet.onnx, data: data.npy}
          - lenet.onnx
          - {name: forbidden, model: lenet.onnx, data: data.npy, output: x.cache}
          - {name: few, model: lenet.onnx, data: data.npy, batches: 2, batch_size: 8, method: "percentile:99.9"}
        """
    )
    done = trtcal("calibrate-many", here / "models.yaml", "-o", "out")
    assert done.code == 2
    assert "2 models calibrated, 6 not" in done.out
    with CalibrationSession(MODEL, np.load(here / "data.npy"), batch_size=4, method="minmax") as session:
        session.run()
        assert CalibrationCache.read("out/lenet.cache").to_bytes() == session.to_cache().to_bytes()
    few = CalibrationSession.load("out/few.trtcal")
    assert (few.status.recorded, few.status.n_samples, str(few.state.method)) == (2, 16, "percentile:99.9")
    said = " ".join(done.err.split())
    for reason in (
        "axis 2 is 20, not 28",
        "gone.onnx",
        "did you mean --batch-size?",
        "another model is called 'lenet' too",
        "not a mapping with `model:` and `data:`",
        "`output:` cannot stand in the list",
    ):
        assert reason in said
    page = (here.parent / "work/out/index.html").read_text("utf-8")
    assert page.count("failed: ") == 6
    assert "<b>wrong" not in page
    assert re.findall(r'href="([^"]+)"', page) == ["lenet.html", "lenet.cache", "few.html", "few.cache"]
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'content="trtcal_widgets"' in (here.parent / "work/out/lenet.html").read_text("utf-8")


def test_all_done_is_exit_code_0_and_a_second_run_replaces_its_own_files(trtcal, here):
    (here / "models.json").write_text('[{"model": "lenet.onnx", "data": "data.npy", "last": "keep", "batch-size": 16}]')
    for _ in range(2):
        assert trtcal("calibrate-many", here / "models.json", "-o", "out").code == 0
    (here.parent / "work/out/index.html").write_text("<html>mine</html>")
    done = trtcal("calibrate-many", here / "models.json", "-o", "out")
    assert (done.code, "was not replaced" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no models"),
        ("[]", "lists no models"),
        ("models: lenet.onnx", "lists no models"),
        ("modles: []", "'modles' is neither"),
        ("a: [", "is no YAML"),
        ("modles: []", "did you mean models?"),
        ("- {model: a, data: b, size: 1, size: 2}", "`size:` is there twice in one mapping in line 1, column"),
        ("{models: [1], defaults: 3}", "`defaults:` is a mapping"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("[" * 5000, "is no YAML"),
    ],
)
def test_a_list_that_cannot_be_read_is_said(trtcal, here, text, message):
    (here / "models.yaml").write_text(text)
    done = trtcal("calibrate-many", here / "models.yaml")
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_values_that_no_option_can_have(trtcal, here):
    (here / "models.yaml").write_text(
        "models:\n"
        "  - {name: nested, model: lenet.onnx, data: data.npy, mean: [[1, 2], [3]]}\n"
        "  - {name: number, model: 5, data: data.npy}\n"
        "  - {name: flag, model: lenet.onnx, data: data.npy, batch-size: true}\n"
    )
    done = trtcal("calibrate-many", here / "models.yaml", "-o", "out")
    assert done.code == 2
    said = " ".join(done.err.split())
    assert "nested: `mean:` is text, a number, true, or a list of numbers" in said
    assert "number: it has no `model:` with a path" in said
    assert "flag: " in said


def test_stopping_is_said_and_the_rest_is_not_run(trtcal, here, monkeypatch):
    (here / "models.yaml").write_text(
        "[{model: lenet.onnx, data: data.npy}, {name: b, model: lenet.onnx, data: data.npy}]"
    )

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(CalibrationSession, "run", interrupted)
    done = trtcal("calibrate-many", here / "models.yaml", "-o", "out")
    assert done.code == 130
    page = (here.parent / "work/out/index.html").read_text("utf-8")
    assert "stopped by Ctrl-C" in page
    assert "not run" in page


def test_nothing_in_a_line_is_markup():
    line = ModelLine("<script>", "a<b", "c&d", cache="x y.cache", report='"r".html', tensors=1, batches=2, samples=3)
    page = index_page([line, ModelLine("n", "m", "d", failed="<img src=x>")], "<title>")
    assert "<script>&" not in page
    assert "<img" not in page
    assert "x%20y.cache" in page
    assert "%22r%22.html" in page


def test_options_that_may_be_given_several_times_take_lists(tmp_path):
    (tmp_path / "m.yaml").write_text(
        "- {model: a.onnx, data: left, input: l, also: [r=right, z=more/z.npy], leave-out: [1.png, 2.png]}\n"
        "- {model: b.onnx, data: left, input: l, also: r=right, leave-out: 1.png}\n"
    )
    first, second = (argv_of(entry) for entry in read_entries(tmp_path / "m.yaml"))
    assert [a for a in first if a.startswith(("--also", "--leave"))] == [
        f"--also=r={tmp_path / 'right'}",
        f"--also=z={tmp_path / 'more/z.npy'}",
        "--leave-out=1.png",
        "--leave-out=2.png",
    ]
    assert [a for a in second if a.startswith(("--also", "--leave"))] == [
        f"--also=r={tmp_path / 'right'}",
        "--leave-out=1.png",
    ]


def test_names_that_files_can_have(tmp_path):
    (tmp_path / "m.yaml").write_text(
        "- {model: index.onnx, data: d}\n"
        "- {name: no, model: a.onnx, data: d}\n"
        "- {name: [a], model: a.onnx, data: d}\n"
        f"- {{name: {'模' * 150}, model: a.onnx, data: d}}\n"
        "- {model: a.onnx, data: ''}\n"
        "- {name: b, model: a.onnx, data: d}\n"
        "- {name: b, model: a.onnx, data: d}\n"
        "- {name: b-7, model: a.onnx, data: d}\n"
        "- {name: ../../x, model: a.onnx, data: d}\n",
        encoding="utf-8",
    )
    index, no, several, long, empty, *_, twice, free, outside = read_entries(tmp_path / "m.yaml")
    assert (index.name, index.title) == ("index-1", "index")  # index.html is the page about all
    assert "not a bool: put it in quotes" in no.wrong
    assert "not a list" in several.wrong
    assert len(f"{long.name}.trtcal".encode()) < 255
    assert "no `data:`" in empty.wrong
    assert "another model is called 'b' too" in twice.wrong
    assert (free.name, free.wrong) == ("b-7", "")
    assert outside.name == "x"


def test_what_is_wrong_for_all_models_is_said_once_and_the_page_stays(trtcal, here):
    (here / "models.yaml").write_text("[{model: lenet.onnx, data: data.npy, batch-size: 16}, null]")
    assert trtcal("calibrate-many", here / "models.yaml", "-o", "out").code == 2
    page = (here.parent / "work/out/index.html").read_text("utf-8")
    assert "it is empty, not a mapping" in page
    done = trtcal("calibrate-many", here / "models.yaml", "-o", "out", "--workers", 2, "--dask", "tcp://localhost:1")
    assert (done.code, done.err.count("give one of them")) == (2, 1)
    assert (here.parent / "work/out/index.html").read_text("utf-8") == page


def test_lists_of_images_to_leave_out_are_beside_the_file(tmp_path):
    (tmp_path / "m.yaml").write_text("- {model: a.onnx, data: d, leave-out: [bad.txt, 1.png]}\n")
    argv = argv_of(read_entries(tmp_path / "m.yaml")[0])
    assert [a for a in argv if a.startswith("--leave")] == [f"--leave-out={tmp_path / 'bad.txt'}", "--leave-out=1.png"]


def test_a_page_can_be_written_of_a_list_whose_name_is_no_text(trtcal, here):
    listed = here / "m\udcff.yaml"
    listed.write_text("[{model: lenet.onnx, data: data.npy, batch-size: 16}]")
    done = trtcal("calibrate-many", listed, "-o", "out")
    assert done.code == 0, done.err
    assert "1 model calibrated" in done.out
