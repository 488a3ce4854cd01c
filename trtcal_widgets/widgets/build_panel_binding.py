"""Where the build panel's events meet the build: the only module of it that subscribes or observes."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import ExportError, MissingDependencyError, TrtcalError, UsageError
from trtcal_widgets.widgets.build_panel_events import parse_event
from trtcal_widgets.widgets.build_panel_form import BuildForm, Job, check_form, qdq_path, targets
from trtcal_widgets.widgets.build_panel_job import SEVERITIES, BuildRun, write_qdq
from trtcal_widgets.widgets.build_panel_state import BuildScreen, build_state, log_state, summary
from trtcal_widgets.widgets.executors import Marshal

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from trtcal_widgets.widgets.build_panel import BuildView
    from trtcal_widgets.widgets.events import Event

__all__ = ["BuildBinding"]

_log = logging.getLogger(__name__)

_BETWEEN = 0.12
"""Seconds between two drawings while TensorRT talks: a verbose build logs thousands of lines a second."""

_SHOWN_OF_SESSION = frozenset({"data", "status", "position", "excluded", "choices"})


class BuildBinding:
    """Binds a job to the view of one panel.

    Parameters
    ----------
    job, view
        What is built, and where it is shown.
    executor
        Where the build takes place.
    form
        What the form holds at first; its mode is set to the first that can be had.
    """

    def __init__(self, job: Job, view: BuildView, executor: Executor, form: BuildForm) -> None:
        self._job = job
        self._view = view
        self._executor = executor
        self._marshal = Marshal()
        self._lock = threading.Lock()
        self._pending = self._closed = False
        self._drawn = 0.0
        self.run: BuildRun | None = None
        self.screen = BuildScreen(form)
        self._look()
        self.screen = replace(self.screen, form=replace(form, mode=job.first_mode(self.screen.has)))
        view.on_msg(self._message)
        session = job.session
        self._unsubscribe = session.subscribe(self._session_changed) if session is not None else _nothing
        self._draw()

    # ---- events up --------------------------------------------------------------------------------------------

    def _message(self, _view: Any, content: Any, _buffers: Any) -> None:
        event = parse_event(content)
        if event is None:
            _log.warning("the build panel was sent a message that it does not know: %.200r", content)
        else:
            self.guarded(self._act, event)

    def guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something for the user; what goes wrong is shown with its fix, and the panel lives on."""
        try:
            action(*arguments)
        except TrtcalError as error:
            self._tell(str(error))
        except Exception as error:  # noqa: BLE001 - the border: all is logged and shown
            _log.exception("the build panel could not do what it was asked")
            self._tell(
                f"{type(error).__name__}: {error}\nThis is a fault of trtcal_widgets; the kernel's log has the details."
            )

    def _tell(self, notice: str) -> None:
        self.screen = replace(self.screen, notice=notice)
        self._changed()

    def _act(self, event: Event) -> None:
        self.screen = replace(self.screen, notice="")
        getattr(self, f"_on_{event.type}")(**event.values)
        self._changed()

    def _on_dismiss(self) -> None:
        """Close the message: :meth:`_act` has done it."""

    def _on_set(self, **fields: Any) -> None:
        if self.run is not None and self.run.running:
            raise UsageError("a build is running already: cancel it, or wait for its end")
        self.screen = replace(self.screen, form=check_form(BuildForm(**fields), self._job))

    def _on_build(self, replace: bool, **fields: Any) -> None:
        self._on_set(**fields)
        self.start(replace_files=replace)

    def _on_pause(self) -> None:
        self._control().pause()

    def _on_resume(self) -> None:
        self._control().resume()

    def _on_step(self) -> None:
        self._control().step()

    def _on_cancel(self) -> None:
        self._control().cancel()

    def _control(self) -> Any:
        if self.run is None or not self.run.running:
            raise UsageError("no build is running")
        return self.run.control

    def _on_severity(self, least: str) -> None:
        if least not in SEVERITIES:
            raise UsageError(f"severity is one of {', '.join(SEVERITIES)}, not {least!r}")
        self.screen = replace(self.screen, least=least)

    def _on_look(self) -> None:
        self._look()
        if self.screen.has is not None:
            mode = self._job.first_mode(self.screen.has)
            self.screen = replace(self.screen, form=replace(self.screen.form, mode=mode))

    def _look(self) -> None:
        """Look for TensorRT: it may have been installed since."""
        import importlib

        from trtcal_widgets.trt.versions import features, load_tensorrt

        importlib.invalidate_caches()
        try:
            has, missing = features(load_tensorrt()), ""
        except MissingDependencyError as error:
            has, missing = None, str(error)
        self.screen = replace(self.screen, has=has, missing=missing)

    # ---- files for another machine ----------------------------------------------------------------------------

    def _on_write(self, kind: str, replace: bool) -> None:
        if kind not in ("qdq", "cache") or self._job.session is None:
            raise UsageError(f"there is no file {kind!r} to write")
        engine = targets(self.screen.form)[0]
        path = qdq_path(engine) if kind == "qdq" else engine.with_suffix(".cache")
        if os.path.lexists(path) and not replace:
            raise ExportError(f"{path} exists already. Press “replace” to write over it.")
        self._written("writing …", "")
        future = self._executor.submit(self._write, kind, path)
        future.add_done_callback(lambda done: self._marshal(lambda: self._write_ended(done)))

    def _write(self, kind: str, path: Path) -> str:
        session = self._job.session
        assert session is not None
        if kind == "qdq":
            write_qdq(self._job, path)
        else:
            session.to_cache().write(path)
        return f"Wrote {path.absolute()} · {path.stat().st_size:,} bytes"

    def _write_ended(self, future: Future[str]) -> None:
        if self._closed or future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._written(future.result(), "ok")
        else:
            if not isinstance(error, TrtcalError):
                _log.error("a file could not be written", exc_info=error)
            self._written(str(error) or type(error).__name__, "error")

    def _written(self, words: str, kind: str) -> None:
        self.screen = replace(self.screen, written=words, written_kind=kind)
        self._changed()

    # ---- the build --------------------------------------------------------------------------------------------

    def start(self, *, replace_files: bool = False) -> Future[None]:
        """Start the build that the form describes.

        Raises
        ------
        UsageError, ExportError, MissingDependencyError
            If it cannot be started; says why.
        """
        if self.run is not None and self.run.running:
            raise UsageError("a build is running already: cancel it, or wait for its end")
        if self.screen.has is None:
            raise MissingDependencyError(self.screen.missing)
        form = self.screen.form
        why_not = self._job.why_not(form.mode, self.screen.has)
        if why_not:
            raise UsageError(f"This cannot be built now: {why_not}.")
        there = [path for path in targets(form) if os.path.lexists(path)]
        if there and not replace_files:
            raise ExportError(f"{there[0]} exists already. Press “build, replacing it”, or give another name.")
        self.run = BuildRun(self._job, form, verbose=self.screen.least == "verbose", changed=self._changed)
        self._changed()
        return self._executor.submit(self.run)

    # ---- down -------------------------------------------------------------------------------------------------

    def _session_changed(self, changed: frozenset[str]) -> None:
        if changed & _SHOWN_OF_SESSION:
            self._changed()

    def _changed(self) -> None:
        """Take note of a change, from any thread; draw it, once, in the main thread."""
        with self._lock:
            if self._pending or self._closed:
                return
            self._pending = True
        self._marshal(self._flush)

    def _flush(self) -> None:
        """Draw now, or a little later where the last drawing has only just been."""
        early = self._drawn + _BETWEEN - time.monotonic()
        loop = _loop()
        if early > 0 and loop is not None:
            loop.call_later(early, self._flush)
            return
        with self._lock:
            self._pending = False
        if not self._closed:
            self.guarded(self._draw)

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._view.show(**build_state(self._job, self.screen, self.run))
        log = log_state(self.screen, self.run)
        if log != self._view.log:
            self._view.log = log

    def summary(self) -> str:
        """Return the panel as text."""
        return summary(self._job, self.screen, self.run)

    def close(self) -> None:
        """End the subscription, and cancel a build that runs."""
        self._closed = True
        self._unsubscribe()
        if self.run is not None and self.run.running:
            self.run.control.cancel()


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _nothing() -> None:
    """There is no subscription to end."""
