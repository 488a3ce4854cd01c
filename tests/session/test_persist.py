"""Saving and loading: what was recorded on one machine is explored on another."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.session.test_session import DATA, assert_same_counts, toy_session
from tests.support.toy import ToyRunner, toy_graph
from trtcal_widgets import sample
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.errors import ExportError, SessionError, TrtcalError
from trtcal_widgets.session import CalibrationSession


@pytest.fixture
def saved(tmp_path):
    with toy_session() as session:
        session.seek(4)
        session.exclude(1)
        session.choose("r1", amax=1.25)
        session.choose("x", method="percentile:99")
        session.update(selected="r0")
        session.save(tmp_path / "session.trtcal")
        yield tmp_path / "session.trtcal", session


def test_a_loaded_session_is_the_saved_one(saved):
    path, session = saved
    with CalibrationSession.load(path) as loaded:
        assert loaded.graph == session.graph
        for name in ("position", "excluded", "choices", "method", "selected"):
            assert getattr(loaded.state, name) == getattr(session.state, name)
        for name in session.tensors:
            assert_same_counts(loaded.histogram(name), session.histogram(name))
            assert loaded.row(name) == session.row(name)
        assert loaded.to_cache().to_bytes() == session.to_cache().to_bytes()
        np.testing.assert_array_equal(loaded.batch_amax("x"), session.batch_amax("x"))


def test_a_loaded_session_is_changed_but_not_run_without_its_model(saved):
    path, _ = saved
    with CalibrationSession.load(path) as loaded:
        loaded.include(1)
        loaded.reset()
        loaded.seek(2)
        loaded.step()
        assert loaded.state.position == 3
        loaded.step()
        with pytest.raises(SessionError, match="model= and source="):
            loaded.step()
        assert "4 batches recorded with numpy toy" in loaded.status.message


def test_with_model_and_data_it_goes_on_as_if_it_had_never_stopped(saved):
    path, _ = saved
    runner = ToyRunner()
    with CalibrationSession.load(path, runner, ArrayBatches(DATA)) as loaded, toy_session() as whole:
        loaded.run()
        assert runner.batches == 2
        assert loaded.status.n_samples == 24
        loaded.include(1)
        whole.run()
        for name in whole.tensors:
            assert_same_counts(loaded.histogram(name), whole.histogram(name))


def test_two_pass_sessions_go_on_with_their_ranges(tmp_path):
    with toy_session(range_mode="two-pass") as whole:
        whole.seek(2)
        whole.save(tmp_path / "s")
        whole.run()
        with CalibrationSession.load(tmp_path / "s", ToyRunner(), ArrayBatches(DATA)) as loaded:
            loaded.run()
            assert_same_counts(loaded.histogram("x"), whole.histogram("x"))


def test_another_model_is_refused_by_hash(saved):
    path, _ = saved
    other = ToyRunner(toy_graph(sha256="f" * 64))
    with pytest.raises(SessionError, match="another file"):
        CalibrationSession.load(path, other, ArrayBatches(DATA))
    with pytest.raises(SessionError, match="another file"):
        CalibrationSession.load(path, other)
    with pytest.raises(SessionError, match="batch_size=4"):
        CalibrationSession.load(path, ToyRunner(), ArrayBatches(DATA), batch_size=8)
    with pytest.raises(SessionError, match="model="):
        CalibrationSession.load(path, source=ArrayBatches(DATA))


def test_what_is_saved_needs_no_pickle(saved):
    path, _ = saved
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == {
            "session.json", "records.npy", "records.bin", "constants.npy", "constants.bin", "samples.npy",
            "without.npy", "weights.npy",
        }  # fmt: skip
        for name in ("records.npy", "constants.npy"):
            with archive.open(name) as file:
                np.lib.format.read_array(file, allow_pickle=False)


def test_a_session_that_cannot_be_written_leaves_the_old_file(saved, tmp_path):
    path, session = saved
    old = path.read_bytes()
    with pytest.raises(ExportError):
        session.save(tmp_path / "missing" / "s")
    with pytest.raises(ExportError):
        session.save(tmp_path)
    assert path.read_bytes() == old


def test_an_unrecorded_session_can_be_saved_too(tmp_path):
    with toy_session() as session:
        session.save(tmp_path / "s")
    with CalibrationSession.load(tmp_path / "s", ToyRunner(), ArrayBatches(DATA)) as loaded:
        loaded.run()
        assert loaded.status.phase == "finished"


def test_a_two_pass_session_saved_before_its_ranges_are_known_finds_them_later(tmp_path):
    with toy_session(range_mode="two-pass") as whole:
        whole.save(tmp_path / "s")
        whole.run()
        with CalibrationSession.load(tmp_path / "s", ToyRunner(), ArrayBatches(DATA)) as loaded:
            loaded.run()
            assert_same_counts(loaded.histogram("x"), whole.histogram("x"))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04", b"TRT-8601-EntropyCalibration2\nx: 0\n"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(SessionError, match="not a saved session"):
        CalibrationSession.load(tmp_path / "s")
    with pytest.raises(SessionError, match="no such file"):
        CalibrationSession.load(tmp_path / "nothing")


@pytest.mark.parametrize("change", [{"method": "best"}, {"choices": {"x": {}}}, {"choices": {"x": {"amax": -1.0}}}])
def test_a_method_or_threshold_that_is_none_is_refused_with_the_files_name(saved, tmp_path, change):
    path, _ = saved
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "odd.trtcal", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "session.json":
                facts = json.loads(data)
                data = json.dumps({**facts, "state": {**facts["state"], **change}}).encode()
            new.writestr(name, data)
    with pytest.raises(SessionError, match=r"odd\.trtcal: a method or a threshold that it holds is none"):
        CalibrationSession.load(tmp_path / "odd.trtcal")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_raises_our_error_or_loads(saved, tmp_path, position, value, cut):
    path, _ = saved
    data = bytearray(path.read_bytes())
    at = int(position * (len(data) - 1))
    if cut:
        del data[at:]
    else:
        data[at] = value
    damaged = tmp_path / "damaged"
    damaged.write_bytes(bytes(data))
    try:
        with CalibrationSession.load(damaged) as loaded:
            loaded.table()
    except TrtcalError:
        pass


def test_the_runner_is_public_and_the_halves_of_loading_are_not(tmp_path):
    with CalibrationSession(ToyRunner(), ArrayBatches(DATA), batch_size=4) as session:
        assert session.runner is session.recorder.runner
        session.step()
        session.save(tmp_path / "s.trtcal")
    loaded = CalibrationSession.load(tmp_path / "s.trtcal")
    assert loaded.runner is None
    public = {name for name in dir(CalibrationSession) if not name.startswith("_")}
    assert not public & {"adopt", "restore", "restored"}


def test_a_fast_session_goes_on_fast(tmp_path):
    """Batches that were counted in two ways would be one calibration of neither."""
    options = {"batch_size": 100, "max_batches": 4}
    images = sample.calibration_images()
    path = tmp_path / "fast.trtcal"
    with CalibrationSession(sample.model_path(), images, fast=True, **options) as session:
        session.step()
        session.save(path)
    with CalibrationSession.load(path, sample.model_path(), images, **options) as loaded:
        assert loaded.runner.name.endswith(", fast")
        assert loaded.step()
    with pytest.raises(SessionError, match="recorded with fast=True: leave fast= out"):
        CalibrationSession.load(path, sample.model_path(), images, fast=False, **options)
