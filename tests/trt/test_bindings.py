"""The real Python bindings of several TensorRT releases over stub libraries; the tests are in ``inside/``."""

from __future__ import annotations

import pytest

from tests.support.trt_stub import WITH_CALIBRATORS, each_release, run_inside


@pytest.mark.parametrize("release", each_release())
def test_all_that_we_use_is_there_and_does_what_it_is_used_for(release):
    """In one process a release, which takes longer to start than its tests take."""
    run_inside(release, "api", "callbacks", *(["calibrators"] if release in WITH_CALIBRATORS else []))
