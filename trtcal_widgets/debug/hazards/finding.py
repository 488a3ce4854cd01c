"""Finding what usually costs accuracy in INT8, before an engine is built: from the graph and from what was measured.

The checks are in the modules ``in_*.py`` beside this one; ``docs/hazards.md`` explains every kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, whole_number
from trtcal_widgets.debug.hazards.channels import channel_ranges
from trtcal_widgets.debug.hazards.facts import gather
from trtcal_widgets.debug.hazards.in_graph import concat_hazards, graph_hazards, mask_hazards
from trtcal_widgets.debug.hazards.in_spread import spread_hazards
from trtcal_widgets.debug.hazards.in_values import data_hazards, value_hazards
from trtcal_widgets.debug.hazards.types import SEVERITIES, Hazard, HazardLimits, by_kind
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trtcal_widgets.debug.hazards.facts import Facts
    from trtcal_widgets.session import CalibrationSession

__all__ = ["Hazard", "HazardLimits", "by_kind", "channel_ranges", "find_hazards"]

_CHECKS: tuple[Callable[[Facts], Iterator[Hazard]], ...] = (
    graph_hazards,
    data_hazards,
    mask_hazards,
    concat_hazards,
    value_hazards,
    spread_hazards,
)


def find_hazards(
    model: Any,
    session: CalibrationSession | None = None,
    *,
    limits: HazardLimits | None = None,
    channel_batches: int = 4,
) -> tuple[Hazard, ...]:
    """Find what often costs accuracy in INT8.

    Parameters
    ----------
    model
        A session, the path of an ONNX model, a loaded model, a runner, or only a graph. The less there is, the less
        can be found: without values only patterns, marked ``inferred``.
    session
        What was recorded with the model.
    limits
        From which number on something is a hazard.
    channel_batches
        How many of the counted batches to run again for ranges per channel; 0: none. Needs a session that has its
        model and data.

    Returns
    -------
    tuple of Hazard
        Severe ones first; within a severity in the order of the checks, the worst tensors of a check first. A last
        note of kind ``not-checked`` says what could not be looked at. Nothing found is no proof that INT8 is harmless.

    Raises
    ------
    UsageError
        If ``model`` is none of these, or another one than the session's; if ``channel_batches`` is no count.
    ModelError
        If a model file cannot be read.
    """
    whole_number(channel_batches, "channel_batches", 0)
    if limits is not None and not isinstance(limits, HazardLimits):
        raise UsageError(f"limits is a HazardLimits, not {kind_of(limits)}: HazardLimits(concat_ratio=8)")
    facts = gather(model, session, limits or HazardLimits(), channel_batches)
    found = [hazard for check in _CHECKS for hazard in check(facts)]
    if facts.unchecked:
        found.append(_not_checked(facts))
    return tuple(sorted(found, key=lambda hazard: SEVERITIES.index(hazard.severity)))


def _not_checked(facts: Facts) -> Hazard:
    message = f"Not looked at: {'; '.join(what for what, _ in facts.unchecked)}."
    mend = f"To have it looked at, {'; '.join(remedy for _, remedy in facts.unchecked)}."
    return Hazard("not-checked", "note", "graph", (), (), message, mend)
