"""The real Python bindings of several TensorRT releases over stub libraries; the tests are in ``inside/``."""

from __future__ import annotations

import pytest

from tests.support.trt_stub import WITH_CALIBRATORS, each_release, run_inside


@pytest.mark.parametrize("release", each_release(*WITH_CALIBRATORS))
def test_calibrators(release):
    run_inside(release, "calibrators")
