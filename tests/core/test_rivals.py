"""Minima that are nearly as good as the pick."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trtcal_widgets.core.rivals import NEARLY_EQUAL, rival_of
from trtcal_widgets.core.thresholds import Method, ThresholdCurve


def curve(**values):
    """A curve of 5 but for the candidates given, the pick being the smallest."""
    objective = np.full(1921, 5.0)
    for key, value in values.items():
        objective[int(key[1:]) - 128] = value
    return ThresholdCurve(Method("entropy"), objective, int(np.argmin(objective)) + 128, 1.0, 0.5)


def test_another_valley_that_is_as_deep_but_for_rounding():
    rival = rival_of(curve(i300=1.0, i900=1.001, i1500=1.0015))
    assert (rival.index, rival.amax) == (900, 900.5 * 0.5)
    assert rival.excess == pytest.approx(0.001)


def test_the_floor_of_the_same_valley_is_no_rival():
    assert rival_of(curve(i300=1.0, i301=1.001, i302=1.0, i303=1.0019)) is None
    assert rival_of(curve(i300=1.0, i302=1.001)).index == 302, "the objective rises between them"


def test_a_valley_that_is_not_as_deep():
    shape = curve(i300=1.0, i900=1.0 + 2 * NEARLY_EQUAL)
    assert rival_of(shape) is None
    assert rival_of(shape, within=0.01).index == 900


@pytest.mark.parametrize("pick", [np.inf, 0.0])
def test_without_an_objective_there_is_none(pick):
    shape = curve(i300=1.0, i900=1.0)
    objective = shape.objective.copy()
    objective[shape.pick - 128] = pick
    assert rival_of(dataclasses.replace(shape, objective=objective)) is None
