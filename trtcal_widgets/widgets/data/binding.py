"""Where events meet the session: the only module of the data doctor that listens.

Events become calls of the session; the examination runs in the executor, says how far it is, and can be cancelled.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import CancelledError, UsageError
from trtcal_widgets.widgets.data.marks import rgba
from trtcal_widgets.widgets.data.rendering import Parts, render
from trtcal_widgets.widgets.data.state import BARS, DataScreen, subject_of
from trtcal_widgets.widgets.kit.boundary import Boundary, event_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from trtcal_widgets.doctor.types import DataReport
    from trtcal_widgets.session import CalibrationSession
    from trtcal_widgets.widgets.data.views import DataViews

    Examine = Callable[..., DataReport]

parse_event = event_parser(
    {
        **{name: {} for name in ("examine", "cancel", "undo", "redo", "dismiss")},
        "bar": ({"db": float}, {"db": int}),
        "select": {"index": int},
        "select_name": {"name": str},
        "sample": {"sample": int},
        "picture": {"sample": int},
        "leave_out": {"sample": int},
        "count_sample": {"sample": int},
        "without": {"sample": int},
    }
)


class DataBinding(Boundary):
    """Binds a session and what is found out about its data to the views of one data doctor."""

    _WHAT = "the data doctor"
    _ADVICE = " Your session is unharmed: save it with session.save(path)."
    _PAUSE = 0.05

    def __init__(
        self,
        session: CalibrationSession,
        views: DataViews,
        executor: Executor,
        screen: DataScreen,
        examine: Examine,
    ) -> None:
        super().__init__(executor, parse_event)
        self._session, self._views, self._examine = session, views, examine
        self._parts = Parts(session)
        self._stop = threading.Event()
        self._done = (0, 0)
        self._subject = subject_of(session)
        self.screen = screen
        self._bind(views.shell, views.panels, views.plots)
        self._hear(session)
        self._draw(frozenset())

    # ---- the examination --------------------------------------------------------------------------------------

    def _on_examine(self) -> None:
        self.examine()

    def examine(self) -> None:
        """Examine what is counted, unless that is going on already."""
        if self.running:
            return
        session, bar, of = self._session, self.screen.bar_db, subject_of(self._session)
        if not session.state.position:
            raise UsageError("No batch is counted yet. Run the session first: session.run().")
        self._stop.clear()
        self._done = (0, 0)
        self.screen = replace(self.screen, status="examining …", status_kind="", stopping=False)
        found: list[DataReport] = []

        def work() -> None:
            found.append(self._examine(session, bar_db=bar, progress=self._progress, cancelled=self._stop.is_set))

        self._start(work, lambda error: self._examined(found, of, error))
        self._changed()

    def _progress(self, done: int, total: int) -> None:
        """Take note of how far the examination is; called by its thread."""
        self._done = (done, total)
        self._changed()

    def _examined(self, found: list[DataReport], of: Any, error: BaseException | None) -> None:
        if isinstance(error, CancelledError):
            words, kind = "Cancelled; what was found before stays. Press examine to begin anew.", "warn"
        elif error is not None:
            words, kind = f"Examining failed: {self._in_words(error)}", "error"
        else:
            words, kind = "", ""
        report = found[0] if found else self.screen.report
        self.screen = replace(
            self.screen, report=report, of=of if found else self.screen.of, status=words, status_kind=kind
        )
        self._changed()
        if found and found[0].bar_db != self.screen.bar_db:
            self.examine()  # another bar was chosen meanwhile

    def _on_cancel(self) -> None:
        self._stop.set()
        self.screen = replace(self.screen, stopping=True)

    def _stop_work(self) -> None:
        self._stop.set()

    def _on_bar(self, db: float) -> None:
        """Decide by another bar: what is on the screen is examined by it at once."""
        if not any(abs(db - bar) < 1e-9 for bar in (*BARS, self.screen.bar_db)):
            raise UsageError(f"the bar is one of {', '.join(f'{bar:g}' for bar in BARS)} dB, not {db:g}")
        self.screen = replace(self.screen, bar_db=float(db))
        if self.screen.report is not None:
            self.examine()

    # ---- what is looked at ------------------------------------------------------------------------------------

    def _on_select(self, index: int) -> None:
        names = self._parts.columns.leaders
        if not 0 <= index < len(names):
            raise UsageError(f"there are tensors 0 to {len(names) - 1}, not {index}")
        self._session.update(selected=names[index])

    def _on_select_name(self, name: str) -> None:
        self._session.update(selected=name)

    def _on_sample(self, sample: int) -> None:
        self.screen = replace(self.screen, sample=self._known(sample))

    def _known(self, sample: int) -> int:
        marks = self._parts.marks
        if not 0 <= sample < marks.n:
            raise UsageError(f"there is no {marks.unit} {sample + 1}: {marks.n} are recorded")
        return sample

    def _on_picture(self, sample: int) -> None:
        """Send a picture to the browser; it is loaded beside the main thread, for it may be a large file."""
        marks = self._parts.marks
        if not 0 <= sample < marks.n:
            return

        def sent(future: Any) -> None:
            pixels, width, height = (b"", 0, 0) if future.exception() else rgba(future.result())
            message = {"type": "picture", "sample": sample, "width": width, "height": height}
            for panel in (self._views.samples, self._views.blame):
                panel.send(message, buffers=[pixels])

        self._submit(lambda: marks.picture(sample), sent)

    # ---- decisions --------------------------------------------------------------------------------------------

    def _on_leave_out(self, sample: int) -> None:
        self._decide(self._parts.marks.leave_out, sample)

    def _on_count_sample(self, sample: int) -> None:
        self._decide(self._parts.marks.count, sample)

    def _decide(self, decide: Callable[[int], None], sample: int) -> None:
        """Leave a mark out or count it again; a sample's batch may be run again for that, beside the main thread."""
        mark = self._known(sample)
        if self._parts.marks.unit != "sample":
            decide(mark)
            return
        self._stop.set()  # an examination would be out of date, and hold the decision up
        self._submit(lambda: decide(mark), lambda future: future.result())

    def _on_without(self, sample: int) -> None:
        """Find out what changes without a sample, for all tensors at once."""
        number, of = self._known(sample), subject_of(self._session)
        if self._parts.marks.unit != "sample" or number in self.screen.without:
            return
        self.screen = replace(self.screen, without={**self.screen.without, number: None})
        samples = self._session.samples

        def work() -> Any:
            samples.count(number)
            return samples.without(number)

        def found(future: Any) -> None:
            error = future.exception()
            if of == subject_of(self._session):
                answer = self._in_words(error) if error is not None else future.result()
                self.screen = replace(self.screen, without={**self.screen.without, number: answer})
            self._changed()

        self._submit(work, found)

    def _on_undo(self) -> None:
        self._session.undo()

    def _on_redo(self) -> None:
        self._session.redo()

    # ---- state down -------------------------------------------------------------------------------------------

    def _draw(self, _changed: frozenset[str]) -> None:
        subject = subject_of(self._session)
        if subject != self._subject:
            self._subject = subject
            self.screen = replace(self.screen, without={})
        render(self._views, self._session, self.screen, self._parts, self._done, running=self.running)
