"""Where the build panel's events meet the build: the only module of it that subscribes or observes."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partialmethod
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import ExportError, MissingDependencyError, UsageError
from trtcal_widgets.widgets.build.form import BuildForm, Job, check_form, qdq_path, targets
from trtcal_widgets.widgets.build.job import SEVERITIES, BuildRun, write_qdq
from trtcal_widgets.widgets.build.state import BuildScreen, build_state, log_state, summary
from trtcal_widgets.widgets.kit.boundary import Boundary, event_parser

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from trtcal_widgets.widgets.build.widget import BuildView

_FORM: dict[str, type] = {
    "mode": str, "algorithm": str, "follow": str, "fp16": bool, "hold": bool, "path": str, "cache": str,
}  # fmt: skip

parse_event = event_parser(
    {
        **{name: {} for name in ("pause", "resume", "step", "cancel", "dismiss", "look")},
        "set": _FORM,
        "build": {**_FORM, "replace": bool},
        "severity": {"least": str},
        "write": {"kind": str, "replace": bool},
    }
)


_SHOWN_OF_SESSION = frozenset({"data", "status", "position", "excluded", "choices"})


class BuildBinding(Boundary):
    """Binds a job to the view of one panel; the form begins with the first mode that can be had."""

    _WHAT = "the build panel"
    _PAUSE = 0.12  # a verbose build logs thousands of lines a second

    def __init__(self, job: Job, view: BuildView, executor: Executor, form: BuildForm) -> None:
        super().__init__(executor, parse_event)
        self._job = job
        self._view = view
        self.run: BuildRun | None = None
        self.screen = BuildScreen(form)
        self._look()
        self.screen = replace(self.screen, form=replace(form, mode=job.first_mode(self.screen.has)))
        self._bind(view, [view])
        if job.session is not None:
            self._hear(job.session, _SHOWN_OF_SESSION)
        self._draw()

    # ---- what the user asks for -------------------------------------------------------------------------------

    def _on_set(self, **fields: Any) -> None:
        if self.run is not None and self.run.running:
            raise UsageError("a build is running already: cancel it, or wait for its end")
        self.screen = replace(self.screen, form=check_form(replace(self.screen.form, **fields), self._job))

    def _on_build(self, replace: bool, **fields: Any) -> None:
        if self._is_building(fields):
            return  # the second press of a double click
        self._on_set(**fields)
        self.start(replace_files=replace)

    def _is_building(self, fields: dict[str, Any]) -> bool:
        """Whether just this is being built."""
        return self.run is not None and self.run.running and replace(self.screen.form, **fields) == self.run.form

    def _control(self, press: str) -> None:
        if self.run is None or not self.run.running:
            raise UsageError("no build is running")
        getattr(self.run.control, press)()
        self._changed()

    _on_pause = partialmethod(_control, "pause")
    _on_resume = partialmethod(_control, "resume")
    _on_step = partialmethod(_control, "step")
    _on_cancel = partialmethod(_control, "cancel")

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
        self._write(lambda: self._made(kind, path))

    def _made(self, kind: str, path: Path) -> str:
        session = self._job.session
        assert session is not None
        if kind == "qdq":
            write_qdq(self._job, path)
        else:
            session.to_cache().write(path)
        return f"Wrote {path.absolute()} · {path.stat().st_size:,} bytes"

    # ---- the build --------------------------------------------------------------------------------------------

    def start(self, *, replace_files: bool = False) -> Future[None]:
        """Start the build that the form describes.

        Raises UsageError, ExportError, MissingDependencyError if it cannot be started; says why.
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

    # ---- state down -------------------------------------------------------------------------------------------

    def _draw(self, _changed: frozenset[str] = frozenset()) -> None:
        self._view.show(**build_state(self._job, self.screen, self.run))
        log = log_state(self.screen, self.run)
        if log != self._view.log:
            self._view.log = log

    def summary(self) -> str:
        """Return the panel as text."""
        return summary(self._job, self.screen, self.run)

    def _stop_work(self) -> None:
        if self.run is not None and self.run.running:
            self.run.control.cancel()
