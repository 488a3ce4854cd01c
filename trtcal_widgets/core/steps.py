"""Tensors that need not be read to be counted: each of their values follows from one value of another tensor."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class StepKind(IntEnum):
    """What is done to each value, in float32 arithmetic as IEEE 754 has it, so that every engine gets the same bits."""

    SAME = 0
    """x"""
    ADD = 1
    """x + first"""
    SUBTRACT_FROM = 2
    """first - x"""
    MULTIPLY = 3
    """x * first"""
    DIVIDE = 4
    """x / first"""
    CLIP = 5
    """min(max(x, first), second). What becomes of a NaN differs between engines."""
    ADD_TENSORS = 6
    """x + y"""
    SUBTRACT_TENSORS = 7
    """x - y"""
    MULTIPLY_TENSORS = 8
    """x * y"""


class Step(NamedTuple):
    """How a tensor is made.

    ``parent``: of which tensor: 0 is the array itself, k the tensor that the k-th step makes (from 1). ``kind``: what
    is done to each value. ``first``, ``second``: the constants, float32. ``other``: of which second tensor (y), counted
    as ``parent`` is, for kinds that take two.
    """

    parent: int
    kind: StepKind
    first: float = 0.0
    second: float = 0.0
    other: int = 0


class StepTables(NamedTuple):
    """The steps of several arrays for the kernels: a row for each array and, after it, for each tensor made of it.

    Attributes
    ----------
    starts
        int64, shape (arrays + 1,): the first row of each array, and the number of rows.
    parents
        int64, shape (rows,): parent of each row, counted from its array's first row; -1 for the array itself.
    kinds
        int64, shape (rows,): a :class:`StepKind`.
    constants
        float32, shape (rows, 2).
    others
        int64, shape (rows,): the second tensor of each row, as ``parents``.
    """

    starts: NDArray[np.int64]
    parents: NDArray[np.int64]
    kinds: NDArray[np.int64]
    constants: NDArray[np.float32]
    others: NDArray[np.int64]


_ARRAY_ITSELF = (-1, StepKind.SAME, 0.0, 0.0, 0)

NO_STEPS: tuple[Step, ...] = ()
"""Nothing is made of an array."""


def step_tables(families: Iterable[Sequence[Step]]) -> StepTables:
    """Put the steps of several arrays into tables.

    Raises ValueError if a step is made of a tensor that comes later.
    """
    starts = [0]
    rows: list[tuple[int, int, float, float, int]] = []
    for steps in families:
        rows.append(_ARRAY_ITSELF)
        for k, step in enumerate(steps):
            for parent in (step.parent, step.other):
                if not 0 <= parent <= k:
                    raise ValueError(f"step {k + 1} is made of tensor {parent}, which is not there yet")
            rows.append(step)
        starts.append(len(rows))
    parents, kinds, first, second, others = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return StepTables(
        np.array(starts, np.int64),
        np.array(parents, np.int64),
        np.array(kinds, np.int64),
        np.stack([np.array(first, np.float32), np.array(second, np.float32)], axis=1),
        np.array(others, np.int64),
    )
