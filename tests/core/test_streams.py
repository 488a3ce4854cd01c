"""Histograms and ranges of a stream, whatever the sizes, shapes and dtypes of its arrays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trtcal_widgets.core import streams
from trtcal_widgets.core.counting import amax_of
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.streams import stream_amax, stream_histograms
from trtcal_widgets.errors import UsageError

RNG = np.random.default_rng(7)


def arrays() -> dict[str, np.ndarray]:
    """Return more arrays than one group takes: empty ones, scalars, other dtypes and layouts among many small ones."""
    found = {f"small{i}": RNG.normal(size=i).astype(np.float32) for i in range(150)}
    found["large"] = RNG.normal(size=(5, 1000)).astype(np.float32)
    found["nan"] = np.array([np.nan, np.inf, -np.inf, -3.0, 0.0], np.float32)
    found["zeros"] = np.zeros((3, 4), np.float32)
    found["scalar"] = np.array(2.5, np.float32)
    found["half"] = RNG.normal(size=700).astype(np.float16)
    found["double"] = RNG.normal(size=(7, 11))
    found["strided"] = RNG.normal(size=(64, 64)).astype(np.float32)[::3, 1::2]
    found["transposed"] = RNG.normal(size=(16, 20)).astype(np.float32).T
    found["last"] = np.zeros((0, 4), np.float32)
    return found


def same(a: Histogram, b: Histogram) -> bool:
    fields = ("base", "doublings", "edge", "zeros", "nans", "pos_infs", "neg_infs", "minimum", "maximum", "n_finite")
    return all(getattr(a, f) == getattr(b, f) for f in fields) and np.array_equal(a.counts, b.counts)


@pytest.mark.parametrize("part", [1000, streams._PART])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_array_gets_the_histogram_that_it_has_alone(monkeypatch, part, workers):
    monkeypatch.setattr(streams, "_PART", part)  # 1000: the large arrays are counted in parts
    given = arrays()
    bases = {name: 0.7 for name in given if name not in {"small3", "half", "nan"}}
    with ThreadPoolExecutor(workers) as pool:
        found = list(stream_histograms(iter(given.items()), bases, pool, workers))
        largest = list(stream_amax(iter(given.items()), pool, workers))
    assert [name for name, _ in found] == [name for name, _ in largest] == list(given)
    for name, histogram in found:
        alone = Histogram.of(given[name], bases.get(name))
        assert same(histogram, alone), name
        assert histogram.total == pytest.approx(alone.total, rel=1e-12, abs=1e-12)
    assert dict(largest) == {name: amax_of(array) for name, array in given.items()}


def test_an_array_that_cannot_be_counted_stops_the_stream():
    with ThreadPoolExecutor(2) as pool, pytest.raises(UsageError, match="complex64"):
        list(stream_histograms(iter({"x": np.ones(3, np.complex64)}.items()), {}, pool, 2))


def test_a_stream_that_fails_is_not_swallowed():
    def failing():
        yield "x", np.ones(3, np.float32)
        raise OSError("the camera is gone")

    with ThreadPoolExecutor(2) as pool, pytest.raises(OSError, match="the camera is gone"):
        list(stream_histograms(failing(), {}, pool, 2))


def test_the_executor_counts_and_not_the_thread_that_reads():
    """What a worker hands back is counted: the kernels of several groups run beside each other."""
    made = []

    class Watched(ThreadPoolExecutor):
        def submit(self, work, /, *args, **kwargs):
            def counted():
                made.append((threading.get_ident(), work(*args, **kwargs)))
                return made[-1][1]

            return super().submit(counted)

    arrays = {f"t{i}": np.full(1000, i + 1.0, np.float32) for i in range(200)}
    with Watched(2) as pool:
        assert len(list(stream_histograms(iter(arrays.items()), {}, pool, 2, {}, 1000))) == 200
        assert len(list(stream_amax(iter(arrays.items()), pool, 2))) == 200
    assert len(made) > 4
    assert all(isinstance(found, list) and thread != threading.get_ident() for thread, found in made)
