"""Where events meet the session: the only module of the explorer that subscribes or observes.

Events come up from the panels and plots and become calls of the session; the session's changes come back as one
snapshot that every view draws. Slow work runs in an executor; its results, and changes that another thread makes,
are brought back to the kernel's main thread. Errors are caught here, and shown.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import TrtcalError, UsageError
from trtcal_widgets.widgets.explorer.export_form import ExportForm, write_cache
from trtcal_widgets.widgets.explorer.pictures import Pictures
from trtcal_widgets.widgets.explorer.rendering import Screen, render
from trtcal_widgets.widgets.explorer.runs import Runs
from trtcal_widgets.widgets.explorer.snapshot import EVERYTHING, NUMBERS, Snapshot, build_snapshot
from trtcal_widgets.widgets.kit.boundary import Boundary, Event, event_parser

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.explorer.rendering import Views

__all__ = ["Binding", "parse_event"]

_EXPORT: dict[str, type] = {"algorithm": str, "version": str, "rows": str, "path": str}

parse_event = event_parser(
    {
        **{
            name: {}
            for name in (
                "first", "back", "play", "forward", "last", "cancel",
                "undo", "redo", "reset", "reset_all", "dismiss",
            )
        },
        "seek": {"position": int},
        "exclude": {"batch": int},
        "include": {"batch": int},
        "select": {"index": int},
        "select_name": {"name": str},
        "choose": ({"method": str}, {"amax": str}),
        "choose_all": {"method": str},
        "counts": {"scale": str},
        "export_set": _EXPORT,
        "export_write": {**_EXPORT, "replace": bool},
        "export_preview": {"open": bool},
    }
)  # fmt: skip


_MANY_ROWS = 400
"""So many rows of the list are made beside the main thread; the chosen tensor is drawn before them."""

_TABLE_SHARE = 4.0
"""During a run the table is made anew after so many times the time that it took."""


class Binding(Boundary):
    """Binds a session to the views of one explorer.

    Parameters
    ----------
    session, views
        What is shown, and where.
    executor
        Where runs and the loading of pictures take place.
    form
        What the export panel holds at first.
    """

    _WHAT = "the explorer"
    _ADVICE = " Your session is unharmed: save it with session.save(path)."

    def __init__(
        self, session: CalibrationSession, views: Views, executor: Executor, form: ExportForm | None = None
    ) -> None:
        super().__init__(executor, parse_event)
        self._session = session
        self._views = views
        self._runs = Runs(session, executor, self._marshal, self._run_ended)
        self._stale_table = self._making_rows = False
        self._next_table = 0.0
        self._snapshot: Snapshot | None = None
        self.screen = Screen(form=form or ExportForm())
        self._pictures = Pictures(session)
        self.renders = 0
        self._bind()
        self._unsubscribe.append(session.subscribe(self._changed))
        self._draw(EVERYTHING)

    # ---- events up --------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        views = self._views
        for panel in views.panels:
            panel.on_msg(self._message)
        self._follow_theme(views.shell, views.plots)
        views.histogram.figure.layout.on_change(self._shapes, "shapes")
        for k in views.overview.clickable:
            views.overview.figure.data[k].on_click(self._clicked)

    def _shapes(self, _layout: Any, shapes: Any) -> None:
        amax = self._views.histogram.dropped(shapes)
        if amax is not None:
            self.guarded(self._drop, amax)

    def _drop(self, amax: float) -> None:
        try:
            self._session.choose(self._session.state.selected, amax=amax)
        except TrtcalError:
            self._views.histogram.put_back()
            raise

    def _clicked(self, _trace: Any, points: Any, _state: Any) -> None:
        place = self._views.overview.picked(points)
        if place is not None:
            self.guarded(self._act, Event("select", {"index": place}))

    def _tell(self, notice: str) -> None:
        self.screen = replace(self.screen, notice=notice)
        self._views.detail.send({"type": "refused"})
        self._views.shell.show(**{**self._views.shell.state, "notice": notice})

    def _act(self, event: Event) -> None:
        """Do what an event asks for: the session tells what that changed, the screen's own state is drawn at once."""
        if self.screen.notice:
            self.screen = replace(self.screen, notice="")
            self._redraw_screen()
        self._do(event)

    def _redraw_screen(self) -> None:
        if self._snapshot is not None:
            render(self._views, self._session, self._snapshot, self._snapshot, self.screen)

    # ---- where: batches and tensors ---------------------------------------------------------------------------

    def _on_first(self) -> None:
        self._session.update(position=0)

    def _on_back(self) -> None:
        if not self._runs.running:
            self._session.back()

    def _on_forward(self) -> None:
        if self._snapshot is not None and self._snapshot.run.at_end:
            return
        if not self._runs.running and self._session.state.position < self._session.status.recorded:
            self._session.step()
        else:
            self._runs.step()

    def _on_last(self) -> None:
        if self._session.plan is None:
            self._session.update(position=self._session.status.recorded)
        else:
            self._runs.start(self._session.run)

    def _on_play(self) -> None:
        self._runs.start(self._runs.play)

    def _on_seek(self, position: int) -> None:
        if position <= self._session.status.recorded:
            self._session.update(position=position)
        else:
            self._runs.start(lambda: self._session.seek(position))

    def _on_cancel(self) -> None:
        self._runs.cancel()

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
            self._session.choose(name, amax=_number(amax))
        elif method != "mine":
            self._session.choose(name, method=method)

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

    # ---- the screen's own state -------------------------------------------------------------------------------

    def _on_counts(self, scale: str) -> None:
        if scale not in ("log", "linear"):
            raise UsageError(f"the counts axis is log or linear, not {scale!r}")
        self.screen = replace(self.screen, counts=scale)
        self._redraw_screen()

    def _on_export_preview(self, open: bool) -> None:  # noqa: A002 - the message's word
        self.screen = replace(self.screen, form=replace(self.screen.form, open=open))
        self._redraw_screen()

    def _on_export_set(self, **fields: str) -> None:
        self.screen = replace(self.screen, form=replace(self.screen.form.filled(fields), result="", result_kind=""))
        self._redraw_screen()

    def _on_export_write(self, replace: bool, **fields: str) -> None:
        form = self.screen.form.filled(fields)
        try:
            done = write_cache(self._session, form, replace=replace)
        except TrtcalError as error:
            self._show_export(form, str(error), "error")
        else:
            self._show_export(form, done, "ok")

    def _show_export(self, form: ExportForm, result: str, kind: str) -> None:
        self.screen = replace(self.screen, form=replace(form, result=result, result_kind=kind))
        self._redraw_screen()

    # ---- slow work --------------------------------------------------------------------------------------------

    def _run_ended(self, error: BaseException | None) -> None:
        """Show how a run ended; why a batch failed is in the session's status already."""
        if error is not None and self._session.status.phase != "failed":
            self._tell(str(error) or type(error).__name__)
        self._changed(frozenset({"status"}))

    # ---- snapshots down ---------------------------------------------------------------------------------------

    def _draw(self, changed: frozenset[str]) -> None:
        running = self._session.status.phase == "running"
        now = time.monotonic()
        with_table = now >= self._next_table if running else not self._has_many_rows_to_make(changed)
        if with_table and self._stale_table:
            changed |= {"data"}
        before = self._snapshot
        snapshot = build_snapshot(self._session, changed, before, with_table=with_table, unit=self._pictures.unit)
        took = time.monotonic() - now
        if with_table:
            self._next_table = time.monotonic() + _TABLE_SHARE * took
        stale = not with_table and (self._stale_table or bool(changed & NUMBERS))
        if stale and not self._stale_table and running:
            # The next batch may be long in coming: until then the list would say what was so before this one.
            self._marshal.later(self._next_table - now, lambda: self._changed(frozenset({"status"})))
        self._stale_table = stale
        self._snapshot = snapshot = replace(snapshot, behind=stale)
        self.renders += 1
        render(self._views, self._session, snapshot, before, self.screen)
        if not running and changed & {"position", "status"}:
            self._ask_for_pictures()
        if stale and not running:
            self._make_rows()

    def _has_many_rows_to_make(self, changed: frozenset[str]) -> bool:
        # A choice makes a row, or those of a group: asking every tensor would cost more.
        new = self._stale_table or bool(changed & {"data", "method"})
        return self._snapshot is not None and new and self._session.pending_rows() > _MANY_ROWS

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
        """Load the pictures of the last counted batch beside the kernel's main thread."""
        batch = max(self._session.state.position - 1, 0)
        if not self._pictures.wanted(batch):
            return
        self._submit(lambda: self._pictures.load(batch), lambda done: self._show_pictures(batch, done))

    def _show_pictures(self, batch: int, future: Future[Any]) -> None:
        if batch != max(self._session.state.position - 1, 0):
            return
        unit = self._pictures.unit
        self._pictures.show(self._views.stepper, batch, future.result())
        if self._pictures.unit != unit:
            self._changed(frozenset({"status"}))

    def close(self) -> None:
        """End the subscription; work that is under way is stopped after its batch."""
        super().close()
        self._runs.close()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"amax: {text!r} is not a number. Write it with a point, such as 1.25 or 3e-4; "
            "Escape brings the old value back."
        ) from None
