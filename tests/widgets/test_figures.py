"""What all plots have in common."""

from __future__ import annotations

import sys
import threading

from trtcal_widgets.widgets.kit.figures import FigureView, new_figure, set_step


class Lines(FigureView):
    def __init__(self):
        super().__init__()
        traces = [{"type": "scatter", "x": [0], "y": [0]} for _ in range(4)]
        self.figure = new_figure(traces, {"xaxis": {}, "yaxis": {}, "annotations": []}, height=100)

    def recolor(self, theme):
        for trace in self.figure.data:
            trace.line.color = "#000000" if theme == "light" else "#ffffff"

    def draw(self, n):
        with self.filling():
            self.figure.layout.annotations = [{"text": str(k), "x": k} for k in range(n % 7)]
            self.figure.data[0].x = list(range(n))
            self.figure.layout.xaxis.range = [0, n]


def test_two_threads_that_draw_and_one_that_reads_do_not_meet():
    view, failures = Lines(), []

    def often(what):
        try:
            for k in range(40):
                what(k)
        except Exception as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    def draw(k):
        view.draw(k)
        view.apply_theme("dark" if k % 2 else "light")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        works = (draw, draw, lambda _: view.figure.get_state())
        threads = [threading.Thread(target=often, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert list(view.figure.get_state()["_widget_data"][0]["x"]) == list(range(39))


def test_what_plotly_reports_of_our_own_changes_is_an_echo():
    view, echoes = Lines(), []
    view.figure.layout.on_change(lambda _layout, _range: echoes.append(view.rendering), "xaxis.range")
    view.draw(5)
    assert echoes == [True]
    assert not view.rendering


def test_ticks_of_no_step_are_told_to_be_plotlys_own():
    view, sent = Lines(), []
    view.figure.observe(lambda change: sent.append(change.new), "_py2js_update")
    for step in (None, 1, None, 2):
        with view.filling():
            set_step(view.figure.layout.xaxis, step)
    said = [message["layout_data"] for message in sent if message]
    assert [(one["xaxis.tickmode"], one.get("xaxis.dtick")) for one in said] == [
        ("auto", None), ("linear", 1), ("auto", None), ("linear", 2),
    ]  # fmt: skip


def test_a_change_is_sent_without_a_copy_of_the_whole_figure():
    view = Lines()
    before = view.figure._widget_data  # what the browser gets of a whole figure
    view.draw(50)
    assert view.figure._widget_data is before
    assert view.figure.get_state("_widget_layout")["_widget_layout"]["xaxis"]["range"] == [0, 50]
    assert list(view.figure.get_state({"_widget_data", "caption"})["_widget_data"][0]["x"]) == list(range(50))
    assert view.figure._widget_data is not before


def test_a_first_plot_does_not_wait_for_nbformat_which_plotly_has_when_it_uses_it(run_python):
    program = """
import sys
from trtcal_widgets.widgets.kit.figures import new_figure
new_figure([{"type": "scatter", "x": [0], "y": [0]}], {"xaxis": {}, "yaxis": {}}, height=100)
assert not {"nbformat", "jsonschema"} & set(sys.modules)
import plotly.graph_objects as go
import plotly.io as pio
assert "application/vnd.plotly.v1+json" in pio.renderers["plotly_mimetype"].to_mimebundle(go.Figure().to_dict())
pio.show(go.Figure(), renderer="plotly_mimetype")
print(sys.modules["nbformat"].__version__)
"""
    assert run_python(program).splitlines()[-1][0].isdigit()
