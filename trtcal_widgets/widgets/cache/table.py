"""The table of the cache viewer: a view that is given rows by the page and reports what the user wants to see.

The browser holds a few pages; searching and sorting happen in the kernel (10 to 30 ms at 100,000 rows). A saved
notebook therefore does not carry the file with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from trtcal_widgets.common.words import count_of, printable, shorten_middle, significant
from trtcal_widgets.widgets.cache.facts import ALL, SORTS, arrange
from trtcal_widgets.widgets.kit.assets import script, style

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trtcal_widgets.widgets.cache.facts import CacheFacts

__all__ = ["PAGE", "CacheTable"]

PAGE = 100
"""Rows per message, as in ``js/table.js``."""

NOTHING = "–"

_NAME_WIDTH = 300
"""Characters of a name in a row; the detail below has all of them."""


class CacheTable(anywidget.AnyWidget):
    """Rows of a cache with search, filters and order. What it shows is set by the one who binds it.

    The browser changes ``search``, ``group``, ``sort``, ``descending``, ``selected``, ``version``, ``algorithm`` and
    ``theme``; it reads ``summary``, ``verdict``, ``view``,
    ``selected_at`` and ``detail``.
    """

    _esm = script("cache/table")
    _css = style("cache")

    search = traitlets.Unicode("").tag(sync=True)
    group = traitlets.Unicode(ALL).tag(sync=True)
    sort = traitlets.Enum(SORTS, "file").tag(sync=True)
    descending = traitlets.Bool(default_value=False).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    version = traitlets.Unicode("").tag(sync=True)
    algorithm = traitlets.Unicode("").tag(sync=True)
    theme = traitlets.Enum(("light", "dark"), "light").tag(sync=True)

    summary = traitlets.Dict().tag(sync=True)
    verdict = traitlets.Dict({"kind": "", "text": ""}).tag(sync=True)
    view = traitlets.Dict({"generation": 0, "total": 0, "rows": [], "count_text": ""}).tag(sync=True)
    selected_at = traitlets.Int(-1).tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)

    def __init__(self, facts: CacheFacts, **traits: Any) -> None:
        super().__init__(**traits)
        self._facts = facts
        self._order: NDArray[np.intp] = arrange(facts)
        self._generation = 0
        self.on_msg(self._answer)

    def show_rows(self) -> None:
        """Search, filter and sort anew and show the result from its first row, or where the selected row is."""
        self._order = arrange(
            self._facts, search=self.search, group=self.group, sort=self.sort, descending=self.descending
        )
        self._generation += 1
        total, of = len(self._order), len(self._facts.names)
        with self.hold_sync():  # one message, so that the browser never sees the one without the other
            self.selected_at = self._place_of_selected()
            self.view = {
                "generation": self._generation,
                "total": total,
                "rows": self.page(0),
                "count_text": count_of(total, "row") if total == of else f"{total:,} of {count_of(of, 'row')}",
            }

    def show_selected(self) -> None:
        """Show the exact numbers of the selected row, and where it is."""
        with self.hold_sync():
            self.detail = _detail(self._facts, self.selected) if self.selected >= 0 else {}
            self.selected_at = self._place_of_selected()

    def _place_of_selected(self) -> int:
        found = (self._order == self.selected).nonzero()[0]
        return int(found[0]) if len(found) else -1

    def page(self, number: int) -> list[list[Any]]:
        """Return one page of the rows in their present order, as the browser takes them."""
        return [_row(self._facts, int(row)) for row in self._order[number * PAGE : (number + 1) * PAGE]]

    def _answer(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Answer the browser; what it asks about an order that is no longer shown is not answered."""
        if content.get("generation") != self._generation:
            return
        if content["type"] == "rows":
            page = int(content["page"])
            self.send({"type": "rows", "generation": self._generation, "page": page, "rows": self.page(page)})
        elif content["type"] == "move" and len(self._order):
            self.selected = int(self._order[min(max(int(content["to"]), 0), len(self._order) - 1)])


def _row(facts: CacheFacts, row: int) -> list[Any]:
    place = f"{row + 1:,}" if facts.mine.present[row] else NOTHING
    cells = [
        row,
        place,
        shorten_middle(facts.shown_names[row], _NAME_WIDTH),
        _number(facts.mine.amax[row]),
        _number(facts.mine.scale[row]),
        facts.mine.hex(row) or NOTHING,
        facts.severities.get(row, ""),
    ]
    if facts.theirs is not None:
        cells += [_number(facts.theirs.amax[row]), facts.theirs.hex(row) or NOTHING, _number(facts.ratio[row])]
    return cells


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else significant(float(value))


def _detail(facts: CacheFacts, row: int) -> dict[str, Any]:
    numbers = []
    for label, column in (("A " if facts.theirs else "", facts.mine), ("B ", facts.theirs)):
        if column is not None and column.present[row]:
            numbers += [
                [f"{label}±amax", repr(float(column.amax[row]))],
                [f"{label}scale", repr(float(column.scale[row]))],
                [f"{label}hex", column.hex(row)],
            ]
    if not math.isnan(facts.ratio[row]):
        numbers.append(["B / A", repr(float(facts.ratio[row]))])
    return {
        "name": facts.shown_names[row],
        "numbers": numbers,
        "notes": [printable(n) for n in facts.notes.get(row, ())],
    }
