"""Small sets: what is said of them against sessions that really have only them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.doctor.made_up import DrawnRunner
from trtcal_widgets import CalibrationSession, ImageFolder, sample
from trtcal_widgets.core.quantizer import NoiseModel
from trtcal_widgets.doctor import small_set
from trtcal_widgets.doctor.choosing import _Choosing
from trtcal_widgets.doctor.samples import Samples
from trtcal_widgets.errors import CancelledError, SessionError, UsageError


@pytest.fixture(scope="module")
def images():
    return sample.calibration_images().load(0, 200)[""]


@pytest.fixture(scope="module", params=["tensorrt", "two-pass"])
def session(request, images):
    with CalibrationSession(sample.model_path(), images, batch_size=25, range_mode=request.param) as session:
        session.run()
        yield session


def loss_of(session, images, chosen):
    """What the worst scale loses on all data with the thresholds of a session over the chosen images alone."""
    batch = min(25, len(chosen))
    with CalibrationSession(
        sample.model_path(), images[list(chosen)], batch_size=batch, last="keep", range_mode=session.range_mode
    ) as other:
        other.run()
        lost = {}
        for name in session.calibrated:
            model = NoiseModel(session.histogram(name))
            lost[name] = model.cost(session.amax(name)).sqnr_db - model.cost(other.amax(name)).sqnr_db
    return max(lost.values())


@pytest.mark.parametrize("goal", [0.5, 2.0])
def test_the_loss_that_is_said_is_that_of_a_session_of_the_subset(session, images, goal):
    found = small_set(session, loss_db=goal)
    assert found.loss_db <= goal
    assert found.loss_db == pytest.approx(max(loss_of(session, images, found.samples), 0), abs=1e-6)
    assert len(found.samples) < 100
    assert found.of == 200
    assert sorted(set(found.samples)) == list(found.samples)
    assert f"{len(found.samples)} of 200 samples do" in found.text


def test_it_beats_chance_on_mnist_and_says_by_how_much(session):
    found = small_set(session, count=15)
    assert len(found.samples) == 15
    assert len(found.random_db) == 5
    assert found.random_db == tuple(sorted(found.random_db))
    assert found.better_than_random
    assert "Chance" not in found.text


def test_it_says_so_where_chance_does_as_well():
    """Every sample is the same: no choice is better than another."""
    values = np.random.default_rng(0).standard_normal(2000)
    runner = DrawnRunner({"x": lambda rng, feed: np.tile(values, len(feed))})
    with CalibrationSession(runner, np.arange(12, dtype=np.float32)[:, None], batch_size=3) as session:
        session.run()
        found = small_set(session, count=3)
    assert found.loss_db == 0
    assert found.better_than_random is False
    assert "Chance does as well here" in found.text


def test_what_sets_the_largest_values_is_chosen_for_minmax(images):
    with CalibrationSession(sample.model_path(), images, batch_size=25, method="minmax") as session:
        session.run()
        found = small_set(session, loss_db=0.01, random=0)
        assert len(found.samples) <= len(session.calibrated)  # one for each tensor at most
        assert found.better_than_random is None
        session.choose("conv1", amax=1.0)  # what is one's own follows from no sample
        assert small_set(session, loss_db=0.01, random=0).loss_db <= 0.01


def test_a_list_of_files_is_read_back_as_a_source(tmp_path, images):
    from PIL import Image

    folder = tmp_path / "some pictures 3"
    folder.mkdir()
    for k, image in enumerate(images[:40]):
        Image.fromarray((image[0] * 255).astype(np.uint8)).save(folder / f"{k:03}.png")
    source = ImageFolder(folder, size=(28, 28), color="gray")
    with CalibrationSession(sample.model_path(), source, batch_size=10) as session:
        session.run()
        session.exclude(1)
        found = small_set(session, count=6, random=0)
    found.write(tmp_path / "few.txt")
    again = ImageFolder(tmp_path / "few.txt", size=(28, 28), color="gray")
    assert [path.name for path in again.paths] == [f"{k:03}.png" for k in found.samples]
    assert found.of == 30
    assert not set(found.samples) & set(range(10, 20))


def test_a_sample_that_is_left_out_is_not_chosen(images):
    """Chosen by its large values, it would come back into every build from the list."""
    images = images[:60].copy()
    images[[31, 52]] *= 6
    with CalibrationSession(sample.model_path(), images, batch_size=10, method="minmax") as session:
        session.run()
        assert {31, 52} & set(small_set(session, loss_db=0.01, random=0).samples)
        session.samples.leave_out(31, 52)
        found = small_set(session, count=30, random=2)
    assert found.of == 58
    assert not {31, 52} & set(found.samples)


def test_what_the_session_counted_by_itself_is_not_run_again(images):
    with CalibrationSession(sample.model_path(), images[:12], batch_size=4) as session:
        session.run()
        whole = small_set(session, count=4, random=0)
        session.samples.count(3, 7)
        names = [name for name in session.calibrated if session.histogram(name).amax > 0]
        bases = {name: session.histogram(name).base for name in names}
        found, run = Samples(session), []
        histograms = found.runner.histograms
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(found.runner, "histograms", lambda *a: run.append(1) or histograms(*a))
            parts = found.record(names, bases, lambda _: None)
        assert len(run) == 10
        alone = Samples(session)
        alone._numbers = [None] * len(alone)
        for own, again in zip(parts, alone.record(names, bases, lambda _: None), strict=True):
            assert [h.n_finite for h in own] == [h.n_finite for h in again]
            assert [h.amax for h in own] == pytest.approx([h.amax for h in again], rel=1e-5)
        assert small_set(session, count=4, random=0).samples == whole.samples


def test_data_that_are_no_files_give_no_list(session, tmp_path):
    with pytest.raises(UsageError, match="come from no files"):
        small_set(session, count=2, random=0).write(tmp_path / "few.txt")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_meant_is_refused(session, tmp_path):
    for wrong in ({}, {"count": 3, "loss_db": 1}, {"count": 0}, {"count": 201}, {"loss_db": 0}, {"loss_db": "x"}):
        with pytest.raises(UsageError):
            small_set(session, **wrong)
    session.save(tmp_path / "x.trtcal")
    with pytest.raises(SessionError, match="without its model and data"):
        small_set(CalibrationSession.load(tmp_path / "x.trtcal"), count=3)


def test_it_reports_progress_and_can_be_cancelled(session):
    seen = []
    small_set(session, count=3, random=0, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(k, 200) for k in range(1, 201)]
    with pytest.raises(CancelledError):
        small_set(session, count=3, cancelled=lambda: len(seen) == 200)
    assert session.status.phase == "finished"
    assert session.step() is False  # the session itself is as it was


def test_a_set_is_lengthened_until_it_does(monkeypatch):
    """Where running shows more loss than the records did: not a few steps only, which end far below what there is."""
    choosing = object.__new__(_Choosing)
    choosing.samples = range(200)
    monkeypatch.setattr(choosing, "_best_of", lambda size, goal: (list(range(size)), 0.5 if size >= 60 else 5.0, "x"))
    chosen, lost, _ = choosing.run(4, 1.0)
    assert lost <= 1.0
    assert 60 <= len(chosen) < 60 * 1.25
