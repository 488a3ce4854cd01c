"""What a session is at one moment, as frozen values: the user's intent, the run, and one row per tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trtcal_widgets.core.thresholds import Method
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Phase = Literal["ready", "running", "paused", "cancelled", "finished", "failed"]


@dataclass(frozen=True)
class Choice:
    """What the user wants for a tensor (and for those that share its scale): a method, or a value of their own.

    Exactly one of the two is given.

    Attributes
    ----------
    method
        Picks amax anew whenever the data change.
    amax
        The user's own threshold in the tensor's unit, finite and > 0; it stays until the user changes it.
    """

    method: Method | None = None
    amax: float | None = None

    def __post_init__(self) -> None:
        if (self.method is None) == (self.amax is None):
            raise UsageError("a choice is either a method or an amax")
        if self.amax is not None:
            with np.errstate(over="ignore"):
                fits = 0 < np.float32(self.amax) < np.inf
            if not fits:
                raise UsageError(
                    f"amax must be a finite number greater than 0 that float32 can hold, not {self.amax}; "
                    "TensorRT cannot quantise with a scale of 0, inf or nan"
                )

    @property
    def label(self) -> str:
        """The method's short name, or ``mine``."""
        return "mine" if self.method is None else self.method.label

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"amax": self.amax} if self.method is None else {"method": str(self.method)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Choice:
        """Read what :meth:`to_json` returned."""
        return cls(Method.parse(data["method"]) if "method" in data else None, data.get("amax"))


@dataclass(frozen=True)
class SessionState:
    """The user's intent: where they are and what they chose. Every change makes a new one.

    Attributes
    ----------
    position
        How many batches are counted: batches 0 .. position-1, less the excluded ones.
    excluded
        Batches left out.
    samples_out
        Samples left out, numbered through all batches.
    method
        For every tensor without a choice of its own.
    choices
        Leader of a shared-scale group -> what the user chose for the group.
    selected
        The tensor that is looked at.
    revision
        Grows with every change.
    """

    position: int = 0
    excluded: frozenset[int] = frozenset()
    samples_out: frozenset[int] = frozenset()
    method: Method = field(default_factory=lambda: Method("entropy"))
    choices: Mapping[str, Choice] = field(default_factory=lambda: MappingProxyType({}))
    selected: str = ""
    revision: int = 0


@dataclass(frozen=True)
class RunStatus:
    """How the run through the batches stands.

    Attributes
    ----------
    phase
        ``ready`` before the first batch, ``running``, ``paused`` between batches, ``cancelled``, ``finished`` when
        every batch is recorded, ``failed``.
    recorded
        Batches whose histograms are kept.
    n_batches
        Batches in all, None while the source does not tell.
    n_samples
        Samples in the recorded batches.
    total_samples
        Samples in the source, None while unknown.
    dropped
        Samples of the short last batch that TensorRT's whole batches leave out.
    seconds_left
        Estimate while running, else None.
    message
        What happened, why, and what to do now; empty where there is nothing to say.
    pass_name
        ``range pass`` or ``histogram pass`` in two-pass mode, else empty.
    pass_done
        Batches that the range pass has gone through.
    """

    phase: Phase = "ready"
    recorded: int = 0
    n_batches: int | None = None
    n_samples: int = 0
    total_samples: int | None = None
    dropped: int = 0
    seconds_left: float | None = None
    message: str = ""
    pass_name: str = ""
    pass_done: int = 0


@dataclass(frozen=True)
class TensorRow:
    """The numbers of one tensor, as lists and overviews show them. Ranges and amax are in the tensor's unit.

    Attributes
    ----------
    name, op_type, kind, dtype, shape_text
        The tensor, the operator that makes it, what it is (:class:`~trtcal_widgets.model.graph.TensorKind`), its type
        and shape as text.
    group
        The tensors that share its scale, itself included.
    has_data
        Whether a batch that counts had values of it; numbers of values are nan without.
    minimum, maximum
        The smallest and the largest finite value.
    amax
        The chosen threshold (the group's); nan without data.
    method
        Label of the method that picked it, or ``mine``.
    mine
        Whether the user chose for this tensor's group.
    entropy, minmax_amax
        The group's thresholds by these methods.
    sqnr_db, clipped_fraction
        What the chosen threshold costs: estimated SQNR in dB, and the share of values beyond it, 0 to 1.
    zeros_fraction
        Share of values that are 0, from 0 to 1.
    nans, infs
        How many values are NaN, and how many infinite.
    disagreement
        Largest over smallest threshold of entropy, minmax and the 99.99th percentile; 1 where they agree.
    suspicious
        What is odd, in words; empty where nothing is.
    absurd
        Whether the threshold is no range that a network computes with: at its type's limit, or so large that nearly
        all values become 0. The words are the first of ``suspicious``.
    """

    name: str
    op_type: str
    kind: str
    dtype: str
    shape_text: str
    group: tuple[str, ...]
    has_data: bool
    minimum: float
    maximum: float
    amax: float
    method: str
    mine: bool
    entropy: float
    minmax_amax: float
    sqnr_db: float
    clipped_fraction: float
    disagreement: float
    zeros_fraction: float
    nans: int
    infs: int
    suspicious: tuple[str, ...]
    absurd: bool


@dataclass(frozen=True, eq=False)
class Trace:
    """How a tensor's thresholds moved as batches were added.

    Attributes
    ----------
    positions
        int64, shape (points,): numbers of batches counted.
    amax
        Method's text -> float64, shape (points,).
    """

    positions: NDArray[np.int64]
    amax: Mapping[str, NDArray[np.float64]]


DECISIONS = ("choices", "excluded", "method", "samples_out")
"""What undo takes back; where the user looks (position, selected tensor) is not a decision."""

INTENT = ("position", *DECISIONS, "selected")
"""All that the user can change."""
