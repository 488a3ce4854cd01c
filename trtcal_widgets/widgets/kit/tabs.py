"""Several screens of one session in one widget: a strip of tabs, and pages that are made when they are first opened.

Screens do not import each other: one that shows another as a tab knows its public name alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trtcal_widgets.widgets.kit.assets import script
from trtcal_widgets.widgets.kit.box import box
from trtcal_widgets.widgets.kit.panels import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    import ipywidgets

_AWAY = "tc-away"


class TabStrip(Panel):
    """The names of the pages; a click, or an arrow key, opens one."""

    _esm = script("kit/tabs")


class Tabs:
    """A screen's own page first, and further screens of the same session.

    ``own``: the name of the first page, what stands on it. ``others``: name of a tab -> public name of the screen in
    ``trtcal_widgets``, a class of a session. ``executor``: where the work of these takes place; None: each has a thread
    of its own.
    """

    def __init__(
        self,
        session: Any,
        own: tuple[str, Sequence[ipywidgets.Widget]],
        others: Mapping[str, str],
        executor: Executor | None = None,
    ) -> None:
        first, widgets = own
        self._session, self._others, self._executor = session, others, executor
        self._first = first
        self._pages: dict[str, ipywidgets.Widget] = {first: box(*widgets, name="tc-tab-page")}
        self.strip = TabStrip()
        self.pages = box(self._pages[first], name="tc-tab-pages")
        self.show(first)

    @property
    def names(self) -> tuple[str, ...]:
        """The tabs, the screen's own first."""
        return self._first, *self._others

    def page(self, name: str) -> ipywidgets.Widget | None:
        """Return the screen of a tab; None before it was opened."""
        return self._pages.get(name)

    def show(self, name: str) -> None:
        """Open a page; the others stay as they are, unseen."""
        if name not in self._pages:
            screen = getattr(import_module("trtcal_widgets"), self._others[name])
            self._pages[name] = screen(self._session, executor=self._executor)
            self.pages.children = tuple(self._pages.values())
        for other, page in self._pages.items():
            (page.remove_class if other == name else page.add_class)(_AWAY)
        self.strip.show(names=list(self.names), shown=name)

    def close(self) -> None:
        """Close the screens that were opened."""
        for name in self._others:
            if name in self._pages:
                self._pages[name].close()
