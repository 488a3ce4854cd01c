"""The Python of docs/tensorrt.md, run with the stand-in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.pages import CLASSES, ROOT, furnish, python_of
from trtcal_widgets import CalibrationCache, CalibrationSession, ImageFolder

PAGE = "docs/tensorrt.md"


@pytest.fixture
def names(tmp_path, monkeypatch, machine):
    """What the page calls ``session``, ``network`` and so on without saying where it comes from."""
    monkeypatch.chdir(tmp_path)
    furnish(tmp_path, batch=32)
    machine.dla_cores = 1
    with CalibrationSession("model.onnx", ImageFolder("calib", size=(224, 224)), batch_size=32) as session:
        session.run()
        yield {
            "session": session,
            "validation": ImageFolder("val", size=(224, 224)),
            "labels": np.arange(32) % CLASSES,
            "config": SimpleNamespace(int8_calibrator=None),
            "builder": SimpleNamespace(build_serialized_network=lambda network, config: b""),
            "network": None,
            "on_batch": lambda index, batch: None,
            "detector": CalibrationCache.build({"backbone/conv1": 0.1, "head": 0.2}),
            "backbone": CalibrationCache.build({"conv1": 0.3}),
        }


# The build that the page cancels ends with CancelledError in its thread.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_python_of_the_page_runs(names, machine, tmp_path):
    exec(compile(python_of(PAGE), str(ROOT / PAGE), "exec"), names)  # noqa: S102 - our own page
    names["thread"].join(60)
    assert not names["thread"].is_alive()
    assert names["config"].int8_calibrator is names["calibrator"]
    assert (tmp_path / "model.engine.json").is_file()
    assert CalibrationCache.read("detector.cache").hex("backbone/conv1") == names["backbone"].hex("conv1")
    # The calibrator's, the compared one and DLA's; and the thread's where that was done before it was cancelled.
    assert len(machine.built) in (3, 4)
    assert [spec["dla"] for spec in machine.built].count([0, "DLA"]) == 1
    assert [spec["unfused"] for spec in machine.built].count(True) == 1
