"""``trtcal report``: from a saved session to a file."""

from __future__ import annotations

import pytest

from tests.cli.conftest import trtcal  # noqa: F401 - a fixture
from trtcal_widgets import CalibrationSession, sample
from trtcal_widgets.model.plan import PrecisionPlan


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "run.trtcal"
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=100) as session:
        session.run()
        session.save(path)
    return path


def test_a_saved_session_becomes_a_page(trtcal, saved, tmp_path):  # noqa: F811
    done = trtcal("report", saved, "-o", tmp_path / "r.html", "--title", "For <you>")
    assert (done.code, done.err) == (0, "")
    assert "r.html" in done.out
    page = (tmp_path / "r.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>For &lt;you&gt;</h1>" in page
    assert "500 samples in 5 batches" in page
    assert "weights per channel: the model" in page


def test_the_model_adds_its_weights_and_a_plan_is_shown(trtcal, saved, tmp_path):  # noqa: F811
    PrecisionPlan(keep=("conv1",), reasons={"conv1": "first layer"}).save(tmp_path / "plan.json")
    given = ["--model", sample.model_path(), "--plan", tmp_path / "plan.json", "--worst", 2]
    done = trtcal("report", saved, *given, "-o", tmp_path / "r.html")
    assert done.code == 0, done.err
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "weights per channel: the model" not in page
    assert "first layer" in page
    assert page.count('class="card"') == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{saved}", "--model", "{other}"], "was recorded with"),
        (["{saved}", "--worst", "0"], "--worst: '0' is not a whole number of at least 1"),
        (["{saved}", "-o", "{saved}"], "is not an HTML file"),
        (["{folder}/missing.trtcal"], "there is no such file"),
        (["{saved}", "--plan", "{saved}"], "not a precision plan"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(trtcal, saved, tmp_path, arguments, said):  # noqa: F811
    from tests.support.graphs import node, save, value

    other = save(tmp_path / "other.onnx", [node("Relu", ["x"], ["y"])], [value("x")], [value("y")])
    filled = [a.format(saved=saved, other=other, folder=tmp_path) for a in arguments]
    if "-o" not in filled:
        filled += ["-o", str(tmp_path / "r.html")]
    done = trtcal("report", *filled)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "r.html").exists()
