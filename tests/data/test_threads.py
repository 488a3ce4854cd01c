"""Two threads that read one source: an explorer's run and a TensorRT build, say."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from trtcal_widgets.data import ArrayBatches, BatchPlan, ImageFolder, IterableBatches
from trtcal_widgets.data import plan as locks_module
from trtcal_widgets.data.plan import reading
from trtcal_widgets.errors import DataError

N = 12


class Alone:
    """A source that fails where a second reader comes in, and that gives it every opportunity to."""

    prebatched = False

    def __init__(self):
        self.readers = 0
        self.turn = threading.Event()

    def describe(self):
        return "Alone"

    def n_items(self):
        return N

    def load(self, start, stop):
        return {"x": self._alone(start, stop)} if start < N else {}

    def thumbnails(self, start, stop):
        return list(self._alone(start, stop))

    def _alone(self, start, stop):
        self.readers += 1
        self.turn.wait(0.002)  # another thread that does not wait for the lock gets in here
        assert self.readers == 1, "two readers at once"
        self.readers -= 1
        return np.arange(start, min(stop, N), dtype=np.float32)


class OnlySlots:
    """A source that cannot be referred to weakly."""

    __slots__ = ("inner", "prebatched")

    def __init__(self):
        self.inner, self.prebatched = Alone(), False

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def describe(self):
        return "OnlySlots"

    def n_items(self):
        return N

    def load(self, start, stop):
        return self.inner.load(start, stop)

    def thumbnails(self, start, stop):
        return self.inner.thumbnails(start, stop)


def in_two_threads(*jobs):
    """Run the jobs at once, from the same instant on, and return what each gave."""
    start = threading.Barrier(len(jobs))

    def run(job):
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(run, job) for job in jobs]]


def values(plan):
    return [float(array.ravel()[0]) for batch in plan for array in batch.feeds.values()]


@pytest.mark.parametrize("make", [Alone, OnlySlots])
def test_one_reader_at_a_time_through_any_plan_of_the_source(make):
    source = make()
    one, other = BatchPlan(source, 1), BatchPlan(source, 2)
    found = in_two_threads(lambda: values(one), lambda: values(other), lambda: [one.thumbnails(i) for i in range(N)])
    assert found[0] == list(range(N))
    assert found[1] == list(range(0, N, 2))


def restarting():
    return (np.full((2, 1), i, np.float32) for i in range(N))


@pytest.mark.parametrize("iterable", [restarting, list(restarting())], ids=["function", "list"])
def test_an_iterable_that_starts_anew_gives_both_threads_every_batch(iterable):
    source = IterableBatches(iterable)
    plans = BatchPlan(source), BatchPlan(source)
    assert in_two_threads(*[lambda plan=plan: values(plan) for plan in plans]) == [list(range(N))] * 2


def test_an_iterator_that_can_be_read_once_gives_each_batch_right_or_says_that_it_has_gone_by():
    """Nothing is lost and nothing is wrong: the thread that comes too late hears so."""
    source = IterableBatches(restarting())
    plan = BatchPlan(source)

    def read():
        seen, complaint = [], ""
        try:
            seen.extend(float(batch.feeds[""][0, 0]) for batch in plan)
        except DataError as error:
            complaint = str(error)
        return seen, complaint

    found = in_two_threads(read, read)
    for seen, complaint in found:
        assert seen == list(range(len(seen)))
        assert len(seen) == N or ("has gone by" in complaint and "give something that starts anew" in complaint)
    assert any(len(seen) == N for seen, _ in found)


def test_images_that_are_skipped_are_skipped_once(tmp_path):
    for i in range(N):
        path = tmp_path / f"{i:02}.png"
        if i % 3:
            Image.new("RGB", (4, 4), (i, i, i)).save(path)
        else:
            path.write_bytes(b"no image")
    folder = ImageFolder(tmp_path, size=4, on_error="skip")
    one, other = BatchPlan(folder, 2), BatchPlan(folder, 2)
    found = in_two_threads(lambda: values(one), lambda: values(other), folder.check)
    assert found[0] == found[1]
    assert len(found[0]) == 4
    assert len(folder.skipped) == 4
    assert len(set(folder.paths)) == 8


def test_a_lock_goes_with_its_source():
    source = ArrayBatches(np.zeros((4, 1), np.float32))
    before = len(locks_module._locks)
    lock = reading(source)
    assert reading(source) is lock
    assert reading(ArrayBatches(np.zeros((4, 1), np.float32))) is not lock
    del source
    gc.collect()
    assert len(locks_module._locks) <= before
