"""The border between a front end and what it shows: what the bindings of all widgets do in the same way.

Messages are checked before anything acts on them, errors are caught and shown, slow work runs in an executor, and its
end, like every change that another thread makes, comes back to the kernel's main thread, where it is drawn once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from trtcal_widgets.errors import TrtcalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Form = Mapping[str, type]
    """The fields of a message: exactly these, of exactly these types."""
    EventParser = Callable[[Any], "Event | None"]

    from trtcal_widgets.widgets.kit.figures import FigureView

T = TypeVar("T")


class SameThreadExecutor(Executor):
    """Runs work at once, in the caller's thread: for tests and for scripts."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it and return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - a future carries whatever was raised
            future.set_exception(error)
        return future


def default_executor() -> Executor:
    """Return one worker thread: runs come one after the other, and the kernel stays free."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="trtcal")


class Marshal:
    """Brings calls to the thread in which it was made, through the event loop that runs there.

    Without a loop (a script, a test) calls are made where they come from.
    """

    def __init__(self) -> None:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self._here = threading.get_ident()

    def __call__(self, call: Callable[[], None]) -> None:
        """Make the call now where this is the right thread, else as soon as its loop comes round."""
        if self._loop is None or self._loop.is_closed() or threading.get_ident() == self._here:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def later(self, seconds: float, call: Callable[[], None]) -> bool:
        """Make the call in some seconds; False, and never, without a loop."""
        if self._loop is None or self._loop.is_closed():
            return False
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)
        return True


_log = logging.getLogger(__name__)

_ANYTHING = frozenset({"anything"})
"""What has changed, where all is drawn in any case."""

_REST = 2.5
"""Seconds without a change after which a user looks rather than acts."""

_WRITING = "writing …"


class Boundary:
    """Base of the bindings: an event ``name`` becomes a call of ``_on_name``, a change one call of :meth:`_draw`."""

    _WHAT: ClassVar[str]
    """What the user calls the widget, in log and messages."""

    _ADVICE: ClassVar[str] = ""
    """What a user does after a fault of this package."""

    _PAUSE: ClassVar[float] = 0.0
    """Seconds from one drawing to the next, where changes come faster than anyone can read."""

    screen: Any
    """What is on the screen besides the data: a frozen dataclass; its ``notice`` is the message to the user."""

    def __init__(self, executor: Executor, parse: EventParser) -> None:
        self._executor = executor
        self._parse = parse
        self._marshal = Marshal()
        self._lock = threading.Lock()
        self._drawing = threading.RLock()
        self._pending: set[str] = set()
        self._scheduled = self._closed = False
        self._unsubscribe: list[Callable[[], None]] = []
        self._shown: Any = None
        self._last = 0.0
        self.running = False
        self.renders = self.changes = 0
        self.rested: Callable[[], None] | None = None
        """Called in the main thread once nothing has been drawn for some seconds, and nothing runs."""

    # ---- events up --------------------------------------------------------------------------------------------

    def _bind(self, shell: Any, panels: Iterable[Any], plots: Iterable[Any] = ()) -> None:
        """Hear the panels and the plots. The shell is the panel that shows messages and tells the theme."""
        self._shell, views = shell, tuple(plots)
        for panel in panels:
            panel.on_msg(self._message)
        shell.observe(lambda change: [view.apply_theme(change["new"]) for view in views], "theme")
        for view in views:
            view.figure.on_msg(_send_whole)
            for k in view.clickable:
                view.figure.data[k].on_click(self._clicked(view, k))
            if view.watched:
                view.figure.layout.on_change(self._moved(view), view.watched)
            if view.follows_zoom:
                view.figure.layout.on_change(self._zoomed(view), "xaxis.range")

    def _clicked(self, view: FigureView, trace: int) -> Callable[..., None]:
        def clicked(_trace: Any, points: Any, _state: Any) -> None:
            point = points.point_inds[0] if points.point_inds else None
            if isinstance(point, int) and point >= 0:
                self._meant(view.clicked(trace, point))

        return clicked

    def _moved(self, view: FigureView) -> Callable[..., None]:
        return lambda _layout, value: None if view.rendering else self._meant(view.moved(value))

    def _zoomed(self, view: FigureView) -> Callable[..., None]:
        def zoomed(_layout: Any, ends: Any) -> None:
            if ends is not None and not view.rendering:
                self._meant(view.zoomed(*sorted(map(float, ends))))

        return zoomed

    def _meant(self, message: Mapping[str, Any] | None) -> None:
        if message is not None:
            self._message(None, message, None)

    def _follow(self, panel: Any, names: Iterable[str]) -> None:
        """Take over what the front end changes in a panel's traits into the fields of the screen of that name."""

        def changed(change: Any) -> None:
            self.guarded(self._act, Event("set", {"name": change["name"], "value": change["new"]}))

        panel.observe(changed, list(names))

    def _hear(self, source: Any, concerns: frozenset[str] = frozenset()) -> None:
        """Draw what a session or a controller says has changed; with ``concerns`` only where it is one of these."""

        def heard(changed: frozenset[str]) -> None:
            if not concerns or changed & concerns:
                self._changed(changed | _ANYTHING)

        self._unsubscribe.append(source.subscribe(heard))

    def _message(self, _from: Any, content: Any, _buffers: Any) -> None:
        event = self._parse(content)
        if event is None:
            _log.warning("%s was sent a message that it does not know: %.200r", self._WHAT, content)
        else:
            self.guarded(self._act, event)

    def guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something for the user; what goes wrong is shown with its fix, and the widget lives on."""
        if self._closed:
            return
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - the border: all is logged and shown
            self._tell(self._fault(error))

    def _fault(self, error: Exception) -> str:
        if isinstance(error, TrtcalError):
            return str(error)
        _log.error("%s could not do what it was asked", self._WHAT, exc_info=error)
        return (
            f"{type(error).__name__}: {error}\nThis is a fault of trtcal_widgets; the kernel's log has the details."
            f"{self._ADVICE}"
        )

    def _act(self, event: Event) -> None:
        """Do what an event asks for, once the message of the last one is gone, and show it.

        A session that is changed tells so, and is drawn at once; what is left is the screen itself.
        """
        if self.screen.notice:
            self.screen = replace(self.screen, notice="")
        getattr(self, f"_on_{event.type}")(**event.values)
        if self.screen is not self._shown:
            self._changed()

    def _on_dismiss(self) -> None:
        """Close the message: that is done before any action."""

    def _tell(self, notice: str) -> None:
        """Show the user a message."""
        self.screen = replace(self.screen, notice=notice)
        self._changed()

    @staticmethod
    def _in_words(error: BaseException) -> str:
        """Return what went wrong with slow work; what is a fault of this package is logged as well."""
        if not isinstance(error, TrtcalError):
            _log.error("work in the background failed", exc_info=error)
        return str(error) or type(error).__name__

    # ---- slow work --------------------------------------------------------------------------------------------

    def _submit(self, work: Callable[[], Any], after: Callable[[Future[Any]], None]) -> None:
        """Do something slow; its future then goes to ``after`` in the main thread, unless all is closed by then."""

        def done(future: Future[Any]) -> None:
            if not self._closed and not future.cancelled():
                self.guarded(after, future)

        self._executor.submit(work).add_done_callback(lambda future: self._marshal(lambda: done(future)))

    def _start(self, work: Callable[[], object], after: Callable[[BaseException | None], None]) -> None:
        """Run something long, unless something runs already; ``after`` gets what went wrong, or None."""
        if self.running:
            return
        self.running = True

        def ended(future: Future[object]) -> None:
            self.running = False
            after(future.exception())

        self._submit(work, ended)

    def _write(self, write: Callable[[], str], *, at_once: bool = False) -> None:
        """Write a file, beside the main thread or at once; the screen's form then says what came of it."""
        self.screen = replace(self.screen, form=replace(self.screen.form, result=_WRITING, result_kind=""))
        if at_once:
            self._written(SameThreadExecutor().submit(write))
        else:
            self._submit(write, self._written)

    def _written(self, future: Future[str]) -> None:
        error, form = future.exception(), self.screen.form
        words, kind = (future.result(), "ok") if error is None else (self._in_words(error), "error")
        if form.result == _WRITING:  # else the form is about another file by now
            self.screen = replace(self.screen, form=replace(form, result=words, result_kind=kind))
        self._changed()

    # ---- state down -------------------------------------------------------------------------------------------

    def _changed(self, changed: frozenset[str] = _ANYTHING) -> None:
        """Take note of a change, from any thread; draw it, once, in the main thread."""
        with self._lock:
            self._pending |= changed
            self.changes += 1
            if self._scheduled or self._closed:
                return
            self._scheduled = True
        self._marshal(self._flush)

    def _flush(self) -> None:
        """Draw now, or a little later where the last drawing has only just been."""
        early = self._last + self._PAUSE - time.monotonic()
        if early > 0 and self._marshal.later(early, self._flush):
            return
        # Where no loop runs, every thread draws for itself: one at a time, or an older state could come last.
        with self._drawing:
            with self._lock:
                changed, self._pending, self._scheduled = frozenset(self._pending), set(), False
            if changed and not self._closed:
                self._draw_guarded(changed)
                self._await_rest()

    def _await_rest(self) -> None:
        renders = self.renders
        if self.rested is not None:
            self._marshal.later(_REST, lambda: self._rest(renders))

    def _rest(self, renders: int) -> None:
        if self.rested is not None and renders == self.renders and not (self.running or self._closed):
            self.rested()

    def _draw_guarded(self, changed: frozenset[str]) -> None:
        self._shown, self._last = self.screen, time.monotonic()
        self.renders += 1
        try:
            self._draw(changed)
        except Exception as error:  # noqa: BLE001 - as above; drawn again, it would fail again
            self._say(self._fault(error))

    def _draw(self, changed: frozenset[str]) -> None:
        """Draw what has changed."""
        raise NotImplementedError

    def _say(self, notice: str) -> None:
        """Show a message beside what is on the screen already."""
        self._shell.show(**{**self._shell.state, "notice": notice})

    def close(self) -> None:
        """End the subscriptions and stop what is under way; nothing is drawn any more."""
        self._closed = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._stop_work()

    def _stop_work(self) -> None:
        """Stop work that is under way."""


def _send_whole(figure: Any, content: Any, _buffers: Any) -> None:
    """Give a figure to a page that asks for all of it."""
    if content == {"type": "refresh"}:
        figure.send_whole()
        figure.fresh += 1


_LONGEST_TEXT = 65_536


@dataclass(frozen=True)
class Event:
    """A checked message: its kind, and its values."""

    type: str
    values: Mapping[str, Any]


def event_parser(forms: Mapping[str, Form | tuple[Form, ...]]) -> EventParser:
    """Return the function that tells which event a message means, of the forms of each kind; None for anything else.

    A front end of another version, or anything that writes to the kernel, may send what it likes: what is not
    exactly one of the known forms is no event.
    """
    known = {kind: form if isinstance(form, tuple) else (form,) for kind, form in forms.items()}

    def parse(content: Any) -> Event | None:
        kind = content.get("type") if isinstance(content, dict) else None
        if not isinstance(kind, str):
            return None
        values = {key: value for key, value in content.items() if key != "type"}
        fits = any(_fits(values, form) for form in known.get(kind, ()))
        return Event(kind, MappingProxyType(values)) if fits else None

    return parse


def _fits(values: Mapping[str, Any], form: Form) -> bool:
    return values.keys() == form.keys() and all(_is(values[key], wanted) for key, wanted in form.items())


def _is(value: Any, wanted: type) -> bool:
    """Whether a value is exactly of a type: True is no 1 here."""
    if type(value) is not wanted:
        return False
    return not isinstance(value, str) or len(value) <= _LONGEST_TEXT
