"""Executors that are legitimate and unlike those of the standard library, and what users do to them meanwhile."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tests.session.test_spread import LENET, SPAWN, everything, images, one_process
from trtcal_widgets import CalibrationSession, ImageFolder
from trtcal_widgets.data.around import NamedSources
from trtcal_widgets.data.array_files import ArrayFolder
from trtcal_widgets.errors import DataError, SessionError, UsageError
from trtcal_widgets.session.spread import work as working
from trtcal_widgets.session.spread.pools import Pool
from trtcal_widgets.session.spread.work import Job, Task, Token, work


def copied(value):
    """Return what another process gets."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - made here


class AtOnce(Executor):
    """Does everything in submit() and returns futures that are done."""

    def submit(self, function, /, *arguments):
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future


class Copying(AtOnce):
    """As if the work were done in another process."""

    def submit(self, function, /, *arguments):
        function, arguments = copied((function, arguments))
        return super().submit(lambda: copied(function(*arguments)))


class Dying(AtOnce):
    """Takes so many tasks, then raises."""

    def __init__(self, tasks, error):
        self.left, self.error = tasks, error

    def submit(self, function, /, *arguments):
        if not self.left:
            raise self.error
        self.left -= 1
        return super().submit(function, *arguments)


def odd_images():
    """Return images that begin with zeros and hold NaN and inf."""
    data = images(60)
    data[:5], data[7], data[22, 0, 3, 4] = 0, np.nan, np.inf
    return data


@pytest.mark.parametrize("options", [{}, {"batch_size": 7, "last": "keep"}, {"batch_size": 7, "last": "pad"}])
@pytest.mark.parametrize("mode", ["tensorrt", "two-pass"])
def test_done_futures_and_copies_give_the_same_bits(mode, options):
    expected = one_process(mode, odd_images(), **options)
    for executor in (AtOnce(), Copying(), ThreadPoolExecutor(20)):
        session = CalibrationSession(LENET, odd_images(), range_mode=mode, **{"batch_size": 5, **options})
        session.run(executor=executor)
        assert everything(session) == expected
    assert not working._known  # nothing of an ended run stays in this process


def test_batches_that_are_counted_are_recorded_while_others_are_read():
    session = CalibrationSession(LENET, images(), batch_size=5)
    ahead = []
    load = session.plan.load
    session.plan.load = lambda index: ahead.append(index - session.status.recorded) or load(index)
    session.run(executor=AtOnce())
    assert max(ahead) <= 1  # it had read all it may before the first was recorded


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("cannot schedule"), SessionError, "takes no more work"),
        (OSError("no route"), UsageError, "batch 4 could not be given to a worker"),
    ],
)
def test_what_was_given_out_before_submit_failed_is_recorded(error, kind, message):
    session = CalibrationSession(LENET, images(), batch_size=5)
    with pytest.raises(kind, match=message):
        session.run(executor=Dying(4, error))
    assert (session.status.recorded, session.status.phase) == (4, "failed")


def test_threads_that_are_shut_down_meanwhile_finish_what_they_have():
    executor = ThreadPoolExecutor(2)
    session = CalibrationSession(LENET, images(), batch_size=5)
    with pytest.raises(SessionError, match="takes no more work"):
        session.run(executor=executor, progress=lambda s: executor.shutdown(wait=False) if s.recorded == 3 else None)
    assert session.status.recorded >= 3
    session.run(executor=AtOnce())
    assert everything(session) == one_process("tensorrt", images())


class Losing(AtOnce):
    """Loses all that it was given, once: a scheduler that starts anew."""

    _max_workers = 3

    def __init__(self):
        self.held = []

    def submit(self, function, /, *arguments):
        if self.held is None or arguments[2].place == 0:
            return super().submit(function, *arguments)
        future = Future()
        self.held.append(future)
        if len(self.held) == 8:
            for lost in self.held:
                lost.cancel()
                lost.set_running_or_notify_cancel()
            self.held = None
        return future


def test_tasks_that_are_lost_together_are_one_loss():
    session = CalibrationSession(LENET, images(), batch_size=5)
    session.run(executor=Losing())
    assert everything(session) == one_process("tensorrt", images())


def test_broken_threads_are_replaced_by_threads():
    tries = []

    def start():
        tries.append(threading.get_ident())
        if len(tries) == 1:
            raise OSError("not yet")

    session = CalibrationSession(LENET, images(), batch_size=5)
    session.run(executor=ThreadPoolExecutor(1, initializer=start))
    assert everything(session) == one_process("tensorrt", images())
    assert len(tries) == 2


class MySource:
    """A user's own source, which fails with an error of its own."""

    prebatched = False

    def describe(self):
        return "mine"

    def n_items(self):
        return 60

    def load(self, start, stop):
        if start >= 40:
            raise KeyError("gone")
        return {"": images()[start:stop]}

    def thumbnails(self, start, stop):
        return []


@pytest.mark.parametrize("executor", [None, AtOnce(), ThreadPoolExecutor(3)])
def test_an_error_of_the_users_own_comes_when_the_batches_before_it_are_kept(executor):
    session = CalibrationSession(LENET, MySource(), batch_size=5)
    with pytest.raises(KeyError, match="gone"):
        session.run(executor=executor)
    assert session.status.recorded == 8


class Shuffling:
    """A DataLoader that gives another order each time that it is started."""

    def __init__(self, batches):
        self.batches, self.started = batches, 0

    def __iter__(self):
        self.started += 1
        return iter(self.batches if self.started == 1 else self.batches[::-1])


@pytest.mark.parametrize("make", [iter, Shuffling], ids=["an iterator", "a loader that shuffles"])
def test_batches_that_were_read_ahead_of_a_stop_are_not_lost(make):
    batches = [images()[i : i + 5] for i in range(0, 60, 5)]
    session = CalibrationSession(LENET, make(batches))
    session.run(executor=ThreadPoolExecutor(3), progress=lambda s: session.cancel() if s.recorded == 3 else None)
    assert session.status.recorded == 3
    session.run(until=5)
    session.run(executor=ThreadPoolExecutor(2))
    assert everything(session) == one_process("tensorrt", batches, batch_size=None)


def test_no_thread_uses_the_model_when_a_stopped_run_has_ended():
    counting = threading.Event()
    session = CalibrationSession(LENET, images(), batch_size=5)
    runner, inside = session.runner, []
    histograms = runner.histograms

    def slow(feeds, bases):
        inside.append(1)
        if len(inside) > 1:
            counting.set()
            time.sleep(0.2)
        yield from histograms(feeds, bases)
        inside.pop()

    runner.histograms = slow
    run = threading.Thread(target=session.run, kwargs={"executor": ThreadPoolExecutor(3)})
    inside.append(1)
    run.start()
    assert counting.wait(120)
    session.cancel()
    run.join(120)
    assert len(inside) == 1
    runner.histograms = histograms
    session.run()
    assert everything(session) == one_process("tensorrt", images())


@pytest.fixture
def relative(tmp_path, monkeypatch):
    pil = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for kind in ("pictures", "arrays"):
        (tmp_path / kind).mkdir()
    for i, picture in enumerate((images(10) * 20 + 100).clip(0, 255).astype(np.uint8)):
        pil.fromarray(picture[0]).save(tmp_path / "pictures" / f"{i}.png")
        np.save(tmp_path / "arrays" / f"{i}.npy", picture.astype(np.float32))
    (tmp_path / "list.txt").write_text("".join(f"pictures/{i}.png {i}\n" for i in range(10)))


SOURCES = {
    "images": lambda: ImageFolder("pictures", size=28, color="gray"),
    "a list": lambda: ImageFolder("list.txt", size=28, color="gray"),
    "arrays": lambda: ArrayFolder("arrays"),
    "named": lambda: NamedSources({"data": ImageFolder("pictures", size=28, color="gray")}),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_relative_paths_are_those_of_the_session_wherever_a_worker_runs(relative, make):
    expected = one_process("tensorrt", make())
    session = CalibrationSession(LENET, make(), batch_size=5)
    session.run(executor=Elsewhere())
    assert everything(session) == expected


class Elsewhere(Copying):
    """Works in another folder."""

    def submit(self, function, /, *arguments):
        here = Path.cwd()
        function, arguments = copied((function, arguments))
        os.chdir("/")
        try:
            return AtOnce.submit(self, function, *arguments)
        finally:
            os.chdir(here)


def test_two_sessions_in_one_pool_do_not_take_the_model_from_each_other(monkeypatch):
    opened = []
    load = working._Known.__init__

    def counted(self, job):
        opened.append(job)
        load(self, job)

    monkeypatch.setattr(working._Known, "__init__", counted)
    first, second = images(), images()[::-1].copy()
    sessions = [CalibrationSession(LENET, data, batch_size=2) for data in (first, second)]
    pool = Sharing()
    runs = [threading.Thread(target=session.run, kwargs={"executor": pool}) for session in sessions]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120)
    for session, data in zip(sessions, (first, second), strict=True):
        assert everything(session) == one_process("tensorrt", data, batch_size=2)
    assert len(opened) == 2


class Sharing(Executor):
    """Threads that get copies of all, as those of a Dask worker do."""

    _max_workers = 4

    def __init__(self):
        self.pool = ThreadPoolExecutor(4)

    def submit(self, function, /, *arguments):
        return self.pool.submit(*copied((function, *arguments)))


def test_a_model_is_let_go_of_when_another_run_of_its_process_comes():
    job = Job(*_described())
    first, second, other = (Token("here", 1), Token("here", 2), Token("elsewhere", 1))
    task = Task(0, None, CalibrationSession(LENET, images(5), batch_size=5).plan.load(0))
    for token in (first, other):
        assert work(token, job, task._replace(running=frozenset((token,)))).ranges is not None
    assert set(working._known) == {first, other}
    assert work(second, None, task).needs_job
    work(second, job, task._replace(running=frozenset((second,))))
    work(first, job, task._replace(running=frozenset((first,))))  # given out before the second one began
    assert set(working._known) == {first, second, other}
    working.forget(first)
    assert set(working._known) == {second, other}  # of another process it is not known whether it ended
    for token in (second, other):
        working.forget(token)
    assert work(second, job, task).needs_job  # what comes late of a run that is over loads nothing
    assert not working._known


def _described():
    session = CalibrationSession(LENET, images(5), batch_size=5)
    runner = session.runner.one_of(1)
    return runner, session.tensors, session.graph.sha256, runner.name, None, {}, os.getpid(), False


def test_a_number_of_workers_may_be_numpys_and_is_bounded():
    session = CalibrationSession(LENET, images(5), batch_size=5)
    with pytest.raises(UsageError, match="number of workers is a whole number of at least 1"):
        session.run(executor=np.int64(0))
    with pytest.raises(UsageError, match="more than any machine has cores"):
        session.run(executor=10**9)
    with pytest.raises(UsageError, match="threads=1000000000 is more than any machine has cores"):
        CalibrationSession(LENET, images(5), batch_size=5, threads=10**9)


def test_workers_that_cannot_be_had_end_the_run_with_what_is_recorded():
    session = CalibrationSession(LENET, images(), batch_size=5)
    session.run(until=2)
    with pytest.raises(SessionError, match="workers were lost 4 times in a row"):
        session.run(executor=lambda: Dying(0, BrokenExecutor("none")))
    assert session.status.recorded == 2


@pytest.mark.parametrize("sent", [True, False], ids=["arrays", "images"])
def test_processes_that_were_forked_elsewhere_give_the_same_bits(relative, sent):
    data = images(10) if sent else SOURCES["images"]()
    with ProcessPoolExecutor(1, SPAWN, initializer=os.chdir, initargs=("/",)) as pool:
        session = CalibrationSession(LENET, data, batch_size=5)
        session.run(executor=pool)
    assert everything(session) == one_process("tensorrt", data)


def test_a_missing_image_is_named(relative):
    source = SOURCES["images"]()
    source.paths[6].unlink()
    with pytest.raises(DataError, match=r"6\.png"):
        CalibrationSession(LENET, source, batch_size=2).run(executor=Elsewhere())


class Unanswered(AtOnce):
    """Never does what comes behind batch 3."""

    def submit(self, function, /, *arguments):
        if arguments[2].place <= 3:
            return super().submit(function, *arguments)
        future = Future()
        future.add_done_callback(self.cancel)
        return future

    def cancel(self, future):
        raise OSError("a closed client cannot send that")  # is logged, with a traceback


class Client:
    """What is used of Dask's."""

    __module__ = "distributed.client"
    status = "running"

    def get_executor(self, pure):
        return Unanswered()

    def nthreads(self):
        return {"worker": 1}


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_what_a_closed_client_never_gives_back_is_not_waited_for(status, caplog):
    client = Client()
    session = CalibrationSession(LENET, images(), batch_size=5)
    with pytest.raises(SessionError, match=r"client is closed: give one that is connected\. What was recorded is kept"):
        session.run(executor=client, progress=lambda s: setattr(client, "status", status) if s.recorded == 4 else None)
    assert session.status.recorded == 4
    assert not caplog.records


def test_a_run_that_waits_for_a_worker_says_so(monkeypatch):
    monkeypatch.setattr("trtcal_widgets.session.spread.ordered._LONG", 0.0)
    client, pool = Client(), Pausing()
    client.get_executor = lambda pure: pool
    session = CalibrationSession(LENET, images(), batch_size=5)
    said = []

    def heard(_):
        said.append(session.status.message)
        if "has no worker now" in said[-1]:
            client.nthreads = lambda: {"worker": 1}
            pool.go_on()

    client.nthreads = lambda: {} if pool.paused else {"worker": 1}
    session.subscribe(heard)
    session.run(executor=client)
    assert "The Dask cluster has no worker now: the run goes on when one comes." in said
    assert session.status.message == ""
    assert everything(session) == one_process("tensorrt", images())


def test_a_scheduler_that_does_not_answer_is_said_and_holds_up_no_cancel(monkeypatch):
    monkeypatch.setattr("trtcal_widgets.session.spread.ordered._LONG", 0.0)
    client, answer = Client(), threading.Event()
    session = CalibrationSession(LENET, images(), batch_size=5)
    asked = []

    def nthreads():
        asked.append(1)
        if len(asked) > 1:  # the first time is before the run
            answer.wait(60)
        return {"worker": 1}

    def heard(_):
        if "does not answer" in session.status.message:
            session.cancel()

    client.nthreads = nthreads
    session.subscribe(heard)
    session.run(executor=client)
    answer.set()
    assert session.status.phase == "cancelled"
    assert session.status.recorded == 4
    assert len(asked) == 2


class Pausing(AtOnce):
    """Does not begin batch 4 before it is told to."""

    paused = None

    def submit(self, function, /, *arguments):
        if arguments[2].place != 4:
            return super().submit(function, *arguments)
        self.paused = Future(), function, arguments
        return self.paused[0]

    def go_on(self):
        future, function, arguments = self.paused
        future.set_result(function(*arguments))


def test_processes_of_a_run_have_the_environments_in_turn():
    """Three of them have two: the third begins again."""
    pool = Pool(3, lambda: [{"TRTCAL_PLACE": "first"}, {"TRTCAL_PLACE": "second"}])
    try:
        for _ in range(2):
            with TemporaryDirectory() as folder:
                places = [pool.submit(_meet, folder, 3) for _ in range(3)]
                assert sorted(place.result(60) for place in places) == ["first", "first", "second"]
            pool.renew()
        assert "TRTCAL_PLACE" not in os.environ
    finally:
        pool.close()
    with ThreadPoolExecutor(1) as given:
        Pool(given, pytest.fail)  # to ask for GPUs would make a process unfit to be forked


def _meet(folder, n):
    """Say which environment this process has, once so many have come."""
    Path(folder, str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < n:
        time.sleep(0.01)
    return os.environ["TRTCAL_PLACE"]


@pytest.mark.skipif(sys.version_info < (3, 11, 5), reason="an older Python leaves the pipe open")
def test_the_pipe_of_processes_that_are_ended_at_once_is_closed_by_their_executor_alone():
    executor = ProcessPoolExecutor(1, SPAWN)
    pool = Pool(lambda: executor)
    pool.submit(os.getpid).result()
    manager, reader, closed_by = executor._executor_manager_thread, executor._call_queue._reader, []
    close = reader.close
    reader.close = lambda: (closed_by.append(threading.current_thread()), close())
    asleep = pool.submit(time.sleep, 60)
    while not asleep.running():
        time.sleep(0.01)
    pool.close(at_once=True)
    manager.join(60)
    assert set(closed_by) == {manager}
    assert reader.closed
