"""Fixtures: the bundled LeNet, calibrated, and images to judge it by."""

from __future__ import annotations

import pytest

from trtcal_widgets import CalibrationSession, Evaluation, sample


@pytest.fixture(scope="module")
def session():
    with CalibrationSession(sample.model_path(), sample.calibration_images(), batch_size=50) as session:
        session.run()
    return session


@pytest.fixture(scope="module")
def evaluation():
    return Evaluation(sample.test_images(), batch_size=100, max_batches=3)
