"""Where events meet the session: the only module of the explorer that listens.

Events of panels and plots become calls of the session; what the session says has changed is drawn.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import TrtcalError, UsageError
from trtcal_widgets.session.signed import signed_counts
from trtcal_widgets.widgets.explorer.export_form import ExportForm, other_model, write_cache
from trtcal_widgets.widgets.explorer.panels import MOST_PICTURES, show_pictures
from trtcal_widgets.widgets.explorer.rendering import EVERYTHING, NUMBERS, Parts, render
from trtcal_widgets.widgets.explorer.state import Screen, at_end
from trtcal_widgets.widgets.explorer.typed import Typed, threshold_of
from trtcal_widgets.widgets.kit.boundary import Boundary, event_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.explorer.views import Views
    from trtcal_widgets.widgets.kit.tabs import Tabs

__all__ = ["Binding", "parse_event"]

_EXPORT: dict[str, type] = {"algorithm": str, "version": str, "rows": str, "path": str}

parse_event = event_parser(
    {
        **{
            name: {}
            for name in (
                "first", "back", "play", "forward", "last", "cancel",
                "undo", "redo", "reset", "reset_all", "dismiss", "hold", "release", "signed",
            )
        },
        "seek": {"position": int},
        "drop": {"amax": float},
        "exclude": {"batch": int},
        "include": {"batch": int},
        "select": {"index": int},
        "select_name": {"name": str},
        "choose": ({"method": str}, {"amax": str}),
        "choose_all": {"method": str},
        "counts": {"scale": str},
        "zoom": {"first": float, "last": float},
        "export_set": _EXPORT,
        "export_write": {**_EXPORT, "replace": bool},
        "export_preview": {"open": bool},
        "tab": {"name": str},
    }
)  # fmt: skip


_MANY_ROWS = 400
"""So many rows of the list are made beside the main thread; the chosen tensor is drawn before them."""

_TABLE_SHARE = 4.0
"""During a run the table is made anew after so many times the time that it took."""

_REPLAY_PAUSE = 0.15
"""Seconds between batches when those that are recorded already are played."""


class Binding(Boundary):
    """Binds a session to the views of one explorer."""

    _WHAT = "the explorer"
    _ADVICE = " Your session is unharmed: save it with session.save(path)."

    def __init__(
        self,
        session: CalibrationSession,
        views: Views,
        tabs: Tabs,
        executor: Executor,
        form: ExportForm | None = None,
        outside: Any = None,
    ) -> None:
        """``outside`` has the traits ``selected``, ``amax`` and ``batch``, which follow the session and change it."""
        super().__init__(executor, parse_event)
        self._session = session
        self._views, self._tabs = views, tabs
        self._parts = Parts(session)
        self._stop = threading.Event()
        self._steps_wanted = 0
        self._stepping = self._stale_table = self._making_rows = False
        self._next_table = 0.0
        self._pictured = -1
        self._outside = outside
        self.screen = Screen(form=form or ExportForm())
        self._bind(views.shell, (*views.panels, tabs.strip), views.plots)
        self._hear(session)
        self._draw(EVERYTHING)
        if outside is not None:
            outside.observe(self._set_outside, ["selected", "amax", "batch"])

    # ---- runs -------------------------------------------------------------------------------------------------

    def _go(self, work: Callable[[], object]) -> None:
        """Run something long in the session, unless something runs already."""
        if not self.running:
            self._stop.clear()
        self._start(work, self._ended)

    def _ended(self, error: BaseException | None) -> None:
        """Show how a run ended (why a batch failed is in the session's status already), and do the next step."""
        wanted = self._steps_wanted if self._stepping and error is None and not self._stop.is_set() else 0
        self._stepping = False
        if error is not None and self._session.status.phase != "failed":
            self._tell(self._in_words(error))
        self._changed(frozenset({"status"}))
        if wanted and self._session.status.phase != "finished":
            self._step()
            self._steps_wanted = wanted - 1

    def _step(self) -> None:
        self._stepping, self._steps_wanted = True, 0
        self._go(self._session.step)

    def _on_forward(self) -> None:
        """Count one more batch; asked again while that one runs, one more after it, so that no key press is lost."""
        if at_end(self._session):
            return
        if self.running:
            self._steps_wanted += self._stepping
        elif self._session.state.position < self._session.status.recorded:
            self._session.step()
        else:
            self._step()

    def _on_play(self) -> None:
        self._go(self._play)

    def _play(self) -> None:
        """Count batch after batch; those that are recorded already at a speed that can be followed."""
        session = self._session
        while session.state.position < session.status.recorded:
            if self._stop.is_set():
                return
            session.step()
            self._stop.wait(_REPLAY_PAUSE)
        if session.plan is not None and not self._stop.is_set():
            session.run()

    def _on_last(self) -> None:
        if self._session.plan is None:
            self._session.update(position=self._session.status.recorded)
        else:
            self._go(self._session.run)

    def _on_cancel(self) -> None:
        self._stop.set()
        self._steps_wanted = 0
        self._session.cancel()
        self._changed(frozenset({"status"}))

    def _stop_work(self) -> None:
        if self.running:
            self._on_cancel()

    # ---- where: batches and tensors ---------------------------------------------------------------------------

    def _on_first(self) -> None:
        self._session.update(position=0)

    def _on_back(self) -> None:
        if not self.running:
            self._session.back()

    def _on_seek(self, position: int) -> None:
        if position <= self._session.status.recorded:
            self._session.update(position=position)
        else:
            self._go(lambda: self._session.seek(position))

    def _on_exclude(self, batch: int) -> None:
        self._session.exclude(batch)

    def _on_include(self, batch: int) -> None:
        self._session.include(batch)

    def _on_select(self, index: int) -> None:
        names = self._session.tensors
        if not 0 <= index < len(names):
            raise UsageError(f"there are tensors 0 to {len(names) - 1}, not {index}")
        self._session.update(selected=names[index])

    def _on_select_name(self, name: str) -> None:
        self._session.update(selected=name)

    # ---- choices ----------------------------------------------------------------------------------------------

    def _on_choose(self, method: str | None = None, amax: str | None = None) -> None:
        name = self._session.state.selected
        if amax is not None:
            value = threshold_of(amax)
            # Drawn with what the choice changes: what was typed stands as long as it holds.
            self.screen = replace(self.screen, typed=Typed(name, value, amax))
            self._session.choose(name, amax=value)
        elif method != "mine":
            self._session.choose(name, method=method)

    def _on_drop(self, amax: float) -> None:
        """Choose where the line was let go; where that cannot be it goes back, also if it only moved up or down."""
        try:
            self._session.choose(self._session.state.selected, amax=amax)
        except TrtcalError:
            self._views.histogram.put_back()
            raise

    def _on_choose_all(self, method: str) -> None:
        self._session.choose_all(method)

    def _on_reset(self) -> None:
        self._session.reset(self._session.state.selected)

    def _on_reset_all(self) -> None:
        self._session.reset()

    def _on_undo(self) -> None:
        self._session.undo()

    def _on_redo(self) -> None:
        self._session.redo()

    # ---- traits for the user's own widgets ------------------------------------------------------------------------

    def _set_outside(self, change: Any) -> None:
        """Do what a trait was set to; where that cannot be, it is as before, and it is said here and to who set it."""
        name, wanted = change["name"], change["new"]
        if self._closed or wanted == self._now()[name]:
            return
        try:
            if name == "selected":
                self._session.update(selected=wanted)
            elif name == "amax":
                self._session.choose(self._session.state.selected, amax=wanted)
            else:
                self._count(wanted)
        except TrtcalError as error:
            self._tell(str(error))
            raise
        finally:
            self._fill_outside()

    def _count(self, batches: int) -> None:
        n_batches = self._session.status.n_batches
        if batches < 0 or (n_batches is not None and batches > n_batches):
            raise UsageError(f"there are 0 to {n_batches} batches to count, not {batches}")
        self._on_seek(batches)

    def _now(self) -> dict[str, Any]:
        state = self._session.state
        return {"selected": state.selected, "amax": self._parts.plot.amax, "batch": state.position}

    def _fill_outside(self) -> None:
        if self._outside is not None:
            with self._outside.hold_trait_notifications():
                for name, value in self._now().items():
                    setattr(self._outside, name, value)

    # ---- the screen's own state -------------------------------------------------------------------------------

    def _on_counts(self, scale: str) -> None:
        if scale not in ("log", "linear"):
            raise UsageError(f"the counts axis is log or linear, not {scale!r}")
        self.screen = replace(self.screen, counts=scale)

    def _on_hold(self) -> None:
        """Lay this tensor's histogram over those that are looked at next; pressed again, no more."""
        name = self._session.state.selected
        self.screen = replace(self.screen, held="" if self.screen.held == name else name)

    def _on_release(self) -> None:
        self.screen = replace(self.screen, held="")

    def _on_signed(self) -> None:
        """Count the signs of the chosen tensor's values, in one batch, beside the main thread."""
        name = self._session.state.selected
        if self.running:
            raise UsageError("The model runs already: pause it, or wait for its end, to see values with their sign.")
        self._submit(lambda: signed_counts(self._session, name), self._show_signed)

    def _show_signed(self, future: Future[Any]) -> None:
        self.screen = replace(self.screen, signed=future.result())
        self._changed()

    def _on_zoom(self, first: float, last: float) -> None:
        self.screen = replace(self.screen, window=(self._session.state.selected, first, last))

    def _on_tab(self, name: str) -> None:
        if name not in self._tabs.names:
            raise UsageError(f"there is no tab {name!r}; there are {', '.join(self._tabs.names)}")
        self.screen = replace(self.screen, tab=name)
        self._tabs.show(name)

    def _on_export_preview(self, open: bool) -> None:  # noqa: A002 - the message's word
        self.screen = replace(self.screen, form=replace(self.screen.form, open=open))

    def _on_export_set(self, **fields: str) -> None:
        form: Any = {**fields, "result": "", "result_kind": ""}
        self.screen = replace(self.screen, form=replace(self.screen.form, **form))

    def _on_export_write(self, replace: bool, **fields: str) -> None:
        self._on_export_set(**fields)
        form = self.screen.form
        question = other_model(self._session, form) if replace and form.asked != form.path else ""
        # Asked once: the next press for this file means it.
        form = dataclasses.replace(form, asked=form.path if question else "")
        if question:
            form = dataclasses.replace(form, result=question, result_kind="warn")
        self.screen = dataclasses.replace(self.screen, form=form)
        if not question:
            self._write(lambda: write_cache(self._session, form, replace=replace), at_once=True)

    def _tell(self, notice: str) -> None:
        super()._tell(notice)
        self._views.detail.send({"type": "refused"})

    # ---- state down -------------------------------------------------------------------------------------------

    def _draw(self, changed: frozenset[str]) -> None:
        running = self._session.status.phase == "running"
        now = time.monotonic()
        with_rows = now >= self._next_table if running else not self._has_many_rows_to_make(changed)
        wanted = self._stale_table or bool(changed & NUMBERS)
        self._parts.renew(self._session, changed, rows=with_rows and wanted)
        took = time.monotonic() - now
        if with_rows:
            self._next_table = time.monotonic() + _TABLE_SHARE * took
        stale = wanted and not with_rows
        if stale and not self._stale_table and running:
            # The next batch may be long in coming: until then the list would say what was so before this one.
            self._marshal.later(self._next_table - now, lambda: self._changed(frozenset({"status"})))
        self._stale_table = stale
        render(self._views, self._session, self.screen, self._parts, behind=stale)
        self._fill_outside()
        if not running and changed & {"position", "status"}:
            self._ask_for_pictures()
        if stale and not running:
            self._make_rows()

    def _has_many_rows_to_make(self, changed: frozenset[str]) -> bool:
        # A choice makes a row, or those of a group: asking every tensor would cost more.
        new = self._stale_table or bool(changed & {"data", "method"})
        return bool(self._parts.rows) and new and self._session.pending_rows() > _MANY_ROWS

    def _make_rows(self) -> None:
        """Make the list's rows beside the main thread, and draw again. What has changed by then is made next."""
        if not self._making_rows:
            self._making_rows = True
            self._submit(self._session.table, self._rows_made)

    def _rows_made(self, future: Future[Any]) -> None:
        self._making_rows = False
        future.result()
        self._changed(frozenset({"status"}))

    def _ask_for_pictures(self) -> None:
        """Load the pictures of the last counted batch beside the kernel's main thread: they may be large files."""
        batch, plan = max(self._session.state.position - 1, 0), self._session.plan
        if plan is not None and batch != self._pictured:
            self._submit(lambda: plan.thumbnails(batch, MOST_PICTURES), lambda done: self._show_pictures(batch, done))

    def _show_pictures(self, batch: int, future: Future[Any]) -> None:
        if batch != max(self._session.state.position - 1, 0):
            return
        self._pictured, pictures = batch, future.result()
        show_pictures(self._views.stepper, batch, pictures)
        if pictures and self.screen.unit != "images":
            self.screen = replace(self.screen, unit="images")
            self._changed()
