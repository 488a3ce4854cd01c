"""What the browser would send: the one place that knows the messages."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any


def send(panel, **content: Any) -> None:
    """A panel's event, as anywidget delivers it."""
    panel._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def drag_line(explorer, x: float, *, tilted: bool = False) -> None:
    """The relayout message that Plotly sends when the line is let go at ``x``."""
    figure = explorer.views.histogram.figure
    shape = figure.layout.shapes[0]
    moved = {"shapes[0].x0": x, "shapes[0].x1": shape.x1 if tilted else x, "shapes[0].y0": 0.5, "shapes[0].y1": 2e3}
    relayout = {"relayout_data": moved, "source_view_id": "view"}
    figure._handle_msg(
        {"content": {"data": {"method": "update", "state": {"_js2py_relayout": relayout}}}, "buffers": []}
    )


def click_overview(explorer, k: int, trace: int = 0) -> None:
    """The message of a click on column ``k``."""
    figure = explorer.views.overview.figure
    points = {"trace_indexes": [trace], "point_indexes": [k], "xs": [k], "ys": [1.0]}
    message = {"event_type": "plotly_click", "points": points, "device_state": None, "selector": None}
    figure._handle_msg(
        {"content": {"data": {"method": "update", "state": {"_js2py_pointsCallback": message}}}, "buffers": []}
    )


def resize_echo(explorer) -> None:
    """What Plotly reports when the page is laid out: nothing that the user did."""
    figure = explorer.views.histogram.figure
    relayout = {"relayout_data": {"autosize": True}, "source_view_id": "view"}
    figure._handle_msg(
        {"content": {"data": {"method": "update", "state": {"_js2py_relayout": relayout}}}, "buffers": []}
    )


class HeldExecutor(Executor):
    """Work waits until it is let go: what is drawn meanwhile can be looked at."""

    def __init__(self):
        self.waiting = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def go(self):
        while self.waiting:
            future, work = self.waiting.pop(0)
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - a future carries whatever was raised
                future.set_exception(error)
