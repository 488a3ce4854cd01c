"""Which rows of a cache are shown, in which order: search, filter, sort."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.widgets.cache_facts import CacheFacts

__all__ = ["ALL", "SORTS", "arrange"]

ALL = "all"
"""Key of the filter that lets everything through."""

SORTS = ("file", "name", "amax", "other", "ratio")
"""Order of the file, name, threshold, threshold in the second file, size of the change."""


def arrange(
    facts: CacheFacts, *, search: str = "", group: str = ALL, sort: str = "file", descending: bool = False
) -> NDArray[np.intp]:
    """Return the indices of the rows to show, in their order.

    Parameters
    ----------
    facts
        The rows.
    search
        Words (separated by spaces) that a name must hold, without regard to case.
    group
        Key of a :class:`RowGroup`, or ``"all"``.
    sort
        One of :data:`SORTS`. Rows without a number come last in either direction.
    descending
        Largest first.

    Raises
    ------
    UsageError
        If there is no such group or order.
    """
    return _sorted(facts, _filtered(facts, search, group), sort, descending=descending)


def _filtered(facts: CacheFacts, search: str, group: str) -> NDArray[np.intp]:
    if group == ALL:
        rows = np.arange(len(facts.names))
    else:
        found = [g.rows for g in facts.groups if g.key == group]
        if not found:
            raise UsageError(f"there are no rows of the kind {group!r}")
        rows = found[0]
    names = facts.folded_names
    for word in search.casefold().split():
        rows = np.array([row for row in rows.tolist() if word in names[row]], dtype=np.intp)
    return rows


def _sorted(facts: CacheFacts, rows: NDArray[np.intp], sort: str, *, descending: bool) -> NDArray[np.intp]:
    if sort == "file":
        return rows[::-1] if descending else rows
    if sort == "name":
        names = facts.folded_names
        return np.array(sorted(rows.tolist(), key=lambda row: names[row], reverse=descending), dtype=np.intp)
    if sort == "amax":
        values = facts.mine.amax
    elif sort == "other" and facts.theirs is not None:
        values = facts.theirs.amax
    elif sort == "ratio":
        with np.errstate(all="ignore"):
            values = np.abs(np.log(facts.ratio))
    else:
        raise UsageError(f"rows are sorted by {', '.join(SORTS)}, not {sort!r}")
    chosen = values[rows]
    known = ~np.isnan(chosen)
    order = np.argsort(-chosen[known] if descending else chosen[known], kind="stable")
    return np.concatenate([rows[known][order], rows[~known]])
