"""Dask's workers count a session's batches, and what a killed one had is counted again."""

from __future__ import annotations

import os
import signal
import warnings

import numpy as np
import pytest

from tests.session.test_spread import LENET, everything, folder, images, one_process
from trtcal_widgets import CalibrationSession, ImageFolder
from trtcal_widgets.errors import DataError, SessionError

__all__ = ["folder"]

distributed = pytest.importorskip("dask.distributed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def client():
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["tensorrt", "two-pass"])
def test_counts_to_the_same_bits(client, folder, mode):
    for data in (images(), ImageFolder(folder, size=28, color="gray")):
        session = CalibrationSession(LENET, data, batch_size=5, range_mode=mode)
        session.run(executor=client)
        assert everything(session) == one_process(mode, data)


def test_a_killed_worker_costs_nothing_but_time(client, folder):
    source = ImageFolder(folder, size=28, color="gray")
    session = CalibrationSession(LENET, source, batch_size=1)
    pids = list(client.run(os.getpid).values())
    killed = []

    def kill(status):
        if status.recorded == 10:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)

    session.run(executor=client, progress=kill)
    assert killed
    assert session.status.phase == "finished"
    assert session.status.recorded == 60
    assert everything(session) == one_process("tensorrt", source, batch_size=1)
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(pids)


def test_a_client_that_is_closed_meanwhile_is_said(client):
    own = distributed.Client(client.cluster)
    session = CalibrationSession(LENET, images(), batch_size=1)
    with pytest.raises(SessionError, match=r"client is closed: give one that is connected\. What was"):
        session.run(executor=own, progress=lambda s: own.close() if s.recorded == 3 else None)
    assert session.status.recorded >= 3
    session.run(executor=client)
    assert everything(session) == one_process("tensorrt", images(), batch_size=1)


def test_errors_come_back_as_they_are(client):
    batches = [images(5), np.ones((5, 1, 20, 28), np.float32)]
    session = CalibrationSession(LENET, batches)
    with pytest.raises(DataError, match="axis 2 is 20, not 28"):
        session.run(executor=client)
    assert session.status.recorded == 1
