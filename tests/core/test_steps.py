"""Tensors that are made of others while these are counted, against arrays that NumPy made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trtcal_widgets.core.counting import Counting, amax_of, amax_of_all
from trtcal_widgets.core.histogram import Histogram
from trtcal_widgets.core.kernels import families as _many
from trtcal_widgets.core.steps import NO_STEPS, Step, StepKind, step_tables

RNG = np.random.default_rng(5)
_FLOATS = st.floats(width=32, allow_nan=False)
_CONSTANTS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def families(draw):
    """Steps of which each is made of the array or of any step before it."""
    steps = []
    for k in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(StepKind))
        first, second = sorted((draw(_CONSTANTS), draw(_CONSTANTS)))
        steps.append(Step(draw(st.integers(0, k)), kind, first, second, draw(st.integers(0, k))))
    return tuple(steps)


def by_numpy(x, steps):
    made = [x]
    for step in steps:
        parent, other = made[step.parent], made[step.other]
        first, second = np.float32(step.first), np.float32(step.second)
        with np.errstate(all="ignore"):
            made.append(
                {
                    StepKind.SAME: lambda p, a, b: p.copy(),
                    StepKind.ADD: lambda p, a, b: p + a,
                    StepKind.SUBTRACT_FROM: lambda p, a, b: a - p,
                    StepKind.MULTIPLY: lambda p, a, b: p * a,
                    StepKind.DIVIDE: lambda p, a, b: p / a,
                    StepKind.CLIP: lambda p, a, b: np.minimum(np.maximum(p, a), b),
                    StepKind.ADD_TENSORS: lambda p, a, b, y=other: p + y,
                    StepKind.SUBTRACT_TENSORS: lambda p, a, b, y=other: p - y,
                    StepKind.MULTIPLY_TENSORS: lambda p, a, b, y=other: p * y,
                }[step.kind](parent, first, second)
            )
        assert made[-1].dtype == np.float32
    return made


def certain(arrays, steps):
    """Whether no NaN was clipped."""
    return not any(s.kind is StepKind.CLIP and np.isnan(arrays[s.parent]).any() for s in steps)


def assert_same(found, expected):
    for field in ("base", "doublings", "edge", "zeros", "nans", "pos_infs", "neg_infs", "minimum", "maximum"):
        assert getattr(found, field) == getattr(expected, field), field
    np.testing.assert_array_equal(found.counts, expected.counts)
    assert (found.sum_parts, found.square_parts) == (expected.sum_parts, expected.square_parts)


@given(st.lists(st.tuples(st.lists(_FLOATS, max_size=30), families()), max_size=4), st.booleans())
@settings(deadline=None)
def test_what_is_made_is_counted_like_an_array_of_it(given_arrays, known):
    arrays = [np.array(values, np.float32) for values, _ in given_arrays]
    steps = [steps for _, steps in given_arrays]
    made = [by_numpy(x, s) for x, s in zip(arrays, steps, strict=True)]
    bases = [amax_of(a) / 2 if known else None for family in made for a in family]
    found = list(Histogram.of_tables(Counting(arrays, bases, steps).run()))
    largest = amax_of_all(arrays, steps)
    assert len(found) == len(largest) == sum(map(len, made))
    row = 0
    for family, s in zip(made, steps, strict=True):
        for a in family:
            if certain(family, s):
                assert_same(found[row], Histogram.of(a, bases[row]))
            if certain(family, s) and not np.isnan(largest[row]):
                assert largest[row] == amax_of(a)
            row += 1


@pytest.mark.parametrize("extra", [-1, 0, 1, 2048])
def test_blocks_do_not_show(extra):
    x = RNG.normal(size=2 * _many._BLOCK + extra).astype(np.float32)
    x[-1], x[_many._BLOCK] = 40.0, -11.0  # the range doubles in later blocks
    steps = (Step(0, StepKind.ADD, 3.0), Step(1, StepKind.CLIP, 0.0, 6.0), Step(0, StepKind.MULTIPLY, -0.1))
    steps += (Step(0, StepKind.MULTIPLY_TENSORS, other=2),)
    bases = [3.0, None, 0.0, 1e-3, 2.0]
    made = by_numpy(x, steps)
    other = RNG.normal(size=10).astype(np.float32)
    found = list(Histogram.of_tables(Counting([other, x], [None, *bases], [NO_STEPS, steps]).run()))
    assert_same(found[0], Histogram.of(other))
    for histogram, a, base in zip(found[1:], made, bases, strict=True):
        assert_same(histogram, Histogram.of(a, base))
    assert amax_of_all([x, other], [steps, NO_STEPS]) == [*map(amax_of, made), amax_of(other)]


def test_a_clipped_value_that_is_not_finite_is_left_to_the_engine():
    clip = (Step(0, StepKind.ADD, 1.0), Step(1, StepKind.CLIP, -1.0, 1.0))
    plain = (Step(0, StepKind.ADD, 1.0),)
    x = np.array([0.5, np.nan, 2.0], np.float32)
    np.testing.assert_array_equal(amax_of_all([x, x], [clip, plain]), [2.0, np.nan, np.nan, 2.0, 3.0])


@pytest.mark.parametrize("x", [RNG.normal(size=(9, 8))[::2, 1:], RNG.normal(size=(3, 4)).astype(np.float32)[:, ::2]])
def test_an_array_with_gaps_or_of_another_dtype_is_copied(x):
    steps = (Step(0, StepKind.MULTIPLY, 2.0),)
    found = list(Histogram.of_tables(Counting([x], [None, None], [steps]).run()))
    assert_same(found[1], Histogram.of(np.ascontiguousarray(x, np.float32) * np.float32(2)))


def test_a_step_cannot_be_made_of_a_later_one():
    with pytest.raises(ValueError, match="step 1 is made of tensor 1"):
        step_tables([[Step(1, StepKind.ADD, 1.0)]])
    with pytest.raises(ValueError, match="step 2 is made of tensor 2"):
        step_tables([[Step(0, StepKind.ADD, 1.0), Step(0, StepKind.ADD_TENSORS, other=2)]])
