"""Ctrl-C while layers are ranked or plans are tried: what is kept, and how it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets import sample


@pytest.mark.parametrize(
    ("command", "what", "option"), [("debug", "PlanSearch.run", "--state"), ("tune", "tune", "--journal")]
)
@pytest.mark.parametrize("keeps", [True, False])
def test_what_is_kept_is_said(trtcal, tmp_path, monkeypatch, command, what, option, keeps):
    def stopped(*_arguments, **_options):
        if keeps:
            (tmp_path / "kept.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(f"trtcal_widgets.debug.{what}", stopped)
    images = sample.calibration_images().load(0, 64)[""]
    np.save(tmp_path / "images.npy", images)
    argv = [command, sample.model_path(), tmp_path / "images.npy", tmp_path / "images.npy"]
    done = trtcal(*argv, *([option, tmp_path / "kept.json"] if keeps else []))
    assert done.code == 130
    assert ("kept.json: the same command goes on from there" in done.err) == keeps
    assert (f"with {option} FILE the same command would go on" in done.err) == (not keeps)
