"""The border that all bindings share, without a widget."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from trtcal_widgets.widgets.kit.boundary import Boundary, SameThreadExecutor


@dataclass(frozen=True)
class Screen:
    notice: str = ""


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
