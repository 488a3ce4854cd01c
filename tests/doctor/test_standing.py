"""Which samples stand out."""

from __future__ import annotations

import numpy as np
import pytest

from trtcal_widgets.doctor.standing import standing_out


def test_wild_samples_are_found_the_furthest_first():
    amax = np.random.default_rng(0).lognormal(0, 0.2, 500)
    amax[[17, 400]] = 9.0, 30.0
    assert standing_out(amax).tolist() == [400, 17]
    assert standing_out(amax.astype(np.float32) * np.float32(1e-6)).tolist() == [400, 17], "whatever the unit"


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
def test_samples_that_are_alike_do_not_stand_out(spread):
    amax = np.random.default_rng(1).lognormal(0, spread, 5000)
    assert len(standing_out(amax)) <= 2


def test_a_rounding_step_is_no_outlier_where_nearly_all_are_equal():
    amax = np.ones(100)
    amax[3] = 1.01
    assert standing_out(amax).size == 0
    amax[3] = 1.5
    assert standing_out(amax).tolist() == [3]


def test_what_is_not_known_says_nothing():
    assert standing_out(np.full(10, np.nan)).size == 0
    assert standing_out(np.zeros(10)).size == 0
    assert standing_out(np.array([1.0, 50.0])).size == 0
    assert standing_out(np.array([np.nan, 1, 1, 1.1, 0, 1, 80])).tolist() == [6]
