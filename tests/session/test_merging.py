"""Sessions recorded apart from one R are one session, and what is not of one R is refused with the reason."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest

from tests.session.test_spread import LENET, MODES, everything, images
from trtcal_widgets import CalibrationSession
from trtcal_widgets.errors import SessionError, UsageError


def recorded(path, data, **options):
    session = CalibrationSession(LENET, data, **{"batch_size": 5, **options})
    session.run()
    session.save(path)
    return path


@pytest.fixture
def parts(tmp_path):
    data = images(60)
    a = recorded(tmp_path / "a", data[:20])
    b = recorded(tmp_path / "b", data[20:45], range_from=a)
    c = recorded(tmp_path / "c", data[45:], range_from=a)
    return data, (a, b, c)


def test_parts_are_what_one_session_records(parts):
    data, paths = parts
    whole = CalibrationSession(LENET, data, batch_size=5)
    whole.run()
    merged = CalibrationSession.load(paths)
    assert everything(merged) == everything(whole)
    assert (merged.status.recorded, merged.status.n_samples, merged.state.position) == (12, 60, 12)
    for method in ("entropy", "mse", "percentile:99.9", "minmax"):
        merged.choose_all(method)
        whole.choose_all(method)
        assert merged.to_cache().to_bytes() == whole.to_cache().to_bytes()
    assert merged.table() == whole.table()


def test_two_passes_start_from_the_ranges_of_the_first(tmp_path):
    data = images(40)
    a = recorded(tmp_path / "a", data[:20], range_mode="two-pass")
    b = recorded(tmp_path / "b", data[20:], range_mode="two-pass", range_from=a)
    merged = CalibrationSession.load([a, b])
    assert merged.histogram("data").n_values == 40 * 784
    assert merged.amax("data", "minmax") == pytest.approx(float(np.abs(data).max()))


def test_a_merged_session_is_saved_left_out_of_and_merged_again(parts, tmp_path):
    _, (a, b, c) = parts
    first = CalibrationSession.load(b)
    first.exclude(1)
    first.choose("data", amax=7.0)
    first.save(b)
    both = CalibrationSession.load([a, b])
    assert both.state.excluded == {5}
    assert not both.is_mine("data")  # choices are the first one's
    both.save(tmp_path / "ab")
    again = CalibrationSession.load([tmp_path / "ab", c])
    assert again.state.excluded == {5}
    assert everything(again) == everything(CalibrationSession.load([a, b, c]))
    assert CalibrationSession.load([b]).is_mine("data")


def test_samples_that_are_left_out_stay_left_out(parts, tmp_path):
    data, (a, b, c) = parts
    session = CalibrationSession.load(b, LENET, data[20:45])
    session.samples.leave_out(3, 20, 21, 22, 23, 24)  # the last five are a whole batch
    session.save(b)
    merged = CalibrationSession.load([a, b, c])
    assert merged.samples.left_out == {23, 40, 41, 42, 43, 44}
    whole = CalibrationSession(LENET, data, batch_size=5)
    whole.run()
    whole.samples.leave_out(23, *range(40, 45))
    assert merged.to_cache().to_bytes() == whole.to_cache().to_bytes()
    merged.save(tmp_path / "all")
    again = CalibrationSession.load([tmp_path / "all"])
    assert again.to_cache().to_bytes() == whole.to_cache().to_bytes()
    again.samples.bring_back()
    whole.samples.bring_back()
    assert again.to_cache().to_bytes() == whole.to_cache().to_bytes()


def test_hundreds_of_parts_take_no_more_open_files_than_two(parts, tmp_path):
    resource = pytest.importorskip("resource")
    data, (a, *_) = parts
    others = (data[i : i + 5] * np.float32(1.01 + i / 100) for i in range(40))
    paths = [a, *(recorded(tmp_path / f"part{i}", own, range_from=a) for i, own in enumerate(others))]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_numbers_with_free(16), hard))
    try:
        merged = CalibrationSession.load(paths)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert merged.status.recorded == 44
    assert merged.status.message == "Merged from 41 sessions: 44 batches."
    assert merged.inputs.paths == tuple(paths)


def _numbers_with_free(n):
    """Return how many numbers files may have so that ``n`` of them are free, wherever those in use lie."""
    number = 0
    while n:
        try:
            os.fstat(number)
        except OSError:
            n -= 1
        number += 1
    return number


def test_parts_that_were_stopped_are_named(tmp_path):
    data = images(40)
    a = recorded(tmp_path / "a", data[:20])
    session = CalibrationSession(LENET, data[20:], batch_size=5, range_from=a)
    session.run(until=1)
    session.save(tmp_path / "b")
    merged = CalibrationSession.load([a, tmp_path / "b"])
    assert (merged.status.recorded, merged.status.n_batches) == (5, 8)
    assert f"Some were stopped before their end: {tmp_path / 'b'} (1 of 4 batches)." in merged.status.message


def test_what_holds_all_batches_of_another_is_not_merged_with_it(parts, tmp_path):
    _, (a, b, c) = parts
    CalibrationSession.load([a, b]).save(tmp_path / "ab")
    for paths in ([tmp_path / "ab", a], [b, tmp_path / "ab"], [a, c, tmp_path / "ab"]):
        with pytest.raises(SessionError, match=r"ab holds all batches of .*, and others: leave"):
            CalibrationSession.load(paths)


def test_what_cannot_be_merged_says_why(parts, tmp_path):
    data, (a, b, _) = parts
    other = recorded(tmp_path / "own ranges", data[:20] * 2)
    with pytest.raises(SessionError, match=r"start from different ranges, .* 'data' \(.*and \d more.*--range-from"):
        CalibrationSession.load([a, other])
    with pytest.raises(SessionError, match="hold the same batches"):
        CalibrationSession.load([a, b, a])
    two = recorded(tmp_path / "two passes", data[:20], range_mode="two-pass")
    with pytest.raises(SessionError, match="range_mode is 'tensorrt' in one and 'two-pass' in the other"):
        CalibrationSession.load([a, two])
    four = recorded(tmp_path / "four", data[:20], batch_size=4, range_from=a)
    with pytest.raises(SessionError, match="batch size is 5 in one and 4 in the other"):
        CalibrationSession.load([a, four])
    CalibrationSession(LENET, data, batch_size=5, range_from=a).save(tmp_path / "empty")
    with pytest.raises(SessionError, match="empty has no batch recorded"):
        CalibrationSession.load([a, tmp_path / "empty"])
    with pytest.raises(UsageError, match="no file to load"):
        CalibrationSession.load([])
    with pytest.raises(UsageError, match="source"):
        CalibrationSession.load([a, b], LENET, data)
    model = onnx.load(LENET)
    model.producer_name = "another"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(SessionError, match="is another model"):
        CalibrationSession(tmp_path / "other.onnx", data, batch_size=5, range_from=a)
    with pytest.raises(SessionError, match=r"recorded with range_mode='tensorrt', and this is to be 'two-pass'"):
        CalibrationSession(LENET, data, batch_size=5, range_mode="two-pass", range_from=a)
    foreign = CalibrationSession(tmp_path / "other.onnx", data[:20], batch_size=5)
    foreign.run()
    foreign.save(tmp_path / "foreign")
    with pytest.raises(SessionError, match=r"foreign, of other\.onnx is another model"):
        CalibrationSession.load([a, tmp_path / "foreign"])


@pytest.mark.parametrize("what", [b"", b"PK\x05\x06" + bytes(18), b"[]"])
def test_ranges_are_taken_from_sessions_only(tmp_path, what):
    path = tmp_path / "x.trtcal"
    path.write_bytes(what)
    with pytest.raises(SessionError, match=r"x\.trtcal"):
        CalibrationSession(LENET, images(5), batch_size=5, range_from=path)
    with pytest.raises(SessionError, match="missing"):
        CalibrationSession(LENET, images(5), batch_size=5, range_from=tmp_path / "missing")
    with pytest.raises(SessionError, match="this is a folder"):
        CalibrationSession.load(tmp_path)
    with pytest.raises(SessionError, match="this is a folder"):
        CalibrationSession(LENET, images(5), batch_size=5, range_from=tmp_path)
    with pytest.raises(SessionError, match="there is no such file"):
        CalibrationSession(LENET, images(5), batch_size=5, range_from=tmp_path / "missing")


@pytest.mark.parametrize("mode", MODES)
def test_workers_start_from_given_ranges_too(tmp_path, mode):
    from concurrent.futures import ThreadPoolExecutor

    data = images(40)
    a = recorded(tmp_path / "a", data[:20], range_mode=mode)
    here = CalibrationSession(LENET, data[20:], batch_size=5, range_mode=mode, range_from=a)
    here.run()
    there = CalibrationSession(LENET, data[20:], batch_size=5, range_mode=mode, range_from=a)
    there.run(executor=ThreadPoolExecutor(2))
    assert everything(there) == everything(here)
