"""Where the cache viewer's events meet what is shown: the only module of it that listens."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.cache.facts import arrange
from trtcal_widgets.widgets.cache.state import CacheScreen, count_text, detail_state, page_of, verdict_state
from trtcal_widgets.widgets.kit.boundary import Boundary, event_parser
from trtcal_widgets.widgets.kit.search import search_for

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from trtcal_widgets.widgets.cache.facts import CacheFacts
    from trtcal_widgets.widgets.cache.ranges_view import CacheRanges
    from trtcal_widgets.widgets.cache.table import CacheTable

parse_event = event_parser(
    {
        "rows": {"page": int, "generation": int},
        "move": {"to": int, "generation": int},
        "select": {"row": int},
        "zoom": {"first": float, "last": float},
    }
)


class CacheBinding(Boundary):
    """Binds the rows of a cache to the table and the plot of one viewer."""

    _WHAT = "the cache viewer"

    def __init__(
        self, facts: CacheFacts, table: CacheTable, ranges: CacheRanges, screen: CacheScreen, executor: Executor
    ) -> None:
        super().__init__(executor, parse_event)
        self._facts, self._table, self._ranges = facts, table, ranges
        self.screen = screen
        self._drawn: CacheScreen | None = None
        self._generation = 0
        self.order = arrange(facts)
        self._bind(table, [table], [ranges])
        self._follow(table, [field.name for field in fields(CacheScreen) if table.has_trait(field.name)])
        self._draw()

    def page(self, number: int) -> list[list[Any]]:
        """Return one page of the rows in their present order, as the browser takes them."""
        return page_of(self._facts, self.order, number)

    # ---- events up --------------------------------------------------------------------------------------------

    def _on_set(self, name: str, value: Any) -> None:
        if getattr(self.screen, name) != value:
            self.screen = replace(self.screen, **{name: value})

    def _on_select(self, row: int) -> None:
        self.screen = replace(self.screen, selected=row)

    def _on_move(self, to: int, generation: int) -> None:
        """Select the row that stands at a place; what is meant of an order that is no longer shown is not done."""
        if generation == self._generation and len(self.order):
            self._on_select(int(self.order[min(max(to, 0), len(self.order) - 1)]))

    def _on_rows(self, page: int, generation: int) -> None:
        if generation == self._generation:
            self._table.send({"type": "rows", "generation": generation, "page": page, "rows": self.page(page)})

    def _on_zoom(self, first: float, last: float) -> None:
        self.screen = replace(self.screen, window=(first, last))

    # ---- state down -------------------------------------------------------------------------------------------

    def _draw(self, _changed: frozenset[str] = frozenset()) -> None:
        facts, before = self._facts, self._drawn
        if not -1 <= self.screen.selected < len(facts.names):
            self.screen = replace(self.screen, selected=-1)
        screen = self._drawn = self.screen
        table = self._table
        with table.hold_sync():  # one message, so that the browser never sees the one without the other
            if before is None or screen.arranged != before.arranged:
                self.order = arrange(facts, **screen.arranged)
                self._generation += 1
                table.view = {
                    "generation": self._generation,
                    "total": len(self.order),
                    "rows": self.page(0),
                    "count_text": count_text(facts, self.order),
                    "empty": search_for(screen.search).error or "No row fits the search and the filter.",
                }
            found = (self.order == screen.selected).nonzero()[0]
            table.selected_at = int(found[0]) if len(found) else -1
            table.selected = screen.selected
            table.detail = detail_state(facts, screen.selected)
            table.verdict = verdict_state(facts, screen)
        self._ranges.render(screen.selected, screen.window)

    def _say(self, notice: str) -> None:
        """Say what went wrong where the number of rows stands: it can only be an order or a filter that is none."""
        self._table.view = {**self._table.view, "count_text": notice}
