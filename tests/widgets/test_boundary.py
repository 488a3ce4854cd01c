"""The border that all bindings share, without a widget."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace

import pytest

from tests.widgets.front_end import HeldExecutor, send
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.widgets.kit.boundary import Boundary, SameThreadExecutor, event_parser
from trtcal_widgets.widgets.kit.file_form import FileForm
from trtcal_widgets.widgets.kit.panels import ShellPanel


@dataclass(frozen=True)
class Screen:
    notice: str = ""


@dataclass(frozen=True)
class Form:
    n: int = 0
    form: FileForm = field(default_factory=lambda: FileForm("a.txt"))
    notice: str = ""


class Little(Boundary):
    """A screen of one panel, which counts, refuses, breaks, and writes."""

    _WHAT = "the little screen"
    broken = False

    def __init__(self, executor):
        kinds = {"add": {"n": int}, "name": {"path": str}, "write": {}, "dismiss": {}}
        super().__init__(executor, event_parser(kinds))
        self.screen, self.panel = Form(), ShellPanel()
        self.outcome = lambda: "Wrote it"
        self._bind(self.panel, [self.panel])
        self._changed()

    def _on_add(self, n):
        if n < 0:
            raise UsageError("only more")
        self.screen = replace(self.screen, n=self.screen.n + n)

    def _on_name(self, path):
        self.screen = replace(self.screen, form=FileForm(path))

    def _on_write(self):
        self._write(self.outcome)

    def _draw(self, _changed):
        if self.broken:
            raise RuntimeError("cannot draw")
        self.panel.show(n=self.screen.n, notice=self.screen.notice, **self.screen.form.as_state())


class Slow(Boundary):
    """Shows a value; a drawing of 1 takes until it is let go."""

    def __init__(self):
        super().__init__(SameThreadExecutor(), lambda _content: None)
        self.screen = Screen()
        self.value = self.shown = 0
        self.began, self.go_on = threading.Event(), threading.Event()

    def change(self, value):
        self.value = value
        self._changed()

    def _draw(self, _changed):
        value = self.value
        if value == 1:
            self.began.set()
            assert self.go_on.wait(20)
        self.shown = value


def test_without_a_loop_the_newest_state_is_drawn_last():
    slow = Slow()
    first = threading.Thread(target=slow.change, args=(1,))
    first.start()
    assert slow.began.wait(20)
    second = threading.Thread(target=slow.change, args=(2,))
    second.start()
    second.join(0.2)  # it would be done, and be drawn over, if nothing held it back
    slow.go_on.set()
    first.join(20)
    second.join(20)
    assert slow.shown == 2


def test_an_event_is_drawn_once_and_one_that_changes_nothing_is_not():
    little = Little(SameThreadExecutor())
    send(little.panel, type="add", n=2)
    assert (little.panel.state["n"], little.renders) == (2, 2)
    send(little.panel, type="dismiss")
    send(little.panel, type="add", n="2")
    assert little.renders == 2


def test_what_is_refused_is_said_until_the_next_event():
    little = Little(SameThreadExecutor())
    send(little.panel, type="add", n=-1)
    assert little.panel.state["notice"] == "only more"
    send(little.panel, type="add", n=1)
    assert (little.panel.state["notice"], little.panel.state["n"]) == ("", 1)


def test_a_drawing_that_fails_is_said_once_and_the_screen_lives_on(caplog):
    little = Little(SameThreadExecutor())
    little.broken = True
    send(little.panel, type="add", n=1)
    assert "cannot draw" in little.panel.state["notice"]
    assert len(caplog.records) == 1
    little.broken = False
    send(little.panel, type="add", n=1)
    assert (little.panel.state["notice"], little.panel.state["n"]) == ("", 2)


@pytest.mark.parametrize(("error", "said"), [(ExportError("no room"), "no room"), (OSError("gone"), "gone")])
def test_a_file_is_written_beside_and_the_form_says_what_came_of_it(error, said):
    held = HeldExecutor()
    little = Little(held)
    send(little.panel, type="write")
    assert little.panel.state["result"] == "writing …"
    held.go()
    assert (little.panel.state["result"], little.panel.state["result_kind"]) == ("Wrote it", "ok")

    def fail():
        raise error

    little.outcome = fail
    send(little.panel, type="write")
    held.go()
    assert (little.panel.state["result"], little.panel.state["result_kind"]) == (said, "error")


def test_what_came_of_a_file_is_not_said_of_another_one():
    held = HeldExecutor()
    little = Little(held)
    send(little.panel, type="write")
    send(little.panel, type="name", path="b.txt")
    held.go()
    assert (little.panel.state["path"], little.panel.state["result"]) == ("b.txt", "")


def test_a_closed_screen_does_nothing_more():
    held = HeldExecutor()
    little = Little(held)
    send(little.panel, type="write")
    little.close()
    held.go()
    send(little.panel, type="add", n=1)
    assert (little.panel.state["result"], little.screen.n) == ("writing …", 0)


def test_rest_is_told_once_after_the_last_of_several_changes(monkeypatch):
    monkeypatch.setattr("trtcal_widgets.widgets.kit.boundary._REST", 0.05)
    told = []

    async def act():
        little, heard = Little(SameThreadExecutor()), asyncio.Event()
        little.rested = lambda: (told.append(little.renders), heard.set())
        for n in range(5):
            send(little.panel, type="add", n=n)
        drawn = little.renders
        await asyncio.wait_for(heard.wait(), 10)
        await asyncio.sleep(0.15)
        assert told == [drawn]
        little.running = True
        send(little.panel, type="add", n=1)
        await asyncio.sleep(0.15)
        assert told == [drawn], "not while something runs"
        little.close()

    asyncio.run(act())
