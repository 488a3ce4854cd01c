"""The real Python bindings of several TensorRT releases over stub libraries; the tests are in ``inside/``."""

from __future__ import annotations

import pytest

from tests.support.trt_stub import WITH_CALIBRATORS, each_release, run_inside


@pytest.mark.parametrize("release", each_release())
def test_everything_that_we_use_is_there(release):
    run_inside(release, "api")


@pytest.mark.parametrize("release", each_release())
def test_logger_monitor_and_listener(release):
    run_inside(release, "callbacks")


@pytest.mark.parametrize("release", each_release(*WITH_CALIBRATORS))
def test_calibrators(release):
    run_inside(release, "calibrators")
