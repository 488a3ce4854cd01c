"""How kernels are compiled: helpers as parts of what calls them, and nothing else of them is made or kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numba import njit

from trtcal_widgets.core.kernels.adding import copy_counts
from trtcal_widgets.core.kernels.compiling import compiled
from trtcal_widgets.core.kernels.intrinsics import larger, part, row_of, scratch, seen_as, smaller, whole


@compiled(inner=True)
def _twice(x):
    return x * 2.0


@compiled(inner=True, error_model="numpy")
def _over(x, y):
    return _twice(x) / y


def test_a_helper_calls_helpers_with_options_of_its_own():
    @njit
    def kernel(x, y):
        return _over(x, y) + _over(y, x)

    assert kernel(3.0, 4.0) == 6.0 / 4.0 + 8.0 / 3.0
    assert kernel(3, 4) == 6.0 / 4.0 + 8.0 / 3.0  # other types, compiled as well
    with np.errstate(all="ignore"):
        assert kernel(0.0, 1.0) == np.inf


def test_a_helper_cannot_be_called_from_python_and_says_so():
    counts = np.zeros(2048, np.int64)
    with pytest.raises((TypeError, ValueError)):
        copy_counts(counts, counts.copy())


def test_helpers_are_not_kept_for_themselves(run_python, tmp_path):
    script = """
import numpy as np
from trtcal_widgets.core.kernels.adding import add_counts
total = np.arange(2048)
print(add_counts(total, 0, 0, np.ones(2048, np.int64), 1, 3, True, False), int(total.sum()))
"""
    first, again = (run_python(script, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first == again
    assert json.loads(first.split(")")[1]) == 2047 * 1024 + 2048
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbi")}
    assert kept == {"adding.add_counts"}


FLOATS = [-np.inf, -1.5, -0.0, 0.0, 1.0, np.inf, np.nan]


def test_the_larger_and_the_smaller_are_pythons_bit_for_bit():
    @njit
    def kernel(x, y):
        return larger(x, y), smaller(x, y)

    for x in FLOATS:
        for y in FLOATS:
            assert np.array(kernel(x, y)).tobytes() == np.array([max(x, y), min(x, y)]).tobytes()
    assert kernel(3, 7) == (7, 3)
    assert kernel(3, 2.5) == (3.0, 2.5)


def test_parts_and_rows_are_views():
    @njit
    def kernel(table):
        row = row_of(table, 1)
        middle = part(row, 1, 3)
        middle[0] += 10.0
        bits = seen_as(part(row, 0, 1), np.int64)
        return middle.size, whole(middle[1]), bits[0]

    table = np.arange(12.0).reshape(3, 4)
    size, last, bits = kernel(table)
    assert (size, last, bits) == (2, 6, np.float64(4.0).view(np.int64))
    assert table.tolist() == [[0, 1, 2, 3], [4, 15, 6, 7], [8, 9, 10, 11]]


def test_scratch_is_of_each_call():
    @njit
    def kernel(depth):
        room = scratch(4, np.int32)
        room[0] = depth
        if depth > 0:
            kernel(depth - 1)
        return whole(room[0])

    assert kernel(3) == 3
