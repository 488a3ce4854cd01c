"""How far a run is: a bar on a terminal, a few plain lines elsewhere. Both go to stderr."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.terminal import note
from trtcal_widgets.common.figures import duration
from trtcal_widgets.common.words import count_of, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trtcal_widgets.debug.runs import Control
    from trtcal_widgets.session import CalibrationSession, RunStatus
    from trtcal_widgets.trt.control import Progress

_QUIET_S = 2.0
"""What takes no longer than this is not spoken of."""

_LINES = 10
"""Plain lines per pass, so that a log stays readable."""


def compile_first() -> None:
    """Compile what a run needs where no run has done so yet, and say why the first one takes longer."""
    from trtcal_widgets.core.first_run import compile_kernels, is_first

    if is_first():
        note("the first run on this machine compiles its loops, which takes some seconds; later runs find them")
        compile_kernels()


@contextlib.contextmanager
def show_run(session: CalibrationSession) -> Iterator[None]:
    """Show how far a session's run is, in both of its passes where it has two."""
    view = _Bar() if sys.stderr.isatty() else _Lines()
    said = ""

    def show(changed: frozenset[str]) -> None:
        nonlocal said
        status = session.status
        if "status" not in changed or status.phase != "running":
            return
        if status.message != said:
            said = status.message
            if said:
                view.say(said)
        if _position(status):
            view.show(status)

    unsubscribe = session.subscribe(show)
    try:
        yield
    finally:
        unsubscribe()
        view.close()


@contextlib.contextmanager
def show_work() -> Iterator[Control]:
    """Give the control of a piece of work whose progress is shown."""
    from trtcal_widgets.debug.runs import Control

    view = _WorkBar() if sys.stderr.isatty() else _WorkLines()
    try:
        yield Control(view.show)
    finally:
        view.close()


@contextlib.contextmanager
def show_build(name: str) -> Iterator[Callable[[Progress], None]]:
    """Give a function to call again and again while NVIDIA's builder works on a file: it says for how long."""
    view = _BuildBar(name) if sys.stderr.isatty() else _BuildLines(name)
    try:
        yield view.show
    finally:
        view.close()


def done_text(status: RunStatus) -> str:
    """Return ``"3 of 10 batches, 150 samples"``: what a run has complete."""
    of = "" if status.n_batches is None else f" of {status.n_batches:,}"
    plural = "batch" if status.n_batches == 1 else "batches"
    return f"{status.recorded:,}{of} {plural}, {count_of(status.n_samples, 'sample')}"


def _position(status: RunStatus) -> int:
    in_range_pass = status.pass_name == "range pass"  # noqa: S105 - no password: the name of a pass
    return status.pass_done if in_range_pass else status.recorded


class _Bar:
    def __init__(self) -> None:
        self._bar: Any = None
        self._pass: str | None = None

    def show(self, status: RunStatus) -> None:
        from tqdm import tqdm

        if self._bar is None or status.pass_name != self._pass:
            self.close()
            self._pass = status.pass_name
            # A terminal that does not know its size says 0 x 0, in which tqdm draws nothing.
            width, height = shutil.get_terminal_size()
            what = status.pass_name or "calibrating"
            self._bar = tqdm(total=status.n_batches, unit="batch", desc=what, ncols=width, nrows=height)
        if status.n_batches != self._bar.total:  # it may become known, or shrink, on the way
            self._bar.total = status.n_batches
        self._bar.update(_position(status) - self._bar.n)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            note(text)
        else:
            self._bar.write(printable(text), file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    def __init__(self) -> None:
        self._next = 0.0
        self._pass: str | None = None

    def show(self, status: RunStatus) -> None:
        if status.pass_name != self._pass:
            self._pass, self._next = status.pass_name, 0.0
        done, total = _position(status), status.n_batches
        if done == 0 or (done < self._next and done != total):
            return
        self._next = done + (total / _LINES if total else max(1.0, done))
        name = f"{status.pass_name}: " if status.pass_name else ""
        left = f", {duration(status.seconds_left)} left" if status.seconds_left and done != total else ""
        note(f"{name}batch {done:,}{f' of {total:,}' if total else ''}{left}")

    def say(self, text: str) -> None:
        """Print a line."""
        note(text)

    def close(self) -> None:
        """Nothing to put away."""


class _WorkBar:
    """One bar per kind of work."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._what = ""

    def show(self, done: int, total: int, what: str) -> None:
        from tqdm import tqdm

        if self._bar is None or what != self._what:
            self.close()
            self._bar, self._what = tqdm(total=total, desc=what, leave=False), what
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _WorkLines:
    """One line when a kind of work begins."""

    def __init__(self) -> None:
        self._what = ""

    def show(self, done: int, total: int, what: str) -> None:  # noqa: ARG002 - called as the bar is
        if what != self._what:
            self._what = what
            note(f"{what} ({count_of(total, 'step')})")

    def close(self) -> None:
        """Nothing to put away."""


def _phase(progress: Progress) -> str:
    """Return ``"building engine, step 2 of 6"``, as far as the builder says it."""
    step = f", step {min(progress.done + 1, progress.total)} of {progress.total}" if progress.total > 1 else ""
    return printable(progress.phase.lower()) + step


class _BuildBar:
    """One line that is written over: TensorRT does not know how long it will take."""

    def __init__(self, name: str) -> None:
        from tqdm import tqdm

        width, height = shutil.get_terminal_size()
        self._name = printable(name)
        self._bar = tqdm(
            bar_format="{desc}: {elapsed}, Ctrl-C stops", ncols=width, nrows=height, delay=_QUIET_S, leave=False
        )

    def show(self, progress: Progress) -> None:
        self._bar.set_description_str(f"{self._name}: {_phase(progress)}", refresh=False)
        self._bar.update(0)
        if self._bar.format_dict["elapsed"] > _QUIET_S:
            self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class _BuildLines:
    """A line after two seconds, four, eight, …: a log stays readable however long it takes."""

    def __init__(self, name: str) -> None:
        self._name, self._start, self._next = printable(name), time.monotonic(), _QUIET_S

    def show(self, progress: Progress) -> None:
        seconds = time.monotonic() - self._start
        if seconds < self._next:
            return
        self._next *= 2
        note(f"{self._name}: {_phase(progress)}, {duration(seconds)} so far (Ctrl-C stops)")

    def close(self) -> None:
        """Nothing to put away."""
