"""An interrupt at every line of recording leaves the last whole batch, and a session that goes on."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import trtcal_widgets
from tests.session.test_session import DATA, assert_same_counts, toy_session
from tests.support.toy import ToyRunner
from trtcal_widgets.data import ArrayBatches
from trtcal_widgets.session import CalibrationSession

PACKAGE = Path(trtcal_widgets.__file__).parent
TRACED = tuple(str(PACKAGE / part) for part in ("session", "core/packed.py"))
SHORT = DATA[:8]  # two batches, and the range doubles on the way


class InterruptedAt:
    """Raises KeyboardInterrupt before the n-th line (from 0) of the package that this thread comes to."""

    def __init__(self, n):
        self.left = n
        self.line = None

    def __enter__(self):
        sys.settrace(self._trace)

    def __exit__(self, *_):
        sys.settrace(None)

    def _trace(self, frame, event, _argument):
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                self.line = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} of {frame.f_code.co_name}"
                raise KeyboardInterrupt
        return self._trace


def interrupted_at_every_line(make, act, every=1):
    """Yield (line, session) with the work stopped before one line after the other, until it comes to its end."""
    n = 0
    while True:
        interrupt = InterruptedAt(n)
        with make() as session:
            try:
                with interrupt:
                    act(session)
            except KeyboardInterrupt:
                yield interrupt.line, session
            else:
                assert interrupt.line is None, f"{interrupt.line} swallowed the interrupt"
                break
        n += every
    assert n > 50


def assert_whole(session, line, at_least):
    """What is said of the batches agrees with itself and with what was counted."""
    n = session.status.recorded
    assert n >= at_least, line
    assert session.state.position == n, line
    assert session.status.n_samples == 4 * n, line
    assert session.status.phase in {"ready", "paused", "finished"}, line
    for name in session.tensors:
        assert session.histogram(name).n_values == 16 * n, line
        assert len(session.batch_amax(name)) == n, line


def assert_goes_on(session, whole, line):
    """Another thread can work with it, and it comes to what a session comes to that nobody interrupted."""
    thread = threading.Thread(target=session.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), line
    assert session.status == whole.status, line
    for name in whole.tensors:
        assert_same_counts(session.histogram(name), whole.histogram(name))
        np.testing.assert_array_equal(session.batch_amax(name), whole.batch_amax(name))


@pytest.fixture(params=["tensorrt", "two-pass"])
def mode(request):
    return request.param


@pytest.fixture
def whole(mode):
    with toy_session(SHORT, range_mode=mode) as session:
        session.run()
        yield session


def test_an_interrupt_at_any_line_of_a_run(mode, whole):
    def make():
        return toy_session(SHORT, range_mode=mode)

    recorded = set()
    for line, session in interrupted_at_every_line(make, lambda s: s.run(progress=lambda _: None)):
        recorded.add(session.status.recorded)
        assert_whole(session, line, 0)
        assert_goes_on(session, whole, line)
    assert recorded == {0, 1, 2}


def test_an_interrupt_at_any_line_of_a_step_that_others_listen_to(mode, whole):
    def make():
        session = toy_session(SHORT, range_mode=mode)
        session.step()
        session.heard = set()
        session.subscribe(session.heard.update)
        return session

    for line, session in interrupted_at_every_line(make, CalibrationSession.step):
        assert_whole(session, line, 1)
        assert_goes_on(session, whole, line)
        assert {"data", "position", "status"} <= session.heard, line


def test_what_was_interrupted_is_saved_and_goes_on_elsewhere(mode, whole, tmp_path):
    def make():
        return toy_session(SHORT, range_mode=mode)

    for line, session in interrupted_at_every_line(make, CalibrationSession.run, every=7):
        session.save(tmp_path / "s.trtcal")
        with CalibrationSession.load(tmp_path / "s.trtcal", ToyRunner(), ArrayBatches(SHORT)) as loaded:
            assert_whole(loaded, line, 0)
            assert_goes_on(loaded, whole, line)
